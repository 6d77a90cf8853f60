"""Shuts a port in, in layers, and says what was left within its reach.

No system offers all layers, so each closes what it can on its own:

* Landlock: files that conformance.process.readable does not allow, and other processes;
* a mount name space with no other files than those, where Landlock is missing;
* a user name space, or for root fewer capabilities: other processes' memory and environment;
* a harness that is not dumpable: its memory;
* a network name space: the network.

A thread gives up for good what a port must not have, and starts the port, which inherits that.
"""

import ctypes
import enum
import functools
import os
import subprocess
import threading
from collections.abc import Callable, Collection
from typing import NamedTuple, TypeVar

from conformance.process import environment, landlock, mounts
from conformance.process.readable import View

Started = TypeVar("Started")


class Reach(enum.StrEnum):
    """What a port should not reach, in the order in which it is told."""

    FILES = "golden files"
    MEMORY = "the harness's memory"
    ENVIRONMENT = "the environment"
    NETWORK = "the network"


MAX_FILE_BYTES = 2**30
MAX_OPEN_FILES = 1024
LIMITS = ["prlimit", "--core=0", f"--fsize={MAX_FILE_BYTES}", f"--nofile={MAX_OPEN_FILES}"]
USER = ["unshare", "--user", "--map-current-user", "--net"]  # how others than root get a network

WITHOUT = "CONFORMANCE_WITHOUT"  # a variable: layers to leave out, by which tests see the others
PR_SET_DUMPABLE, PR_CAPBSET_DROP = 4, 24
CLONE_NEWNET = 0x40000000
# What root keeps: chown, dac_override, fowner, fsetid, kill, setgid, setuid. Package managers need
# these, and none opens another process or a file that a name space hides.
CAPABILITIES = sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7))
TRACING = 1 << 19
WATCHING = 1 << 21 | 1 << 38  # sys_admin, perfmon: /proc/PID/environ, past Landlock from 6.14 on
CAPABILITIES_VERSION = 0x20080522
MOST_CAPABILITIES = 64

_libc = ctypes.CDLL(None)


class Command(NamedTuple):
    """What is to be started, where, and in which environment."""

    words: list[str]
    cwd: str
    env: dict[str, str]


def start(
    command: Command, view: View | None, popen: Callable[[Command], Started]
) -> tuple[Started, Collection[Reach]]:
    """Start a port with this view, by a function that starts a command as it is.

    Also returns what is within its reach. Without a view, it is a build: it has all files and the
    network, and only the harness's memory and environment are closed to it. Raises what `popen`
    raises.
    """
    off = os.environ.get(WITHOUT, "").split()
    found: list[Started | Exception] = []
    closed: set[Reach] = set()
    if "dumpable" not in off:
        _undumpable()

    def confined() -> None:
        try:
            whole = command if view is None else _enter(command, view, off, closed)
            if "capabilities" not in off and _drop_capabilities():
                closed.update((Reach.MEMORY, Reach.ENVIRONMENT))
            if "landlock" not in off and landlock.restrict(view):
                closed.update((Reach.FILES, Reach.MEMORY))
                if not _capabilities() & WATCHING:
                    closed.add(Reach.ENVIRONMENT)
            if "dumpable" not in off and not _capabilities() & TRACING:
                closed.add(Reach.MEMORY)
            found.append(popen(whole))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=confined, name="confined")
    thread.start()
    thread.join()
    [result] = found
    if isinstance(result, Exception):
        raise result
    return result, [reach for reach in Reach if reach not in closed]


def _enter(command: Command, view: View, off: Collection[str], closed: set[Reach]) -> Command:
    """Enter what name spaces there are; returns the command that enters the others and starts."""
    limits = LIMITS if _works(*LIMITS) else []
    limited = command._replace(words=[*limits, *command.words])
    if "namespaces" in off:
        return limited
    paths = {*view.read, *view.write}
    hides = "landlock" in off or not landlock.version()
    if _libc.unshare(CLONE_NEWNET) == 0:
        closed.add(Reach.NETWORK)
        if hides and mounts.enter(paths, view.given):
            closed.add(Reach.FILES)
    elif hides and _works(*mounts.USER):
        closed.update(Reach)
        words = mounts.wrapper(paths, view.given, limited.words, command.cwd, command.env)
        return Command(words, "/", environment.visible(os.environ))
    elif _works(*USER):
        closed.update((Reach.MEMORY, Reach.ENVIRONMENT, Reach.NETWORK))
        return limited._replace(words=[*USER, *limited.words])
    return limited


@functools.cache
def _undumpable() -> None:
    _libc.prctl(PR_SET_DUMPABLE, 0)


def _drop_capabilities() -> bool:
    """Give up what only root can do; False if there was nothing of that."""
    had = _capabilities()
    for bit in range(MOST_CAPABILITIES):
        if not CAPABILITIES >> bit & 1:
            _libc.prctl(PR_CAPBSET_DROP, bit)
    kept = had & CAPABILITIES
    low, high = kept & 0xFFFFFFFF, kept >> 32
    # Effective, permitted and inheritable. What is not inheritable is not ambient either.
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
    return _libc.capset(header, sets) == 0 and kept != had


def _capabilities() -> int:
    """Those that this thread may use."""
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    _libc.capget(header, sets)
    return sets[1] | sets[4] << 32


@functools.cache
def _works(*command: str) -> bool:
    """True if a wrapper works on this system."""
    try:
        done = subprocess.run(
            [*command, "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
