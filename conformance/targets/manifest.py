"""Ports: folders with a manifest, `port.toml`, checked into typed objects.

The folder is the registry: its name is the port's name, and nothing else lists it. Every
mistake becomes a `PortError`: one sentence that names the file, the key and what to do.
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from conformance.ground.places import IN_CLONE, PORTS, option
from conformance.ground.statuses import Status
from conformance.targets import folders, placeholders
from reference.cases.arrays import read_limited
from reference.cases.tables import Capability, DType, Strict
from reference.errors import UserError, reading

MANIFEST = "port.toml"

Filled = Annotated[str, AfterValidator(placeholders.check)]
Command = Annotated[list[Filled], Field(min_length=1)]
Kind = Literal["c-abi", "python", "process"]
if TYPE_CHECKING:
    WrongStatus = str
else:
    WrongStatus = Literal[tuple(status.value for status in Status if status.wrong)]


class PortError(UserError):
    """Ports or manifests that cannot be used."""


class Toolchain(Strict):
    """`detect` succeeds where the toolchain is and prints its version.

    `install` is the command that gets it, or what to do: it is shown where `detect` fails.
    """

    detect: Command
    install: str | None = Field(default=None, min_length=1)


class Build(Strict):
    """Commands to run in the port's folder, in order."""

    commands: list[Command]


class Device(Strict):
    """`detect` succeeds where the device is; else it says on stderr what is missing."""

    detect: Command


class Emulation(Strict):
    """How to run without the device, on the first `max_iterations` of each case."""

    name: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9 _.+-]*[A-Za-z0-9_.+-])?$", max_length=40)
    library: Filled | None = None  # in place of run.library
    env: dict[str, Filled] = {}
    max_iterations: int | None = Field(default=None, ge=0)


class Rung(Strict):
    """The same algorithm again, made faster, for the networks that its capabilities allow.

    It is shown as PORT:NAME, has no known failures, and may say that a network is not its own.
    `limit` is a program that says how fast 3-4-1 in float64 could be at most, from what it
    measures: conformance/bench/limits.py has the line that it prints. Its emulation is the port's,
    with the rung's own {build}, and its own limit of iterations if it has one.
    """

    name: str = Field(pattern=r"^[a-z0-9-]+$", max_length=40)
    dtypes: list[DType] = Field(min_length=1)
    capabilities: list[Capability] = []
    build: list[Command] = []  # after the port's own commands
    library: Filled | None = None  # in place of run.library
    module: Filled | None = None  # in place of run.module
    env: dict[str, Filled] = {}
    limit: Command | None = None
    device: Device | None = None  # in place of the port's
    emulated_iterations: int | None = Field(default=None, ge=0)


class Launch(Strict):
    """The table [run]: what to start; which key is needed depends on the port's kind.

    `interpreter` is of kind python: the Python of an environment of the port's own, as in
    "{build}/venv/bin/python". It needs NumPy and what the port imports, and nothing of the
    harness's. A path is seen from the port's folder; a bare name is looked up in PATH. Without it,
    the port runs in the harness's own Python.
    """

    library: Filled | None = None
    module: Filled | None = None
    interpreter: Filled | None = None
    command: Command | None = None
    env: dict[str, Filled] = {}
    time_limit_s: float = Field(default=60.0, gt=0, le=3600)
    memory_limit_mb: int = Field(default=4096, gt=0)


class KnownFailure(Strict):
    """A failure that is known, with its reason; it must occur, or that is a failure itself."""

    case: str
    dtype: DType | None = None
    status: WrongStatus
    message: str = Field(min_length=1)
    reason: str = Field(min_length=1)


class Manifest(Strict):
    """The content of a port.toml."""

    format: Literal[1]
    language: str = Field(min_length=1)
    kind: Kind
    dtypes: list[DType] = Field(min_length=1)
    capabilities: list[Capability] = []
    toolchain: Toolchain
    build: Build = Build(commands=[])
    device: Device | None = None
    emulation: Emulation | None = None
    run: Launch
    known_failure: list[KnownFailure] = []
    rung: list[Rung] = []

    @model_validator(mode="after")
    def _interpreter_of_python(self) -> Self:
        if self.run.interpreter is not None and self.kind != "python":
            raise ValueError(f"kind {self.kind!r} has no use for run.interpreter")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        key = {"c-abi": "library", "python": "module", "process": "command"}[self.kind]
        for name in ("library", "module", "command"):
            given = getattr(self.run, name) is not None
            if given != (name == key):
                verb = "needs" if name == key else "has no use for"
                raise ValueError(f"kind {self.kind!r} {verb} run.{name}")
        if self.emulation and not self.device:
            raise ValueError("emulation stands in for a device, so [device] is also needed")
        if self.emulation and self.emulation.library is not None and self.kind != "c-abi":
            raise ValueError(f"kind {self.kind!r} has no use for emulation.library")
        names = [rung.name for rung in self.rung]
        for rung in self.rung:
            if names.count(rung.name) > 1:
                raise ValueError(f"two rungs are named {rung.name!r}")
            if key not in {"library", "module"}:
                raise ValueError(f"kind {self.kind!r} has no rungs")
            if getattr(rung, key) is None or (rung.library and rung.module):
                raise ValueError(f"rung {rung.name!r} of kind {self.kind!r} needs just {key}")
            if self.emulation and rung.name == self.emulation.name.replace(" ", "-"):
                raise ValueError(f"a rung and the emulation are both named {rung.name!r}")
        return self


@dataclass(frozen=True)
class Port:
    """A port's folder and its manifest; `only` names some of its targets, if not all are meant."""

    name: str
    folder: Path
    manifest: Manifest
    only: frozenset[str] | None = None

    def targets(self) -> list["Target"]:
        """The port itself and its rungs, as far as they are meant."""
        found = [Target(self), *(Target(self, rung=rung) for rung in self.manifest.rung)]
        return [target for target in found if self.only is None or target.name in self.only]

    def alone(self) -> "Port":
        """The port without its rungs."""
        return replace(self, only=frozenset({self.name}))


@dataclass(frozen=True)
class Target:
    """One way to run a port: itself, a rung, or its emulation where its device is not at hand."""

    port: Port
    emulated: bool = False
    rung: Rung | None = None

    @property
    def name(self) -> str:
        """As shown: "numba_cuda", "c:simd", "numba_cuda (simulator)", "cuda:warp (simulator)"."""
        name = f"{self.port.name}:{self.rung.name}" if self.rung else self.port.name
        return f"{name} ({self.emulation.name})" if self.emulation else name

    @property
    def word(self) -> str:
        """Its name as one word of a command: "c:simd", "numba_cuda:simulator"."""
        return self.name.replace(" (", ":").replace(" ", "-").rstrip(")")

    @property
    def emulation(self) -> Emulation | None:
        """What stands in for the device, or None on the device itself."""
        return self.port.manifest.emulation if self.emulated else None

    @property
    def has_own_device(self) -> bool:
        """True of a rung that needs another device than its port."""
        return self.rung is not None and self.rung.device is not None

    @property
    def stand_in(self) -> "Target | None":
        """Its emulation, if it has one; there is none of a device that only a rung has."""
        has_one = self.port.manifest.emulation is not None and not self.has_own_device
        return replace(self, emulated=True) if has_one else None

    @property
    def device(self) -> Device | None:
        """What it needs beside the processor."""
        return (self.rung and self.rung.device) or self.port.manifest.device

    @property
    def capabilities(self) -> list[Capability]:
        """What it says it can do."""
        return (self.rung or self.port.manifest).capabilities

    @property
    def dtypes(self) -> list[DType]:
        """The dtypes that it computes in."""
        return (self.rung or self.port.manifest).dtypes

    @property
    def known_failures(self) -> list[KnownFailure]:
        """What the manifest predicts."""
        return [] if self.rung else self.port.manifest.known_failure

    @property
    def may_decline(self) -> bool:
        """True where leaving out a network is no lack: too slow to emulate, or not a rung's own."""
        return self.emulated or self.rung is not None

    @property
    def max_iterations(self) -> int | None:
        """The longest free run that this target is asked for, or None for no limit."""
        if self.emulation is None:
            return None
        own = self.rung.emulated_iterations if self.rung else None
        return self.emulation.max_iterations if own is None else own


def load(folder: Path) -> Port:
    """Read one port's manifest. Raises UserError if that does not work."""
    folders.check(folder)
    path = folder / MANIFEST
    if not path.exists():
        raise PortError(f"{folder}: has no {MANIFEST}, so it is not a port")
    with reading(path, PortError):
        return Port(folder.name, folder, Manifest.model_validate(tomllib.loads(read_limited(path))))


def select(values: list[str]) -> list[Port]:
    """The ports that these values name, by names or folders, or all of ports/ without any.

    A value may name several, with spaces between. A named port is meant without its rungs;
    "PORT:RUNG" is one of them. Raises PortError for a name that is unknown or there twice.
    """
    if not values:
        if not (here := _here()):
            raise PortError("no ports selected: give the folder of one, as in ./myport")
        return [load(folder) for folder in here]
    ports: dict[str, Port] = {}
    for name in (name for value in values for name in folders.split(value)):
        if (found := folders.find(name)) is None:
            known = "" if folders.is_path(name) else ", ".join(folder.name for folder in _here())
            hint = f"the ports here are {known}" if known else "give the folder of one"
            raise PortError(f"{option('port', name)}: there is no such port; {hint}")
        folder, rung = found
        port = load(folder).alone()
        target = port.name
        if rung is not None:
            target = f"{port.name}:{rung}"
            rungs = [known.name for known in port.manifest.rung]
            if rung not in rungs:
                has = f"its rungs are {', '.join(rungs)}" if rungs else "it has none"
                raise PortError(f"{option('port', target)}: there is no such rung; {has}")
        before = ports.get(port.name)
        already = before.only if before and before.only else frozenset()
        if before and before.folder != folder:
            raise PortError(f"{folder}: a port named {target!r} is already at {before.folder}")
        if target in already:
            raise PortError(f"the port {target} is named twice")
        ports[port.name] = replace(port, only=already | {target})
    return list(ports.values())


def _here() -> list[Path]:
    """The folders of ports/, which there is in a clone only."""
    if not IN_CLONE:
        return []
    return sorted(manifest.parent for manifest in PORTS.glob(f"*/{MANIFEST}"))
