"""The stopwatch: the turns of a race, what it reports, and whose fault it is if something fails."""

import itertools
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from conformance.bench import race
from conformance.bench.options import Plan
from conformance.bench.renumbered import Numbering
from conformance.bench.short_race import ROUNDS, short_race
from conformance.bench.tournament import Tournament
from conformance.bench.workloads import Workload
from conformance.ground.statuses import Status
from conformance.process.channel import Trouble
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import CASES, ROOT, Conformance, MakePort
from conformance.suite import traces
from conformance.verdict.verdict import Verdict
from conformance.wire.requests import Failure, Unsupported
from reference.cases.case import load
from reference.golden.checks import RunCheck


def test_a_run_needs_no_scipy() -> None:
    program = (
        "import sys; sys.modules['scipy'] = None\n"
        "import conformance.conftest, conformance.bench.command, conformance.page.command"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.round_s = 1.0  # how slow the machine is at present

    def __call__(self) -> float:
        return self.now


class Fake:
    """A target, its judge and its client in one, which knows the answers and takes its time."""

    def __init__(
        self, name: str, clock: Clock, slope: float, fixed: float, log: list[tuple[str, int]]
    ) -> None:
        self.name, self.target = name, self
        self.device = None
        self.clock, self.slope, self.fixed, self.log = clock, slope, fixed, log
        self.end: Exception | None = None  # raised where an answer is due
        self.wrong = self.closed = False

    def client(self) -> "Fake":
        return self

    def close(self) -> None:
        self.closed = True

    def prepare(self, run: RunCheck) -> None:
        """See Client."""

    def answer_to(self, run: RunCheck) -> Any:
        [n] = run.points
        self.log.append((self.name, n))
        self.clock.now += self.clock.round_s * (self.fixed + self.slope * n)
        if self.end is not None:
            raise self.end
        [tensors] = [expected for at, expected in TRACE.run.expected if at == n]
        return [(n, [(e.name, e.value + 1e-3 * self.wrong) for e in tensors])]


CASE = load(CASES / "three-layer.toml")
assert CASE.timing is not None
COUNTS = CASE.timing.iterations
TRACE = traces.load(CASE)["float64"]
MakeFake = Callable[..., Fake]


@pytest.fixture
def log() -> list[tuple[str, int]]:
    """Who was asked for what, in order."""
    return []


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, log: list[tuple[str, int]]) -> MakeFake:
    """Make fakes that share the clock of the race."""
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)
    # They know the answers in the order of the case only.
    same = Numbering([*range(4)], [[*range(units)] for units in CASE.layers], [1] * 3)
    monkeypatch.setattr(race, "numberings", lambda start, seed: itertools.repeat(same))

    def make(name: str, slope: float = 1e-5, fixed: float = 1e-3) -> Fake:
        return Fake(name, clock, slope, fixed, log)

    return make


def passed(name: str) -> Verdict:
    """What it takes to be timed."""
    return Verdict.without_numbers(name, CASE.id, "float64", Status.PASS).but(margin=0.1)


def raced(*fakes: Any) -> Any:
    """Timings and wrong verdicts, each by name."""
    timings, wrong = short_race([(one, passed(one.name)) for one in fakes], CASE, TRACE)
    return {timing.port: timing for timing in timings}, wrong


def test_a_short_race_measures_slope_fixed_cost_and_ratio(fake: MakeFake) -> None:
    timings, wrong = raced(fake("numpy", 4e-5, 2e-3), fake("c", 1e-5, 1e-3))
    assert not wrong
    assert timings["c"].ns_per_iteration == pytest.approx(1e4)
    assert timings["c"].fixed_ms == pytest.approx(1.0)
    assert timings["c"].ratio_to_numpy == pytest.approx(4.0)
    assert timings["numpy"].ratio_to_numpy == 1.0
    assert timings["numpy"].dtype == "float64"
    assert raced(fake("c"))[0]["c"].ratio_to_numpy is None  # nothing to compare with


def test_a_machine_that_changes_its_speed_does_not_change_a_ratio(
    fake: MakeFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    numpy, c = fake("numpy", 4e-5), fake("c", 1e-5)
    speeds = iter([1.0, 5.0, 0.3, 2.0, 9.0])

    def shuffle(order: random.Random, timed: list[Any]) -> None:
        numpy.clock.round_s = next(speeds)

    monkeypatch.setattr(random.Random, "shuffle", shuffle)  # once for each round
    timings, _ = raced(numpy, c)
    assert timings["c"].ratio_to_numpy == pytest.approx(4.0)
    assert timings["c"].ns_per_iteration == pytest.approx(2e4)
    assert timings["c"].ns_low < 0.5e4
    assert timings["c"].ns_high > 5e4


def test_turns_are_interleaved_and_all_counts_asked(
    fake: MakeFake, log: list[tuple[str, int]]
) -> None:
    names = ("a", "b", "c")
    raced(*(fake(name) for name in names))
    # First each is asked once, not timed: what is done only once is done by then.
    before, log = log[: len(names)], log[len(names) :]
    assert before == [(name, COUNTS[0]) for name in names]
    assert len(log) == len(names) * ROUNDS * len(COUNTS)  # each pass takes more than a turn
    for start in range(0, len(log), len(names) * len(COUNTS)):
        asked = log[start : start + len(names) * len(COUNTS)]
        turns = [asked[i : i + len(COUNTS)] for i in range(0, len(asked), len(COUNTS))]
        assert sorted(turns) == [[(name, n) for n in COUNTS] for name in names]


def test_a_slow_target_is_not_asked_for_more_and_is_no_failure(
    fake: MakeFake, log: list[tuple[str, int]]
) -> None:
    slope = 1.5 * race.SLOW_S / COUNTS[1]  # the second count is one too many
    timings, wrong = raced(fake("slow", slope), fake("c"))
    assert not wrong
    assert {n for name, n in log if name == "slow"} == set(COUNTS[:2])
    assert {n for name, n in log if name == "c"} == set(COUNTS)
    assert timings["slow"].ns_per_iteration == pytest.approx(slope * 1e9)
    first = 10 * race.SLOW_S / COUNTS[0]  # slow from the first count on: two make a line
    log.clear()
    assert set(raced(fake("slower", first))[0]) == {"slower"}
    assert {n for _, n in log} == set(COUNTS[:2])


@pytest.mark.parametrize(
    ("end", "status", "says"),
    [
        (Trouble(Status.CRASH, "ended with exit code 3"), "CRASH", "ended with exit code 3"),
        (Trouble(Status.TIMEOUT, "no answer within 2 s"), "TIMEOUT", "no answer within 2 s"),
        (Failure("out of memory"), "FAIL", "out of memory"),
        (Unsupported("too many iterations"), "FAIL", "too many iterations"),
        (None, "FAIL", "syn0[0, 0] in the run at iteration 10000: got "),
    ],
)
def test_who_goes_wrong_when_timed_is_out(
    fake: MakeFake, log: list[tuple[str, int]], end: Exception | None, status: str, says: str
) -> None:
    bad = fake("bad")
    bad.end, bad.wrong = end, end is None
    timings, wrong = raced(bad, fake("c"))
    assert set(timings) == {"c"}
    assert set(wrong) == {"bad"}
    assert wrong["bad"].status == status
    assert wrong["bad"].reason.startswith(f"when timed: {says}")
    assert bad.closed
    assert len([n for name, n in log if name == "bad"]) == 1


@pytest.mark.parametrize("fault", [KeyError("l2"), OSError("no space left"), ValueError("shape")])
def test_a_fault_of_the_harness_is_no_fault_of_a_port(fake: MakeFake, fault: Exception) -> None:
    bad = fake("bad")
    bad.end = fault
    with pytest.raises(type(fault)):
        raced(bad, fake("c"))


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
