"""How this port's functions are compiled.

`inlined` is for what an iteration of a plain network runs: each array that is handed to a
function, or taken out of a tuple, costs an atomic reference count, and in a small network all of
them together as much as the arithmetic. `compiled` is for the rest: it is compiled once for each
dtype, whatever the depth, and only when it is first needed.
"""

from numba import njit

# NumPy's error model: 1 / 0 is inf, as in C, so no division is checked. Without Python's lock, so
# that threads can compute at the same time.
OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True}
compiled = njit(**OPTIONS)
inlined = njit(**OPTIONS, inline="always")
