"""How a target is built and started: its commands, with folders filled in, and its environment."""

import hashlib
import os
import secrets
import sys
from pathlib import Path

from conformance.ground.places import BUILD, CONTRACT, IN_CLONE, PORTS, ROOT, writing_build
from conformance.process import environment, readable
from conformance.targets import placeholders
from conformance.targets.manifest import Target

HEADER = CONTRACT / "backprop.h"


def build_folder(target: Target) -> Path:
    """Where a target builds: by its name, and by its place too where that is outside ports/."""
    port = target.port
    name = f"{port.name}.{target.rung.name}" if target.rung else port.name
    if port.folder.parent != PORTS:
        name += f"-{hashlib.sha256(str(port.folder).encode()).hexdigest()[:8]}"
    return BUILD / "ports" / name


def build_commands(target: Target) -> list[list[str]]:
    """What builds it, as in its manifest."""
    return target.rung.build if target.rung else target.port.manifest.build.commands


def command(target: Target) -> list[str]:
    """What starts it: the program of a port of kind process, or else the harness's worker.

    Raises UserError where the harness may not write.
    """
    worker = [_interpreter(target), "-m", "conformance.wire.worker"]
    if (key := loaded(target)) is None:
        return fill(target, target.port.manifest.run.command or [])
    return [*worker, target.port.manifest.kind, str(path_of(target, key[1]))]


def loaded(target: Target) -> tuple[str, str] | None:
    """The key of the manifest with the library or module that the worker loads, and its value."""
    rung, emulation = target.rung, target.emulation
    tables = {"emulation": emulation, "rung": rung, "run": target.port.manifest.run}
    for table, entry in tables.items():
        for name in ("library", "module"):
            if (value := getattr(entry, name, None)) is not None:
                return f"{table}.{name}", value
    return None


def path_of(target: Target, value: str) -> Path:
    """The path that a manifest means by a value."""
    return target.port.folder / fill(target, [value])[0]


def variables(target: Target) -> dict[str, str]:
    """The environment that it is started in."""
    run, emulation, rung = target.port.manifest.run, target.emulation, target.rung
    found = environment.visible(environ())
    # In its build folder, since it may write to no other one that stays.
    found["NUMBA_CACHE_DIR"] = str(build_folder(target) / "numba")
    if run.interpreter is not None:
        found["PYTHONPATH"] = str(_packages())
    added = run.env | (emulation.env if emulation else {}) | (rung.env if rung else {})
    return found | {key: fill(target, [value])[0] for key, value in added.items()}


def own_folders(target: Target) -> tuple[Path, ...]:
    """What it may read of the user's files: its project, its build, and what the worker loads."""
    found = [readable.project(target.port.folder), build_folder(target)]
    if (key := loaded(target)) is not None:
        found.append(path_of(target, key[1]).parent)
    return tuple(found)


def build_variables() -> dict[str, str]:
    """The environment of the commands that build targets and look for what they need."""
    return environment.visible(environ(), to_builds=True)


def environ() -> dict[str, str]:
    """This process's environment, with what ports rely on."""
    # Where the harness is installed, its interpreter finds it, and no other should be made to.
    path = {"PYTHONPATH": str(ROOT)} if IN_CLONE else {}
    return {
        **os.environ,
        **path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(BUILD / "numba"),
    }


def _interpreter(target: Target) -> str:
    """The Python that the harness's worker runs in."""
    if (own := target.port.manifest.run.interpreter) is None:
        return sys.executable
    [path] = fill(target, [own])
    return str(target.port.folder / path) if "/" in path else path


def _packages() -> Path:
    """A folder with the two packages of the worker, and none of those installed beside them."""
    folder = BUILD / "packages"
    with writing_build():
        folder.mkdir(parents=True, exist_ok=True)
        for package in ("conformance", "reference"):
            link = folder / package
            if not link.is_symlink() or link.resolve() != ROOT / package:
                made = folder / f".{package}.{secrets.token_hex(4)}"  # others may be at it
                made.symlink_to(ROOT / package)
                made.replace(link)
    return folder


def fill(target: Target, words: list[str]) -> list[str]:
    """Replace the placeholders that a manifest may use."""
    values = {
        "port": str(target.port.folder),
        "build": str(build_folder(target)),
        "include": str(HEADER.parent),
        "python": sys.executable,
    }
    return [placeholders.fill(word, values) for word in words]
