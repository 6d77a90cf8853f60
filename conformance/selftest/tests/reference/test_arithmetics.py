"""Ball arithmetic certifies, or says that it cannot; randomised rounding rounds at random."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.arithmetic.ball import BALLS
from reference.arithmetic.base import UndecidedError
from reference.arithmetic.randomised import Randomised

finite = st.floats(allow_nan=False, allow_infinity=False)


def one(value: flint.arb) -> np.ndarray:
    return np.array([value], dtype=object)


@given(finite, finite)
def test_nearest_is_the_correctly_rounded_quotient(a: float, b: float) -> None:
    if b == 0 or abs(a) > 1e300 or abs(b) < 1e-300:
        return
    exact = Fraction(a) / Fraction(b)
    if abs(exact) > Fraction(1.7e308) or (exact and abs(exact) < Fraction(1e-300)):
        return
    with flint.ctx.workprec(400):
        found = BALLS.doubles(one(flint.arb(a) / flint.arb(b)))[0]
    assert found == exact.numerator / exact.denominator  # Python divides integers exactly


@given(finite)
def test_doubles_are_exact_balls(value: float) -> None:
    [exact] = BALLS.convert(np.array([value]))
    assert exact.rad() == 0
    assert BALLS.doubles(one(exact))[0] == value


def test_a_wide_ball_is_undecided() -> None:
    for wide in (flint.arb(1, 1e-3), flint.arb("nan"), flint.arb(0, 1e-300), flint.arb("inf")):
        with pytest.raises(UndecidedError):
            BALLS.doubles(one(wide))


def test_certified_raises_precision_until_it_is_decided() -> None:
    def difference() -> float:
        # 1e-100 is lost in 1 + 1e-100 below 333 bits.
        small = (flint.arb(1) + flint.arb(10) ** -100) - 1
        return float(BALLS.doubles(one(small))[0])

    value, bits = BALLS.certified(difference)
    assert value == 1e-100
    assert bits == 384 or bits == 768


def test_certified_gives_up_in_the_end() -> None:
    def never() -> float:
        raise UndecidedError("no")

    with pytest.raises(UndecidedError):
        BALLS.certified(never)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_randomised_results_are_neighbours(dtype: str) -> None:
    random = np.random.default_rng(1)
    a = Randomised(500, random).convert(np.array([1.1, 3.3, 0.7], dtype=dtype))
    exact = np.array([1.1, 3.3, 0.7], dtype=dtype) * np.array([2.7], dtype=dtype)
    product = np.asarray(a * np.array([2.7], dtype=dtype))
    assert product.dtype == dtype
    ulps = (product - exact) / np.spacing(exact)
    # 3.3 x 2.7 has a significand of 1.11, the others of over 1.5.
    assert set(np.unique(ulps[:, 1])) == {-1.0, 0.0, 1.0}
    assert set(np.unique(ulps[:, [0, 2]])) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    assert abs(ulps.mean()) < 0.1  # no direction is preferred


def test_randomised_infinity_stays_and_gives_zero() -> None:
    a = Randomised(8, np.random.default_rng(1)).convert(np.array([-1000.0]))
    with np.errstate(over="ignore"):
        sigmoid = 1 / (1 + np.exp(-a))
    assert (np.asarray(sigmoid) == 0).all()


def test_randomised_sums_stray_like_sums_do() -> None:
    values = np.random.default_rng(2).random((1, 200))
    a = Randomised(200, np.random.default_rng(3)).convert(values)
    total = np.asarray(a @ np.ones((200, 1)))[:, 0, 0]
    exact = math.fsum(values[0])
    worst = np.abs(total - exact).max() / np.spacing(exact)
    assert 1 < worst < 200
