"""Exit with 0 if the library can use a CUDA device, and say which; otherwise with 1, and say why.

python has_device.py LIBRARY
"""

import ctypes
import sys

try:
    library = ctypes.CDLL(sys.argv[1])
except OSError as error:
    sys.exit(f"not built yet, so no device was looked for ({error})")
library.backprop_reason.restype = library.backprop_device.restype = ctypes.c_char_p
if library.backprop_detect() != 0:
    sys.exit(library.backprop_reason().decode())
print(library.backprop_device().decode())
