"""From seconds to time per iteration: a line for each round, and what the rounds say together.

A round is what a target does before the next one has its turn. Its line is the Theil-Sen line (the
median of the slopes between all pairs) through the medians of each iteration count, so that a slow
moment of the machine has little weight. All that is reported is a median over rounds, and its
interval comes from the bootstrap over rounds: what happens within one is not independent.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, theilslopes

CONFIDENCE = 0.95
RESAMPLES = 9999
SEED = 2015
LEAST_ROUNDS = 3


class Line(NamedTuple):
    """Seconds for each iteration, and seconds that do not grow with the iterations."""

    slope: float
    fixed: float


class Estimate(NamedTuple):
    """A median, and the interval that holds it with 95 % confidence."""

    value: float
    low: float
    high: float


def line(samples: Sequence[tuple[int, float]]) -> Line:
    """The line through the (iterations, seconds) of one round, of two counts at least."""
    by_count: dict[int, list[float]] = defaultdict(list)
    for count, seconds in samples:
        by_count[count].append(seconds)
    counts = list(by_count)
    found = theilslopes([statistics.median(by_count[n]) for n in counts], counts, method="joint")
    return Line(float(found.slope), float(found.intercept))


def estimate(values: Sequence[float]) -> Estimate:
    """The median over rounds, of which there must be LEAST_ROUNDS at least."""
    found = bootstrap(
        (values,),
        np.median,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Estimate(float(np.median(values)), float(found.low), float(found.high))


def ratio(these: Sequence[Line], those: Sequence[Line]) -> Estimate | None:
    """How many times faster these are than those: each round by itself, so that both share it.

    None where a slope is lost in the noise, so that it is not positive.
    """
    if not all(one.slope > 0 for one in (*these, *those)):
        return None
    return estimate([b.slope / a.slope for a, b in zip(these, those, strict=True)])
