"""What a port's author reads when something is wrong: the cause, by its name, and what to do."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conformance.ground.statuses import Status
from conformance.process.channel import Channel, Trouble
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import (
    MANIFEST,
    PYTHON_MANIFEST,
    PYTHON_MODULE,
    ROOT,
    Conformance,
    MakePort,
    PatchedC,
)


def test_it_says_what_it_builds_and_for_how_long(
    conformance: Conformance, patched_c: PatchedC
) -> None:
    folder = patched_c("mine")
    first, second = conformance(folder), conformance(folder)
    assert first.returncode == second.returncode == 0
    lines = first.stderr.splitlines()
    assert lines[0] == "building mine"
    assert re.fullmatch(r"built mine in \d+(\.\d)? s", lines[1])
    assert "buil" not in second.stderr
    broken = conformance(patched_c("broken", ("static real sigmoid(real x) {", "static rael x {")))
    assert re.search(r"^could not build broken in [\d.]+ s$", broken.stderr, re.M)


def test_what_needs_no_build_is_not_said_to_be_built(
    conformance: Conformance, make_port: MakePort
) -> None:
    assert "buil" not in conformance(make_port("p")).stderr


# Of backprop_train.
END = "return BACKPROP_OK;\n}\n\n/* An ensemble,"


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("return 3;", "FAIL", "backprop_train_f64 returned 3 (BACKPROP_NO_MEMORY)"),
        ("return 77;", "FAIL", "backprop_train_f64 returned 77 (which backprop.h does not have)"),
        ("__builtin_trap(); return 0;", "CRASH", "in backprop_train_f64: was killed by SIGILL"),
        (
            "*(volatile int *)(intptr_t)(iteration < 1 << 30) = 1; return 0;",
            "CRASH",
            "in backprop_train_f64: was killed by SIGSEGV",
        ),
    ],
)
def test_of_a_library_the_function_and_its_status_are_named(
    code: str, status: str, reason: str, conformance: Conformance, patched_c: PatchedC
) -> None:
    done = conformance(patched_c("mine", (END, END.replace("return BACKPROP_OK;", code))))
    found = [v for v in done.verdicts("mine") if v["dtype"] == "float64"]
    assert [v["status"] for v in found] == [status]
    assert found[0]["reason"].startswith(reason)


def test_of_other_ports_what_they_were_asked(conformance: Conformance, make_port: MakePort) -> None:
    aborts = make_port("aborts", "if op == 'train': os.abort()")
    hangs = make_port("hangs", "if op == 'step': time.sleep(60)")
    module = make_port("module", manifest=PYTHON_MANIFEST.replace("CAPABILITIES", "[]"))
    code = PYTHON_MODULE.replace("SABOTAGE", "import os\n    os.abort()")
    (module / "port.py").write_text(code)
    done = conformance(aborts, hangs, module)
    for port, reason in (
        ("aborts", "asked for train: was killed by SIGABRT"),
        ("hangs", "asked for step: no answer within 2 s"),
        ("module", "in train: was killed by SIGABRT"),
    ):
        [verdict] = done.verdicts(port)
        assert verdict["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("detect", "install", "says"),
    [
        (
            '["zig-1", "version"]',
            '"apt-get install zig"',
            "zig-1 version: not found; install: apt-get install zig",
        ),
        ('["zig-1", "version"]', None, "zig-1 version: not found"),
        (
            '["{python}", "-c", "import no_such_package; print(1)"]',
            '"pip install it"',
            "python -c import no_such_package; print( ...: ModuleNotFoundError: No module named "
            "'no_such_package'; install: pip install it",
        ),
    ],
)
def test_a_missing_toolchain_names_what_was_tried(
    detect: str, install: str | None, says: str, conformance: Conformance, make_port: MakePort
) -> None:
    manifest = MANIFEST.replace('["true"]', detect)
    line = f"install = {install}\n" if install else ""
    port = make_port("absent", manifest=manifest.replace('install = "nothing"\n', line))
    done = conformance(port, make_port("p"))
    assert done.returncode == 0
    assert [v["reason"] for v in done.verdicts("absent")] == [says]
    command = [sys.executable, "-m", "conformance", "ports", str(port)]
    listed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "missing:" in listed
    done_again = subprocess.run([*command, "--missing"], capture_output=True, text=True, cwd=ROOT)
    assert done_again.stdout == (f"{install[1:-1]}\n" if install else "")


# As programs print that follow the locale of Germany.
COMMAS = {
    "lists": "text = json.dumps(answer, separators=(',', ':')).replace('.', ',')",
    "spaces": "text = json.dumps(answer).replace('.', ',')",
    "texts": r"""text = re.sub(r'(-?\d+)\.(\d+)(e-?\d+)?', r'"\1,\2"', json.dumps(answer))""",
    "train": "text = json.dumps(answer)\nif op == 'train': text = text.replace('.', ',')",
}


@pytest.mark.parametrize("name", COMMAS)
def test_a_decimal_comma_is_told_as_that(
    name: str, conformance: Conformance, make_port: MakePort
) -> None:
    port = make_port(name, f"import re\n{COMMAS[name]}\nprint(text, flush=True)\ncontinue")
    [verdict] = conformance(port).verdicts(name)
    assert verdict["status"] == "GARBAGE"
    assert re.search(r"; it writes -?\d+,\d+ with a decimal comma, and JSON has", verdict["reason"])


def test_what_has_no_decimal_comma_is_not_told_so(
    conformance: Conformance, make_port: MakePort
) -> None:
    ints = "if op == 'step':\n    answer['l'] = [[[0, 0], [0, 0]]]"
    compact = f"{ints}\nprint(json.dumps(answer, separators=(',', ':')), flush=True)\ncontinue"
    [verdict] = conformance(make_port("p", compact)).verdicts("p")
    assert verdict["status"] == "GARBAGE"
    assert "comma" not in verdict["reason"]


def test_a_port_that_keeps_its_answers_is_told_soon(
    conformance: Conformance, make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python keeps what it prints to a pipe until the end, unless it is told to flush."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    port = make_port("p", "print(json.dumps(answer))\ncontinue")
    manifest = port / "port.toml"
    text = manifest.read_text().replace('"-u", ', "").replace("time_limit_s = 2.0\n", "")
    manifest.write_text(text)
    started = time.monotonic()
    [verdict] = conformance(port).verdicts("p")
    assert 10 < time.monotonic() - started < patience(40)
    assert verdict["status"] == "TIMEOUT"
    assert verdict["reason"] == (
        "on start: no answer within 10 s, in which it did nothing; is each answer flushed?"
    )


def greeted(code: str, limit_s: float, idle_s: float) -> bytes:
    """What a Python program answers to a line."""
    with Channel([sys.executable, "-c", code], {}, 1000) as channel:
        return channel.ask(b"hello\n", limit_s, 100, idle_s)


BUSY = "import time\nend = time.monotonic() + 4\nwhile time.monotonic() < end: pass\n"
CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}])\n"


@pytest.mark.parametrize("code", [BUSY, CHILD])
def test_a_slow_start_is_no_silence(code: str) -> None:
    """As of who loads a large library, or compiles in another process."""
    assert greeted(f"{code}print('hi', flush=True)", limit_s=60, idle_s=1.5) == b"hi"


def test_a_start_is_not_waited_for_for_ever() -> None:
    with pytest.raises(Trouble, match=r"no answer within 3 s$") as trouble:
        greeted("while True: pass", limit_s=3, idle_s=1.5)
    assert trouble.value.status == Status.TIMEOUT


@pytest.mark.parametrize("first", ["", BUSY.replace("+ 4", "+ 1")])
def test_silence_counts_from_the_last_work_on(first: str) -> None:
    started = time.monotonic()
    with pytest.raises(Trouble, match=r"no answer within 2 s, in which it did nothing$"):
        greeted(f"{first}import time; time.sleep(86400)", limit_s=3600, idle_s=2)
    assert 2 < time.monotonic() - started < patience(30)


@pytest.fixture
def own_python(tmp_path: Path) -> Path:
    """The Python of an environment that has NumPy and nothing else."""
    folder = tmp_path / "own"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    for path in Path(np.__file__).parents[1].glob("numpy*"):
        if path.name in ("numpy", "numpy.libs"):
            (packages / path.name).symlink_to(path)
    return folder / "bin" / "python"


TOLD = """
import importlib.util, sys

def device():
    harness = "pydantic", "psutil", "cffi"
    return f"{sys.prefix} lacks {[name for name in harness if not importlib.util.find_spec(name)]}"
"""


def test_a_python_port_runs_in_an_environment_of_its_own(
    own_python: Path, conformance: Conformance, make_port: MakePort
) -> None:
    manifest = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha", "layers"]')
    ports = [
        make_port("own", manifest=f'{manifest}interpreter = "{own_python}"\n'),
        make_port("same", manifest=manifest),
    ]
    for port in ports:
        (port / "port.py").write_text(TOLD + PYTHON_MODULE.replace("SABOTAGE", "pass"))
    done = conformance(*ports, cases="one-step")
    assert done.returncode == 0, done.stdout
    assert done.statuses("own") == done.statuses("same") == {"PASS"}
    assert done.results is not None
    devices = {port["port"]: port["device"] for port in done.results["ports"]}
    assert devices["own"] == f"{own_python.parents[1]} lacks ['pydantic', 'psutil', 'cffi']"
    assert devices["same"].endswith(" lacks []")


def test_an_interpreter_may_lie_in_the_port_or_be_missing(
    own_python: Path, conformance: Conformance, make_port: MakePort
) -> None:
    manifest = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha", "layers"]')
    inside = make_port("inside", manifest=f'{manifest}interpreter = "own/bin/python"\n')
    (inside / "own").symlink_to(own_python.parents[1])
    absent = make_port("absent", manifest=f'{manifest}interpreter = "no-such-python"\n')
    for port in (inside, absent):
        (port / "port.py").write_text(PYTHON_MODULE.replace("SABOTAGE", "pass"))
    done = conformance(inside, absent)
    assert done.statuses("inside") == {"PASS"}
    [verdict] = done.verdicts("absent")
    assert verdict["reason"] == "on start: cannot be started: no such program: no-such-python"


def test_an_interpreter_is_for_python_ports(conformance: Conformance, make_port: MakePort) -> None:
    port = make_port("p", manifest=MANIFEST + 'interpreter = "python3"\n')
    done = conformance(port)
    assert done.returncode == 2
    assert "kind 'process' has no use for run.interpreter" in done.stderr
