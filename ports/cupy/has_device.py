"""Exit with 0 if CuPy can use a CUDA device, and say which; otherwise with 1, and say why."""

import sys

try:
    import cupy
except ImportError:
    sys.exit("CuPy is not installed: .venv/bin/pip install cupy-cuda13x")
try:
    cupy.zeros(1)
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(f"{name}, CuPy {cupy.__version__}, CUDA {cupy.cuda.runtime.driverGetVersion()}")
except Exception as error:
    sys.exit(f"no CUDA device ({str(error).strip().splitlines()[0].rstrip('.')})")
