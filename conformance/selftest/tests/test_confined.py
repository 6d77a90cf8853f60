"""What is closed to a thread that starts a port: asked in that thread, layer by layer."""

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from conformance.process import landlock, mounts, sandbox
from conformance.process.readable import View
from conformance.process.sandbox import WITHOUT, Command, Reach, start

LIBC = ctypes.CDLL(None)
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
FILES, MEMORY, ENVIRONMENT, NETWORK = Reach
OPEN = View(("/usr",), (), ("/dev/null",), ())
COMMAND = Command(["program", "word"], "/", {"A": "b"})
LIMITED = ["prlimit", "--core=0", f"--fsize={2**30}", "--nofile=1024", "program", "word"]
# chown, dac_override, fowner, fsetid, kill, setgid, setuid: see capability.h.
KEPT = 0b11111011
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities")


def started(
    ask: Callable[[Command], Any], view: View | None, monkeypatch: pytest.MonkeyPatch, off: str = ""
) -> tuple[Any, list[Reach]]:
    """What a confined thread says, and what is within its reach, without some layers."""
    monkeypatch.setenv(WITHOUT, off)
    found, reach = start(COMMAND, view, ask)
    return found, [*reach]


def capabilities(_: Command) -> dict[str, int]:
    """All sets of this thread's capabilities, by their names in /proc."""
    lines = Path("/proc/thread-self/status").read_text().splitlines()
    return {line[3:6]: int(line[7:], 16) for line in lines if line.startswith("Cap")}


@root
def test_a_port_of_root_keeps_few_rights_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    before = capabilities(COMMAND)
    assert sandbox._capabilities() == before["Prm"]
    found, reach = started(capabilities, None, monkeypatch, "landlock dumpable")
    assert found["Eff"] == found["Prm"] == before["Prm"] & KEPT
    assert found["Bnd"] == before["Bnd"] & KEPT
    assert found["Inh"] == found["Amb"] == 0
    assert reach == [FILES, NETWORK]  # memory and environment are closed
    assert capabilities(COMMAND) == before


@root
def test_who_has_no_rights_to_give_up_is_still_within_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def again(_: Command) -> list[Reach]:
        return [*start(COMMAND, None, lambda _: 0)[1]]

    found, reach = started(again, None, monkeypatch, "landlock dumpable")
    assert reach == [FILES, NETWORK]
    assert found == [*Reach]


def test_without_any_layer_everything_is_within_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    off = "landlock namespaces capabilities dumpable"
    for view in (None, OPEN):
        found, reach = started(lambda words: words, view, monkeypatch, off)
        assert reach == [*Reach]
        assert found == (COMMAND if view is None else COMMAND._replace(words=LIMITED))


@pytest.mark.skipif(not landlock.version(), reason="this system has no Landlock")
@pytest.mark.parametrize(
    ("more", "open_"), [("", [ENVIRONMENT, NETWORK]), ("capabilities", [NETWORK])]
)
def test_landlock_closes_files_and_memory(
    more: str, open_: list[Reach], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read(_: Command) -> str:
        with pytest.raises(PermissionError):
            os.listdir(tmp_path)  # noqa: PTH208
        return Path("/usr/bin").name

    off = " ".join({"namespaces", "capabilities", "dumpable"} - {more})
    _, reach = started(read, OPEN, monkeypatch, off)
    if os.geteuid() == 0:  # who may watch performance sees the environment
        assert reach == open_


def test_only_who_may_watch_processes_sees_their_environment_past_landlock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landlock, "restrict", lambda _: True)
    off = "namespaces capabilities dumpable"
    for has, open_ in ((0, False), (1 << 21, True), (1 << 38, True), (1 << 20, False)):
        monkeypatch.setattr(sandbox, "_capabilities", lambda has=has: has)
        _, reach = started(lambda _: 0, OPEN, monkeypatch, off)
        assert reach == [*([ENVIRONMENT] if open_ else []), NETWORK]


@pytest.mark.parametrize("off", ["", "dumpable"])
def test_the_memory_of_the_harness_is_closed(off: str, monkeypatch: pytest.MonkeyPatch) -> None:
    LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    sandbox._undumpable.cache_clear()
    try:
        _, reach = started(lambda _: 0, None, monkeypatch, f"{off} landlock capabilities")
        assert LIBC.prctl(PR_GET_DUMPABLE) == bool(off)
        # Of no use against root, who may trace everything.
        assert (MEMORY in reach) == (bool(off) or os.geteuid() == 0)
    finally:
        sandbox._undumpable.cache_clear()
        sandbox._undumpable()


@root
def test_who_may_not_trace_cannot_reach_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, closed in ((0, True), (1 << 19, False), (~(1 << 19), True)):
        monkeypatch.setattr(sandbox, "_capabilities", lambda has=has: has)
        _, reach = started(lambda _: 0, None, monkeypatch, "landlock capabilities")
        assert (MEMORY not in reach) == closed


@root
@pytest.mark.parametrize("off", ["capabilities", "capabilities namespaces"])
def test_the_network_is_closed(off: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if LIBC.unshare(0) or subprocess.run(["unshare", "--net", "true"], check=False).returncode:
        pytest.skip("this system has no name spaces")

    def call(words: Command) -> bool:
        assert words.words == LIMITED
        try:
            with socket.socket() as to:  # which needs no files, as looking up a name does
                to.connect(server.getsockname())
        except OSError:
            return False
        return True

    with socket.create_server(("127.0.0.1", 0)) as server:
        called, reach = started(call, OPEN, monkeypatch, f"{off} landlock")
    assert called == (NETWORK in reach) == ("namespaces" in off)
    # Without Landlock, a root of its own hides files.
    assert (FILES in reach) == ("namespaces" in off)


def test_what_starts_a_port_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Command) -> None:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        started(fails, None, monkeypatch)


class System:
    """A kernel that refuses name spaces to this user, and has or has not some programs."""

    def __init__(self, *programs: tuple[str, ...], entered: bool = False, root: bool = False):
        self.programs, self.entered = programs, entered
        self.unshared: list[int] = []
        self.root = root

    def unshare(self, flags: int) -> int:
        self.unshared.append(flags)
        return 0 if self.root else -1

    def works(self, *command: str) -> bool:
        return command in self.programs

    def enter(self, paths: Collection[str], given: Collection[str]) -> bool:
        assert {*paths} == {"/usr", "/dev/null"}
        return self.entered


PRLIMIT, USER, OTHER = (tuple(words) for words in (sandbox.LIMITS, sandbox.USER, mounts.USER))
ALONE = ["unshare", "--user", "--map-current-user", "--net"]


@pytest.mark.parametrize(
    ("system", "version", "words", "open_"),
    [
        (System(), 7, ["program", "word"], [*Reach]),
        (System(PRLIMIT), 7, LIMITED, [*Reach]),
        (System(USER), 7, [*ALONE, "program", "word"], [FILES]),
        (System(USER, OTHER), 7, [*ALONE, "program", "word"], [FILES]),
        (System(PRLIMIT, USER), 0, [*ALONE, *LIMITED], [FILES]),
        (System(root=True), 7, ["program", "word"], [FILES, MEMORY, ENVIRONMENT]),
        (System(root=True, entered=True), 7, ["program", "word"], [FILES, MEMORY, ENVIRONMENT]),
        (System(root=True, entered=True), 0, ["program", "word"], [MEMORY, ENVIRONMENT]),
        (System(root=True), 0, ["program", "word"], [FILES, MEMORY, ENVIRONMENT]),
    ],
)
def test_name_spaces_are_entered_as_far_as_the_system_allows(
    system: System,
    version: int,
    words: list[str],
    open_: list[Reach],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(system, version, monkeypatch)
    found, reach = started(lambda whole: whole, OPEN, monkeypatch, "capabilities dumpable")
    assert found == COMMAND._replace(words=words)
    assert reach == open_
    assert system.unshared == [0x40000000]  # the network


def given(system: System, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sandbox find this system, on which Landlock closes nothing."""
    monkeypatch.setattr(sandbox, "_libc", system)
    monkeypatch.setattr(sandbox, "_works", system.works)
    monkeypatch.setattr(mounts, "enter", system.enter)
    monkeypatch.setattr(landlock, "version", lambda: version)
    monkeypatch.setattr(landlock, "restrict", lambda _: False)


@pytest.mark.parametrize("off", ["", "landlock"])
def test_others_than_root_get_a_root_of_their_own_where_landlock_is_missing(
    off: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(System(PRLIMIT, USER, OTHER), 7 if off else 0, monkeypatch)
    monkeypatch.setenv("MY_OWN", "x")
    off += " capabilities dumpable"
    found, reach = started(lambda whole: whole, OPEN, monkeypatch, off)
    assert reach == []
    due = mounts.wrapper({"/usr", "/dev/null"}, (), LIMITED, "/", {"A": "b"})
    assert found.words[:-1] == due[:-1]
    assert '"command": ["prlimit"' in found.words[-1]
    assert found.cwd == "/"
    assert "PATH" in found.env  # to find unshare
    assert "MY_OWN" not in found.env


def test_a_wrapper_is_used_if_it_works() -> None:
    assert sandbox._works("env") is True
    assert sandbox._works("env", "-u", "A", "false") is False
    assert sandbox._works("no-such-program") is False


def test_a_wrapper_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(words: list[str], *, timeout: float, **_: Any) -> None:
        assert words == ["hanging", "true"]
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(subprocess, "run", hangs)
    assert sandbox._works("hanging") is False
