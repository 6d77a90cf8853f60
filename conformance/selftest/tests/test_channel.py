"""A line in, a line out: whatever the process does, who asks gets an answer or trouble in time."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.ground.statuses import Status
from conformance.process import tree
from conformance.process.channel import Channel, Trouble, delete_folder
from conformance.process.sandbox import Reach
from conformance.selftest.patience import patience

ENV = {"PATH": os.environ["PATH"]}
LONG = patience(3)
Open = Callable[..., Channel]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open a channel to a script of the shell, or of Python."""
    channels: list[Channel] = []

    def run(script: str, *, python: bool = False, limit: int = 10_000, **more: Any) -> Channel:
        command = [sys.executable, "-ISc", script] if python else ["sh", "-c", script]
        one = Channel(command, ENV, limit, **more)
        channels.append(one)
        return one

    yield run
    for one in channels:
        one.kill()


def trouble(one: Channel, request: bytes = b"go\n", **more: Any) -> tuple[Status, str]:
    """The trouble that asking gives."""
    limits = {"limit_s": LONG, "max_bytes": 1000} | more
    with pytest.raises(Trouble) as caught:
        one.ask(request, **limits)
    assert str(caught.value) == caught.value.reason
    return caught.value.status, caught.value.reason


ECHO = 'while read line; do echo "$line $line"; done'


def test_each_line_is_answered_by_a_line(opened: Open) -> None:
    one = opened(ECHO)
    for word in (b"one", b"two"):
        assert one.ask(word + b"\n", LONG, 1000) == word + b" " + word
    assert set(one.within_reach) <= set(Reach)


def test_lines_of_any_length_go_both_ways(opened: Open) -> None:
    one = opened(ECHO.replace('"$line $line"', '"$line"').replace("while", "while IFS="))
    for size in (2**16, 2**18 + 3, 0):
        line = b"x" * size
        assert one.ask(line + b"\n", LONG, size) == line


def test_a_request_that_nobody_reads_does_not_hold_up(opened: Open) -> None:
    one = opened("read line; exec <&-; echo ok; exec sleep 60")
    assert one.ask(b"go\n" + b"x" * 2**20, LONG, 10) == b"ok"


def test_a_request_waits_for_room(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    write, refused = os.write, list[int]()

    def full_at_first(stream: int, data: bytes) -> int:
        if not refused:
            refused.append(stream)
            raise BlockingIOError
        return write(stream, data)

    one = opened(ECHO)
    monkeypatch.setattr(os, "write", full_at_first)
    assert one.ask(b"word\n", LONG, 1000) == b"word word"
    assert refused


def test_it_wakes_for_each_event_and_for_nothing_else(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = list[float]()
    monkeypatch.setattr(tree, "WATCH_S", LONG)
    monkeypatch.setattr(tree, "watch", lambda: woken.append(time.monotonic()))
    one = opened("read line; exec 2>&-; sleep 0.3; echo ok; exec sleep 60")
    began = time.monotonic()
    assert one.ask(b"go\n", 2 * LONG, 100) == b"ok"
    assert time.monotonic() - began < LONG
    assert len(woken) <= 3  # stdin has room, stderr is closed, stdout has a line


@pytest.mark.parametrize(("most", "fits"), [(8, True), (7, False)])
def test_an_answer_is_at_most_so_long(most: int, fits: bool, opened: Open) -> None:
    one = opened("read line; echo 12345678; exec sleep 60")
    if fits:
        assert one.ask(b"go\n", LONG, most) == b"12345678"
    else:
        due = Status.GARBAGE, "answer is longer than 7 bytes"
        assert trouble(one, max_bytes=most) == due


def test_an_answer_without_end_is_cut_off(opened: Open) -> None:
    began = time.monotonic()
    found = trouble(opened("read line; cat /dev/zero"), max_bytes=2**20)
    assert found == (Status.GARBAGE, f"answer is longer than {2**20} bytes")
    assert time.monotonic() - began < LONG


def test_who_speaks_without_being_asked_is_told(opened: Open) -> None:
    said = Status.GARBAGE, "wrote to stdout without being asked"
    one = opened("read line; echo yes; echo no; exec sleep 60")
    assert one.ask(b"go\n", LONG, 100) == b"yes"
    time.sleep(0.1)
    assert trouble(one) == said
    one = opened("read line; printf 'yes\\n!'; exec sleep 60")  # as little as there can be
    assert one.ask(b"go\n", LONG, 100) == b"yes"
    time.sleep(0.1)
    assert trouble(one) == said
    one = opened("echo hello; exec sleep 60")
    time.sleep(0.3)
    assert trouble(one) == said


def test_who_is_silent_is_out_of_time(opened: Open) -> None:
    one = opened("echo why >&2; exec sleep 60")
    began = time.monotonic()
    status, reason = trouble(one, limit_s=0.5)
    assert 0.5 <= time.monotonic() - began < LONG
    assert (status, reason) == (Status.TIMEOUT, "no answer within 0.5 s; it said:\n    why")


def test_who_does_nothing_is_found_out_sooner(opened: Open) -> None:
    began = time.monotonic()
    status, reason = trouble(opened("echo why >&2; exec sleep 60"), idle_s=0.7)
    assert 0.7 <= time.monotonic() - began < LONG
    due = "no answer within 0.7 s, in which it did nothing; it said:\n    why"
    assert (status, reason) == (Status.TIMEOUT, due)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("read line; echo why >&2; exit 3", "ended with exit code 3 without answering; it said:"),
        ("read line; exit 0", "ended with exit code 0 without answering"),
        ("read line; printf half; exit 1", "ended with exit code 1 without answering"),
        ("read line; kill -ABRT $$", "was killed by SIGABRT, which means that it called abort"),
        ("exit 2", "ended with exit code 2 without answering"),
        ("read line; exec >&-; sleep 0.2; echo why >&2; exit 5", "ended with exit code 5 without"),
        # A child keeps the pipe open.
        ("read line; sleep 60 & exit 4", "ended with exit code 4 without answering"),
        ("read line; exec >&- ; exec sleep 60", "closed its stdout without answering"),
    ],
)
def test_who_ends_without_an_answer_is_told(script: str, says: str, opened: Open) -> None:
    began = time.monotonic()
    status, reason = trouble(opened(script))
    assert status == Status.CRASH
    assert reason.startswith(says)
    assert reason.endswith("why") == ("why" in script)
    assert time.monotonic() - began < LONG


def test_an_answer_may_be_the_last_that_it_did(opened: Open) -> None:
    assert opened("read line; echo last; exit 1").ask(b"go\n", LONG, 100) == b"last"
    one = opened("sleep 60 & read line; echo last; exit 1")
    assert one.ask(b"go\n", LONG, 100) == b"last"


def test_stderr_does_not_fill_up_and_may_be_closed(opened: Open) -> None:
    code = "import os; input(); os.write(2, b'e' * 2**20); os.close(2); print('ok')"
    assert opened(code, python=True).ask(b"go\n", LONG, 100) == b"ok"


def test_what_it_said_before_belongs_to_another_request(opened: Open) -> None:
    script = "read a; echo before >&2; sleep 0.1; echo ok; read b; echo after >&2; exit 1"
    one = opened(script)
    assert one.ask(b"a\n", LONG, 100) == b"ok"
    _, reason = trouble(one)
    assert reason.endswith("; it said:\n    after")


def test_memory_is_limited(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    grow = "import sys, time; input(); print(file=sys.stderr); held = bytearray(2**27)"
    one = opened(grow + "; time.sleep(60)", python=True, limit=64)
    assert trouble(one) == (Status.CRASH, "used more than 64 MB of memory")


def test_it_starts_in_an_empty_folder_of_its_own(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "file").write_text("mine")
    (tmp_path / "writes").mkdir()
    tell = f'echo "$(pwd) $TMPDIR $(ls | wc -l) $(cat {tmp_path}/own/file)"'
    script = f"read line; {tell}; touch new {tmp_path}/writes/new; exec sleep 60"
    one = opened(script, own=[tmp_path / "own"], writes=[tmp_path / "writes"])
    folder, temporary, files, read = one.ask(b"go\n", LONG, 1000).decode().split()
    assert folder == temporary
    assert (files, read) == ("0", "mine")
    assert Path(folder).name.startswith("port-")
    end = time.monotonic() + LONG
    while not (tmp_path / "writes" / "new").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert (tmp_path / "writes" / "new").exists()
    one.kill()
    assert not Path(folder).exists()
    assert not tree._trees


def test_it_may_end_by_itself_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end = tree.Tree.end
    script = f"cat; sleep 0.2; touch {tmp_path}/done"
    with Channel(["sh", "-c", script], ENV, 10_000, writes=[tmp_path]) as one:
        folder = Path(one._folder)
    assert (tmp_path / "done").exists()
    assert not folder.exists()
    waited: list[float] = []

    def noted(one: tree.Tree, patience_s: float = 0.0) -> None:
        waited.append(patience_s)
        end(one)

    monkeypatch.setattr(tree.Tree, "end", noted)
    for close in (Channel.close, Channel.kill):
        one = Channel(["sleep", "60"], ENV, 10_000)
        close(one)
        assert one._tree.main.returncode == -9
        assert not Path(one._folder).exists()
    assert waited == [1.0, 0.0]


def test_an_interrupt_on_the_terminal_does_not_reach_it(opened: Open) -> None:
    one = opened("exec sleep 60")
    assert os.getsid(one._tree.main.pid) != os.getsid(0)


def test_it_can_be_interrupted(opened: Open) -> None:
    one = opened("exec sleep 60")
    one.interrupt()
    status, reason = trouble(one)
    assert status == Status.CRASH
    assert reason.startswith("was killed by SIGKILL")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-program"], "cannot be started: no such program: no-such-program"),
        (["sh", "\0"], "cannot be started: embedded null byte"),
    ],
)
def test_what_cannot_be_started_is_told_and_leaves_nothing(
    command: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(Trouble) as caught:
        Channel(command, ENV, 100)
    assert (caught.value.status, caught.value.reason) == (Status.CRASH, says)
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(Trouble, match=r"cannot be started: .*No such file"):
        Channel(["sh"], ENV, 100)


def test_trouble_keeps_what_happened_apart_from_what_was_said() -> None:
    one = Trouble(Status.CRASH, "ended", "; it said: why")
    assert (one.what, one.said, one.reason) == ("ended", "; it said: why", "ended; it said: why")
    assert str(one) == one.reason
    assert Trouble(Status.CRASH, "ended").reason == "ended"


def test_a_folder_is_deleted_whatever_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_folder("")
    locked = tmp_path / "locked"
    (locked / "inner").mkdir(parents=True)
    (locked / "inner" / "file").touch()
    (locked / "inner").chmod(0)
    delete_folder(str(locked))
    assert not locked.exists()

    def fails(error: type[Exception] | None) -> Callable[..., None]:
        def remove(*_: Any, **__: Any) -> None:
            if error is not None:
                raise error

        return remove

    for error in (RecursionError, None):  # deeper than Python can go, or locked for it
        (locked / "inner").mkdir(parents=True)
        (locked / "inner").chmod(0o500)
        monkeypatch.setattr(shutil, "rmtree", fails(error))
        delete_folder(str(locked))
        assert not locked.exists()
    (tmp_path / "link").symlink_to("nothing")
    delete_folder(str(tmp_path / "link"))
    assert not (tmp_path / "link").is_symlink()
    locked.mkdir()
    monkeypatch.setenv("PATH", "")  # neither chmod nor rm
    delete_folder(str(locked))
    assert locked.exists()
