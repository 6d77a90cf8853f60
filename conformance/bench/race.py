"""The stopwatch: targets that passed are timed, in turns, and each timed answer is checked again.

`make bench` and the timing of a conformance run both use this race. Times run from sending the
question to reading the answer, so no port reports its own time, and whatever does not grow with
the iterations (starting, transfers, the wire) is in the fixed cost. No run has the numbers of an
earlier one, so that nothing is gained by remembering answers.
"""

import contextlib
import os
import random
import secrets
import statistics
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from conformance.bench.renumbered import numberings
from conformance.bench.statistics import Fit, fit
from conformance.ground.live import LIVE, Task
from conformance.ground.statuses import Status
from conformance.ground.units import count
from conformance.process.channel import Trouble
from conformance.suite.compare import Expected, compare
from conformance.suite.traces import Trace
from conformance.verdict.divergence import one_line
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict, finite
from conformance.wire.requests import Failure, Unsupported
from reference.cases.tables import DType
from reference.golden.checks import RunCheck

SLOW_S = 2.0  # a target that takes longer for a count gets no higher count in that turn


class WrongWhenTimed(Exception):
    """A port gave a wrong answer while it was timed; the message says where."""


class Clocked(NamedTuple):
    """A round by the device's own clock: the line of computing, and seconds for a run's copies."""

    fit: Fit
    copies: float


@dataclass
class Contender:
    """A target in one dtype: its question, the expected answer, and its rounds so far.

    It is timed on `counts` of iterations, if it has any. A turn takes at least `turn_s` seconds: a
    fast target goes through its counts several times.
    """

    judge: Judge
    trace: Trace
    run: RunCheck  # shared by all targets in a dtype, since its arrays may be large
    turn_s: float
    verdict: Verdict
    counts: list[int] = field(default_factory=list)
    cores: Collection[int] = field(default_factory=lambda: os.sched_getaffinity(0))
    has_clock: bool = False  # after each run, its worker tells the device's own time
    whole: Callable[[list[Expected]], list[Expected]] = list  # all due, from what is in the trace
    fits: list[Fit] = field(default_factory=list)
    clocked: list[Clocked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._expected = dict(self.trace.run.expected)
        self._numberings = numberings(self.run.start, secrets.randbits(32))

    @property
    def name(self) -> str:
        """The target's name."""
        return self.judge.target.name

    @property
    def dtype(self) -> DType:
        """The dtype that it computes in."""
        return self.trace.dtype

    def turn(self) -> None:
        """One round: runs of all counts, again and again, until the turn is over."""
        with self.watched():
            self._one_round()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """What a port does wrong inside becomes its verdict, and ends its part in the race.

        Only errors that a port can cause are caught. Any other exception is the harness's own
        fault: it ends the run.
        """
        try:
            yield
        except Trouble as trouble:
            self._drop(trouble.status, trouble.reason)
        except (Failure, Unsupported, WrongWhenTimed) as error:
            self._drop(Status.FAIL, str(error))

    def seconds(self, n: int) -> float:
        """The time of a run of n iterations; raises WrongWhenTimed if its answer is wrong."""
        with pinned(self.cores):  # it may have to start again
            client = self.judge.client()
        numbering = next(self._numberings)
        question = RunCheck(numbering.of(self.run.start), [n])
        client.prepare(question)
        started = time.perf_counter()
        [(_, answer)] = client.answer_to(question)
        taken = time.perf_counter() - started
        got = numbering.back(answer)
        comparison = compare(got, self.whole(self._expected[n]), self.dtype)
        margin = max(self.verdict.margin or 0.0, comparison.margin)
        self.verdict = self.verdict.but(margin=finite(margin))
        if comparison.first is not None:
            raise WrongWhenTimed(one_line(RunCheck, n, comparison.first))
        return taken

    def _drop(self, status: Status, reason: str) -> None:
        self.verdict = self.verdict.but(status=status, reason=f"when timed: {reason}")
        self.counts, self.fits, self.clocked = [], [], []
        self.judge.close()

    def _one_round(self) -> None:
        samples: list[tuple[int, float]] = []
        clock: list[tuple[int, float]] = []
        copies: list[float] = []
        while sum(seconds for _, seconds in samples) < self.turn_s:
            for n in self.counts:
                if len(samples) > 1 and samples[-1][1] > SLOW_S:
                    break
                samples.append((n, self.seconds(n)))
                if self.has_clock and (device := self.judge.client().device_seconds()):
                    to, computing, back = device
                    clock.append((n, computing))
                    copies.append(to + back)
        self.fits.append(fit(samples))
        if clock:
            self.clocked.append(Clocked(fit(clock), statistics.median(copies)))


def race(
    title: str,
    contenders: list[Contender],
    rounds: int,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Time all targets that have counts: in each round they take turns in a random order.

    So a slow moment of the machine affects all of them. `between` runs in each round before the
    turns.
    """
    order = random.Random(rounds)
    with Task("timing", title, of=rounds) as task:
        LIVE.note(f"timing {count(len(contenders), 'target')} on {title}, {rounds} rounds")
        for task.done in range(1, rounds + 1):
            timed = [contender for contender in contenders if contender.counts]
            if not timed:
                return
            between()
            order.shuffle(timed)
            for contender in timed:
                contender.turn()


@contextlib.contextmanager
def pinned(cores: Collection[int]) -> Iterator[None]:
    """Processes that start inside run on these processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
