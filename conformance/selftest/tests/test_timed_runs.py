"""Whole runs that are timed: what ends them, whose fault it is, what remembering gains."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from conformance.bench import race
from conformance.bench.options import Plan
from conformance.bench.short_race import ROUNDS
from conformance.bench.tournament import Tournament
from conformance.bench.workloads import Workload
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import (
    CASES,
    PYTHON_MANIFEST,
    PYTHON_MODULE,
    ROOT,
    Conformance,
    MakePort,
)


def test_a_run_needs_no_scipy() -> None:
    program = (
        "import sys; sys.modules['scipy'] = None\n"
        "import conformance.conftest, conformance.bench.command, conformance.page.command"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_a_fault_of_the_harness_ends_bench_and_all_ports(
    make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(race, "compare", broken)
    workload = Workload((2, 3, 2), samples=4, alpha=0.5, counts=(1, 2), turn_s=0.02)
    before = set(psutil.Process().children(recursive=True))
    tournament = Tournament(Plan([str(make_port("p"))], [workload], ["float64"], 1, ROUNDS))
    with pytest.raises(ZeroDivisionError, match="planted"):
        tournament.time()
    assert set(psutil.Process().children(recursive=True)) <= before
    assert [row.status for row in tournament.file(complete=False).rows] == ["PASS"]


@pytest.fixture
def timed_case(tmp_path: Path) -> Path:
    """A small case that is timed."""
    case = tmp_path / "timed.toml"
    text = (CASES / "one-step.toml").read_text()
    case.write_text(text.replace("one-step", "timed") + "\n[timing]\niterations = [0, 1]\n")
    return case


def test_a_fault_of_the_harness_ends_check_and_all_ports(
    make_port: MakePort, timed_case: Path, tmp_path: Path
) -> None:
    port, file = make_port("p"), tmp_path / "results.json"
    program = (
        "import sys\n"
        "from conformance.bench import race\n"
        "def broken(*_): raise ZeroDivisionError('planted')\n"
        "race.compare = broken\n"
        "from conformance.__main__ import main\n"
        "sys.exit(main())\n"
    )
    words = ["check", str(port), "--cases", str(timed_case), "--results", str(file)]
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--seed", "none"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=patience(300),
    )
    assert done.returncode not in (0, 2)
    assert "ZeroDivisionError: planted" in done.stdout + done.stderr
    assert "Traceback" in done.stdout + done.stderr
    assert "when timed" not in done.stdout + done.stderr
    assert not file.exists() or "FAIL" not in file.read_text()
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(port / "port.py") in command]


@pytest.mark.parametrize(
    ("sabotage", "status", "says"),
    [
        ("answer['checkpoints'][0]['weights'] = []", "GARBAGE", "has 0 entries, not 2"),
        ("answer = {'id': request['id'], 'failure': 'no more'}", "FAIL", "when timed: no more"),
        ("sys.exit(3)", "CRASH", "ended with exit code 3"),
    ],
)
def test_check_says_what_a_port_did_when_timed(
    conformance: Conformance,
    make_port: MakePort,
    timed_case: Path,
    sabotage: str,
    status: str,
    says: str,
) -> None:
    # Right while it is judged; then, when asked for one checkpoint at a time, not.
    bad = f"if op == 'train' and len(request['checkpoints']) == 1:\n    {sabotage}"
    # So that the clock can tell an iteration from none, on any machine.
    good = make_port("good", "if op == 'train': time.sleep(0.1 * request['checkpoints'][-1])")
    done = conformance(make_port("bad", bad), good, cases=timed_case, options=())
    assert done.returncode == 1
    [verdict] = done.verdicts("bad")
    assert verdict["status"] == status
    assert verdict["reason"].startswith("when timed: ")
    assert says in verdict["reason"]
    assert done.results is not None
    assert {timing["port"] for timing in done.results["timings"]} == {"good"}


# It looks up what it was asked before, and computes the rest.
MEMO = (
    PYTHON_MODULE.replace("SABOTAGE", "pass").replace("def train(", "def computed(")
    + """
known = {}

def train(X, y, state, checkpoints, *, alpha):
    key = repr([a.tolist() for a in (X, y, *state)]), alpha
    found = known.setdefault(key, {})
    if not set(checkpoints) <= set(found):
        found |= {n: (n, e, w) for n, e, w in computed(X, y, state, checkpoints, alpha=alpha)}
    return [found[n] for n in checkpoints]
"""
)
SHORT = """
format = 1
id = "short"
title = "The article's network, for 4000 iterations"
purpose = "It is timed."

[network]
layers = [3, 4, 1]

[training]
iterations = 4000

[init]
numpy_seed = 1

[data]
X = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]
y = [[0], [1], [1], [0]]

[trace]
checkpoints = [0, 400, 4000]
steps = []

[timing]
iterations = [400, 4000]
"""


@pytest.mark.parametrize("remembers", [False, True])
def test_a_port_that_remembers_gains_nothing(
    conformance: Conformance, tmp_path: Path, remembers: bool
) -> None:
    port, cases = tmp_path / "port", tmp_path / "cases"
    for folder in (port, cases):
        folder.mkdir()
    (port / "port.py").write_text(MEMO if remembers else PYTHON_MODULE.replace("SABOTAGE", "pass"))
    (port / "port.toml").write_text(PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha"]'))
    (cases / "short.toml").write_text(SHORT)
    done = conformance(port, cases=cases / "short.toml", options=())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.results is not None
    [timing] = done.results["timings"]
    # NumPy takes some 20 microseconds for an iteration on any machine; a look-up takes none.
    assert timing["ns_low"] > 1000
