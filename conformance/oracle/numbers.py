"""The two arithmetics that the oracle can use: MPFR through gmpy2, and mpmath.

Both round each result to nearest, at the same precision. They share no code: mpmath is written in
Python, on integers. MPFR is ten times as fast, so it goes further in the same time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gmpy2
import mpmath

# 77 digits: 60 more than a double has. Long runs lose many of them, and none of the cases more.
BITS = 256

Number = Any  # gmpy2.mpfr or mpmath.mpf
Row = list[Number]
Matrix = list[Row]


@dataclass(frozen=True)
class Numbers:
    """How to make a number from a double, exactly, and the functions beside + - * / and <."""

    number: Callable[[float], Number]
    exp: Callable[[Number], Number]
    tanh: Callable[[Number], Number]
    sqrt: Callable[[Number], Number]


def mpfr() -> Numbers:
    """Numbers of MPFR."""
    gmpy2.get_context().precision = BITS  # of all numbers of this thread; nothing else has any
    return Numbers(gmpy2.mpfr, gmpy2.exp, gmpy2.tanh, gmpy2.sqrt)


def python() -> Numbers:
    """Numbers of mpmath."""
    context = mpmath.MPContext()
    context.prec = BITS
    return Numbers(context.mpf, context.exp, context.tanh, context.sqrt)


def to_double(x: Number) -> float:
    """The double that is nearest, in one rounding, below the normal numbers as well."""
    numerator, denominator = x.as_integer_ratio()
    return int(numerator) / int(denominator)
