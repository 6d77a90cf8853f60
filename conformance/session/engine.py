"""One conformance run, from what the user asked for to the results.

A run has four steps: a Session, `begin`, `verdicts_of`, `finish`. `execute` takes them all. pytest
takes them one by one, by conformance/conftest.py.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from conformance.ground.places import PORTS
from conformance.ground.statuses import Status
from conformance.record import store
from conformance.record.machine import machine
from conformance.record.models import CaseInfo, PortInfo, Results, Timing, port_info
from conformance.record.remarks import within_reach
from conformance.session import resume
from conformance.session.capabilities import Matrix
from conformance.session.options import Options
from conformance.session.selection import (
    ISOLATION,
    check_known_failures,
    chosen_cases,
    fresh_cases,
    fresh_draw,
    required_targets,
    shard_of,
)
from conformance.suite import traces
from conformance.targets import build, manifest
from conformance.targets.build import Lack
from conformance.verdict.judge import Judge
from conformance.verdict.pool import Pool
from conformance.verdict.verdict import Verdict
from reference.cases.case import Case
from reference.cases.tables import DType
from reference.errors import UserError

Progress = Callable[[str], None]
Key = tuple[str, str, DType]  # a target, a case and a dtype
MOST_HINTS = 3


@dataclass(frozen=True)
class Finished:
    """The end of a run: results, and problems that are not verdicts."""

    results: Results
    problems: list[str]
    elsewhere: set[str]  # targets that were skipped since their device is not on this machine
    written: bool  # to the results file; if not, a problem says why
    missing: Mapping[str, Lack]  # what targets could not be started without
    hints: list[str]  # what the port could list next, where there is only one
    wanted: int  # how many verdicts there are if it is complete
    seconds: float

    @property
    def failed(self) -> bool:
        """True if the exit status should say so."""
        return bool(self.problems) or any(v.status.wrong for v in self.results.results)


class Session:
    """Sets everything up: finds ports and cases, builds, derives golden data that is missing.

    Raises UserError for a user's mistake.
    """

    def __init__(self, options: Options, on_progress: Progress) -> None:
        self.options, self._started = options, time.monotonic()
        chosen = manifest.select(options.ports)
        self.cases, self.partial = chosen_cases(options.cases)
        self.fresh = fresh_draw(options, partial=self.partial)
        self.cases += fresh_cases(self.fresh, chosen) if self.fresh else []
        check_known_failures(chosen, self.cases)
        self.cases = shard_of(self.cases, options.shard)
        self.partial = self.partial or options.shard is not None
        required = required_targets(options.require, chosen)
        for file in filter(None, (options.results, options.bundle)):
            store.check_writable(file)
        self.traces = traces.load_all(self.cases)
        self.judged_by = [CaseInfo(case=case.id, sha256=traces.sha256(case)) for case in self.cases]
        with ThreadPoolExecutor() as pool:
            prepared = [ready for group in pool.map(build.prepare, chosen) for ready in group]
        names = {p.target.name for p in prepared}
        # If an emulation cannot run or is not needed, the requirement falls to the port itself.
        itself = {t.name: replace(t, emulated=False).name for t in required}
        self.required = {name if name in names else itself[name] for name in itself}
        self.judges = {
            p.target.name: Judge(p, required=p.target.name in self.required, strict=options.strict)
            for p in prepared
        }
        self.kept: dict[Key, Verdict] = {}  # of an earlier run
        self._earlier: dict[str, PortInfo] = {}
        if options.resume:
            earlier = store.read_results(options.results, "a results file to resume")
            rules = {"strict": options.strict, "isolated": ISOLATION in options.require}
            self.kept = resume.passed(earlier, self.judges, self.judged_by, **rules)
            self._earlier = {info.port: info for info in earlier.ports}
            on_progress(f"resumed: {len(self.kept)} verdicts of {options.results} stand")
        self._pool: Pool | None = None
        self._wanted: list[tuple[str, Case]] = []

    def matrix(self) -> list[tuple[str, Case]]:
        """All pairs that are judged: ports on all cases, rungs on those that can be theirs."""
        return [
            (name, case)
            for name, judge in self.judges.items()  # target by target, as they are judged
            for case in self.cases
            if not judge.target.rung or {*case.needs} <= {*judge.target.capabilities}
        ]

    def begin(self, wanted: list[tuple[str, Case]]) -> None:
        """Have these targets and cases judged, several at a time, if no verdict was kept."""
        self._wanted = wanted
        judged = [(self.judges[t], case) for t, case in wanted if self._kept(t, case) is None]
        self._pool = Pool(judged, self.traces)

    def verdicts_of(self, target: str, case: Case) -> dict[DType, Verdict]:
        """The verdicts on one target and case, by dtype; waits for them."""
        assert self._pool is not None
        return self._kept(target, case) or self._pool.verdicts_of(target, case)

    def finish(self, *, interrupted: bool = False) -> Finished:
        """Time what passed, end all processes, and write the results file.

        It has all verdicts so far, and is complete if these are all that the run is about.
        """
        timings: list[Timing] = []
        verdicts = self._verdicts()
        try:
            if self.options.timed and not interrupted:
                timings = self._time(verdicts)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self.close()
        complete = not interrupted and all(
            (target, case.id, dtype) in verdicts
            for target, case in self._wanted
            for dtype in self.judges[target].target.dtypes
        )
        matrix = Matrix(self.judges, self.cases, verdicts)
        ports = self._ports()
        problems = self._not_compared(verdicts) + matrix.only_published() if complete else []
        if ISOLATION in self.options.require and (left := within_reach(ports)):
            problems.append(f"isolation is required, but {left}")
        if complete and not self.partial:
            problems += matrix.empty_claims()
        results = Results(
            complete=complete,
            machine=machine(),
            ports=ports,
            cases=self.judged_by,
            fresh=self.fresh,
            results=list(verdicts.values()),
            capabilities=matrix.entries(),
            timings=timings,
        )
        written = True
        try:
            store.write(self.options.results, results)
        except store.ResultsError as error:  # the disk is full by now
            written = False
            problems.append(str(error))
        if self.options.bundle is not None:
            from conformance.record import bundle  # here, since few runs need one

            problems += bundle.write(self.options.bundle, results, self.judges, self.traces)
        return Finished(
            results,
            problems,
            self._elsewhere(),
            written,
            {name: lack for name, j in self.judges.items() if (lack := j.missing)},
            self._hints() if complete else [],
            sum(len(self.judges[target].target.dtypes) for target, _ in self._wanted),
            time.monotonic() - self._started,
        )

    def _ports(self) -> list[PortInfo]:
        """What is known about each target; what an earlier run knew, where that one stands."""
        kept = {target for target, _, _ in self.kept}
        found = []
        for name, judge in self.judges.items():
            info = port_info(judge)
            if name in kept and info.within_reach is None:
                known = {"within_reach": self._earlier[name].within_reach}
                info = info.model_copy(update=known)
            found.append(info)
        return found

    def _kept(self, target: str, case: Case) -> dict[DType, Verdict] | None:
        """The verdicts of an earlier run, if all dtypes have one."""
        dtypes = self.judges[target].target.dtypes
        found = {d: v for d in dtypes if (v := self.kept.get((target, case.id, d)))}
        return found if len(found) == len(dtypes) else None

    def _verdicts(self) -> dict[Key, Verdict]:
        """All that there are by now, in the order of the matrix."""
        judged = self._pool.finished() if self._pool else []
        found = self.kept | {verdict.key: verdict for verdict in judged}
        order = [
            (target, case.id, dtype)
            for target, case in self.matrix()
            for dtype in self.judges[target].target.dtypes
        ]
        return {key: found[key] for key in order if key in found}

    def _time(self, verdicts: dict[Key, Verdict]) -> list[Timing]:
        """Time what passed, and check the timed answers; a wrong one becomes a FAIL."""
        with contextlib.ExitStack() as stack:
            timing = {name: judge.for_timing() for name, judge in self.judges.items()}
            for judge in timing.values():
                stack.callback(judge.close)
            return self._timed_by(timing, verdicts)

    def _timed_by(self, judges: Mapping[str, Judge], verdicts: dict[Key, Verdict]) -> list[Timing]:
        found: list[Timing] = []
        for case in self.cases:
            trace = self.traces[case.id]["float64"]
            passed = [
                (judge, verdict)
                for name, judge in judges.items()
                if (verdict := verdicts.get((name, case.id, trace.dtype)))
                and verdict.status == Status.PASS
                and not judge.target.emulated
            ]
            if case.timing is None or not passed:
                continue
            from conformance.bench.short_race import short_race  # here, since few cases are timed

            timings, wrong = short_race(passed, case, trace)
            found += timings
            for name, verdict in wrong.items():
                verdicts[verdict.key] = self.judges[name].explained(verdict, case)
        return found

    def _not_compared(self, verdicts: dict[Key, Verdict]) -> list[str]:
        """Why too little was compared: the whole run, or a required target, has no number."""
        counted = dict.fromkeys(self.required, 0)
        for (target, _, _), verdict in verdicts.items():
            counted[target] = counted.get(target, 0) + verdict.numbers_compared
        if not any(counted.values()):
            told = any(verdict.status.wrong for verdict in verdicts.values())
            return [] if told else ["nothing was compared, and that is a failure"]
        return [
            f"{target} is required, and nothing of it was compared"
            for target in sorted(self.required)
            if not (counted[target] or (self.partial and self.judges[target].target.rung))
        ]

    def _elsewhere(self) -> set[str]:
        """The targets in ports/ that were skipped because this machine lacks their device."""
        return {
            name
            for name, judge in self.judges.items()
            if judge.missing
            and judge.target.device is not None
            and judge.target.port.folder.parent == PORTS
        }

    def _hints(self) -> list[str]:
        """What to list next, for whoever runs a port alone on all cases."""
        ports = {judge.target.port.folder: judge.target.port for judge in self.judges.values()}
        if self.partial or len(ports) != 1:
            return []
        from conformance.session.hints import hints  # here, since most runs can spare it

        [port] = ports.values()
        return [hint.text for hint in hints(port.manifest.capabilities, self.cases)[:MOST_HINTS]]

    def close(self) -> None:
        """End all processes."""
        if self._pool is not None:
            self._pool.close()
        for judge in self.judges.values():
            judge.close()


def execute(options: Options, on_progress: Progress) -> Finished:
    """A whole run; a ^C ends it early. Raises UserError for a user's mistake."""
    try:
        session = Session(options, on_progress)
    except OSError as error:  # a file of a port that cannot be read, for example
        raise UserError(str(error)) from error
    interrupted = False
    try:
        session.begin(matrix := session.matrix())
        for target, case in matrix:
            session.verdicts_of(target, case)
    except KeyboardInterrupt:
        interrupted = True
    except BaseException:
        session.close()
        raise
    return session.finish(interrupted=interrupted)
