"""Judges several ports at once, each on its cases one after the other."""

import os
from collections.abc import Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait

from conformance.judge import Judge, Verdict
from conformance.traces import Trace
from reference.case import Case
from reference.case_tables import DType

Verdicts = dict[DType, Verdict]


class Judging:
    """A thread for each port, as many at a time as there are cores; its port does the work.

    A port's process ends after its last case, unless `kept` says that it will be asked again.
    """

    def __init__(
        self,
        wanted: Iterable[tuple[Judge, Case]],
        traces: dict[str, dict[DType, Trace]],
        *,
        kept: bool,
    ) -> None:
        self._traces = traces
        self._kept = kept
        self._ended = False
        self._found: dict[tuple[str, str], Future[Verdicts]] = {}
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        by_judge: dict[Judge, list[Case]] = {}
        for judge, case in wanted:
            self._found[judge.target.name, case.id] = Future()
            by_judge.setdefault(judge, []).append(case)
        self._threads = {j: self._pool.submit(self._judge, j, c) for j, c in by_judge.items()}

    def verdicts_of(self, target: str, case: Case) -> Verdicts:
        """Those of one target and case, by dtype; waits for them."""
        return dict(self._found[target, case.id].result())

    def _judge(self, judge: Judge, cases: list[Case]) -> None:
        for case in cases:
            found = self._found[judge.target.name, case.id]
            try:
                if self._ended:
                    raise CancelledError
                dtypes = judge.target.dtypes
                verdicts = {d: judge.judge(case, self._traces[case.id][d]) for d in dtypes}
                if case is cases[-1] and not self._kept:
                    judge.close()  # each process that lives costs time: it is watched
                found.set_result(verdicts)
            except BaseException as error:
                found.set_exception(error)

    def close(self) -> None:
        """End what still runs: a port that is asked something ends without answering."""
        self._ended = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        while running := [judge for judge, thread in self._threads.items() if thread.running()]:
            for judge in running:
                judge.interrupt()
            wait([self._threads[judge] for judge in running], timeout=0.1)
