"""Judges several targets at once, and one in several processes if there are enough cores."""

import contextlib
import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait

from conformance.ground.live import LIVE, Task
from conformance.suite.traces import Trace
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from reference.cases.case import Case
from reference.cases.tables import DType

Verdicts = dict[DType, Verdict]
WORTH_A_PROCESS = 8  # cases; for fewer, its start takes longer than it saves


def _more(judge: Judge, cases: int, cores: int) -> list[Judge]:
    """Judges of the same target, for as many extra processes as the cases and cores justify.

    None on a device: one process there may take all of its memory.
    """
    if judge.target.device is not None and not judge.target.emulated:
        return []
    return [judge.again() for _ in range(min(cores, cases // WORTH_A_PROCESS) - 1)]


class Pool:
    """A thread for each target's process, as many at a time as there are cores.

    Where targets are fewer than cores, each has more processes, which take its cases in turn. They
    end after the last one; only the first stays if `kept` says that it will be asked again.
    Each judge belongs to one thread; only `interrupt` is called from another.
    """

    def __init__(
        self,
        wanted: Iterable[tuple[Judge, Case]],
        traces: dict[str, dict[DType, Trace]],
        *,
        kept: bool,
    ) -> None:
        self._traces = traces
        self._ended = False
        self._found: dict[tuple[str, str], Future[Verdicts]] = {}
        by_judge: dict[Judge, deque[Case]] = {}
        for judge, case in wanted:
            self._found[judge.target.name, case.id] = Future()
            by_judge.setdefault(judge, deque()).append(case)
        self._task = Task("judging", of=len(self._found))
        if self._found:
            LIVE.start(self._task)
        cores = len(os.sched_getaffinity(0))
        each = cores // max(1, len(by_judge))
        self._pool = ThreadPoolExecutor(cores)
        self._threads = {
            judge: self._pool.submit(self._judge, judge, cases, kept and judge is first)
            for first, cases in by_judge.items()
            for judge in [first, *_more(first, len(cases), each)]
        }

    def verdicts_of(self, target: str, case: Case) -> Verdicts:
        """The verdicts of one target and case, by dtype; waits for them."""
        return self._found[target, case.id].result()

    def finished(self) -> list[Verdict]:
        """All verdicts so far."""
        done = [f for f in self._found.values() if f.done() and f.exception() is None]
        return [verdict for future in done for verdict in future.result().values()]

    def _judge(self, judge: Judge, cases: deque[Case], kept: bool) -> None:
        """Judge the cases that are left; other threads also take from them."""
        with contextlib.suppress(IndexError):  # until nothing is left
            while True:
                self._judge_one(judge, cases.popleft())
        if not kept:
            judge.close()  # every live process costs time, because it is watched

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
        while running := [judge for judge, thread in self._threads.items() if thread.running()]:
            for judge in running:
                judge.interrupt()
            wait([self._threads[judge] for judge in running], timeout=0.1)
