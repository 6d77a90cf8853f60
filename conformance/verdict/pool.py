"""Judges several targets at once, and one in several processes where a core is free."""

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

from conformance.ground.live import LIVE, Task
from conformance.suite.traces import Trace
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from reference.cases.case import Case
from reference.cases.tables import DType

Verdicts = dict[DType, Verdict]
# Cases that are left for each process of a target; for fewer, the start of another one takes longer
# than it saves.
WORTH_A_PROCESS = 8
PAUSE_S = 0.1


class Pool:
    """A thread for each target's process, as many at a time as there are cores.

    A thread that finds no target that nobody has begun starts another process of one that has
    many cases left, and takes from these. The processes end after the last case. Each judge belongs
    to one thread; only `interrupt` is called from another.
    """

    def __init__(
        self,
        wanted: Iterable[tuple[Judge, Case]],
        traces: dict[str, dict[DType, Trace]],
    ) -> None:
        self._traces = traces
        self._ended = False
        self._found: dict[tuple[str, str], Future[Verdicts]] = {}
        self._left: dict[Judge, deque[Case]] = {}  # cases that no thread has taken yet
        for judge, case in wanted:
            self._found[judge.target.name, case.id] = Future()
            self._left.setdefault(judge, deque()).append(case)
        self._task = Task("judging", of=len(self._found))
        if self._found:
            LIVE.start(self._task)
        cores = len(os.sched_getaffinity(0))
        self._lock = threading.Lock()
        self._at_work: dict[Judge, Judge] = {}  # which judges, and whose cases they take
        self._pool = ThreadPoolExecutor(cores)
        for first in self._left:
            self._pool.submit(self._judge, first, first)
        for _ in range(cores - 1):
            self._pool.submit(self._help)

    def verdicts_of(self, target: str, case: Case) -> Verdicts:
        """The verdicts of one target and case, by dtype; waits for them."""
        return self._found[target, case.id].result()

    def finished(self) -> list[Verdict]:
        """All verdicts so far."""
        done = [f for f in self._found.values() if f.done() and f.exception() is None]
        return [verdict for future in done for verdict in future.result().values()]

    def _judge(self, judge: Judge, first: Judge) -> None:
        """Judge what is left of the first judge's cases; other threads also take from them."""
        with self._lock:
            self._at_work[judge] = first
        try:
            with contextlib.suppress(IndexError):  # until nothing is left
                while True:
                    self._judge_one(judge, self._left[first].popleft())
            judge.close()  # every live process costs time, because it is watched
        finally:
            with self._lock:
                del self._at_work[judge]

    def _help(self) -> None:
        """Judge cases of targets that others have begun, as long as that is worth a process."""
        while not self._ended and (first := self._most_left()) is not None:
            self._judge(first.again(), first)

    def _most_left(self) -> Judge | None:
        """The target that most cases are left of for each of its processes, if they are enough.

        None on a device: one process there may take all of its memory.
        """
        with self._lock:
            working = Counter(self._at_work.values())
        many = {
            first: len(cases) / max(1, working[first])  # its own thread may only be about to begin
            for first, cases in self._left.items()
            if first.target.device is None or first.target.emulated
        }
        first = max(many, key=many.__getitem__, default=None)
        return first if first is not None and many[first] >= WORTH_A_PROCESS else None

    def _judge_one(self, judge: Judge, case: Case) -> None:
        found = self._found[judge.target.name, case.id]
        self._task.begin(judge.target.name)
        try:
            if self._ended:
                raise CancelledError
            dtypes = judge.target.dtypes
            verdicts = {d: judge.judge(case, self._traces[case.id][d]) for d in dtypes}
            if self._ended:  # its process was ended meanwhile, which looks like a crash
                raise CancelledError
            found.set_result(verdicts)
        except BaseException as error:
            found.set_exception(error)
        self._task.finish(judge.target.name)

    def close(self) -> None:
        """End everything that still runs: a target in the middle of a question gets no verdict."""
        self._ended = True
        LIVE.end(self._task)
        self._pool.shutdown(wait=False, cancel_futures=True)
        while running := self._running():
            for judge in running:
                judge.interrupt()
            time.sleep(PAUSE_S)

    def _running(self) -> list[Judge]:
        with self._lock:
            return [*self._at_work]
