"""Landlock: a thread of Linux gives up files, TCP, signals and other processes' memory for good.

What is given up holds for the calling thread and all that it starts, root or not. A process in a
Landlock domain can trace no process outside it: /proc/PID/environ and mem are closed to it.
Man page landlock(7) has the terms.
"""

import ctypes
import os
from collections.abc import Iterable

from conformance.process.readable import View

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, the same on each machine
VERSION = 1  # asks CREATE_RULESET for the version of the interface
PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = (1 << bit for bit in range(4))
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # what a file can have
DEVICE_NODES = MAKE_CHAR | MAKE_BLOCK
# The number of rights on files that each version knows.
KNOWN = {1: 13, 2: 14, 3: 15, 4: 15}
LATEST = 16
TCP = 0b11  # binding and connecting, from version 4 on
SCOPES = 0b11  # abstract sockets and signals, from version 6 on

_libc = ctypes.CDLL(None)


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("access", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """The version that this system has; 0 where Landlock is missing or off."""
    return max(0, _syscall(CREATE_RULESET, None, 0, VERSION))


def restrict(view: View | None) -> bool:
    """Give up what is outside of a view, with TCP; without one only other processes.

    False if this system has no Landlock, and then nothing is given up.
    """
    if (known := version()) == 0:
        return False
    every = (1 << KNOWN.get(known, LATEST)) - 1
    handled = DEVICE_NODES if view is None else every
    ruleset = _Ruleset(
        handled,
        TCP if view is not None and known >= 4 else 0,
        SCOPES if known >= 6 else 0,
    )
    size = 8 * (1 + (known >= 4) + (known >= 6))
    fd = _syscall(CREATE_RULESET, ctypes.byref(ruleset), size, 0)
    if fd < 0:
        return False
    try:
        if view is not None:
            _add(fd, view.read, READ & every)
            _add(fd, view.listed, READ_DIR)
            _add(fd, view.write, every & ~DEVICE_NODES)
        _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        return _syscall(RESTRICT_SELF, fd, 0) == 0
    finally:
        os.close(fd)


def _add(ruleset: int, paths: Iterable[str], access: int) -> None:
    """Allow this below each path; one that is gone, or is a link, gets nothing."""
    for path in paths:
        try:
            found = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            rule = _Rule(access, found)
            if _syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0) < 0:
                rule = _Rule(access & OF_FILES, found)  # it is a file
                _syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(found)


def _syscall(number: int, *arguments: object) -> int:
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(_libc.syscall(ctypes.c_long(number), *words))
