"""Exit with 0 if the library can use a CUDA device, and say which; otherwise with 1, and say why.

python has_device.py LIBRARY
"""

import ctypes
import sys


def driver():
    """The CUDA that the driver can do, and its version: that is NVML's to say."""
    cuda, version = ctypes.c_int(), ctypes.create_string_buffer(80)
    try:
        if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(cuda)) == 0:
            yield f"CUDA {cuda.value // 1000}.{cuda.value % 1000 // 10}"
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        if nvml.nvmlInit_v2() == 0 and nvml.nvmlSystemGetDriverVersion(version, len(version)) == 0:
            yield f"driver {version.value.decode()}"
    except (OSError, AttributeError):
        return  # a container may lack one of them: the device is here all the same


try:
    library = ctypes.CDLL(sys.argv[1])
except OSError as error:
    sys.exit(f"not built yet, so no device was looked for ({error})")
library.backprop_reason.restype = library.backprop_device.restype = ctypes.c_char_p
if library.backprop_detect() != 0:
    sys.exit(library.backprop_reason().decode())
print(", ".join([library.backprop_device().decode(), *driver()]))
