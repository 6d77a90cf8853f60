"""The two arithmetics that the oracle can use: MPFR through gmpy2, and mpmath.

Both round each result to nearest, at the same precision. MPFR is ten times as fast, so it goes
further in the same time. It uses GMP's integers, as python-flint does; mpmath here uses
Python's own, so that it shares no code with either.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gmpy2

os.environ.setdefault("MPMATH_NOGMPY", "1")  # read once, when mpmath is imported
import mpmath

# 77 digits: 60 more than a double has, and more than any case loses.
BITS = 256
# What is 0 only because its terms cancel comes out as the last of the bits of its terms, or a few
# more. So a number below 2^-(bits - ROOM) agrees with a golden 0. With twice the bits the
# limit is below its square: a number that is not 0 but small does not pass both.
ROOM = 56

Number = Any  # gmpy2.mpfr or mpmath.mpf
Row = list[Number]
Matrix = list[Row]


@dataclass(frozen=True)
class Numbers:
    """How to make a number from a double, exactly, and the functions other than + - * / and <."""

    number: Callable[[float], Number]
    exp: Callable[[Number], Number]
    tanh: Callable[[Number], Number]
    sqrt: Callable[[Number], Number]
    bits: int

    def is_zero(self, x: Number) -> bool:
        """Whether a number is 0, or the remainder of numbers that cancel."""
        return bool(abs(x) < self.number(2.0) ** (ROOM - self.bits))


def mpfr(bits: int = BITS) -> Numbers:
    """Numbers of MPFR."""
    gmpy2.get_context().precision = bits  # of all numbers of this thread; nothing else has any
    return Numbers(gmpy2.mpfr, gmpy2.exp, gmpy2.tanh, gmpy2.sqrt, bits)


def python(bits: int = BITS) -> Numbers:
    """Numbers of mpmath."""
    context = mpmath.MPContext()
    context.prec = bits
    return Numbers(context.mpf, context.exp, context.tanh, context.sqrt, bits)


def to_double(x: Number) -> float:
    """The nearest double, in one rounding, including subnormal numbers."""
    # Below half the smallest double. With mpmath, the denominator may have 10^30 bits.
    if abs(x) * 2.0**1000 < 2.0**-76:
        return 0.0
    numerator, denominator = x.as_integer_ratio()
    return int(numerator) / int(denominator)
