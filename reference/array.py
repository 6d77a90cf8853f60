"""The array type that the whole project's annotations use, and exact numbers for it."""

from typing import Any, TypeAlias

import flint
import numpy as np

# Any: the element type is what `reference.network` leaves open on purpose.
Array: TypeAlias = np.ndarray[Any, Any]


def number(value: float, like: Array) -> Array:
    """`value` in the arithmetic of `like`, unrounded, with two axes of length 1 to broadcast.

    Where plain numbers meet each other before they meet an array (as in 1 - value), they would
    round as float64, whatever the arithmetic.
    """
    return np.full_like(like[..., :1, :1], flint.arb(value) if like.dtype == object else value)
