"""What the kernels of the ladder are written with: `cuda`, and the arithmetic that they share.

With NUMBA_ENABLE_CUDASIM=1 the kernels run as plain Python in simulate.py, and not in Numba's
own simulator, which has no shuffles and needs milliseconds where this takes microseconds.
"""

import math

import numpy as np
from numba import config

SIMULATED = bool(config.ENABLE_CUDASIM)

if SIMULATED:
    from simulate import cuda

    exp = np.exp  # math.exp computes in float64, and raises where a GPU's exp is infinite
else:
    from numba import cuda

    exp = math.exp
    # Numba warns that a grid leaves most of a GPU idle. On the first rungs that is the lesson.
    config.CUDA_LOW_OCCUPANCY_WARNINGS = 0


# `real` is the dtype, which makes every constant: to Numba a float32 with the literal 1, an
# integer, is a float64. An exp that overflows is infinite, and the sigmoid then 0, as it should be.
@cuda.jit(device=True, inline="always")
def sigmoid(x, real):
    return real(1) / (real(1) + exp(-x))
