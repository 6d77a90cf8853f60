"""Exit with 0 if Numba can use a CUDA device, and say which; otherwise with 1, and say why."""

import os
import sys

os.environ["NUMBA_ENABLE_CUDASIM"] = "0"

try:
    from numba import cuda

    if not cuda.is_available():
        raise RuntimeError(cuda.cuda_error() or "NVVM not found")
    # Making a context finds out more than asking for the driver does.
    cuda.current_context()
    print(cuda.get_current_device().name)
except Exception as error:
    sentence = (str(error).strip() or type(error).__name__).splitlines()[0]
    sys.exit(f"no CUDA device ({sentence.rstrip('.:')})")
