"""From seconds to time per iteration: a line for each round, and what the rounds say together.

A round is what a target does before the next one takes its turn. Its line is the Theil-Sen
line (the median of the slopes between all pairs) through the medians of each iteration count,
so that a slow moment of the machine has little weight. Every reported number is a median over
rounds, and its interval comes from the bootstrap over rounds, since times within one round are
not independent.

Both are a few lines of NumPy, so that a run needs no SciPy; a test holds them against SciPy's.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 9999
SEED = 2015
LEAST_ROUNDS = 3


class Fit(NamedTuple):
    """A line through times: seconds per iteration, and seconds that do not grow with iterations."""

    slope: float
    fixed: float


class Estimate(NamedTuple):
    """A median, and the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float


def fit(samples: Sequence[tuple[int, float]]) -> Fit:
    """The Theil-Sen line through the (iterations, seconds) of one round, of at least two counts."""
    by_count: dict[int, list[float]] = defaultdict(list)
    for count, seconds in samples:
        by_count[count].append(seconds)
    x = np.array(list(by_count), dtype=np.float64)  # (counts,)
    y = np.array([np.median(times) for times in by_count.values()])  # (counts,)
    later, earlier = np.nonzero(x[:, np.newaxis] > x)  # each pair of counts once
    slope = np.median((y[later] - y[earlier]) / (x[later] - x[earlier]))
    return Fit(float(slope), float(np.median(y - slope * x)))


def estimate(values: Sequence[float]) -> Estimate:
    """The median over rounds, of which there must be at least LEAST_ROUNDS.

    The interval comes from the percentile bootstrap: draw as many rounds again and again,
    with repetition, and leave out the outermost of their medians.
    """
    rounds = np.array(values)
    random = np.random.default_rng(SEED)
    drawn = rounds[random.integers(len(rounds), size=(RESAMPLES, len(rounds)))]
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.median(drawn, axis=1), [outside, 1 - outside])
    return Estimate(float(np.median(rounds)), float(low), float(high))


def ratio(these: Sequence[Fit], those: Sequence[Fit]) -> Estimate | None:
    """How many times faster one is than the other, round by round, so that both share its noise.

    None if a slope is lost in the noise, so that it is not positive.
    """
    if not all(one.slope > 0 for one in (*these, *those)):
        return None
    return estimate([b.slope / a.slope for a, b in zip(these, those, strict=True)])
