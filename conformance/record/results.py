"""The results file: what was run where, each verdict, each timing.

Its JSON schema is `results.schema.json`, made from these classes by
`python -m conformance schema`.
"""

import datetime
import math
import os
import platform
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from conformance.places import IN_CLONE, NAME, ROOT
from conformance.targets.build import Ready
from conformance.targets.manifest import Status
from conformance.verdict.diagnosis import Check
from conformance.verdict.judge import Judge, Verdict
from reference.cases.tables import DType
from reference.errors import UserError, first_error
from reference.files import MAX_JSON_BYTES, read_bounded, write_atomically


class Model(BaseModel):
    """A part of a file: no other keys than these, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=Model)


class Machine(Model):
    """Where the run was made."""

    date: AwareDatetime
    commit: str | None
    system: str
    processor: str
    cores: int
    governor: str | None
    python: str
    numpy: str


class PortInfo(Model):
    """How a port was built and what it ran on.

    `driver` is what `detect` said of the device that the port needs, if it needs one; and `sha256`
    is of the files in the port's folder, without documents.
    """

    port: str
    sha256: str
    language: str
    toolchain: str | None
    build: list[str]
    device: str | None
    driver: str | None


class CaseInfo(Model):
    """What ports were judged by: SHA-256 of the case, its data and its golden data."""

    case: str
    sha256: str


class Divergence(Model):
    """The first wrong number; `got` is text, since it may be NaN or infinite."""

    check: Check
    iteration: int
    tensor: str
    index: list[int]
    got: str
    got_hex: str
    expected: float
    expected_hex: str
    tolerance: float
    line: str | None
    bugs: list[str]


class Drift(Model):
    """How far one tensor is from the exact trajectory at checkpoints of the free run.

    A deviation is the largest of the tensor's elements', or null if it is not finite.
    """

    tensor: str
    iterations: list[int]
    deviations: list[float | None]


class Result(Model):
    """One verdict. `margin` is null where nothing finite was compared.

    `explanation` is the whole diagnosis of a failure, as a person is told it. `accuracy` is the
    part of held-out samples that is classified rightly, where a case has such, and `drift` is
    there for cases that are timed.
    """

    port: str
    case: str
    dtype: DType
    status: Status
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    reason: str
    explanation: str = ""
    numbers_compared: int
    accuracy: float | None = None
    divergence: Divergence | None = None
    drift: list[Drift] = []


class CapabilityResult(Model):
    """How many of the cases that need a capability a port passes, if its manifest lists it."""

    port: str
    capability: str
    listed: bool
    passed: int
    cases: int


class Timing(Model):
    """Time per iteration as a slope, with its 95 % interval, and the cost of a run besides."""

    port: str
    case: str
    dtype: DType
    ns_per_iteration: float
    ns_low: float
    ns_high: float
    fixed_ms: float
    ratio_to_numpy: float | None


class Kill(Model):
    """Where a mutant exceeds the tolerance most; a margin of null is infinite, or NaN."""

    case: str
    dtype: DType
    check: Check
    iteration: int
    tensor: str
    margin: float | None


class TeethMutant(Model):
    """One known bug: what catches it, and the names that the diagnosis gives it there."""

    id: str
    killed_by: Kill
    named: list[str]


class TeethVariant(Model):
    """One correct variant: its worst margin, and where that is."""

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
    results: list[Result]
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


def result(port: str, case: str, dtype: DType, verdict: Verdict, explanation: str) -> Result:
    """A verdict as it stands in the file."""
    divergence = None
    if verdict.divergence is not None:
        d = verdict.divergence.deviation
        divergence = Divergence(
            check=verdict.divergence.check,
            iteration=verdict.divergence.iteration,
            tensor=d.tensor,
            index=list(d.index),
            got=repr(d.got),
            got_hex=d.got.hex(),
            expected=d.expected,
            expected_hex=d.expected.hex(),
            tolerance=d.tolerance,
            line=verdict.divergence.line,
            bugs=[bug.id for bug in verdict.divergence.bugs],
        )
    finite = verdict.margin is not None and math.isfinite(verdict.margin)
    return Result(
        port=port,
        case=case,
        dtype=dtype,
        status=verdict.status,
        margin=verdict.margin if finite else None,
        reason=verdict.reason,
        explanation=explanation,
        numbers_compared=verdict.numbers,
        accuracy=verdict.accuracy,
        divergence=divergence,
        drift=[
            Drift(
                tensor=tensor,
                iterations=list(by_iteration),
                deviations=[d if math.isfinite(d) else None for d in by_iteration.values()],
            )
            for tensor, by_iteration in verdict.drift.items()
        ],
    )


def port_info(judge: Judge) -> PortInfo:
    """What is known of a target after the run."""
    prepared = judge.prepared
    return PortInfo(
        port=judge.target.name,
        sha256=judge.sha256,
        language=judge.target.port.manifest.language,
        toolchain=prepared.toolchain if isinstance(prepared, Ready) else None,
        build=prepared.build if isinstance(prepared, Ready) else [],
        device=judge.device,
        driver=prepared.driver if isinstance(prepared, Ready) else None,
    )


class ResultsError(UserError):
    """A results file that cannot be written or read; the message is one sentence."""


def read(path: Path, model: type[M], what: str) -> M:
    """Read a file of this model; `what` it should be, in words. Raises ResultsError."""
    try:
        return model.model_validate_json(read_bounded(path, MAX_JSON_BYTES))
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise ResultsError(f"{path}: is not {what}: {first_error(error)}") from error
    except ValueError as error:
        raise ResultsError(f"{path}: {error}") from error


def check_writable(path: Path) -> None:
    """Raise ResultsError if `write` would not work, before there is anything to lose."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot be written: {error.strerror or error}; make its folder writable, or "
            "name another file"
        ) from error
    if path.is_dir():
        raise ResultsError(f"{path}: cannot be written: it is a folder")


def write(path: Path, file: BaseModel) -> None:
    """Write a results file, or another one, whole or not at all. Raises ResultsError."""
    write_text(path, file.model_dump_json(indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all. Raises ResultsError."""
    try:
        write_atomically(path, text)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from error


def machine() -> Machine:
    """This machine, as far as it says."""
    return Machine(
        date=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        commit=_commit(),
        system=platform.platform(),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        governor=_read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        python=platform.python_version(),
        numpy=version("numpy"),
    )


def _commit() -> str | None:
    if not IN_CLONE:
        return f"release {version(NAME)}"
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _read_line(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None
