"""What depends on the type of number that an array holds is asked of that type's arithmetic."""

from reference.arithmetic.base import BY_KIND, Arithmetic
from reference.arithmetic.float import FLOAT
from reference.array import Array

BY_KIND["f"] = FLOAT


def arithmetic_of(x: Array) -> Arithmetic:
    """The arithmetic of an array's elements. Raises TypeError if there is none for them."""
    try:
        return BY_KIND[x.dtype.kind]
    except KeyError:
        raise TypeError(
            f"no arithmetic for arrays of {x.dtype}: import the module that has it"
        ) from None


def number(value: float, like: Array) -> Array:
    """`value` in the arithmetic of `like`, unrounded, with two axes of length 1 to broadcast."""
    return arithmetic_of(like).number(value, like)


def root(x: Array) -> Array:
    """The square root of numbers that are not negative."""
    return arithmetic_of(x).root(x)


def positive(x: Array) -> Array:
    """1 where x > 0 and 0 elsewhere."""
    return arithmetic_of(x).positive(x)
