"""Which targets race in `make bench`: those that pass, on iteration counts that they can manage."""

from conformance.bench.race import Contender, pinned
from conformance.bench.workloads import Workload
from conformance.ground.statuses import Status

TOO_SLOW_S = 3.0  # a target that takes longer for its shortest run is not timed
LONGEST = 1 / 4  # of a turn: the longest run that is chosen
SHORTEST = 1 / 10  # of the longest: the shortest one


def admit(contender: Contender, workload: Workload) -> None:
    """Judge it; if it passes, choose its counts, checking each run that this takes.

    A generated network is judged on its first checkpoint, and then on each one that is
    tried.
    """
    trace = contender.trace
    if workload.generated:
        trace = trace.upto(workload.counts[0])
    with pinned(contender.cores):  # it is started here
        contender.verdict = contender.judge.judge(workload.case, trace)
    if contender.verdict.status == Status.PASS:
        with contender.watched():
            _choose_counts(contender, workload)


def _choose_counts(contender: Contender, workload: Workload) -> None:
    longest_s = workload.turn_s * LONGEST
    tried = []
    for n in workload.counts:
        seconds = contender.seconds(n)
        tried.append(n)
        if seconds > TOO_SLOW_S and len(tried) == 1:
            runs = f"a run of {n} iteration{'s' * (n > 1)} takes {seconds:.1f} s"
            reason = f"not timed: {runs}, and {TOO_SLOW_S:g} s is the limit"
            contender.verdict = contender.verdict.but(reason=reason)
            return
        if seconds > longest_s and len(tried) > 1:
            break
    chosen = [n for n in tried if n >= tried[-1] * SHORTEST]
    contender.counts = chosen if len(chosen) > 1 else tried[-2:]
