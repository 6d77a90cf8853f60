"""One conformance run: what is judged on what, and what came of it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import get_args

from conformance.bench import timing
from conformance.places import CASES, PORTS, command
from conformance.record import results
from conformance.session import resume
from conformance.session.options import Options
from conformance.session.selection import (
    check_known_failures,
    chosen_cases,
    fresh_case,
    required_targets,
    shard_of,
)
from conformance.suite import traces
from conformance.targets import build, manifest
from conformance.terminal import progress
from conformance.verdict.divergence import explain
from conformance.verdict.judge import Judge, Verdict
from conformance.verdict.pool import Judging
from reference.cases.case import Case
from reference.cases.tables import Capability, DType


class Run:
    """Sets everything up: finds ports and cases, builds, derives golden data that is missing.

    Raises UserError for a user's mistake.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        chosen = manifest.select(options.ports)
        self.cases, self.some = chosen_cases(options.cases)
        if options.seed is not None or not self.some:  # who names cases means those
            self.cases += fresh_case(options.seed, chosen)
        check_known_failures(chosen, self.cases)
        self.cases = shard_of(self.cases, options.shard)
        self.some = self.some or options.shard is not None
        required = required_targets(options.require, chosen)
        results.check_writable(options.results)
        self.traces = traces.load_all(self.cases)
        self.judged_by = [
            results.CaseInfo(case=case.id, sha256=traces.sha256(case)) for case in self.cases
        ]
        with ThreadPoolExecutor() as pool:
            prepared = [ready for group in pool.map(build.prepare, chosen) for ready in group]
        self.judges = {p.target.name: Judge(p) for p in prepared}
        # An emulation that cannot run, or need not, leaves the port itself to answer for it.
        itself = {t.name: replace(t, emulated=False).name for t in required}
        self.required = {name if name in self.judges else itself[name] for name in itself}
        self.verdicts: dict[tuple[str, str, DType], Verdict] = {}
        if options.resume:
            earlier = results.read(options.results, results.Results, "a results file to resume")
            self.verdicts = resume.passed(earlier, self.judges, self.judged_by)
            progress(f"resumed: {len(self.verdicts)} verdicts of {options.results} stand")
        self.judging: Judging | None = None
        self.timings: list[results.Timing] = []
        self.wrong_when_timed = self.written = False
        self.problems: list[str] = []  # why the run fails, beside verdicts; known in the end

    def matrix(self) -> list[tuple[str, Case]]:
        """What is judged on what: ports on all cases, rungs on those that can be theirs.

        Without what an earlier run has judged.
        """
        return [
            (name, case)
            for name, judge in self.judges.items()  # port by port, as they are judged
            for case in self.cases
            if not judge.target.rung or {*case.needs} <= {*judge.target.capabilities}
            if any((name, case.id, dtype) not in self.verdicts for dtype in judge.target.dtypes)
        ]

    def begin(self, wanted: list[tuple[str, Case]]) -> None:
        """Have these targets and cases judged, several targets at a time."""
        timed = self.options.timed and any(case.timing for case in self.cases)
        judged = [(self.judges[t], case) for t, case in wanted]
        self.judging = Judging(judged, self.traces, kept=timed)

    def verdicts_of(self, target: str, case: Case) -> dict[DType, Verdict]:
        """The verdicts of one target and case, by dtype; REQUIRE makes a skip a failure."""
        assert self.judging is not None
        found = self.judging.verdicts_of(target, case)
        for dtype, verdict in found.items():
            if verdict.missing and verdict.status == "SKIP" and target in self.required:
                reason = f"required, but skipped: {verdict.reason}"
                found[dtype] = replace(verdict, status="FAIL", reason=reason)
            self.verdicts[target, case.id, dtype] = found[dtype]
        return found

    def take_finished(self) -> None:
        """Of an interrupted run: the verdicts that are there by now, and no test has asked for."""
        for target, case in self.matrix():
            if self.judging is not None and self.judging.is_judged(target, case):
                self.verdicts_of(target, case)

    def explanation(self, target: str, identifier: str, dtype: DType) -> str:
        """What a person needs to know of a failure; nothing of what is none."""
        verdict = self.verdicts[target, identifier, dtype]
        if verdict.status not in manifest.WRONG:
            return ""
        [case] = [case for case in self.cases if case.id == identifier]
        own = case.path.resolve().parent == CASES
        found = self.judges[target].target
        rung = found.rung.name if found.rung else ""
        reproduce = command(found.port.folder, case.id if own else str(case.path), rung)
        head = f"{verdict.status}: {target} on {identifier}, {dtype}: "
        if verdict.divergence is None:
            return f"{head}{verdict.reason}\n  reproduce: {reproduce}"
        return head + explain(verdict.divergence, reproduce)

    def capabilities(self) -> list[results.CapabilityResult]:
        """The matrix of ports and capabilities, from the manifests and what passed."""
        return [
            self._capability(target, judge, capability)
            for capability in get_args(Capability)
            for target, judge in self.judges.items()
            if not judge.target.rung and any(capability in case.needs for case in self.cases)
        ]

    def _capability(self, target: str, judge: Judge, capability: str) -> results.CapabilityResult:
        listed = {*judge.target.capabilities}
        cases = [c.id for c in self.cases if capability in c.needs and listed.issuperset(c.needs)]
        passed = [
            case
            for case in cases
            if all(
                (verdict := self.verdicts.get((target, case, dtype))) and verdict.status == "PASS"
                for dtype in judge.target.dtypes
            )
        ]
        return results.CapabilityResult(
            port=target,
            capability=capability,
            listed=capability in listed,
            passed=len(passed),
            cases=len(cases),
        )

    def empty_claims(self) -> list[str]:
        """Capabilities that a port lists without passing any case that needs them."""
        if self.some:
            return []
        return [
            f"{entry.port} lists the capability {entry.capability}, and passes no case for it"
            for entry in self.capabilities()
            if entry.listed and not entry.passed and self._was_judged(entry.port, entry.capability)
        ]

    def _was_judged(self, target: str, capability: str) -> bool:
        """False where the port could not run, or cases were left out as too slow to emulate."""
        judge = self.judges[target]
        skipped = {
            case.id
            for case in self.cases
            for dtype in judge.target.dtypes
            if (verdict := self.verdicts.get((target, case.id, dtype))) is None
            or verdict.status == "SKIP"
        }
        return any(case.id not in skipped for case in self.cases if capability in case.needs)

    def not_compared(self) -> list[str]:
        """Why too little was compared: the whole run, or a required port, has no number."""
        counted = dict.fromkeys(self.required, 0)
        for (target, _, _), verdict in self.verdicts.items():
            counted[target] = counted.get(target, 0) + verdict.numbers
        if not any(counted.values()):
            return ["nothing was compared, and that is a failure"]
        return [
            f"{target} is required, and nothing of it was compared"
            for target in sorted(self.required)
            if not (counted[target] or (self.some and self.judges[target].target.rung))
        ]

    def time(self) -> None:
        """Time what passed, and check the timed answers; a wrong one becomes a FAIL."""
        for case in self.cases:
            passed = [j for j in self.judges.values() if self._may_be_timed(j, case)]
            if case.timing is None or not passed:
                continue
            lines, wrong = timing.measure(passed, case, self.traces[case.id]["float64"], progress)
            numpy = lines.get("numpy")
            for name, line in lines.items():
                self.timings.append(
                    results.Timing(
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
                )
            for name, reason in wrong.items():
                key: tuple[str, str, DType] = (name, case.id, "float64")
                self.verdicts[key] = replace(self.verdicts[key], status="FAIL", reason=reason)
                self.wrong_when_timed = True

    def _may_be_timed(self, judge: Judge, case: Case) -> bool:
        verdict = self.verdicts.get((judge.target.name, case.id, "float64"))
        return verdict is not None and verdict.status == "PASS" and not judge.target.emulated

    def results(self, complete: bool) -> results.Results:
        """Everything so far, as it goes to the results file."""
        return results.Results(
            complete=complete,
            machine=results.machine(),
            ports=[results.port_info(judge) for judge in self.judges.values()],
            cases=self.judged_by,
            results=[
                results.result(*key, verdict, self.explanation(*key))
                for key, verdict in self.verdicts.items()
            ],
            capabilities=self.capabilities(),
            timings=self.timings,
        )

    def without_device(self) -> set[str]:
        """The targets in ports/ that were skipped since their device is not here."""
        return {
            name
            for name, judge in self.judges.items()
            if isinstance(judge.prepared, build.NotReady)
            and judge.prepared.status == "SKIP"
            and judge.target.device is not None
            and judge.target.port.folder.parent == PORTS
        }

    def close(self) -> None:
        """End all ports' processes."""
        if self.judging is not None:
            self.judging.close()
        for judge in self.judges.values():
            judge.close()
