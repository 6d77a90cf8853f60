"""Gets a port ready: is its toolchain here, does it build, is its device at hand."""

import fcntl
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from conformance.ground.live import LIVE, Task
from conformance.ground.places import writing_build
from conformance.ground.terminal import progress
from conformance.process.tree import Tree
from conformance.targets import launch, placeholders
from conformance.targets.manifest import Port, Target
from reference.files import write_atomically

TESTS = "tests"  # the folder in a port's with the project's own tests of the port
DETECT_LIMIT_S = 60
MOST_FILES = 6  # of what a build left that are shown
LONGEST_COMMAND = 40  # characters of one that are shown
LATENCY_LIMIT_S = 120
BUILD_LIMIT_S = 900
STAMP = "built.json"  # in a build folder: what was built there
_at_once = threading.BoundedSemaphore(len(os.sched_getaffinity(0)))  # builds at work
LOG = "build.log"  # in a build folder: the commands, and what they printed

Lack = Literal["toolchain", "packages", "device"]  # what a target cannot be started without


@dataclass(frozen=True)
class Ready:
    """A target that can be started."""

    target: Target
    command: list[str]
    env: dict[str, str]
    toolchain: str
    build: list[str]
    driver: str | None
    own: tuple[Path, ...] = ()  # folders that it may read
    writes: tuple[Path, ...] = ()


@dataclass(frozen=True)
class NotReady:
    """A target that cannot be started: something is `missing`, or it is broken."""

    target: Target
    reason: str
    missing: Lack | None


@dataclass(frozen=True)
class Outcome:
    """How a short command ended: its first line of output, or why it failed; and all it printed."""

    ok: bool
    text: str
    printed: str = ""


def prepare(port: Port) -> list[Ready | NotReady]:
    """Build a port and say how to start it, one entry a target: itself first.

    A device that is not here gives a SKIP for the port and its rungs, and the emulation of each
    if there is one.
    """
    with Task("looking for what is needed by", port.name):
        toolchain = detect_toolchain(port)
    if not toolchain.ok:
        reason = tried(port, toolchain)
        lack: Lack = "packages" if port.manifest.kind == "python" else "toolchain"
        return [NotReady(target, reason, lack) for target in port.targets()]
    found: list[Ready | NotReady] = []
    devices: dict[str, Outcome] = {}  # looked for once, not for each rung again
    targets = port.targets()
    with ThreadPoolExecutor(max(1, len(targets))) as pool:
        all_built = [*pool.map(lambda target: build(target, toolchain.text), targets)]
    for target, built in zip(targets, all_built, strict=True):
        if not built.ok:
            found.append(NotReady(target, f"does not build: {built.text}", None))
            continue
        key = repr(target.device)
        if key not in devices:
            with Task("looking for the device of", target.name):
                devices[key] = detect_device(target)
        device = devices[key]
        if device.ok:
            driver = device.text if target.device else None
            found.append(_ready(target, toolchain.text, driver))
            continue
        reason = f"{device.text}; but it builds: {built.text}" if built.text else device.text
        found.append(NotReady(target, reason, "device"))
        if target.stand_in:
            found.append(_ready(target.stand_in, toolchain.text, None))
    return found


def detect_toolchain(port: Port) -> Outcome:
    """Is what builds and runs the port here? The text is its version."""
    return run_short(
        launch.fill(Target(port), port.manifest.toolchain.detect), port, DETECT_LIMIT_S
    )


def tried(port: Port, toolchain: Outcome) -> str:
    """The command that did not find a port's toolchain, what it said, and what installs that."""
    command = " ".join(placeholders.named(word) for word in port.manifest.toolchain.detect)
    if len(command) > LONGEST_COMMAND:
        command = f"{command[:LONGEST_COMMAND]} ..."
    said = f"{command}: {toolchain.text.splitlines()[-1]}"
    install = port.manifest.toolchain.install
    return f"{said}; install: {install}" if install else said


def detect_device(target: Target) -> Outcome:
    """Is a target's device here? The text names it, or says what is missing."""
    if target.device is None:
        return Outcome(True, "cpu")
    return run_short(launch.fill(target, target.device.detect), target.port, DETECT_LIMIT_S)


def measure_limit(target: Target, limit: list[str]) -> Outcome:
    """Run a target's program that says how fast it could be; the text is what it says."""
    return run_short(launch.fill(target, limit), target.port, LATENCY_LIMIT_S)


def build(target: Target, toolchain: str) -> Outcome:
    """Run the build commands of a target, unless what they last made is there and still stands.

    The text of a success is what the last command printed first, if anything. Raises UserError
    where the harness may not write.
    """
    port, folder = target.port, launch.build_folder(target)
    commands = [launch.fill(target, command) for command in launch.build_commands(target)]
    key = _key(port, commands, toolchain)
    with writing_build():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed: another run may build this
            if (said := _standing(folder, key)) is not None:
                return Outcome(True, said)
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            outcome = _run_all(commands, target)
            if not outcome.ok:
                return outcome
            made = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
            kept = {"key": key, "said": outcome.text, "outputs": _hashes(folder, made)}
            write_atomically(folder / STAMP, json.dumps(kept, indent=1))
    return outcome


def _ready(target: Target, toolchain: str, driver: str | None) -> Ready | NotReady:
    if lost := _lost(target):
        return NotReady(target, lost, None)
    commands = [" ".join(command) for command in launch.build_commands(target)]
    start, env = launch.command(target), launch.variables(target)
    own, writes = launch.own_folders(target), (launch.build_folder(target),)
    return Ready(target, start, env, toolchain, commands, driver, own, writes)


def _lost(target: Target) -> str:
    """Says that the file for the worker to load is not there; empty where it is."""
    if (key := launch.loaded(target)) is None or launch.path_of(target, key[1]).exists():
        return ""
    lost = f"{key[0]}: {key[1]} does not exist"
    if not launch.build_commands(target):
        return lost
    folder = launch.build_folder(target)
    own = (STAMP, LOG)
    made = sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name not in own)
    left = ", ".join(made[:MOST_FILES]) + ", ..." * (len(made) > MOST_FILES)
    return f"{lost} after the build, which left {left or 'nothing'}"


def _run_all(commands: list[list[str]], target: Target) -> Outcome:
    """Build, and say so; the outcome is what the last command did, or the first that failed."""
    outcome = Outcome(True, "")
    if not commands:
        return outcome
    with _at_once:
        LIVE.note(f"building {target.name}")
        started = time.monotonic()
        with Task("building", target.name):
            for command in commands:
                outcome = run_short(command, target.port, BUILD_LIMIT_S)
                with open(launch.build_folder(target) / LOG, "a", encoding="utf-8") as log:
                    log.write(f"$ {shlex.join(command)}\n{outcome.printed or outcome.text}\n")
                if not outcome.ok:
                    break
        seconds = time.monotonic() - started
    done = "built" if outcome.ok else "could not build"
    progress(f"{done} {target.name} in {seconds:.{0 if seconds >= 9.95 else 1}f} s")
    return outcome


def _standing(folder: Path, key: str) -> str | None:
    """What the last build said, if it was the same and no file that it made is gone or changed."""
    try:
        kept = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        if kept["key"] == key and kept["outputs"] == _hashes(folder, kept["outputs"]):
            return str(kept["said"])
    except (OSError, ValueError, LookupError, TypeError):  # no stamp, or half of one
        pass
    return None


def _hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of each file. Raises OSError if one is gone."""
    found = {}
    for name in names:
        with open(folder / name, "rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def build_log(target: Target) -> str:
    """The commands that built a target and what they printed; empty if there were none."""
    path = launch.build_folder(target) / LOG
    return path.read_text(encoding="utf-8") if path.exists() else ""


def run_short(command: list[str], port: Port, limit_s: float) -> Outcome:
    """Run a command in the port's folder; no mistake in it raises, and it leaves no process."""
    try:
        tree = Tree(command, str(port.folder), launch.build_variables(), own_session=False)
    except FileNotFoundError:
        return Outcome(False, "not found")
    except (OSError, ValueError) as error:
        return Outcome(False, str(error))
    try:
        code, *said = tree.finish(limit_s)
    except subprocess.TimeoutExpired:
        return Outcome(False, f"{' '.join(command)} took over {limit_s:.0f} s")
    finally:
        tree.end()
    out, err = (text.decode(errors="replace").strip() for text in said)
    printed = "\n".join(filter(None, (out, err)))
    if code == 0:
        return Outcome(True, next(iter(out.splitlines()), ""), printed)
    return Outcome(False, err or out or f"{' '.join(command)} ended with {code}", printed)


def _key(port: Port, commands: list[list[str]], toolchain: str) -> str:
    """Changes whenever a build could come out differently."""
    files = files_sha256(port.folder, documents=True)
    digest = hashlib.sha256(json.dumps([commands, toolchain, files, LOG]).encode())
    digest.update(launch.HEADER.read_bytes())
    return digest.hexdigest()


def files_sha256(folder: Path, *, documents: bool) -> str:
    """SHA-256 of a port's files and of where they lie, with or without its documents (*.md).

    Its tests do not count: a port with a changed test is the same port.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        counts = place.parts[0] != TESTS and (documents or path.suffix != ".md")
        if counts and path.is_file() and "__pycache__" not in place.parts:
            digest.update(f"{place} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()
