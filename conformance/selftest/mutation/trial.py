"""Runs tests on a module of the harness with a line changed, in a copy of the project.

They run in a child of this process, which has the libraries loaded already. Tests also start
programs of the harness: since the change is in a file, these have it too.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from conformance.ground.places import ROOT

TESTS = "conformance/selftest/tests"
OWN = ("conformance", "reference")
MEMORY_BYTES = 16 * 2**30  # of addresses, of which libraries take many and use few
POLL_S = 0.2
ENDED = 64  # the status of a child is this, and pytest's; what ends it in another way has others
# No database of examples, and the same examples each time: a second run must not end otherwise.
OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]


@dataclass
class Ran:
    """How tests ended: PASS, FAIL, CRASH or TIMEOUT, at which test, and how long each took."""

    status: str = "CRASH"
    test: str = ""
    seconds: float = 0.0
    took: dict[str, float] = field(default_factory=dict)


class Watcher:
    """A plugin of pytest that puts tests in order and tells a connection how they go."""

    def __init__(self, rank: Mapping[str, float], sender: Connection) -> None:
        self.rank, self.sender = rank, sender

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """The lowest rank first; what has none goes last."""
        items.sort(key=lambda item: self.rank.get(item.nodeid, float("inf")))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell which test starts."""
        self.sender.send((nodeid, None))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tell how long a test took; nothing of one that did not run."""
        if report.when == "call" and report.passed:
            self.sender.send((report.nodeid, report.duration))


def copied(folder: Path) -> Path:
    """Bring a copy of the project's files up to date; what was built there stays."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    wanted = {name for name in os.fsdecode(names).split("\0") if name and (ROOT / name).is_file()}
    if (folder / ".git").exists():
        there = subprocess.run(listed, cwd=folder, check=True, capture_output=True).stdout
        for name in {*os.fsdecode(there).split("\0")} - wanted - {""}:
            (folder / name).unlink(missing_ok=True)
    for name in wanted:
        target = folder / name
        if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    # Some tests ask git which files there are.
    git = ["git", "-c", "user.name=mutation", "-c", "user.email=none", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "copy"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


def attempt(
    tree: Path,
    file: str,
    text: str,
    tests: Sequence[str],
    rank: Mapping[str, float],
    limit_s: float,
) -> Ran:
    """Run tests of a copy whose `file` has this text, up to the first that fails.

    `limit_s` is in seconds of a processor for each process, and a tenth of those on a clock.
    """
    path, started = tree / file, time.monotonic()
    before = path.read_bytes()
    receiver, sender = Pipe(duplex=False)
    try:
        path.write_text(text, encoding="utf-8")
        # Python takes compiled code of the same second and size for current: so, no second twice.
        second = time.monotonic_ns() // 10**6 % 2**31
        os.utime(path, (second, second))
        if (child := os.fork()) == 0:
            _run(tree, tests, Watcher(rank, sender), limit_s)
        sender.close()
        ran = _watched(child, receiver, started + 10 * limit_s)
    finally:
        path.write_bytes(before)
    ran.seconds = time.monotonic() - started
    return ran


def _watched(child: int, receiver: Connection, end: float) -> Ran:
    """How the child ends, which is killed if that is late, with all that it has started."""
    ran, ended = Ran(), 0
    while not ended:
        late = time.monotonic() > end
        if late:
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(EOFError):
            while receiver.poll(0 if late else POLL_S):
                ran.test, took = receiver.recv()
                if took is not None:
                    ran.took[ran.test] = took
        ended, status = os.waitpid(child, 0 if late else os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            slow = late or code == -signal.SIGXCPU
            ran.status = (
                "TIMEOUT" if slow else {ENDED: "PASS", ENDED + 1: "FAIL"}.get(code, "CRASH")
            )
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return ran


def _run(tree: Path, tests: Sequence[str], watcher: Watcher, limit_s: float) -> None:
    """Run tests in this process, which is a child, and end it."""
    try:
        os.setsid()
        log = os.open(tree.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        seconds = int(limit_s) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.chdir(tree)
        for name in [name for name in sys.modules if name.split(".")[0] in OWN]:
            del sys.modules[name]
        sys.path[:] = [str(tree), *(p for p in sys.path if p not in ("", str(ROOT)))]
        words: list[Any] = [*OPTIONS, "--rootdir", tree, "-c", tree / "pyproject.toml"]
        words += [f"{TESTS}/{test}" for test in tests]
        code = pytest.main([*map(str, words)], plugins=[watcher])
        sys.stdout.flush()
        os._exit(ENDED + int(code))
    finally:
        os._exit(99)
