"""The stopwatch: the turns of a race, what it reports, and whose fault it is if something fails."""

import itertools
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from conformance.bench import race
from conformance.bench.race import Contender
from conformance.bench.renumbered import Numbering
from conformance.bench.short_race import ROUNDS, short_race
from conformance.ground.statuses import Status
from conformance.process.channel import Trouble
from conformance.selftest.tests.conftest import CASES
from conformance.suite import traces
from conformance.suite.compare import Comparison
from conformance.verdict.verdict import Verdict
from conformance.wire.requests import Failure, Unsupported
from reference.cases.case import load
from reference.golden.checks import RunCheck


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


def test_the_time_that_is_too_slow_is_two_seconds(
    fake: MakeFake, log: list[tuple[str, int]]
) -> None:
    slope = 2.5 / COUNTS[1]
    raced(fake("slow", slope, 0.0), fake("quick", 1.9 / COUNTS[1], 0.0))
    assert {n for name, n in log if name == "slow"} == set(COUNTS[:2])
    assert {n for name, n in log if name == "quick"} == set(COUNTS[:3])


def test_a_fast_target_goes_through_its_counts_until_its_turn_is_over(
    fake: MakeFake, log: list[tuple[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    raced(fake("c", 1e-9, 0.03))  # 0.12 s for all counts, and a turn takes 0.2 s
    assert log[1:] == [("c", n) for n in COUNTS] * 2 * 5
    assert "timing 1 target on three-layer, 5 rounds\n" in capsys.readouterr().err


def test_what_is_done_before_a_question_is_not_timed(
    fake: MakeFake, log: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[tuple[str, int]] = []

    def prepare(one: Fake, run: RunCheck) -> None:
        one.clock.now += 100.0
        prepared.extend((one.name, n) for n in run.points)

    monkeypatch.setattr(Fake, "prepare", prepare)
    assert raced(fake("c", 1e-5, 1e-3))[0]["c"].fixed_ms == pytest.approx(1.0)
    assert prepared == log  # each question


@pytest.mark.parametrize(
    ("slopes", "most"),
    [
        ([-1e-8] * 5, "0 ns"),
        # Of five rounds, the interval of the median goes from the least to the greatest.
        ([-1e-8, -1e-8, 2e-8, 3e-8, 3e-8], "30.0 ns"),
    ],
)
def test_a_time_that_is_lost_in_the_noise_is_not_shown(
    slopes: list[float],
    most: str,
    fake: MakeFake,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost, basis, slow = fake("lost", slopes[0], 0.1), fake("numpy", 2e-5), fake("c")
    left = iter(slopes)

    def shuffle(order: random.Random, timed: list[Any]) -> None:
        lost.slope = next(left)

    monkeypatch.setattr(random.Random, "shuffle", shuffle)
    timings, wrong = raced(lost, basis, slow)
    assert not wrong
    assert set(timings) == {"numpy", "c"}
    assert timings["c"].ratio_to_numpy == pytest.approx(2.0)
    assert timings["c"].case == "three-layer"
    said = "lost on three-layer: no time is shown, since the clock cannot tell its time per "
    assert f"{said}iteration from 0 (at most {most})\n" in capsys.readouterr().err


def test_a_target_that_is_wrong_at_first_does_not_race(
    fake: MakeFake, log: list[tuple[str, int]]
) -> None:
    numpy = fake("numpy")
    numpy.wrong = True
    timings, wrong = raced(numpy, fake("c"))
    assert wrong["numpy"].status == Status.FAIL
    assert timings["c"].ratio_to_numpy is None
    assert log.count(("numpy", COUNTS[0])) == 1


def contender(one: Fake, **more: Any) -> Contender:
    """It in the race, with two counts and turns of no time."""
    run: Any = TRACE.run.check
    judge: Any = one
    return Contender(judge, TRACE, run, 1e-9, passed(one.name), COUNTS[:2], **more)


def test_a_device_tells_its_own_time(fake: MakeFake, monkeypatch: pytest.MonkeyPatch) -> None:
    # Seconds to the device, of computing, and back.
    told = iter([(0.5, 2.0, 0.25), (0.75, 4.0, 1.0), (1.0, 6.0, 2.0), (7.0, 8.0, 9.0)])
    monkeypatch.setattr(Fake, "device_seconds", lambda _: next(told), raising=False)
    one = contender(fake("gpu"), has_clock=True)
    one.turn()
    [clocked] = one.clocked
    slope = 2.0 / (COUNTS[1] - COUNTS[0])
    assert clocked.fit == pytest.approx((slope, 2.0 - slope * COUNTS[0]))
    assert clocked.copies == pytest.approx((0.75 + 1.75) / 2)
    one.turn()
    assert one.clocked[1].copies == pytest.approx((3.0 + 16.0) / 2)
    silent = contender(fake("cpu"))  # nobody asks it
    silent.turn()
    assert (len(silent.fits), silent.clocked) == (1, [])
    monkeypatch.setattr(Fake, "device_seconds", lambda _: None)
    old = contender(fake("old"), has_clock=True)
    old.turn()
    assert (len(old.fits), old.clocked) == (1, [])
    one.judge.wrong = True  # type: ignore[attr-defined]
    one.turn()
    assert (one.counts, one.fits, one.clocked) == ([], [], [])


@pytest.mark.parametrize(("before", "margin"), [(0.9, 0.9), (None, 0.25), (0.1, 0.25)])
def test_the_greatest_margin_is_kept(
    before: float | None, margin: float, fake: MakeFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = contender(fake("c"))
    one.verdict = one.verdict.but(margin=before)
    monkeypatch.setattr(race, "compare", lambda *_: Comparison(0.25, 1, 0, None))
    one.seconds(COUNTS[0])
    assert one.verdict.margin == margin


def test_the_whole_answer_is_compared(fake: MakeFake) -> None:
    one = contender(fake("c"), whole=lambda expected: [*expected, *expected])
    with pytest.raises(ValueError, match=r"'error', 'syn0', 'syn1', 'error'\]$"):
        one.seconds(COUNTS[0])


def test_a_target_starts_on_its_processors(fake: MakeFake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []

    def client(one: Fake) -> Fake:
        seen.append(os.sched_getaffinity(0))
        return one

    monkeypatch.setattr(Fake, "client", client)
    contender(fake("all")).seconds(COUNTS[0])
    contender(fake("one"), cores={min(before)}).seconds(COUNTS[0])
    assert seen == [before, {min(before)}]
    assert os.sched_getaffinity(0) == before
    with pytest.raises(ZeroDivisionError), race.pinned({min(before)}):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before


def test_turns_are_in_a_random_order_and_something_may_run_between(
    fake: MakeFake, log: list[tuple[str, int]]
) -> None:
    both = [contender(fake(name)) for name in ("a", "b")]
    idle = contender(fake("idle"))
    idle.counts = []
    between: list[int] = []
    race.race("three-layer", [*both, idle], 16, lambda: between.append(len(log)))
    assert between == [4 * turn for turn in range(16)]
    assert {name for name, _ in log} == {"a", "b"}
    firsts = [log[start][0] for start in between]
    assert 0 < firsts.count("a") < 16
    race.race("three-layer", [idle], 1, lambda: between.append(-1))
    assert -1 not in between
