"""Starts ports' processes, watches their memory, and ends them with everything they started.

A process belongs to a port's tree if its parent does, if its session does, or if it carries the
tree's token in its environment. On Linux, orphans become children of the harness instead of
disappearing, and stay visible after their end until the harness reaps them.
"""

import contextlib
import ctypes
import functools
import os
import secrets
import selectors
import signal
import subprocess
import sys
import threading
import time

import psutil

from conformance.process import sandbox
from conformance.process.readable import View

TOKEN = "CONFORMANCE_TOKEN"
WATCH_S = 0.1
END_S = 5.0
PAUSE_S = 0.005
CHUNK = KEPT = 2**16
PR_SET_CHILD_SUBREAPER = 36


class Tree:
    """A process, its pipes, and all processes that descend from it.

    A ^C on the terminal reaches it only if it is not in a session of its own. The pipes do
    not block. `within_reach` is what conformance.process.sandbox could not close to it; without a
    view, it is not confined to files. Raises OSError or ValueError if it cannot be started.
    """

    def __init__(
        self,
        command: list[str],
        cwd: str,
        env: dict[str, str],
        *,
        own_session: bool,
        memory_limit_mb: int | None = None,
        view: View | None = None,
    ) -> None:
        _adopt_orphans()
        self.memory_limit_mb = memory_limit_mb
        self.over_limit = self.suspect = False
        self.token = secrets.token_hex(16)
        with _lock:
            self.main, self.within_reach = sandbox.start(
                sandbox.Command(command, cwd, {**env, TOKEN: self.token}),
                view,
                lambda confined: subprocess.Popen(
                    confined.words,
                    cwd=confined.cwd,
                    env={**confined.env, TOKEN: self.token},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    start_new_session=own_session,
                ),
            )
            _trees[self.token] = self
        assert self.main.stdin is not None
        assert self.main.stdout is not None
        assert self.main.stderr is not None
        self.pipes = self.main.stdin, self.main.stdout, self.main.stderr
        for pipe in self.pipes:
            os.set_blocking(pipe.fileno(), False)

    def finish(self, limit_s: float) -> tuple[int, bytes, bytes]:
        """Wait for the process to end: its exit code, and what it wrote to stdout and stderr.

        Only KEPT bytes of each are kept. A child that lives on is not waited for. Raises
        subprocess.TimeoutExpired.
        """
        deadline = time.monotonic() + limit_s
        stdin, *outputs = self.pipes
        stdin.close()
        said = {pipe.fileno(): bytearray() for pipe in outputs}
        with selectors.DefaultSelector() as selector:
            for pipe in outputs:
                selector.register(pipe, selectors.EVENT_READ)

            def read(wait_s: float) -> None:
                for key, _ in selector.select(wait_s):
                    data = os.read(key.fd, CHUNK)
                    said[key.fd] += data[: KEPT - len(said[key.fd])]
                    if not data:
                        selector.unregister(key.fileobj)

            while selector.get_map() and self.main.poll() is None and time.monotonic() < deadline:
                read(WATCH_S)
            code = self.main.wait(max(0.0, deadline - time.monotonic()))
            read(0.0)
        out, err = map(bytes, said.values())
        return code, out, err

    def end(self, patience_s: float = 0.0) -> None:
        """Close the pipes, wait a moment, then kill the whole tree and wait until it is gone."""
        for pipe in self.pipes:
            with contextlib.suppress(OSError):
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.main.wait(patience_s)
        # A process that not even SIGKILL ends at once (a driver at work) is not waited for.
        deadline = time.monotonic() + END_S
        while (left := members(self)) and time.monotonic() < deadline:
            _kill(left)
            self.main.poll()
            time.sleep(PAUSE_S)
        with _lock:
            _trees.pop(self.token, None)
            # Some clear their environment, and the token with it: nobody knows whose they
            # are.
            while not _trees and (strays := _census().get(None)) and time.monotonic() < deadline:
                _kill(strays)
                time.sleep(PAUSE_S)


_lock = threading.RLock()  # ports are built and judged in threads
_trees: dict[str, Tree] = {}
_owners: dict[psutil.Process, Tree] = {}
_sessions: dict[int, Tree] = {}
_watched = 0.0


def watch() -> None:
    """Kill the trees that use more memory than allowed; looks every WATCH_S seconds.

    It looks at all trees, since a port can go on working while another is asked.
    """
    global _watched
    with _lock:
        if time.monotonic() - _watched < WATCH_S:
            return
        _watched = time.monotonic()
    for tree, members in _census().items():
        if tree is not None and tree.memory_limit_mb is not None:
            used = sum(map(_resident_bytes, members))
            over = used > tree.memory_limit_mb * 2**20
            # Twice in a row: between fork and exec, a process counts double.
            if over and tree.suspect:
                tree.over_limit = True
                _kill(members)
            tree.suspect = over
        _reap(members)


def members(tree: Tree) -> list[psutil.Process]:
    """The processes of a tree that there are now, zombies too."""
    return _census().get(tree, [])


def _census() -> dict[Tree | None, list[psutil.Process]]:
    """The processes of each tree, with zombies; under None, orphans whose tree is unknown."""
    global _owners, _sessions
    with _lock:
        found: dict[Tree | None, list[psutil.Process]] = {}
        owners: dict[psutil.Process, Tree] = {}
        sessions: dict[int, Tree] = {}
        by_pid = _main_processes()
        for process in psutil.Process().children(recursive=True):  # parents come first
            with contextlib.suppress(psutil.Error, OSError):
                session = os.getsid(process.pid)
                tree = _owners.get(process) or by_pid.get(process.pid) or _sessions.get(session)
                tree = tree or by_pid.get(process.ppid()) or _by_token(process)
                if tree is not None and tree.token in _trees:
                    by_pid[process.pid] = owners[process] = tree
                    if session != os.getsid(0):
                        sessions[session] = tree
                elif not _is_orphan(process):
                    continue
                found.setdefault(tree, []).append(process)
        _owners, _sessions = owners, sessions
        return found


def _main_processes() -> dict[int, Tree]:
    """By process id; once a process is reaped, its id may belong to a new one."""
    return {tree.main.pid: tree for tree in _trees.values() if tree.main.returncode is None}


def _by_token(process: psutil.Process) -> Tree | None:
    try:
        return _trees.get(process.environ().get(TOKEN, ""))
    except psutil.Error:  # a zombie has no environment, and another user's is not shown
        return None


def _is_orphan(process: psutil.Process) -> bool:
    """True for a child of this process that another one started.

    What the harness itself starts is in its own session, or the main process of a tree.
    """
    if process.pid in _main_processes() or process.ppid() != os.getpid():
        return False
    return process in _owners or os.getsid(process.pid) != os.getsid(0)


def _kill(members: list[psutil.Process]) -> None:
    """Send SIGKILL to processes, and to their groups at once: a group cannot fork away.

    This includes the group of a zombie, so zombies are reaped only afterwards.
    """
    for member in members:
        with contextlib.suppress(psutil.Error, OSError):
            member.kill()
            group = os.getpgid(member.pid)
            if group != os.getpgid(0):
                os.killpg(group, signal.SIGKILL)
    _reap(members)


def _reap(members: list[psutil.Process]) -> None:
    """Let go of the orphans that have ended."""
    for member in members:
        with contextlib.suppress(psutil.Error, OSError):
            if _is_orphan(member) and member.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(member.pid, os.WNOHANG)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


@functools.cache
def _adopt_orphans() -> None:
    """Make orphaned descendants children of this process, if the system can."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
