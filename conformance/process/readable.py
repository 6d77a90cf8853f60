"""What a port may read: its own folders, the system and its toolchain, and nothing else.

What is hidden is this suite with its golden files, everything that it has built and derived, and
whatever lies outside of the folders below: home folders, other clones, other ports.
"""

import functools
import glob
import os
import pwd
import re
import shutil
import site
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.ground.places import BUILD, CONTRACT, HERE, IN_CLONE, ROOT
from conformance.process import environment

# Of any Linux; those that are missing do no harm. Programs need the processor's description in
# /sys and /proc, where other processes' memory is closed by other means.
TOP = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "opt", "sys", "proc")
SYSTEM = (*(f"/{name}" for name in TOP), "/nix", "/gnu", "/snap", "/run/current-system")
OF_ALL = ("null", "zero", "full", "random", "urandom", "shm", "dri", "kfd", "dxg")
DEVICES = tuple(f"/dev/{name}" for name in OF_ALL)
GPUS = "/dev/nvidia*"
NAME = "conformance"  # of this package's folder, by which a copy is known
# Of this suite, what the worker imports, and the reference, which is also a port.
OURS = (
    HERE / "__init__.py",
    HERE / "wire",
    HERE / "process" / "__init__.py",
    HERE / "process" / "memory.py",
    CONTRACT,
    ROOT / "reference",
)
# Of a toolchain that lies in a user's own ~/.local, which has much else.
PARTS = ("bin", "lib", "lib64", "libexec", "include")
PREFIXES = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
INSTALLED = "lib/python3*/*-packages/conformance"

_golden = {str(HERE / "suite" / "golden")}


@dataclass(frozen=True)
class View:
    """Folders and files, real paths: what can be read and run, listed alone, and written too.

    `given` are paths as they were given, which may lead over links.
    """

    read: tuple[str, ...]
    listed: tuple[str, ...]
    write: tuple[str, ...]
    given: tuple[str, ...]


def hide(folder: Path) -> None:
    """From now on, no port may read this folder of golden files, wherever it is."""
    _golden.add(os.path.realpath(folder))


def view(own: Iterable[Path], write: Iterable[Path | str], command: Sequence[str]) -> View:
    """What a port with these own folders may read when it is started by this command.

    Neither the command nor the environment can show it what is hidden, and the command alone
    shows it nothing in a home folder but its program.
    """
    given = {*SYSTEM, *python(), *_named(os.environ), *_words(command)}
    wide = {*map(os.path.realpath, given)}
    hidden = {os.path.realpath(folder) for folder in (ROOT if IN_CLONE else HERE, BUILD)}
    hidden |= _golden | {copy for folder in wide for copy in _copies(folder)}
    inside = [prefix for prefix in PREFIXES if _inside(prefix, [str(ROOT)])]  # a clone's own .venv
    ours = {os.path.realpath(str(path)) for path in (*own, *OURS, *inside)}
    read, listed = set[str](), set[str]()
    for path in ours | {path for path in wide if not _inside(path, hidden) or _inside(path, ours)}:
        for found, whole in _without(path, hidden):
            (read if whole else listed).add(found)
    listed |= {*map(os.path.realpath, (HERE, *([ROOT] if IN_CLONE else [])))}  # to import ours
    writable = [*map(str, write), *DEVICES, *glob.iglob(GPUS)]
    if os.geteuid() != 0:  # to enter a name space; root could change the system there
        writable.append("/proc")
    return View(tuple(read), tuple(listed), tuple(writable), (*given, *map(str, own)))


@functools.cache
def python() -> frozenset[str]:
    """The folders of the Python that runs the harness, and of its packages."""
    found = {*PREFIXES}
    found |= {path for path in sys.path if os.path.isabs(path)}
    if site.ENABLE_USER_SITE:
        found.add(site.getusersitepackages())
    return frozenset(path for path in found if not _is_wide(path))


def project(folder: Path) -> Path:
    """The repository that a port's folder is in, or the folder if that is this suite or a copy."""
    for parent in (folder, *folder.parents):
        if (parent / ".git").exists() and not (_is_wide(str(parent)) or (parent / NAME).exists()):
            return parent
    return folder


def _named(env: Mapping[str, str]) -> Iterator[str]:
    """The folders that the harness's variables name for ports, such as PATH and JAVA_HOME."""
    for name, value in environment.visible(env).items():
        if name in ("HOME", "TMPDIR", "SHELL") or name.startswith("XDG_"):
            continue
        for path in re.split(r"[:;,=\s]", value):
            if path.startswith("/") and not _is_wide(path):
                yield path
                if name == "PATH" and not _at_home(path):
                    yield from _prefix(path)


def _words(command: Sequence[str]) -> Iterator[str]:
    """The program of a command with its toolchain, and what else the command names."""
    program = shutil.which(command[0])
    while program is not None and os.path.isfile(program):  # links that go round lead to no file
        folder, _ = os.path.split(program)
        yield program
        if not _is_wide(folder):
            yield folder
            yield from _prefix(folder)
        program = os.path.join(folder, os.readlink(program)) if os.path.islink(program) else None
    for word in command[1:]:
        if os.path.isabs(word) and not _is_wide(word) and not _at_home(word):
            yield word


def _prefix(folder: str) -> Iterator[str]:
    """Where the toolchain lies whose programs are in this folder."""
    parent, name = os.path.split(os.path.realpath(folder))
    if name not in ("bin", "sbin") or _is_wide(parent):
        return
    if parent == f"{_home()}/.local":
        yield from (f"{parent}/{part}" for part in PARTS)
    else:
        yield parent


@functools.cache
def _copies(folder: str) -> frozenset[str]:
    """Other installed copies of this suite in a folder that may be read."""
    patterns = [INSTALLED, f"*/{INSTALLED}"] if folder == "/opt" else [INSTALLED]
    found = (path for pattern in patterns for path in glob.iglob(f"{folder}/{pattern}"))
    return frozenset(map(os.path.realpath, found))


def _home() -> str:
    return os.path.realpath(os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir)


def _at_home(path: str) -> bool:
    return _inside(os.path.realpath(path), [_home()])


def _is_wide(path: str) -> bool:
    """True of folders with much that is not a toolchain: /, /home, the home folder, /tmp."""
    real = os.path.realpath(path)
    return any(_inside(there, [real]) for there in (_home(), "/tmp", "/var/tmp"))


def _inside(path: str, folders: Iterable[str]) -> bool:
    """True if it is one of these, or in one."""
    return any(path == f or path.startswith(f.rstrip("/") + "/") for f in folders)


def _without(path: str, hidden: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """A path, and whether it is whole; where something below it is hidden, its other parts."""
    if not (within := [h for h in hidden if h != path and _inside(h, [path])]):
        yield path, True
        return
    yield path, False
    try:
        entries = [*os.scandir(path)]
    except OSError:
        return
    for entry in entries:
        if entry.path not in within and not entry.is_symlink():
            yield from _without(entry.path, within)
