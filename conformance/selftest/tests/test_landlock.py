"""What a thread has given up: by asking it where Landlock is, and by what each version is asked."""

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.process import landlock
from conformance.process.readable import View

there = pytest.mark.skipif(not landlock.version(), reason="this system has no Landlock")


def confined(view: View | None, *asked: Callable[[], Any]) -> list[Any]:
    """What a thread gets that has given up what is outside of a view: a value, or an error."""
    found: list[Any] = []

    def run() -> None:
        found.append(landlock.restrict(view))
        for ask in asked:
            try:
                found.append(ask())
            except OSError as error:
                found.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found.pop(0) is True
    return found


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("read", "listed", "write", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "alone").write_text("alone")
    (tmp_path / "link").symlink_to("other")
    return tmp_path


@there
def test_a_thread_keeps_what_its_view_has(place: Path) -> None:
    read = (f"{place}/gone", f"{place}/link", f"{place}/read", f"{place}/alone")
    view = View(read, (f"{place}/listed",), (f"{place}/write",), ())
    before = open_files()

    def reading(name: str) -> Callable[[], str]:
        return lambda: (place / name).read_text()

    def writing(name: str) -> Callable[[], int]:
        return lambda: (place / name).write_text("new")

    def listing(name: str) -> Callable[[], list[str]]:
        return lambda: [path.name for path in (place / name).iterdir()]

    no = PermissionError
    for ask, due in (
        (reading("read/file"), "read"),
        (reading("alone"), "alone"),
        (reading("listed/file"), no),
        (reading("write/file"), "write"),
        (reading("other/file"), no),
        (reading("link/file"), no),
        (listing("read"), ["file"]),
        (listing("listed"), ["file"]),
        (listing("other"), no),
        (writing("read/file"), no),
        (writing("read/new"), no),
        (writing("alone"), no),
        (writing("listed/new"), no),
        (writing("write/file"), 3),
        (writing("write/new"), 3),
        (lambda: os.mknod(place / "write" / "null", 0o20666, os.makedev(1, 3)), no),
    ):
        assert confined(view, ask) == [due]
    assert (place / "other" / "file").read_text() == "other"  # only these threads gave it up
    assert open_files() == before


@there
def test_a_file_has_the_rights_of_its_folder(place: Path) -> None:
    program = place / "program"
    shutil.copy("/usr/bin/true", program)
    system = tuple(os.path.realpath(f"/{name}") for name in ("usr", "bin", "lib", "lib64", "etc"))
    read, write = (*system, str(program)), (str(place / "alone"), "/dev/null")

    def ask_device() -> int | None:
        with Path("/dev/null").open("rb") as device:
            try:
                fcntl.ioctl(device, termios.TCGETS)
            except OSError as error:
                return error.errno
        return None

    asked = (
        lambda: subprocess.run([program], check=False).returncode,
        lambda: (place / "alone").write_text("new"),
        ask_device,
    )
    # It is no terminal, and may be asked whether it is.
    assert confined(View(read, (), write, ()), *asked) == [0, 3, errno.ENOTTY]


@there
def test_without_a_view_it_keeps_files_and_the_network(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def call() -> bool:
            with socket.socket() as to:  # which needs no files, as looking up a name does
                to.connect(server.getsockname())
                return True

        asked = (
            (place / "other" / "file").read_text,
            (place / "new").mkdir,
            call,
            lambda: os.mknod(place / "null", 0o20666, os.makedev(1, 3)),
        )
        found = confined(None, *asked)
        assert found == ["other", None, True, PermissionError]
        if landlock.version() >= 4:
            view = View(("/",), (), (), ())
            assert confined(view, call) == [PermissionError]


class System:
    """A Linux with some version of Landlock, which keeps what it is asked for."""

    def __init__(self, version: int, fails: int | None = None) -> None:
        self.version, self.fails = version, fails
        self.rulesets: list[tuple[int, int, int, int]] = []
        self.rules: list[int] = []
        self.restricted: list[int] = []

    def __call__(self, number: int, *words: Any) -> int:
        if number == self.fails and words[0] is not None:
            return -1
        if number == 444:
            if words == (None, 0, 1):
                return self.version
            structure, size, flags = words
            found = structure._obj
            assert flags == 0
            self.rulesets.append((found.fs, found.net, found.scoped, size))
            return os.open("/dev/null", os.O_RDONLY)
        if number == 445:
            _, kind, rule, flags = words
            assert (kind, flags) == (1, 0)
            self.rules.append(rule._obj.access)
            return 0
        assert number == 446
        self.restricted.append(words[1])
        return 0


# man 7 landlock: the rights on files of each version, TCP from 4 on, scopes from 6 on, and how
# large the structure is that the version knows.
VERSIONS = {
    1: (13, 0, 0, 8),
    2: (14, 0, 0, 8),
    3: (15, 0, 0, 8),
    4: (15, 3, 0, 16),
    5: (16, 3, 0, 16),
    6: (16, 3, 3, 24),
    7: (16, 3, 3, 24),
}
DEVICES = 1 << 6 | 1 << 11  # to make character and block devices


@pytest.fixture
def without_privileges(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What prctl is asked for, which must be before a thread restricts itself."""
    asked: list[Any] = []
    libc = type("Libc", (), {"prctl": staticmethod(lambda *words: asked.append(words))})
    monkeypatch.setattr(landlock, "_libc", libc)
    return asked


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_is_asked_for_what_it_knows(
    version: int, monkeypatch: pytest.MonkeyPatch, without_privileges: list[Any]
) -> None:
    system = System(version)
    monkeypatch.setattr(landlock, "_syscall", system)
    bits, net, scopes, size = VERSIONS[version]
    every = (1 << bits) - 1
    assert landlock.version() == version
    assert landlock.restrict(View(("/usr",), ("/",), ("/tmp",), ())) is True
    assert system.rulesets == [(every, net, scopes, size)]
    assert system.rules == [0b1101, 0b1000, every & ~DEVICES]  # execute, read, list
    assert system.restricted == [0]
    assert without_privileges == [(38, 1, 0, 0, 0)]
    assert landlock.restrict(None) is True
    assert system.rulesets[1:] == [(DEVICES, 0, scopes, size)]
    assert len(system.rules) == 3


@pytest.mark.parametrize("version", [0, -1])
def test_a_system_without_it_gives_up_nothing(
    version: int, monkeypatch: pytest.MonkeyPatch, without_privileges: list[Any]
) -> None:
    system = System(version)
    monkeypatch.setattr(landlock, "_syscall", system)
    assert landlock.version() == 0
    assert landlock.restrict(None) is False
    assert (system.rulesets, system.restricted, without_privileges) == ([], [], [])


@pytest.mark.parametrize("fails", [444, 446])
def test_what_the_system_refuses_is_told(
    fails: int, monkeypatch: pytest.MonkeyPatch, without_privileges: list[Any]
) -> None:
    monkeypatch.setattr(landlock, "_syscall", System(7, fails))
    assert landlock.restrict(None) is False
