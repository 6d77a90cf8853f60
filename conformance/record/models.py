"""The results file: what was run where, each verdict, each timing.

Its JSON schema is `results.schema.json`, made from these classes by
`python -m conformance schema`.
"""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from conformance.ground.statuses import Status
from conformance.process.sandbox import Reach
from conformance.record.machine import Machine
from conformance.targets.build import Ready
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import CheckKind, Count, Model, Verdict
from reference.cases.tables import DType

# A time in ns or ms, or a quotient of two: none takes as long as 30 years.
Measured = Annotated[float, Field(ge=-1e18, le=1e18)]


def within(low: float, value: float, high: float) -> None:
    """Raise ValueError for an interval that does not hold its value."""
    if not low <= value <= high:
        raise ValueError(f"{value:.6g} is not in its interval, from {low:.6g} to {high:.6g}")


def once(what: str, keys: Iterable[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The keys of entries, of which no two may be equal. Raises ValueError."""
    seen: set[tuple[str, ...]] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"there are two {what} for {', '.join(key)}")
        seen.add(key)
    return seen


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


class Fresh(Model):
    """What the random cases were drawn from: a seed, and how many for each port."""

    seed: int
    number: int


class CapabilityResult(Model):
    """How many of the cases that need a capability a port passes, if its manifest lists it."""

    port: str
    capability: str
    listed: bool
    passed: Count
    cases: Count

    @model_validator(mode="after")
    def _part(self) -> Self:
        if self.passed > self.cases:
            raise ValueError(f"{self.passed} of {self.cases} cases cannot have passed")
        return self


class Timing(Model):
    """Time per iteration as a slope, with its 95 % interval, and the fixed cost of a run."""

    port: str
    case: str
    dtype: DType
    ns_per_iteration: Measured
    ns_low: Measured
    ns_high: Measured
    fixed_ms: Measured
    ratio_to_numpy: Measured | None

    @model_validator(mode="after")
    def _inside(self) -> Self:
        within(self.ns_low, self.ns_per_iteration, self.ns_high)
        return self


class Kill(Model):
    """Where a mutant exceeds the tolerance most; a margin of null means infinite, or NaN."""

    case: str
    dtype: DType
    check: CheckKind
    iteration: Annotated[int, Field(ge=0, lt=2**64)]
    tensor: str
    margin: Annotated[float, Field(ge=0)] | None


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
    margin: Annotated[float, Field(ge=0)] | None


class Sensitivity(Model):
    """The smallest relative error in a line of the algorithm that is caught, a power of two."""

    line: str
    dtype: DType
    least: float
    case: str
    tensor: str


class Teeth(Model):
    """What `make teeth` measured."""

    mutants: list[TeethMutant]
    variants: list[TeethVariant]
    lines: list[Sensitivity] = []


class Results(Model):
    """The whole file; not `complete` if the run was interrupted."""

    format: Literal[2] = 2
    complete: bool
    machine: Machine
    ports: list[PortInfo]
    cases: list[CaseInfo]
    fresh: Fresh | None = None
    results: list[Verdict]
    capabilities: list[CapabilityResult]
    timings: list[Timing]
    teeth: Teeth | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        verdicts = once("verdicts", (r.key for r in self.results))
        ports = once("entries", ((p.port,) for p in self.ports))
        cases = once("entries", ((c.case,) for c in self.cases))
        once("capabilities", ((c.port, c.capability) for c in self.capabilities))
        timings = once("timings", ((t.port, t.case, t.dtype) for t in self.timings))
        for what, keys in (("verdict", verdicts), ("timing", timings)):
            for key in sorted(keys):
                if key[:1] not in ports or key[1:2] not in cases:
                    raise ValueError(
                        f"a {what} for {', '.join(key)}, but no entry of that port or case"
                    )
        for c in self.capabilities:
            if (c.port,) not in ports:
                raise ValueError(f"a capability of {c.port}, but no entry of that port")
        for r in self.results:
            if r.status == Status.PASS and not (r.numbers_compared and r.margin is not None):
                raise ValueError(f"{', '.join(r.key)} is a PASS, and nothing was compared")
            once(f"drifts of {r.port} on {r.case}", ((d.tensor,) for d in r.drift))
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
