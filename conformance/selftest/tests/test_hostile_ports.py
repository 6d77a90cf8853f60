"""No port can harm a run: each ends in its status, the next one passes, and nothing is left."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from conformance.process.channel import Channel, Trouble
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import (
    CASES,
    MANIFEST,
    ROOT,
    Conformance,
    MakePort,
    PatchedC,
)
from conformance.selftest.tests.hostile_ports import EAT, MARK, PYTHON, SCRIPTED, C, Hostile
from conformance.targets import build, manifest


@pytest.fixture
def mark() -> str:
    """Seconds to sleep, about a day, as no other test does."""
    return f"86399.{uuid.uuid4().int}"


@pytest.fixture
def harness_tmp(tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The harness's folder for temporary files: in the end, nothing is in it or lives in it."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []
    assert processes_of(folder, mark) == []


def processes_of(folder: Path, mark: str) -> list[str]:
    """The command lines of processes that a run started: some have rid themselves of TMPDIR."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            if str(folder) in process.environ().get("TMPDIR", "") or mark in command:
                found.append(command)
    return found


def manifest_of(port: Hostile, run: str | None = None) -> str:
    """The manifest of a scripted port or, with `run`, that of a Python module."""
    text = MANIFEST.replace(
        "time_limit_s = 2.0",
        f"time_limit_s = {port.time_limit_s}\nmemory_limit_mb = {port.memory_limit_mb}",
    )
    if run is None:
        return text
    kept = [line for line in text.splitlines() if not line.startswith("command")]
    return "\n".join(kept).replace('"process"', '"python"').replace("[run]", f"[run]\n{run}")


def make_python_port(folder: Path, name: str, port: Hostile) -> Path:
    made = folder / "made" / name
    made.mkdir(parents=True)
    (made / "port.py").write_text(port.code)
    (made / "port.toml").write_text(manifest_of(port, 'module = "port.py"'))
    return made


def test_no_hostile_port_can_harm_a_run(
    conformance: Conformance,
    make_port: MakePort,
    patched_c: PatchedC,
    tmp_path: Path,
    harness_tmp: Path,
    mark: str,
) -> None:
    folders = [
        make_port(name, port.code.replace(MARK, mark), manifest_of(port))
        for name, port in SCRIPTED.items()
    ]
    folders += [make_python_port(tmp_path, name, port) for name, port in PYTHON.items()]
    folders += [patched_c(name, *lines) for name, (lines, _, _) in C.items()]
    for place in range(len(folders), -1, -10):
        folders.insert(place, make_port(f"healthy_{place}"))
    started = time.monotonic()
    # By relative paths, since the ports run elsewhere.
    done = conformance(*(os.path.relpath(folder, ROOT) for folder in folders))
    print(f"{len(folders)} ports in {time.monotonic() - started:.1f} s")

    expected = {name: (port.status, port.reason) for name, port in (SCRIPTED | PYTHON).items()}
    expected |= {name: (status, reason) for name, (_, status, reason) in C.items()}
    wrong = []
    for folder in folders:
        name = folder.name
        status, reason = expected.get(name, ("PASS", ""))
        [got] = [v for v in done.verdicts(name) if v["dtype"] == "float64"]
        print(f"{name:24} {got['status']:8} {got['reason'][:100]!r}")
        if got["status"] != status or reason not in got["reason"]:
            wrong.append(f"{name}: {got['status']} {got['reason']}, not {status} {reason}")
    beats = Path("/dev/shm") / f"beats-{mark}"  # where a port may write, and nobody cleans up
    count = beats.stat().st_size
    time.sleep(0.5)
    assert 0 < count == beats.stat().st_size  # it ran, until its last case was done
    beats.unlink()
    assert wrong == []
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_an_interrupted_run_leaves_nothing(
    make_port: MakePort, harness_tmp: Path, tmp_path: Path, mark: str
) -> None:
    port = make_port(
        "hangs",
        f"subprocess.Popen(['setsid', 'sleep', '{mark}'])\nif op == 'step': time.sleep(86400)",
        MANIFEST.replace("2.0", "3600.0"),
    )
    command = [sys.executable, "-m", "pytest", "conformance", "-q", "--no-timing"]
    command += ["--cases", str(CASES / "one-step.toml"), "--seed", "none", "-p", "no:cacheprovider"]
    command += ["--results", str(tmp_path / "results.json"), "--port", str(port)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as harness:
        while not any(mark in line for line in processes_of(harness_tmp, mark)):
            assert harness.poll() is None
            time.sleep(0.1)
        harness.send_signal(signal.SIGINT)
        said, _ = harness.communicate(timeout=patience(60))
    assert harness.returncode == 130
    assert "stopped after 0 of 1 verdict" in said


Start = Callable[..., Channel]
SILENT = "import time; time.sleep(86400)"


@pytest.fixture
def start(harness_tmp: Path) -> Iterator[Start]:
    """Open channels to pieces of Python; they are closed in the end."""
    channels = []

    def start(code: str, memory_limit_mb: int = 4096) -> Channel:
        command = [sys.executable, "-c", code]
        channels.append(Channel(command, dict(os.environ), memory_limit_mb))
        return channels[-1]

    yield start
    for channel in channels:
        channel.close()


def trouble(channel: Channel, request: bytes = b"?\n", limit_s: float = 10.0) -> Trouble:
    with pytest.raises(Trouble) as caught:
        channel.ask(request, limit_s, max_bytes=1000)
    return caught.value


def test_a_request_larger_than_the_pipe_is_not_waited_for(start: Start) -> None:
    assert trouble(start(SILENT), b"x" * 2**24, limit_s=0.5).status == "TIMEOUT"


def test_of_an_endless_answer_hardly_more_is_read_than_can_be_right(start: Start) -> None:
    channel = start("input()\nwhile True: print('1' * 10**6, end='')")
    found = trouble(channel)
    assert (found.status, found.reason) == ("GARBAGE", "answer is longer than 1000 bytes")
    assert len(channel._unread) < 1000 + 2**16


@pytest.mark.parametrize(("length", "right"), [(1000, True), (1001, False)])
def test_the_longest_answer(start: Start, length: int, right: bool) -> None:
    channel = start(f"input(); print('1' * {length}, flush=True); {SILENT}")
    if right:
        assert channel.ask(b"?\n", 10.0, max_bytes=1000) == b"1" * length
    else:
        assert trouble(channel).status == "GARBAGE"


def test_the_last_answer_of_a_process_counts(start: Start) -> None:
    channel = start("input(); print('x' * 500)")
    assert channel.ask(b"?\n", 10.0, max_bytes=1000) == b"x" * 500
    assert trouble(channel).status == "CRASH"


def test_a_port_is_watched_while_another_is_asked(start: Start) -> None:
    eater = start(EAT, memory_limit_mb=200)
    trouble(start(SILENT), limit_s=2.0)
    found = trouble(eater)
    assert (found.status, found.reason) == ("CRASH", "used more than 200 MB of memory")


def test_a_daemon_ends_with_its_port_and_not_with_another(
    start: Start, harness_tmp: Path, mark: str
) -> None:
    other = start(f"input(); print('x', flush=True); {SILENT}")
    daemon = f"import os; os.system('setsid sleep {mark} &'); input(); print('x', flush=True)"
    port = start(f"{daemon}; {SILENT}")
    port.ask(b"?\n", 10.0, max_bytes=1000)
    assert any(mark in line for line in processes_of(harness_tmp, mark))
    other.ask(b"?\n", 10.0, max_bytes=1000)
    other.kill()
    assert any(mark in line for line in processes_of(harness_tmp, mark))
    start(SILENT)
    port.kill()
    assert not any(mark in line for line in processes_of(harness_tmp, mark))


def test_what_cannot_be_started_leaves_nothing(harness_tmp: Path) -> None:
    for command in (["./port"], ["no\0such"], [str(harness_tmp)]):
        with pytest.raises(Trouble, match="cannot be started") as caught:
            Channel(command, dict(os.environ), 4096)
        assert caught.value.status == "CRASH"
        assert list(harness_tmp.iterdir()) == []


# What a build command does, how it ends, and a part of the message.
COMMANDS = [
    (f"sleep {MARK} & echo 1.2.3", True, "1.2.3"),
    (f"setsid sleep {MARK} & echo 1.2.3", True, "1.2.3"),
    (f"sleep {MARK} & sleep {MARK}", False, "took over 2 s"),
    ("yes; exit 3", False, "took over 2 s"),
    ("yes | head -c 10000000 >&2; exit 3", False, "y\ny\ny"),
    ("exec >&- 2>&-; sleep 0.2; exit 4", False, "ended with 4"),
    ("kill -9 $$", False, "ended with -9"),
]


@pytest.mark.parametrize(("command", "ok", "said"), COMMANDS)
def test_a_build_command_is_bounded_and_leaves_no_process(
    make_port: MakePort, harness_tmp: Path, mark: str, command: str, ok: bool, said: str
) -> None:
    port = manifest.load(make_port("p"))
    outcome = build.run_short(["sh", "-c", command.replace(MARK, mark)], port, limit_s=2.0)
    assert outcome.ok == ok
    assert said in outcome.text
    assert len(outcome.text) <= 2**16
