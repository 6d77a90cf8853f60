"""One workload: who computes it right is timed, in turns, and what was timed is checked again."""

import contextlib
import math
import os
import random
import statistics
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from conformance.bench.statistics import Line, line
from conformance.bench.timing import demand_right, timed_run
from conformance.bench.workloads import Workload
from conformance.process.channel import Trouble
from conformance.suite.traces import Trace
from conformance.verdict.judge import Judge, Verdict
from conformance.wire.client import Question
from reference.cases.tables import DType

SLOW_S = 3.0  # a target that takes longer for its shortest run is not timed
LONGEST = 1 / 4  # of a turn: the longest run that is chosen
SHORTEST = 1 / 10  # of the longest: the shortest one


class Clocked(NamedTuple):
    """A round by the device's own clock: the line of computing, and seconds of a run's copies."""

    line: Line
    copies: float


@dataclass
class Contender:
    """A target in one dtype: how it was judged, the counts that it is timed on, and its rounds."""

    judge: Judge
    workload: Workload
    trace: Trace
    question: Question  # shared by all in a dtype, since its arrays may be large
    cores: set[int]
    verdict: Verdict = field(
        default_factory=lambda: Verdict("SKIP", reason="the run was interrupted")
    )
    counts: list[int] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    clocked: list[Clocked] = field(default_factory=list)  # by the device itself, if it has a clock

    def __post_init__(self) -> None:
        self._expected = dict(self.trace.checkpoints)

    @property
    def name(self) -> str:
        """The target's name."""
        return self.judge.target.name

    @property
    def dtype(self) -> DType:
        """The dtype that it computes in."""
        return self.trace.dtype

    def admit(self) -> None:
        """Judge it; if it passes, choose its counts, checking each run that this takes.

        A generated network is judged on its first checkpoint, and then on all that are tried.
        """
        checked = self.trace
        if self.workload.generated:
            checked = replace(checked, checkpoints=checked.checkpoints[:1])
        with pinned(self.cores):  # it is started here
            self.verdict = self.judge.judge(self.workload.case, checked)
        if self.verdict.status == "PASS":
            self._watched(self._choose_counts)

    def turn(self) -> None:
        """One round: runs of all counts, again and again, until the turn is over."""
        self._watched(self._one_round)

    def _watched(self, work: Callable[[], None]) -> None:
        """Do it; whatever goes wrong is its verdict, and ends its part."""
        try:
            work()
        except Trouble as trouble:
            self._fail(replace(self.verdict, status=trouble.status, reason=trouble.reason))
        except Exception as error:  # whatever a port does, it does not end the run
            self._fail(replace(self.verdict, status="FAIL", reason=str(error)))

    def _fail(self, verdict: Verdict) -> None:
        self.verdict = replace(verdict, reason=f"when timed: {verdict.reason}")
        self.counts, self.lines, self.clocked = [], [], []
        self.judge.close()

    def _choose_counts(self) -> None:
        limit_s = self.workload.turn_s * LONGEST
        tried = []
        for n in self.workload.counts:
            seconds = self._seconds(n)
            tried.append(n)
            if seconds > SLOW_S and len(tried) == 1:
                runs = f"a run of {n} iteration{'s' * (n > 1)} takes {seconds:.1f} s"
                reason = f"not timed: {runs}, and {SLOW_S:g} s is the limit"
                self.verdict = replace(self.verdict, reason=reason)
                return
            if seconds > limit_s and len(tried) > 1:
                break
        chosen = [n for n in tried if n >= tried[-1] * SHORTEST]
        self.counts = chosen if len(chosen) > 1 else tried[-2:]

    def _one_round(self) -> None:
        samples: list[tuple[int, float]] = []
        clock: list[tuple[int, float]] = []
        copies: list[float] = []
        while sum(seconds for _, seconds in samples) < self.workload.turn_s:
            for n in self.counts:
                samples.append((n, self._seconds(n)))
                if device := self._device_seconds():
                    to, computing, back = device
                    clock.append((n, computing))
                    copies.append(to + back)
        self.lines.append(line(samples))
        if clock:
            self.clocked.append(Clocked(line(clock), statistics.median(copies)))

    def _device_seconds(self) -> list[float] | None:
        """Of the last run, if that was on a device."""
        target = self.judge.target
        if target.device is None or target.port.manifest.kind == "process":
            return None
        return self.judge.client().device_seconds()

    def _seconds(self, n: int) -> float:
        """The time of a run of n iterations; raises WrongWhenTimed if its answer is wrong."""
        with pinned(self.cores):  # it may have to be started again
            client = self.judge.client()
        expected = self.workload.expected(self._expected[n])
        seconds, comparison = timed_run(client, self.question, n, expected)
        margin = max(self.verdict.margin or 0.0, comparison.margin)
        self.verdict = replace(self.verdict, margin=margin if math.isfinite(margin) else None)
        demand_right(n, comparison)
        return seconds


def race(
    contenders: list[Contender],
    rounds: int,
    between: Callable[[], None],
    progress: Callable[[str], None],
) -> None:
    """Judge all, then time those that pass: in each round all have their turn, in a random order.

    `between` is done in each round, too, before the turns.
    """
    for i, contender in enumerate(contenders, 1):
        where = f"{contender.name} {contender.dtype} ({i} of {len(contenders)})"
        progress(f"{contender.workload.name}: judging {where}")
        contender.admit()
    order = random.Random(rounds)
    for turn in range(rounds):
        timed = [contender for contender in contenders if contender.counts]
        if not timed:
            return
        progress(f"{timed[0].workload.name}: round {turn + 1} of {rounds}, {len(timed)} to time")
        between()
        order.shuffle(timed)
        for contender in timed:
            contender.turn()


@contextlib.contextmanager
def pinned(cores: Collection[int]) -> Iterator[None]:
    """What is started within runs on these processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
