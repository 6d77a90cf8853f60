"""Gets a port ready: is its toolchain here, does it build, is its device at hand."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conformance.places import BUILD, HERE, IN_CLONE, PORTS, ROOT
from conformance.ports import Port, Target
from conformance.processes import Tree
from reference.files import write_atomically

HEADER = HERE / "backprop.h"
DETECT_LIMIT_S = 60
BUILD_LIMIT_S = 900


@dataclass(frozen=True)
class Ready:
    """A target that can be started."""

    target: Target
    command: list[str]
    env: dict[str, str]
    toolchain: str
    build: list[str]


@dataclass(frozen=True)
class NotReady:
    """A target that cannot be started: SKIP if something is missing, FAIL if it is broken."""

    target: Target
    status: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """How a short command ended: its first line of output, or why it failed."""

    ok: bool
    text: str


def prepare(port: Port) -> list[Ready | NotReady]:
    """Build a port and say how to start it, one entry a target: itself first.

    A port with a device that is not here gives a SKIP for itself and its rungs, and its
    emulation if it has one.
    """
    targets = port.targets()
    toolchain = detect_toolchain(port)
    if not toolchain.ok:
        reason = f"{port.manifest.language} is not here: {port.manifest.toolchain.install}"
        return [NotReady(target, "SKIP", reason) for target in targets]
    built = build(port, toolchain.text)
    if not built.ok:
        return [NotReady(target, "FAIL", f"does not build: {built.text}") for target in targets]
    device = detect_device(port)
    if device.ok:
        return [_ready(target, toolchain.text) for target in targets]
    reason = f"{device.text}; but it builds: {built.text}" if built.text else device.text
    not_here: list[Ready | NotReady] = [NotReady(target, "SKIP", reason) for target in targets]
    if port.manifest.emulation is not None and port.only is None:
        not_here.append(_ready(Target(port, emulated=True), toolchain.text))
    return not_here


def detect_toolchain(port: Port) -> Outcome:
    """Is what builds and runs the port here? The text is its version."""
    return run_short(_fill(port, port.manifest.toolchain.detect), port, DETECT_LIMIT_S)


def detect_device(port: Port) -> Outcome:
    """Is the port's device here? The text names it, or says what is missing."""
    if port.manifest.device is None:
        return Outcome(True, "cpu")
    return run_short(_fill(port, port.manifest.device.detect), port, DETECT_LIMIT_S)


def build(port: Port, toolchain: str) -> Outcome:
    """Run the port's build commands, unless nothing has changed since they last succeeded.

    The text of a success is what the last command printed first, if anything.
    """
    folder = build_folder(port)
    commands = [_fill(port, command) for command in _commands(port)]
    stamp, key = folder / "built.txt", _key(port, commands, toolchain)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed: another run may build this, too
        if stamp.exists():
            built_key, _, said = stamp.read_text(encoding="utf-8").partition("\n")
            if built_key == key:
                return Outcome(True, said)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        outcome = Outcome(True, "")
        for command in commands:
            outcome = run_short(command, port, BUILD_LIMIT_S)
            if not outcome.ok:
                return outcome
        write_atomically(stamp, f"{key}\n{outcome.text}")
    return outcome


def build_folder(port: Port) -> Path:
    """Where a port builds: by its name, and by its place too where that is outside ports/."""
    builds = BUILD / "ports"
    if port.folder.parent == PORTS:
        return builds / port.name
    return builds / f"{port.name}-{hashlib.sha256(str(port.folder).encode()).hexdigest()[:8]}"


def run_short(command: list[str], port: Port, limit_s: float) -> Outcome:
    """Run a command in the port's folder; no mistake in it raises, and it leaves no process."""
    try:
        tree = Tree(command, str(port.folder), environment(port, {}), own_session=False)
    except (OSError, ValueError) as error:
        return Outcome(False, f"{command[0]}: {error}")
    try:
        code, *said = tree.finish(limit_s)
    except subprocess.TimeoutExpired:
        return Outcome(False, f"{' '.join(command)} took over {limit_s:.0f} s")
    finally:
        tree.end()
    out, err = (text.decode(errors="replace").strip() for text in said)
    if code == 0:
        return Outcome(True, next(iter(out.splitlines()), ""))
    return Outcome(False, err or out or f"{' '.join(command)} ended with {code}")


def environment(port: Port, extra: dict[str, str]) -> dict[str, str]:
    """This process's environment, with what ports rely on and what the manifest adds."""
    # Where the harness is installed, its interpreter finds it, and no other should be made to.
    path = {"PYTHONPATH": str(ROOT)} if IN_CLONE else {}
    return {
        **os.environ,
        **path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(BUILD / "numba"),
        **{key: _fill(port, [value])[0] for key, value in extra.items()},
    }


def _ready(target: Target, toolchain: str) -> Ready:
    port, run = target.port, target.port.manifest.run
    worker = [sys.executable, "-m", "conformance.worker"]
    emulation = port.manifest.emulation if target.emulated else None
    rung = target.rung
    library = (emulation and emulation.library) or (rung and rung.library) or run.library
    module = (rung and rung.module) or run.module
    if library is not None:
        command = [*worker, "c-abi", str(port.folder / _fill(port, [library])[0])]
    elif module is not None:
        command = [*worker, "python", str(port.folder / _fill(port, [module])[0])]
    else:
        command = _fill(port, run.command or [])
    env = run.env | (emulation.env if emulation else {}) | (rung.env if rung else {})
    commands = [
        " ".join(command) for command in (rung and rung.build) or port.manifest.build.commands
    ]
    return Ready(target, command, environment(port, env), toolchain, commands)


def _commands(port: Port) -> list[list[str]]:
    """All that builds a port and its rungs, in order."""
    own = port.manifest.build.commands
    return [*own, *(command for rung in port.manifest.rung for command in rung.build)]


def _fill(port: Port, words: list[str]) -> list[str]:
    """Replace the placeholders that a manifest may use."""
    places = {
        "{port}": str(port.folder),
        "{build}": str(build_folder(port)),
        "{include}": str(HEADER.parent),
        "{python}": sys.executable,
    }
    for place, value in places.items():
        words = [word.replace(place, value) for word in words]
    return words


def _key(port: Port, commands: list[list[str]], toolchain: str) -> str:
    """Changes whenever a build could come out differently."""
    digest = hashlib.sha256(json.dumps([commands, toolchain]).encode())
    files = [p for p in port.folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    for path in [HEADER, *sorted(files)]:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()
