"""Ball arithmetic: `reference.algorithm.network` on numbers that carry their own error bound.

Each number is a `flint.arb`, a midpoint and a radius that surely enclose the exact value
(F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic",
IEEE Transactions on Computers 66(8), 2017). NumPy runs the same source on object arrays of
them: `@` multiplies and adds objects, and `np.exp` calls their `exp` method.
"""

from collections.abc import Callable, Iterable
from typing import Any

import flint
import numpy as np

from reference.arithmetic.base import BY_KIND, Arithmetic, Result, UndecidedError
from reference.array import Array

# 60,000 updates of the article's network lose 480 bits, so the first two precisions are
# tries that fail early and cheaply for long runs and suffice for short ones.
PRECISIONS = (192, 384, 768, 1536, 3072)


class Balls(Arithmetic):
    """See Arithmetic. How wide balls become depends on the precision of `flint.ctx`."""

    def convert(self, values: Array) -> Array:
        """Exact balls of the same shape; every float64 and float32 is one without error."""
        return _each(lambda x: flint.arb(float(x)), values)

    def share(self, values: Array) -> Array:
        """The same: balls meet only balls."""
        return self.convert(values)

    def number(self, value: float, like: Array) -> Array:
        """See Arithmetic."""
        return np.full_like(like[..., :1, :1], flint.arb(value))

    def root(self, values: Array) -> Array:
        """See Arithmetic. The part of a ball below 0 is left out: it has no square root."""
        return _each(_root, values)

    def positive(self, values: Array) -> Array:
        """See Arithmetic."""
        return _each(_positive, values)

    def doubles(self, values: Array) -> Array:
        """The doubles nearest to the exact values, if the balls settle which these are."""
        result = np.empty(np.shape(values))
        for index, ball in np.ndenumerate(values):
            low, high = float(ball.lower()), float(ball.upper())
            # NaN and infinite balls also fail the comparison and are undecided.
            if not (low == high and abs(low) < np.inf):
                raise UndecidedError(f"{ball.str(17)} has no nearest double")
            result[index] = high
        return result + 0.0  # no negative zero: its sign would depend on the side it came from

    def settled(self, run: Callable[[], Iterable[Result]]) -> Iterable[Result]:
        """See Arithmetic. Raises UndecidedError as `certified` does."""
        return self.certified(lambda: list(run()))[0]

    def certified(self, run: Callable[[], Result]) -> tuple[Result, int]:
        """Call `run`, with more precision each time it is undecided.

        Returns its result and the bits that it took. Raises UndecidedError if the highest of
        PRECISIONS does not settle it.
        """
        for bits in PRECISIONS:
            with flint.ctx.workprec(bits):
                try:
                    return run(), bits
                except UndecidedError:
                    if bits == PRECISIONS[-1]:
                        raise
        raise AssertionError("PRECISIONS is empty")

    def radius(self, values: Array) -> float:
        """The largest radius, as an upper bound that is not rounded to 0."""
        radii = [ball.rad() for ball in values.flat]
        return max(max(float(radius), 5e-324) if radius > 0 else 0.0 for radius in radii)


BALLS = Balls()
BY_KIND["O"] = BALLS


def _each(function: Callable[[Any], Any], values: Array) -> Array:
    return np.vectorize(function, otypes=[object])(values)


def _root(x: flint.arb) -> flint.arb:
    if not x.contains(0):
        return x.sqrt()
    half = x.upper().sqrt() / 2
    return flint.arb(half.mid(), half.upper())


def _positive(x: flint.arb) -> int:
    if x > 0:
        return 1
    if x <= 0:
        return 0
    raise UndecidedError(f"the sign of {x.str(17)} is not certain")
