"""Exit with 0 if JAX can use a CUDA device, and say which; otherwise with 1, and say why."""

import sys

import jax

try:
    print(jax.devices("cuda")[0].device_kind, "JAX", jax.__version__)
except RuntimeError as error:
    sys.exit(f"no CUDA device for JAX ({str(error).strip().splitlines()[0].rstrip('.')})")
