"""Which targets race, and on which counts of iterations: by the time that their runs take."""

import os
from typing import Any

import pytest

from conformance.bench.admission import admit
from conformance.bench.race import Contender, WrongWhenTimed
from conformance.bench.workloads import Workload
from conformance.ground.places import CASES
from conformance.ground.statuses import Status
from conformance.suite import traces
from conformance.suite.traces import Trace
from conformance.verdict.verdict import Verdict
from reference.cases.case import load

TRACE = traces.load(load(CASES / "three-layer.toml"))["float64"]
TURN_S = 0.5
PASSED = Verdict.without_numbers("p", "three-layer", "float64", Status.PASS)


class Judge:
    """Gives one verdict, and keeps what it was asked and on which processors."""

    def __init__(self, verdict: Verdict = PASSED) -> None:
        self.verdict = verdict
        self.asked: list[tuple[str, Trace, set[int]]] = []
        self.closed = False

    def judge(self, case: Any, trace: Trace) -> Verdict:
        self.asked.append((case.id, trace, os.sched_getaffinity(0)))
        return self.verdict

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def taking(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Admit a target whose runs take these seconds by their iterations; also all that it ran."""

    def run(
        times: dict[int, float | Exception], judge: Any = None, *, generated: bool = False
    ) -> tuple[Contender, list[int]]:
        ran: list[int] = []

        def seconds(_: Contender, n: int) -> float:
            ran.append(n)
            took = times[n]
            if isinstance(took, Exception):
                raise took
            return took

        monkeypatch.setattr(Contender, "seconds", seconds)
        counts = tuple(times)
        load = Workload((3, 4, 1), 4, 1.0, counts=counts, turn_s=TURN_S, generated=generated)
        one = Contender(judge or Judge(), TRACE, TRACE.run.check, TURN_S, PASSED)  # type: ignore[arg-type]
        one.cores = {min(os.sched_getaffinity(0))}
        admit(one, load)
        return one, ran

    return run


FAST = 1e-4


@pytest.mark.parametrize(
    ("times", "ran", "counts"),
    [
        # All are quick: those from a tenth of the longest on.
        ({1: FAST, 99: FAST, 100: FAST, 999: FAST, 1000: FAST}, 5, [100, 999, 1000]),
        # A quarter of a turn, 0.125 s, is not too long, and more is the end.
        ({10: FAST, 100: 0.125, 300: 0.126, 1000: 1.0}, 3, [100, 300]),
        # Two make a line, however short the shorter one is.
        ({1: FAST, 2: FAST, 100: FAST}, 3, [2, 100]),
        # The first is never the end, unless it takes more than 3 s.
        ({1: 3.0, 2: 4.0, 3: 9.0}, 2, [1, 2]),
        ({1: FAST, 10: 100.0}, 2, [1, 10]),
    ],
)
def test_counts_are_chosen_by_what_runs_take(
    taking: Any, times: dict[int, float], ran: int, counts: list[int]
) -> None:
    found, tried = taking(times)
    assert tried == [*times][:ran]
    assert found.counts == counts
    assert found.verdict == PASSED


@pytest.mark.parametrize(("first", "said"), [(1, "1 iteration"), (2, "2 iterations")])
def test_a_target_that_is_slow_at_once_is_not_timed(taking: Any, first: int, said: str) -> None:
    found, tried = taking({first: 3.51, 10: FAST})
    assert tried == [first]
    assert found.counts == []
    assert found.verdict.status == Status.PASS
    reason = f"not timed: a run of {said} takes 3.5 s, and 3 s is the limit"
    assert found.verdict.reason == reason


def test_a_target_that_fails_runs_no_more(taking: Any) -> None:
    found, tried = taking({1: FAST}, Judge(PASSED.but(status=Status.FAIL, reason="wrong")))
    assert (tried, found.counts, found.verdict.reason) == ([], [], "wrong")


def test_a_target_that_goes_wrong_meanwhile_fails(taking: Any) -> None:
    judge = Judge()
    found, _ = taking({1: FAST, 2: WrongWhenTimed("got 7")}, judge)
    assert found.counts == []
    assert found.verdict.status == Status.FAIL
    assert found.verdict.reason == "when timed: got 7"
    assert judge.closed


@pytest.mark.parametrize(("generated", "last"), [(True, 10), (False, TRACE.last)])
def test_a_generated_network_is_judged_on_its_first_checkpoint(
    taking: Any, generated: bool, last: int
) -> None:
    judge = Judge()
    before = os.sched_getaffinity(0)
    taking({10: FAST, 100: FAST}, judge, generated=generated)
    [(case, trace, cores)] = judge.asked
    assert case == ("3-4-1" if generated else "three-layer")
    assert trace.last == last
    assert cores == {min(before)}
    assert os.sched_getaffinity(0) == before
