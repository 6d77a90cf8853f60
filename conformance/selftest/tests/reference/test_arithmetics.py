"""Ball arithmetic certifies, or says that it cannot; randomised rounding rounds at random."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.arithmetic.ball import BALLS, PRECISIONS
from reference.arithmetic.base import UndecidedError
from reference.arithmetic.float import FLOAT
from reference.arithmetic.numbers import positive
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


def ball(low: float, high: float) -> flint.arb:
    """A ball that holds all numbers in between, and hardly more."""
    return flint.arb((low + high) / 2, (high - low) / 2)


@given(st.floats(0, 1e300))
def test_a_root_is_that_of_the_exact_number(value: float) -> None:
    for bits in (64, 192):
        with flint.ctx.workprec(bits):
            [root] = BALLS.root(one(flint.arb(value)))
            assert (root * root).contains(flint.arb(value))
            assert root.rad() <= root.mid() * 2.0 ** (2 - bits)


@pytest.mark.parametrize("below", [0.0, -0.25, -4.0])
def test_a_root_of_what_may_be_0_holds_all_roots(below: float) -> None:
    """The result goes from 0 to the root of the upper end; numbers below 0 add nothing to it."""
    for above in (0.25, 9.0):
        [root] = BALLS.root(one(ball(below, above)))
        for value in (0.0, above / 16, above):
            assert root.contains(flint.arb(math.sqrt(value)))
        assert root.upper() < math.sqrt(above) * (1 + 2**-20)
        assert root.lower() > -(2**-20)


def test_what_is_above_0_is_told_or_undecided() -> None:
    for low, high, told in ((1.0, 3.0, 1), (2.0**-1074, 2.0**-1074, 1), (0, 0, 0), (-3, -1, 0)):
        assert BALLS.positive(one(ball(low, high))).tolist() == [told]
    with pytest.raises(UndecidedError, match=r"the sign of .* is not certain"):
        BALLS.positive(one(ball(-1.0, 3.0)))
    values = np.array([[-1.0, -0.0, 0.0, 5e-324, 2.0]])
    assert FLOAT.positive(values).tolist() == [[0, 0, 0, 1, 1]]


def test_the_type_of_numbers_says_which_arithmetic_they_are_of() -> None:
    values = np.array([[0.25, 4.0]])
    plain, balls = positive(values), positive(BALLS.convert(values))
    assert plain.dtype == np.float64
    assert balls.dtype == object
    assert plain.tolist() == balls.tolist() == [[1, 1]]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_plain_numbers_stay_what_they_are(dtype: str) -> None:
    values = np.array([[2.25, 0.0], [1.0, 4.0], [9.0, 16.0]], dtype=dtype)
    assert FLOAT.share(values) is values
    copy = FLOAT.convert(values)
    assert copy is not values
    assert not np.shares_memory(copy, values)
    assert np.array_equal(copy, values)
    assert np.array_equal(FLOAT.root(values), [[1.5, 0.0], [1.0, 2.0], [3.0, 4.0]])
    assert FLOAT.doubles(values).dtype == np.float64
    assert np.array_equal(FLOAT.doubles(values), values)
    for found in (copy, FLOAT.root(values), FLOAT.positive(values), FLOAT.number(0.5, values)):
        assert found.dtype == dtype
    assert list(FLOAT.settled(lambda: iter([1, 2]))) == [1, 2]


def test_a_number_has_two_axes_of_length_1_after_those_in_front() -> None:
    for arithmetic, values in (
        (FLOAT, np.ones((4, 3, 2), np.float32)),
        (BALLS, BALLS.share(np.ones((4, 3, 2)))),
    ):
        found = arithmetic.number(0.1, values)
        assert found.shape == (4, 1, 1)
        assert found.dtype == values.dtype
    assert {float(value.mid()) for value in found.flat} == {0.1}


def test_the_largest_radius_counts_and_is_never_0_for_what_is_not_exact() -> None:
    tiny = flint.arb(0, flint.arb(2) ** -2000)
    for balls, radius in (
        ([flint.arb(1), flint.arb(2)], 0.0),
        ([flint.arb(1), tiny], 5e-324),
        ([flint.arb(1, 0.25), flint.arb(2, 0.5), flint.arb(3)], 0.5),
    ):
        assert BALLS.radius(np.array(balls, dtype=object)) == pytest.approx(radius, rel=1e-6)
    assert BALLS.radius(one(tiny)) > 0


def test_what_rounds_to_zero_is_never_a_negative_zero() -> None:
    tiny = flint.arb(2) ** -2000
    zeros = BALLS.doubles(np.array([flint.arb(-0.0), -tiny, tiny], dtype=object))
    assert [math.copysign(1, zero) for zero in zeros] == [1, 1, 1]
    assert not zeros.any()


@pytest.mark.parametrize("needed", PRECISIONS)
def test_a_run_gets_no_more_precision_than_it_needs(needed: int) -> None:
    tried = []

    def run() -> list[int]:
        tried.append(flint.ctx.prec)
        if flint.ctx.prec < needed:
            raise UndecidedError("no")
        return [flint.ctx.prec]

    assert BALLS.certified(run) == ([needed], needed)
    assert tried == [bits for bits in PRECISIONS if bits <= needed]
    assert BALLS.settled(run) == [needed]
    assert [*PRECISIONS] == sorted(PRECISIONS)


def randomised(values: np.ndarray, replicas: int = 64, seed: int = 5) -> np.ndarray:
    return Randomised(replicas, np.random.default_rng(seed)).convert(values)


def test_each_result_strays_and_what_only_moves_does_not() -> None:
    values = np.array([[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]])
    a = randomised(values)
    assert a.shape == (64, 2, 3)
    for found, exact in (
        (a + a, 2 * values),
        (a @ values.T, values @ values.T),
        (values @ a.mT, values @ values.T),
        (a.sum(axis=-1), values.sum(axis=-1)),
        (np.add.reduce(a, axis=-1), values.sum(axis=-1)),
        (a.sum(axis=(-2, -1)), values.sum()),
        (a.sum(axis=-2, keepdims=True), values.sum(axis=-2, keepdims=True)),
        (a.mean(axis=(-2, -1)), values.mean()),
        (np.where(values > 2, a, 0) * 1.5, np.where(values > 2, values, 0) * 1.5),
        (np.concatenate([a, a], axis=-1) / 3, np.concatenate([values, values], axis=-1) / 3),
    ):
        plain = np.asarray(found)
        assert plain.shape == (64, *np.shape(exact))
        assert plain == pytest.approx(np.broadcast_to(exact, plain.shape), rel=1e-14)
        moved = (plain != exact).any(axis=0)
        assert np.array_equal(moved, np.asarray(exact) != 0)
    for same in (a[0], a[..., :1], a.mT, np.concatenate([a, a]), a.reshape(-1)):
        assert set(np.asarray(same).flat) <= set(values.flat)


def test_replicas_start_equal_and_the_random_numbers_decide() -> None:
    values = np.array([[1.5, 2.5]])
    assert np.array_equal(randomised(values, 3), np.stack([values] * 3))
    first, same, other = (np.asarray(randomised(values, 8, n) * 1.1) for n in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_perturbation_reaches_one_unit_to_both_sides() -> None:
    """z is uniform in [-1, 1), as Parker has it: of 1.5, which is in the middle of its binade."""
    up = 2.0**-52  # e, from 1 to the next number
    found = np.asarray(randomised(np.full((1, 1000), 1.5), 20) + 0.0) - 1.5
    # 1.5 e z rounds to a whole number of e: by 1 beyond a half, that is for z beyond 1/3.
    assert set(np.unique(found / up)) == {-1.0, 0.0, 1.0}
    assert np.mean(found == 0) == pytest.approx(1 / 3, abs=0.02)
    assert np.mean(found > 0) == pytest.approx(1 / 3, abs=0.02)


def test_what_cannot_be_rounded_at_random_is_refused() -> None:
    with pytest.raises(TypeError):
        np.multiply.reduce(randomised(np.ones((2, 2))), axis=-1)
