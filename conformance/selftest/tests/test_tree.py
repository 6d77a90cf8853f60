"""A process and all that it starts: what it says is kept, its memory is watched, all of it ends."""

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from conformance.process import tree
from conformance.process.tree import Tree, members, watch
from conformance.selftest.patience import patience

ENV = {"PATH": os.environ["PATH"]}
Start = Callable[..., Tree]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a script of the shell in a folder; all that is left of it is ended."""
    trees: list[Tree] = []

    def run(script: str, *, own_session: bool = True, limit: int | None = None) -> Tree:
        command = ["sh", "-c", script]
        one = Tree(command, str(tmp_path), ENV, own_session=own_session, memory_limit_mb=limit)
        trees.append(one)
        return one

    yield run
    for one in trees:
        one.end()


def soon(holds: Callable[[], object]) -> bool:
    """Whether something holds after a while."""
    end = time.monotonic() + patience(3)
    while not (found := holds()) and time.monotonic() < end:
        time.sleep(0.01)
    return bool(found)


def test_what_it_says_and_its_exit_code_are_known(start: Start, tmp_path: Path) -> None:
    script = 'pwd; echo "$HOME-$CONFORMANCE_TOKEN" >&2; cat; exit 3'  # its stdin ends
    one = start(script)
    assert one.finish(patience(3)) == (3, f"{tmp_path}\n".encode(), f"-{one.token}\n".encode())
    assert len(one.token) == 32
    assert one.within_reach is not None


@pytest.mark.parametrize("stream", [1, 2])
def test_no_more_is_kept_than_has_room(stream: int, start: Start) -> None:
    code = f"import os; [os.write({stream}, b'a' * 2**15) for _ in range(8)]"
    status, *said = start(f'exec "{sys.executable}" -c "{code}"').finish(patience(3))
    assert status == 0
    assert said[stream - 1] == b"a" * 2**16
    assert said[2 - stream] == b""


def test_a_pipe_that_is_closed_does_not_stop_the_other(start: Start) -> None:
    found = start("exec 2>&-; sleep 0.1; echo late").finish(patience(3))
    assert found == (0, b"late\n", b"")


def test_it_wakes_for_each_event_and_for_nothing_else(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start("exec 2>&-; sleep 0.3; echo late")
    read, woken = os.read, list[int]()

    def noted(stream: int, size: int) -> bytes:
        woken.append(stream)
        return read(stream, size)

    monkeypatch.setattr(os, "read", noted)
    assert one.finish(patience(3)) == (0, b"late\n", b"")
    assert len(woken) <= 3  # the end of one, a line and the end of the other


def test_what_it_said_before_it_ended_is_read_afterwards(start: Start) -> None:
    one = start("echo said; echo why >&2; exit 2")
    assert soon(lambda: one.main.poll() is not None)
    assert one.finish(patience(3)) == (2, b"said\n", b"why\n")


def test_a_child_that_lives_on_is_not_waited_for(start: Start) -> None:
    began = time.monotonic()
    one = start("sleep 60 & echo said")
    assert one.finish(30.0) == (0, b"said\n", b"")
    assert time.monotonic() - began < patience(5)
    one.end()
    assert members(one) == []


def test_who_does_not_end_in_time_is_told(start: Start) -> None:
    one = start("exec >&- 2>&-; sleep 60")
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        one.finish(0.2)
    assert 0.15 < time.monotonic() - began < patience(5)
    assert one.main.poll() is None


@pytest.mark.parametrize("own_session", [True, False])
def test_a_session_of_its_own_is_a_choice(own_session: bool, start: Start) -> None:
    one = start("exec sleep 60", own_session=own_session)
    assert (os.getsid(one.main.pid) == one.main.pid) == own_session
    for pipe in one.pipes:
        assert not os.get_blocking(pipe.fileno())


# Each writes its process id and stays.
STAY = "echo $$ > pid; exec sleep 60"
CHILDREN = {
    "a child": f"sh -c '{STAY}' & wait",
    "an orphan": f"sh -c '{STAY}' &",
    "an orphan of an orphan": f"sh -c \"sh -c '{STAY}' & exit\" & exit",
    "an orphan in a session of its own": f"setsid sh -c '{STAY}' &",
    "who hides the token": f"env -i PATH=$PATH sh -c '{STAY}' & wait",
    "who hides the token in another session": f"env -i PATH=$PATH setsid sh -c '{STAY}' & wait",
    "who hides from the beginning": f"(env -i PATH=$PATH setsid -f sh -c '{STAY}')",
    "who ignores signals": f"trap '' TERM INT HUP; sh -c '{STAY}' & wait",
}


@pytest.mark.parametrize("script", CHILDREN.values(), ids=CHILDREN)
@pytest.mark.parametrize("own_session", [True, False])
def test_all_that_it_started_ends(
    script: str, own_session: bool, start: Start, tmp_path: Path
) -> None:
    one = start(script, own_session=own_session)
    file = tmp_path / "pid"
    assert soon(lambda: file.exists() and file.read_text())
    process = psutil.Process(int(file.read_text()))
    began = time.monotonic()
    one.end()
    assert time.monotonic() - began < tree.END_S
    assert not process.is_running()
    assert one.main.returncode is not None
    assert all(pipe.closed for pipe in one.pipes)
    assert not tree._trees


def test_who_forks_after_the_look_is_killed_with_its_group(start: Start, tmp_path: Path) -> None:
    one = start(f"read line; sh -c '{STAY}' & exit")
    seen = members(one)
    os.write(one.pipes[0].fileno(), b"go\n")
    file = tmp_path / "pid"
    assert soon(lambda: file.exists() and file.read_text())
    forked = psutil.Process(int(file.read_text()))
    assert forked not in seen
    tree._kill(seen)
    assert soon(lambda: not forked.is_running() or forked.status() == psutil.STATUS_ZOMBIE)


def test_it_pauses_before_it_looks_again(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "PAUSE_S", 0.3)

    def ends(one: Tree) -> None:
        began = time.monotonic()
        one.end()
        assert 0.3 <= time.monotonic() - began < tree.END_S

    ends(start("exec sleep 60"))
    hides = start(f"(env -i PATH=$PATH setsid -f sh -c '{STAY}')")
    assert soon(lambda: hides.main.poll() is not None and (tmp_path / "pid").exists())
    ends(hides)


def test_it_knows_who_is_there_from_the_beginning(tmp_path: Path) -> None:
    spec = importlib.util.find_spec(tree.__name__)
    assert spec is not None
    assert spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)  # as if nobody had looked before
    one = fresh.Tree(["sh", "-c", "sleep 60 & wait"], str(tmp_path), ENV, own_session=True)
    try:
        time.sleep(0.1)
        fresh.watch()
        assert soon(lambda: len(fresh.members(one)) == 2)
    finally:
        one.end()


def test_it_may_end_by_itself(start: Start, tmp_path: Path) -> None:
    one = start("cat; sleep 0.2; touch done")
    one.end(patience_s=patience(3))
    assert (tmp_path / "done").exists()
    assert one.main.returncode == 0
    stays = start("sleep 60")
    began = time.monotonic()
    stays.end(patience_s=0.3)
    assert 0.3 <= time.monotonic() - began < patience(3)
    assert stays.main.returncode == -9


@pytest.mark.parametrize("own_session", [True, False])
def test_processes_of_others_are_left_alone(own_session: bool, start: Start) -> None:
    with subprocess.Popen(["sleep", "60"]) as own:  # of this process
        try:
            one = start("sleep 60 & wait", own_session=own_session)
            other = start("sleep 60", own_session=own_session)
            assert soon(lambda: len(members(one)) == 2)
            assert own.pid not in {process.pid for process in members(one)}
            one.end()
            assert other.main.poll() is None
            assert soon(lambda: len(members(other)) >= 1)
            other.end()
            assert own.poll() is None
        finally:
            own.kill()


def test_an_orphan_without_a_token_is_known_by_its_session(start: Start, tmp_path: Path) -> None:
    one = start(f"read line; env -i PATH=$PATH sh -c '{STAY}' & exit")
    other = start("sleep 60")
    assert [process.pid for process in members(one)] == [one.main.pid]
    os.write(one.pipes[0].fileno(), b"go\n")
    file = tmp_path / "pid"
    assert soon(lambda: one.main.poll() is not None and file.exists() and file.read_text())
    orphan = psutil.Process(int(file.read_text()))
    assert members(one) == [orphan]
    one.end()
    assert not orphan.is_running()
    assert other.main.poll() is None


def test_zombies_are_members_until_they_are_let_go(start: Start) -> None:
    one = start("setsid -f sleep 1; exec sleep 60", limit=100_000)

    def ended() -> list[psutil.Process]:
        found = [process for process in members(one) if process.ppid() == os.getpid()]
        return [process for process in found if process.status() == psutil.STATUS_ZOMBIE]

    assert soon(ended)

    def gone() -> bool:
        look()
        return [process.pid for process in members(one)] == [one.main.pid]

    assert soon(gone)


GROW = "import time; held = bytearray({} * 2**20); print(flush=True); time.sleep(60)"


def grown(start: Start, megabytes: int, limit: int | None) -> Tree:
    """A tree whose child has that much memory."""
    one = start(f'"{sys.executable}" -ISc "{GROW.format(megabytes)}" & wait', limit=limit)

    def said() -> bytes | None:
        with contextlib.suppress(BlockingIOError):
            return os.read(one.pipes[1].fileno(), 1)
        return None

    assert soon(said)
    return one


def look() -> None:
    """Look now, however long ago the last time was."""
    tree._watched = 0.0
    watch()


def test_who_uses_too_much_memory_twice_in_a_row_is_killed(start: Start) -> None:
    large, small, free = grown(start, 64, 60), grown(start, 1, 60), grown(start, 64, None)
    look()
    assert state(large) == (True, False, True)  # between fork and exec, a process counts double
    watch()  # too soon to look again
    assert state(large) == (True, False, True)
    look()
    assert large.over_limit
    assert soon(lambda: large.main.poll() is not None)
    for one in (small, free):
        assert state(one) == (False, False, True)


def state(one: Tree) -> tuple[bool, bool, bool]:
    """Whether it is suspect, over its limit, and lives."""
    return one.suspect, one.over_limit, one.main.poll() is None


def test_who_uses_too_much_memory_once_is_not(start: Start) -> None:
    one = grown(start, 64, 60)
    look()
    one.memory_limit_mb = 1000
    look()
    assert not one.suspect
    one.memory_limit_mb = 60
    look()
    assert not one.over_limit


def test_who_ends_while_it_is_looked_at_uses_no_memory(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(process: psutil.Process) -> None:
        raise psutil.NoSuchProcess(process.pid)

    one = start("exec sleep 60", limit=60)
    monkeypatch.setattr(psutil.Process, "memory_info", gone)
    look()
    assert state(one) == (False, False, True)


def test_it_looks_ten_times_a_second(start: Start) -> None:
    one = grown(start, 64, 60)
    look()
    began = time.monotonic()
    while not one.over_limit and time.monotonic() - began < patience(5):
        watch()
        time.sleep(0.005)
    assert time.monotonic() - began >= 0.09
    assert time.monotonic() - began < patience(5)


def test_what_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    for command, folder in ((["no-such-program"], tmp_path), (["true"], tmp_path / "gone")):
        with pytest.raises(OSError, match="No such file"):
            Tree(command, str(folder), ENV, own_session=True)
    with pytest.raises(ValueError, match="null byte"):
        Tree(["true", "\0"], str(tmp_path), ENV, own_session=True)
    assert not tree._trees
