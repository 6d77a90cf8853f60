"""Ball arithmetic: `reference.algorithm.network` on numbers that carry their own error bound.

Each number is a `flint.arb`, a midpoint and a radius that surely enclose the exact value
(F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic",
IEEE Transactions on Computers 66(8), 2017). NumPy runs the same source on object arrays of
them: `@` multiplies and adds objects, and `np.exp` calls their `exp` method.
"""

from collections.abc import Callable
from typing import TypeVar

import flint
import numpy as np

from reference.array import Array

# 60,000 updates of the article's network lose 480 bits, so the first two precisions are
# tries that fail early and cheaply for long runs and suffice for short ones.
PRECISIONS = (192, 384, 768, 1536, 3072)

Result = TypeVar("Result")


class UndecidedError(ArithmeticError):
    """A ball is too wide to say which double is nearest to the exact value."""


def balls(values: Array) -> Array:
    """Exact balls of the same shape; every float64 and float32 is one without error."""
    return np.vectorize(lambda x: flint.arb(float(x)), otypes=[object])(values)


def number(value: float, like: Array) -> Array:
    """`value` in the arithmetic of `like`, unrounded, with two axes of length 1 to broadcast.

    Where plain numbers meet each other before they meet an array (as in 1 - value), they would
    round as float64, whatever the arithmetic.
    """
    return np.full_like(like[..., :1, :1], flint.arb(value) if like.dtype == object else value)


def nearest(values: Array) -> Array:
    """The doubles nearest to the exact values.

    Raises UndecidedError where the enclosure does not settle which double that is.
    """
    result = np.empty(np.shape(values))
    for index, ball in np.ndenumerate(values):
        low, high = float(ball.lower()), float(ball.upper())
        # NaN and infinite balls fail the comparison and are undecided, too.
        if not (low == high and abs(low) < np.inf):
            raise UndecidedError(f"{ball.str(17)} has no nearest double")
        result[index] = high
    return result + 0.0  # no negative zero: its sign would depend on the side it came from


def root(values: Array) -> Array:
    """The square root, of any arithmetic's numbers that surely are not negative.

    A ball of a square may still reach below 0; what is there of it is left out.
    """
    if values.dtype != object:
        return np.sqrt(values)
    return np.vectorize(_root, otypes=[object])(values)


def _root(x: flint.arb) -> flint.arb:
    if not x.contains(0):
        return x.sqrt()
    half = x.upper().sqrt() / 2
    return flint.arb(half.mid(), half.upper())


def radius(values: Array) -> float:
    """The largest radius, as an upper bound that is not rounded to 0."""
    return max(max(float(ball.rad()), 5e-324) if ball.rad() > 0 else 0.0 for ball in values.flat)


def certified(run: Callable[[], Result]) -> tuple[Result, int]:
    """Call `run`, at higher precision each time that it is undecided.

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
