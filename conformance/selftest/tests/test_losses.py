"""Whatever ends a run (^C, kill -9, a full disk), nothing that was there is lost, or half new."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from conformance.record.models import Results
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import CASES, ROOT
from reference.golden import checksums

TIMES = 3  # a run is ended at so many moments, drawn at random
LONGEST_S = 4.0
LEAST_AT_WORK = 2  # runs that had something left to do when they were ended
# What it writes, with a traceback, if it is interrupted before it runs any line of a program.
PYTHON_ITSELF = "Fatal Python error: init"


def start(*words: str | Path, temporary: Path) -> subprocess.Popen[str]:
    """A command in a session of its own; its processes have `temporary` as TMPDIR."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )


def left(temporary: Path) -> list[str]:
    """What still runs of a command that has this TMPDIR, and of the ports that it started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(temporary) in process.environ().get("TMPDIR", ""):
                found.append(" ".join(process.cmdline()))
    return found


def longer() -> Iterator[float]:
    """How long a run may go on before it is ended, in seconds: the same, then more and more.

    A slow machine needs more, to come as far as there is something to lose.
    """
    yield from [LONGEST_S] * TIMES
    yield from (LONGEST_S * 2**n for n in range(1, 5))


def gone(temporary: Path, limit_s: float = patience(15)) -> bool:
    """True once nothing runs any more."""
    deadline = time.monotonic() + limit_s
    while left(temporary) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not left(temporary)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_conformance_run_may_end_at_any_moment(end: signal.Signals, tmp_path: Path) -> None:
    moments = random.Random(end)
    file = tmp_path / "results.json"
    words = ("conformance", "check", "c", "numpy", "--seed", "none", "--results", file)
    with_ports = with_verdicts = 0
    for number, longest_s in enumerate(longer()):
        if number >= TIMES and with_ports and (with_verdicts or end == signal.SIGKILL):
            break
        file.write_text("as it was")
        temporary = tmp_path / f"tmp-{number}-{uuid.uuid4().hex}"
        temporary.mkdir()
        with start(*words, temporary=temporary) as run:
            time.sleep(moments.uniform(0.4, longest_s))
            with_ports += len(left(temporary)) > 1
            run.send_signal(end)
            said, _ = run.communicate(timeout=patience(60))
        assert gone(temporary), left(temporary)
        if PYTHON_ITSELF in said:
            continue
        assert "Traceback" not in said, said
        if file.read_text() != "as it was":
            found = Results.model_validate_json(file.read_bytes())
            assert not found.complete
            with_verdicts += len(found.results) > 0
            assert {r.status for r in found.results} <= {"PASS"}
            assert run.returncode == 130
        if end != signal.SIGKILL:
            assert list(temporary.iterdir()) == []
            assert run.returncode in (130, -end)
        assert {path.name for path in tmp_path.glob("[!t]*")} == {"results.json"}
    else:
        pytest.fail(f"{with_ports} runs had ports to end, and {with_verdicts} verdicts to keep")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_golden_data_is_whole_whenever_it_ends(end: signal.Signals, tmp_path: Path) -> None:
    moments = random.Random(end)
    cases = [
        CASES / f"{name}.toml" for name in ("one-step", "smallest", "softmax-one", "bias-step")
    ]
    (tmp_path / "cases").mkdir()
    golden = tmp_path / "golden"
    golden.mkdir()
    before = {}
    for case in cases:
        shutil.copy(case, tmp_path / "cases")
        kept = golden / f"{case.stem}.json"
        shutil.copy(CASES.parent / "golden" / kept.name, kept)
        before[kept.name] = json.loads(kept.read_text())
    checksums.record(golden, golden.glob("*.json"))
    at_work, longest_s = 0, LONGEST_S
    for number in range(5 * TIMES):
        if number >= TIMES and at_work >= LEAST_AT_WORK:
            break
        temporary = tmp_path / f"tmp-{number}-{uuid.uuid4().hex}"
        temporary.mkdir()
        with start("reference", "golden", tmp_path / "cases", temporary=temporary) as run:
            time.sleep(moments.uniform(0.2, longest_s))
            if run.poll() is None:
                at_work += 1
            else:  # it had ended by itself: a fast machine
                longest_s = max(0.4, longest_s / 2)
            run.send_signal(end)
            said, _ = run.communicate(timeout=patience(60))
        assert gone(temporary), left(temporary)
        if PYTHON_ITSELF in said:
            continue
        # A worker may say that the program it worked for was killed: it has nobody to tell.
        assert end == signal.SIGKILL or "Traceback" not in said, said
        for name, file in before.items():
            # Old or new, it is whole, and has the same values.
            now = json.loads((golden / name).read_text())
            assert now["case"] == file["case"]
            assert [e["tensors"][0]["value"] for e in now["float64"]["checkpoints"]] == [
                e["tensors"][0]["value"] for e in file["float64"]["checkpoints"]
            ]
    assert before
    assert at_work >= LEAST_AT_WORK, "the others had ended by themselves"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, with 100 bytes left and a results file that was there before."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        (folder / "results.json").write_text("as it was")
        with contextlib.suppress(OSError), open(folder / "filler", "wb") as filler:
            while True:
                filler.write(bytes(512))
                filler.flush()
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_results_that_were_there(small_disk: Path) -> None:
    file = small_disk / "results.json"
    names = sorted(path.name for path in small_disk.iterdir())
    words = [
        "conformance",
        "check",
        "c",
        "--cases",
        "one-step",
        "--no-timing",
        "--results",
        str(file),
    ]
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    told = " ".join(done.stdout.split())
    assert f"error: {file}: cannot be written: No space left on device" in told
    assert "Traceback" not in done.stdout + done.stderr
    assert "PASS" in done.stdout  # what was judged is told all the same
    assert file.read_text() == "as it was"
    assert sorted(path.name for path in small_disk.iterdir()) == names


def test_a_full_disk_leaves_the_golden_data_that_was_there(
    small_disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "cases").mkdir()
    shutil.copy(CASES / "one-step.toml", tmp_path / "cases")
    (small_disk / "filler").rename(small_disk / "one-step.json")
    (tmp_path / "golden").symlink_to(small_disk)
    before = (small_disk / "one-step.json").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "reference", "golden", str(tmp_path / "cases")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert (small_disk / "one-step.json").read_bytes() == before
    assert {path.name for path in small_disk.iterdir()} == {"one-step.json", "results.json"}


EARLY = """
import sys
import pytest
from conformance import command_line

class Early:
    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self):
        raise KeyboardInterrupt

whole = pytest.main
pytest.main = lambda arguments, plugins: whole(arguments, [*plugins, Early()])
sys.exit(command_line.main())
"""


def test_an_interrupt_before_the_first_test_is_one_too(tmp_path: Path) -> None:
    """pytest alone would end with 2, the status of a user's mistake."""
    file = tmp_path / "results.json"
    report = ["--junit", str(tmp_path / "junit.xml")]  # without one, there is no pytest
    words = ["check", "c", "--cases", "one-step", "--results", str(file), *report]
    command = [sys.executable, "-c", EARLY, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 130
    assert not file.exists()
