"""Exit with 0 if Numba can use a CUDA device, and say which; otherwise with 1, and say why."""

import ctypes
import os
import sys

os.environ["NUMBA_ENABLE_CUDASIM"] = "0"


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
    from numba import cuda

    if not cuda.is_available():
        raise RuntimeError(cuda.cuda_error() or "NVVM not found")
    # Making a context finds out more than asking for the driver does.
    cuda.current_context()
    gpu = cuda.get_current_device()
    major, minor = gpu.compute_capability
    print(", ".join([f"{gpu.name} (compute capability {major}.{minor})", *driver()]))
except Exception as error:
    sentence = (str(error).strip() or type(error).__name__).splitlines()[0]
    sys.exit(f"no CUDA device ({sentence.rstrip('.:')})")
