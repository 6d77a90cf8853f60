"""Which capabilities each port lists, and on how many cases it passes what it lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conformance.ground.statuses import Status
from conformance.record.models import CapabilityResult
from conformance.suite.derived import is_fresh
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import Case
from reference.cases.tables import DType


@dataclass(frozen=True)
class Matrix:
    """Ports against capabilities, from the manifests and the verdicts."""

    judges: Mapping[str, Judge]
    cases: Sequence[Case]
    verdicts: Mapping[tuple[str, str, DType], Verdict]

    def entries(self) -> list[CapabilityResult]:
        """An entry for each port and each capability that a case needs."""
        return [
            self._entry(target, judge, capability)
            for capability in CAPABILITIES
            for target, judge in self.judges.items()
            if not judge.target.rung and any(capability in case.needs for case in self.cases)
        ]

    def empty_claims(self) -> list[str]:
        """Capabilities that a port lists without passing any case, where no failure says so."""
        return [
            f"{entry.port} lists the capability {entry.capability}, and passes no case for it"
            for entry in self.entries()
            if entry.listed
            and not entry.passed
            and self._ran_unharmed(entry.port, entry.capability)
        ]

    def only_published(self) -> list[str]:
        """Ports that answer published cases, and decline all random ones that they can do.

        Whoever looks answers up, and has none for these, would pass otherwise.
        """
        found = []
        for name, judge in self.judges.items():
            target, listed = judge.target, {*judge.target.capabilities}
            told = {
                self._status(name, case.id, dtype)
                for case in self.cases
                if is_fresh(case) and listed.issuperset(case.needs)
                for dtype in target.dtypes
            }
            if told != {Status.SKIP} or target.may_decline:
                continue
            if any(v.port == name and v.status == Status.PASS for v in self.verdicts.values()):
                found.append(f"{name} passes published cases, and declines all random ones")
        return found

    def _entry(self, target: str, judge: Judge, capability: str) -> CapabilityResult:
        listed = {*judge.target.capabilities}
        cases = [c.id for c in self.cases if capability in c.needs and listed.issuperset(c.needs)]
        passed = [
            case
            for case in cases
            if all(
                self._status(target, case, dtype) == Status.PASS for dtype in judge.target.dtypes
            )
        ]
        return CapabilityResult(
            port=target,
            capability=capability,
            listed=capability in listed,
            passed=len(passed),
            cases=len(cases),
        )

    def _status(self, target: str, case: str, dtype: DType) -> Status | None:
        verdict = self.verdicts.get((target, case, dtype))
        return verdict.status if verdict else None

    def _ran_unharmed(self, target: str, capability: str) -> bool:
        """False where the port could not run, declined these cases, or fails one of them anyway."""
        dtypes = self.judges[target].target.dtypes
        told = [
            {self._status(target, case.id, dtype) for dtype in dtypes}
            for case in self.cases
            if capability in case.needs
        ]
        harmed = any(status and status.wrong for statuses in told for status in statuses)
        return not harmed and any(not statuses & {None, Status.SKIP} for statuses in told)
