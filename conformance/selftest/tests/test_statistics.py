"""From seconds to a slope and its interval: what is known holds, and SciPy gives the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from conformance.bench import statistics
from conformance.bench.statistics import Fit, estimate, fit, ratio

seconds = st.floats(1e-9, 1e3)
counts = st.lists(st.integers(1, 100_000), min_size=2, max_size=8, unique=True)


@given(counts, seconds, seconds)
def test_a_line_without_noise_is_found(counts: list[int], slope: float, fixed: float) -> None:
    found = fit([(n, fixed + slope * n) for n in counts])
    reach = fixed + slope * max(counts)  # what rounding is relative to
    spread = max(counts) - min(counts)
    assert found.slope == pytest.approx(slope, abs=1e-14 * reach / spread + 1e-12 * slope)
    assert found.fixed == pytest.approx(fixed, abs=1e-12 * reach * max(counts) / spread)


@given(counts, st.integers(0, 2**32 - 1), st.sampled_from([0.5, 2.0, 1024.0]))
def test_a_machine_that_is_twice_as_slow_has_twice_the_slope(
    counts: list[int], seed: int, slower: float
) -> None:
    times = np.random.default_rng(seed).random(len(counts)).tolist()
    one = fit(list(zip(counts, times, strict=True)))
    two = fit([(n, slower * t) for n, t in zip(counts, times, strict=True)])
    assert two == (one.slope * slower, one.fixed * slower)


def test_a_slow_moment_and_the_order_do_not_matter() -> None:
    samples = [(n, 1e-3 + 1e-6 * n) for n in (100, 200, 400) for _ in range(5)]
    slow = [(200, 3.0), *samples[::-1]]
    assert fit(slow) == pytest.approx(fit(samples))
    assert fit(samples) == pytest.approx(Fit(1e-6, 1e-3))


def test_an_interval_covers_what_it_says() -> None:
    # The median of 7 rounds around a known one: how often do intervals hold it?
    random = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        found = estimate(random.normal(10.0, 1.0, size=7).tolist())
        assert found.low <= found.value <= found.high
        held += found.low <= 10.0 <= found.high
    assert 0.85 < held / 200 <= 1.0


def test_a_ratio_is_taken_within_each_round() -> None:
    drifting = [1.0, 5.0, 0.3, 2.0, 9.0]
    fast, slow = ([Fit(f * speed, 0.0) for speed in drifting] for f in (1.0, 4.0))
    assert ratio(fast, slow) == (4.0, 4.0, 4.0)
    for lost in (-1e-9, 0.0):  # in the noise
        assert ratio([Fit(lost, 0.0), *fast[1:]], slow) is None
        assert ratio(fast, [*slow[1:], Fit(lost, 0.0)]) is None


@given(counts, st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3]))
def test_a_line_is_that_of_scipy(counts: list[int], seed: int, runs: int) -> None:
    # Rounded, so that some are equal.
    times = np.random.default_rng(seed).random((len(counts), runs)).round(2)
    samples = [(n, float(t)) for n, row in zip(counts, times, strict=True) for t in row]
    theirs = stats.theilslopes(np.median(times, axis=1), counts, method="joint")
    assert fit(samples) == pytest.approx((theirs.slope, theirs.intercept), rel=1e-12, abs=1e-12)


def test_an_interval_leaves_out_a_fortieth_on_either_side() -> None:
    """Of many rounds, whose medians are close together: a little more or less shows."""
    rounds = np.random.default_rng(1).normal(10.0, 1.0, size=200).tolist()
    test_an_interval_is_that_of_scipy.hypothesis.inner_test(rounds)  # type: ignore[attr-defined]


@given(st.lists(seconds, min_size=statistics.LEAST_ROUNDS, max_size=9))
def test_an_interval_is_that_of_scipy(values: list[float]) -> None:
    theirs = stats.bootstrap(
        (values,),
        np.median,
        confidence_level=statistics.CONFIDENCE,
        n_resamples=statistics.RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(statistics.SEED),
    ).confidence_interval
    assert estimate(values) == pytest.approx((np.median(values), theirs.low, theirs.high))
