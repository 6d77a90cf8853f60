"""Times ports that passed: nanoseconds per iteration as a slope, the rest as a fixed cost.

Each port is asked for runs of several lengths, and a line is fitted through the times that
the harness measures, from the question sent to the answer read. So no port reports its own
time, and what does not grow with the iterations (starting, transfers, the wire) is in the
intercept. Ports take turns within each round, so that a slow moment of the machine hits all.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from conformance.record.models import Timing
from conformance.suite.compare import Comparison, Expected, compare
from conformance.suite.traces import Trace
from conformance.verdict.divergence import one_line
from conformance.verdict.judge import Judge
from conformance.wire.client import Client
from reference.cases.case import Case
from reference.golden.checks import Run
from reference.golden.start import Start

ROUNDS = 5
TURN_S = 0.2  # at least; a fast port goes through its counts several times
SLOW_S = 2.0  # a port that takes longer for a count is not asked for a higher one


@dataclass(frozen=True)
class Line:
    """A robust fit of time against iterations, in seconds; low and high bound the slope."""

    slope: float
    low: float
    high: float
    intercept: float


class WrongWhenTimed(Exception):
    """A port answered wrongly while it was timed; the message says where."""


def measure(
    judges: list[Judge], case: Case, trace: Trace, progress: Callable[[str], None]
) -> tuple[list[Timing], dict[str, str]]:
    """Time each port on the case's timing.iterations, in ROUNDS interleaved rounds.

    Returns the fits by target name, and for ports that answered wrongly, or not at all,
    what happened instead.
    """
    assert case.timing is not None
    run = Run(Start(case, trace.dtype), case.timing.iterations)
    samples: dict[str, list[tuple[int, float]]] = {judge.target.name: [] for judge in judges}
    wrong: dict[str, str] = {}
    for turn in range(ROUNDS):
        progress(f"timing {case.id}: round {turn + 1} of {ROUNDS}")
        for judge in judges:
            name = judge.target.name
            if name in wrong:
                continue
            try:
                samples[name] += _one_round(judge, run, trace)
            except Exception as error:  # whatever ends it, timing never ends a run
                wrong[name] = f"when timed: {error}"
    lines = {n: fit(times) for n, times in samples.items() if n not in wrong}
    numpy = lines.get("numpy")
    return [
        Timing(
            port=name,
            case=case.id,
            dtype="float64",
            ns_per_iteration=line.slope * 1e9,
            ns_low=line.low * 1e9,
            ns_high=line.high * 1e9,
            fixed_ms=line.intercept * 1e3,
            # A slope that may be 0 has no ratio to anything.
            ratio_to_numpy=numpy.slope / line.slope if numpy and line.low > 0 else None,
        )
        for name, line in lines.items()
    ], wrong


def _one_round(judge: Judge, run: Run, trace: Trace) -> list[tuple[int, float]]:
    client = judge.client()
    expected = dict(trace.run.expected)
    times: list[tuple[int, float]] = []
    while sum(seconds for _, seconds in times) < TURN_S:
        for n in run.points:
            if len(times) > 1 and times[-1][1] > SLOW_S:
                break
            seconds, comparison = timed_run(client, run, n, expected[n])
            times.append((n, seconds))
            demand_right(n, comparison)
    return times


def timed_run(
    client: Client, run: Run, n: int, expected: list[Expected]
) -> tuple[float, Comparison]:
    """The seconds that a run of n iterations takes, and how its answer compares."""
    started = time.perf_counter()
    [(_, got)] = client.answer_to(run.at([n]))
    seconds = time.perf_counter() - started
    return seconds, compare(got, expected, run.dtype)


def demand_right(n: int, comparison: Comparison) -> None:
    """Raise WrongWhenTimed if the answer to a run of n iterations was wrong."""
    if comparison.first is not None:
        raise WrongWhenTimed(one_line(Run, n, comparison.first))


def fit(samples: list[tuple[int, float]]) -> Line:
    """The Theil-Sen line through (iterations, seconds), with a 95 % interval of the slope."""
    from scipy.stats import theilslopes  # here, since it takes a second that most runs can spare

    counts, seconds = zip(*samples, strict=True)
    found = theilslopes(seconds, counts, alpha=0.95)
    return Line(
        slope=float(found.slope),
        low=float(found.low_slope),
        high=float(found.high_slope),
        intercept=float(found.intercept),
    )
