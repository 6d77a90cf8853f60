"""Randomised rounding: how far a correct floating-point implementation may stray.

Monte Carlo arithmetic (D. S. Parker, "Monte Carlo Arithmetic", UCLA CSD-970002, 1997): every
result of every operation is perturbed at random by about one rounding, and many replicas of
the run show how far these perturbations spread. `reference.algorithm.network` runs on it
unchanged: `RandomisedArray` is an ndarray whose leading axis counts the replicas.
"""

from typing import Any

import numpy as np

from reference.arithmetic.float import Float
from reference.array import Array


class Randomised(Float):
    """See Arithmetic: `replicas` runs side by side, whose roundings are drawn from `random`."""

    def __init__(self, replicas: int, random: np.random.Generator) -> None:
        self.replicas, self.random = replicas, random

    def convert(self, values: Array) -> Array:
        """Equal copies for all replicas, exact so far. Data are shared, not copied."""
        array = np.repeat(values[np.newaxis], self.replicas, axis=0).view(RandomisedArray)
        array.random = self.random
        return array


class RandomisedArray(np.ndarray):
    """An array of shape (replicas, ...) whose operations round at random.

    A result r becomes r + r e z, rounded, with e the distance from 1 to the next number and
    z uniform in [-1, 1): it moves by up to one unit in the last place, or by two where r's
    significand is large. So it covers functions that are off by one unit, and sums in any
    order.
    """

    random: np.random.Generator

    def __array_finalize__(self, source: Any) -> None:
        if isinstance(source, RandomisedArray):
            self.random = source.random

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any
    ) -> "RandomisedArray":
        plain = [x.view(np.ndarray) if isinstance(x, RandomisedArray) else x for x in inputs]
        if ufunc is np.matmul:
            result = self._matmul(*plain)
        elif ufunc is np.add and method == "reduce":
            result = self._sum(plain[0], kwargs["axis"], kwargs.get("keepdims", False))
        elif method == "__call__":
            # kwargs hold no more than `out`: np.mean divides in place.
            result = self._perturb(ufunc(*plain))
        else:
            return NotImplemented
        return self._like(result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Functions that move numbers (concatenate, where, ...) keep them random."""
        result = super().__array_function__(function, types, args, kwargs)
        return self._like(result) if type(result) is np.ndarray else result

    def _like(self, result: Array) -> "RandomisedArray":
        array = result.view(RandomisedArray)
        array.random = self.random
        return array

    def _perturb(self, result: Array) -> Array:
        z = self.random.random(result.shape, dtype=result.dtype.type)
        z -= 0.5
        z *= 2 * np.finfo(result.dtype).eps
        z *= result
        z[~np.isfinite(z)] = 0  # an infinity (exp of a large number) has no neighbours
        z += result
        return z

    def _matmul(self, a: Array, b: Array) -> Array:
        """(..., m, n) @ (..., n, p), adding the n products one after the other."""

        def product(j: int) -> Array:
            return self._perturb(a[..., :, j, np.newaxis] * b[..., j, np.newaxis, :])

        total = product(0)
        for j in range(1, a.shape[-1]):
            total = self._perturb(total + product(j))
        return total

    def _sum(self, terms: Array, axis: int | tuple[int, ...], keepdims: bool) -> Array:
        axes = axis if isinstance(axis, tuple) else (axis,)
        moved = np.moveaxis(terms, axes, range(len(axes)))
        moved = moved.reshape(-1, *moved.shape[len(axes) :])
        total = moved[0]
        for term in moved[1:]:
            total = self._perturb(total + term)
        return np.expand_dims(total, axes) if keepdims else total
