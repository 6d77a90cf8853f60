"""The short race of a conformance run: targets that passed are timed on timing.iterations.

The clock, the turns, the checks and the numbers are the same as in `make bench`. But no
processor is pinned and no count is chosen: the counts are the case's own, and there are fewer
rounds.
"""

from conformance.bench.race import Contender, race
from conformance.bench.summary import BASIS, speed
from conformance.ground.live import LIVE
from conformance.ground.units import scaled
from conformance.record.models import Timing
from conformance.suite.traces import Trace
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from reference.cases.case import Case
from reference.golden.checks import RunCheck
from reference.golden.start import Start

ROUNDS = 5
TURN_S = 0.2


def short_race(
    passed: list[tuple[Judge, Verdict]], case: Case, trace: Trace
) -> tuple[list[Timing], dict[str, Verdict]]:
    """Time targets that passed the case in the dtype of its trace.

    Returns the timings, as far as the clock can tell them from 0, and by name the new verdicts of
    targets that went wrong when timed.
    """
    assert case.timing is not None
    counts = case.timing.iterations
    run = RunCheck(Start(case, trace.dtype), counts)
    contenders = [
        Contender(judge, trace, run, TURN_S, verdict, counts) for judge, verdict in passed
    ]
    for contender in contenders:  # what is done only once is not timed, such as compiling
        with contender.watched():
            contender.seconds(counts[0])
    race(case.id, contenders, ROUNDS)
    timed = [contender for contender in contenders if contender.fits]
    basis = next((contender.fits for contender in timed if contender.name == BASIS), None)
    timings = []
    for contender in timed:
        found = speed(contender.counts, contender.fits, basis)
        if not found.resolved:
            most = max(found.ns_per_iteration.high, 0.0)
            LIVE.note(
                f"{contender.name} on {case.id}: no time is shown, since the clock cannot "
                f"tell its time per iteration from 0 (at most {scaled(most)})"
            )
            continue
        timings.append(
            Timing(
                port=contender.name,
                case=case.id,
                dtype=trace.dtype,
                ns_per_iteration=found.ns_per_iteration.value,
                ns_low=found.ns_per_iteration.low,
                ns_high=found.ns_per_iteration.high,
                fixed_ms=found.fixed_ms.value,
                ratio_to_numpy=found.ratio_to_numpy.value if found.ratio_to_numpy else None,
            )
        )
    return timings, {c.name: c.verdict for c in contenders if not c.fits}
