"""NumPy's own floating-point numbers, float64 and float32: an array's dtype says which."""

from collections.abc import Callable, Iterable

import numpy as np

from reference.arithmetic.base import Arithmetic, Result
from reference.array import Array


class Float(Arithmetic):
    """See Arithmetic."""

    def convert(self, values: Array) -> Array:
        """See Arithmetic."""
        return np.array(values)

    def share(self, values: Array) -> Array:
        """See Arithmetic."""
        return values

    def number(self, value: float, like: Array) -> Array:
        """See Arithmetic."""
        return np.full_like(like[..., :1, :1], value)

    def root(self, values: Array) -> Array:
        """See Arithmetic."""
        return np.sqrt(values)

    def positive(self, values: Array) -> Array:
        """See Arithmetic."""
        return (np.asarray(values) > 0).astype(values.dtype)

    def doubles(self, values: Array) -> Array:
        """See Arithmetic."""
        return np.asarray(values, np.float64)

    def settled(self, run: Callable[[], Iterable[Result]]) -> Iterable[Result]:
        """See Arithmetic: each result as soon as it is computed."""
        return run()


FLOAT = Float()
