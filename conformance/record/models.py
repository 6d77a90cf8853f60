"""The results file: what was run where, each verdict, each timing.

Its JSON schema is `results.schema.json`, made from these classes by
`python -m conformance schema`.
"""

from typing import Literal, Self

from pydantic import model_validator

from conformance.ground.statuses import Status
from conformance.process.sandbox import Reach
from conformance.record.machine import Machine
from conformance.targets.build import Ready
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import CheckKind, Model, Verdict
from reference.cases.tables import DType


class PortInfo(Model):
    """How a port was built and what it ran on.

    `driver` is what `detect` printed about the device, if the port needs one. `sha256`
    covers the files in the port's folder, without its tests and documents. `within_reach` is what
    this system could not close to its process; null if it had none.
    """

    port: str
    sha256: str
    language: str
    toolchain: str | None
    build: list[str]
    device: str | None
    driver: str | None
    within_reach: list[Reach] | None = None


class CaseInfo(Model):
    """What ports were judged by: SHA-256 of the case, its data and its golden data."""

    case: str
    sha256: str


class CapabilityResult(Model):
    """How many of the cases that need a capability a port passes, if its manifest lists it."""

    port: str
    capability: str
    listed: bool
    passed: int
    cases: int


class Timing(Model):
    """Time per iteration as a slope, with its 95 % interval, and the fixed cost of a run."""

    port: str
    case: str
    dtype: DType
    ns_per_iteration: float
    ns_low: float
    ns_high: float
    fixed_ms: float
    ratio_to_numpy: float | None


class Kill(Model):
    """Where a mutant exceeds the tolerance most; a margin of null means infinite, or NaN."""

    case: str
    dtype: DType
    check: CheckKind
    iteration: int
    tensor: str
    margin: float | None


class TeethMutant(Model):
    """One known bug: what catches it, and the names that the diagnosis gives it there."""

    id: str
    killed_by: Kill
    named: list[str]


class TeethVariant(Model):
    """One correct variant: its worst margin, and where."""

    id: str
    status: Status
    reason: str
    case: str
    dtype: DType
    margin: float | None


class Teeth(Model):
    """What `make teeth` measured."""

    mutants: list[TeethMutant]
    variants: list[TeethVariant]


class Results(Model):
    """The whole file; not `complete` if the run was interrupted."""

    format: Literal[2] = 2
    complete: bool
    machine: Machine
    ports: list[PortInfo]
    cases: list[CaseInfo]
    results: list[Verdict]
    capabilities: list[CapabilityResult]
    timings: list[Timing]
    teeth: Teeth | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ports, cases = {p.port for p in self.ports}, {c.case for c in self.cases}
        seen = set()
        for r in self.results:
            key = (r.port, r.case, r.dtype)
            if key in seen:
                raise ValueError(f"there are two verdicts for {', '.join(key)}")
            if r.port not in ports or r.case not in cases:
                raise ValueError(
                    f"a verdict for {', '.join(key)}, but no entry of that port or case"
                )
            seen.add(key)
        return self


def port_info(judge: Judge) -> PortInfo:
    """What is known about a target after the run."""
    prepared = judge.prepared
    return PortInfo(
        port=judge.target.name,
        sha256=judge.sha256,
        language=judge.target.port.manifest.language,
        toolchain=prepared.toolchain if isinstance(prepared, Ready) else None,
        build=prepared.build if isinstance(prepared, Ready) else [],
        device=judge.device,
        driver=prepared.driver if isinstance(prepared, Ready) else None,
        within_reach=None if judge.within_reach is None else [*judge.within_reach],
    )
