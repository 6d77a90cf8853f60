"""Exit with 0 if PyTorch can use a CUDA device, and say which; otherwise with 1, and say why."""

import sys

import torch

if not torch.backends.cuda.is_built():
    sys.exit(f"no CUDA device for PyTorch: {torch.__version__} is built without CUDA")
try:
    torch.zeros(1, device="cuda")
    print(torch.cuda.get_device_name(), "PyTorch", torch.__version__, "CUDA", torch.version.cuda)
except RuntimeError as error:
    sys.exit(f"no CUDA device for PyTorch ({str(error).strip().splitlines()[0].rstrip('.')})")
