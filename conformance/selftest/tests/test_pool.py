"""Who judges which case: threads that a test starts one by one, or those of a real pool."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.ground.live import Task
from conformance.ground.statuses import Status
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import CASES
from conformance.verdict.pool import Pool
from conformance.verdict.verdict import Verdict
from reference.cases.case import Case, load

CASE = load(CASES / "smallest.toml")
PATIENCE_S = patience(1)


def cases(number: int) -> list[Case]:
    return [replace(CASE, id=f"case-{n}") for n in range(number)]


class Judge:
    """Says PASS to all, after doing what it is told to do."""

    def __init__(
        self,
        name: str,
        before: Callable[["Judge", Case], object] = lambda judge, case: None,
        device: object = None,
        emulated: bool = False,
    ) -> None:
        dtypes = ["float64", "float32"]
        self.target = SimpleNamespace(name=name, dtypes=dtypes, device=device, emulated=emulated)
        self.before, self.told = before, list[str]()
        self.others = list[Judge]()
        self.closed = self.interrupts = 0

    def again(self) -> "Judge":
        self.others.append(Judge(self.target.name, self.before))
        return self.others[-1]

    def judge(self, case: Case, trace: str) -> Verdict:
        self.told.append(trace)
        self.before(self, case)
        name, dtype = self.target.name, trace.split()[1]
        return Verdict.without_numbers(name, case.id, dtype, Status.PASS)  # type: ignore[arg-type]

    def close(self) -> None:
        self.closed += 1

    def interrupt(self) -> None:
        self.interrupts += 1


class Executor:
    """Keeps what it should run until the test runs it."""

    def __init__(self, cores: int) -> None:
        self.cores, self.calls = cores, list[Callable[[], object]]()

    def submit(self, function: Callable[..., object], *given: object) -> None:
        self.calls.append(lambda: function(*given))

    def shutdown(self, **_: object) -> None:
        pass


class Live:
    """What is shown."""

    def __init__(self) -> None:
        self.tasks = list[Task]()

    def start(self, task: Task) -> None:
        self.tasks.append(task)

    def end(self, task: Task) -> None:
        self.tasks = [other for other in self.tasks if other is not task]


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """End a test that waits for a lock in vain, or goes round for ever."""

    def bark(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, 2 * PATIENCE_S, PATIENCE_S)  # again: a pool catches all
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class Prompt(Future[Any]):
    """A result that no test waits for in vain."""

    def result(self, timeout: float | None = PATIENCE_S) -> Any:
        return super().result(timeout)


@pytest.fixture(autouse=True)
def live(monkeypatch: pytest.MonkeyPatch) -> Live:
    shown = Live()
    monkeypatch.setattr("conformance.verdict.pool.Future", Prompt)
    monkeypatch.setattr("conformance.verdict.pool.LIVE", shown)
    monkeypatch.setattr("conformance.ground.live.LIVE", shown)
    return shown


def pool(*wanted: tuple[Judge, list[Case]]) -> Any:
    pairs: list[Any] = [(judge, case) for judge, mine in wanted for case in mine]
    ids = {case.id for _, mine in wanted for case in mine}
    traces: Any = {i: {d: f"{i} {d}" for d in ("float64", "float32")} for i in ids}
    return Pool(pairs, traces)


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A pool of so many cores whose threads the test runs: in pool._pool.calls."""

    def make(cores: int, *wanted: tuple[Judge, list[Case]]) -> Any:
        monkeypatch.setattr("conformance.verdict.pool.ThreadPoolExecutor", Executor)
        monkeypatch.setattr("os.sched_getaffinity", lambda _: range(cores))
        return pool(*wanted)

    return make


ByHand = Callable[..., Any]


def told(number: int, first: int = 0) -> list[str]:
    """What a judge is asked about cases from the first on."""
    return [f"case-{n} {d}" for n in range(first, number) for d in ("float64", "float32")]


def test_each_target_is_judged_on_its_cases_in_both_dtypes(by_hand: ByHand, live: Live) -> None:
    one, other = Judge("one", lambda *_: shown.append(task.text)), Judge("other")
    shown = list[str]()
    mine = by_hand(3, (one, cases(2)), (other, cases(1)))
    assert mine._pool.cores == 3
    assert len(mine._pool.calls) == 2 + 2  # targets, and threads that may help
    [task] = live.tasks
    assert task.text == "judging 0 of 3"
    mine._pool.calls[0]()
    assert (one.told, one.closed, other.told) == (told(2), 1, [])
    assert [(v.case, v.dtype) for v in mine.finished()] == [
        (f"case-{n}", d) for n in range(2) for d in ("float64", "float32")
    ]
    assert shown == ["judging one: 0 of 3"] * 2 + ["judging one: 1 of 3"] * 2
    assert task.text == "judging 2 of 3"
    mine._pool.calls[1]()
    found = mine.verdicts_of("other", cases(1)[0])
    assert {d: (v.port, v.dtype) for d, v in found.items()} == {
        d: ("other", d) for d in ("float64", "float32")
    }
    assert len(mine.finished()) == 6
    assert live.tasks == []
    mine._pool.calls[2]()
    assert one.others + other.others == []


def test_without_a_case_nothing_is_shown(by_hand: ByHand, live: Live) -> None:
    mine = by_hand(1)
    assert (live.tasks, mine.finished(), mine._pool.calls) == ([], [], [])


def helped(by_hand: ByHand, number: int, helpers: int, **target: Any) -> Judge:
    """A judge of so many cases, in whose first answer others may help, each in the one before."""

    def before(judge: Judge, case: Case) -> None:
        if waiting:
            waiting.pop(0)()

    waiting: list[Callable[[], object]] = []
    first = Judge("p", before, **target)
    mine = by_hand(helpers + 1, (first, cases(number)))
    work, *waiting[:] = mine._pool.calls
    assert len(waiting) == helpers
    work()
    assert len(mine.finished()) == 2 * number
    everyone = [first, *first.others]
    assert sorted(word for judge in everyone for word in judge.told) == sorted(told(number))
    assert [judge.closed for judge in everyone] == [1] * len(everyone)
    return first


@pytest.mark.parametrize(
    ("number", "helpers", "processes"),
    [(8, 1, 1), (9, 1, 2), (9, 2, 2), (17, 2, 2), (18, 2, 3), (18, 3, 3)],
)
def test_another_process_is_started_where_each_has_eight_cases_left(
    number: int, helpers: int, processes: int, by_hand: ByHand
) -> None:
    assert len(helped(by_hand, number, helpers).others) == processes - 1


def test_a_device_has_one_process_and_an_emulation_may_have_more(by_hand: ByHand) -> None:
    assert helped(by_hand, 20, 1, device="chip").others == []
    assert len(helped(by_hand, 20, 1, device="chip", emulated=True).others) == 1


def test_the_target_with_most_left_is_helped(by_hand: ByHand) -> None:
    small, large = Judge("small"), Judge("large")
    mine = by_hand(2, (small, cases(9)), (large, cases(10)))
    mine._pool.calls[2]()  # all is done by who helps
    assert [len(judge.others) for judge in (small, large)] == [1, 1]
    assert small.told + large.told == []
    assert len(mine.finished()) == 2 * 19

    def before(judge: Judge, case: Case) -> None:
        order.append(judge.target.name)

    order: list[str] = []
    small, large = Judge("small", before), Judge("large", before)
    mine = by_hand(2, (small, cases(9)), (large, cases(10)))
    mine._pool.calls[2]()
    assert order == ["large"] * 20 + ["small"] * 18


def test_a_fault_is_raised_where_the_verdict_is_wanted(by_hand: ByHand, live: Live) -> None:
    def before(judge: Judge, case: Case) -> None:
        if case.id == "case-1":
            raise ZeroDivisionError

    judge = Judge("p", before)
    mine = by_hand(1, (judge, cases(3)))
    mine._pool.calls[0]()
    assert [v.case for v in mine.finished()] == ["case-0"] * 2 + ["case-2"] * 2
    with pytest.raises(ZeroDivisionError):
        mine.verdicts_of("p", cases(2)[1])
    assert live.tasks == []


def test_who_is_interrupted_has_no_verdict(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.verdict.pool.PAUSE_S", 0.01)
    begun = threading.Event()

    def before(judge: Judge, case: Case) -> None:
        if case.id == "case-1":
            begun.set()
            for _ in range(int(PATIENCE_S / 0.001)):
                if judge.interrupts >= 2:  # the first may come before there is a process
                    return
                threading.Event().wait(0.001)

    judge = Judge("p", before)
    mine = pool((judge, cases(4)))
    assert begun.wait(PATIENCE_S)
    began = time.monotonic()
    closing = threading.Thread(target=mine.close, daemon=True)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert 2 <= judge.interrupts <= 1 + (time.monotonic() - began) / 0.01
    assert judge.closed == 1
    assert judge.told == told(1) + [f"case-1 {d}" for d in ("float64", "float32")]
    assert live.tasks == []
    assert len(mine.verdicts_of("p", cases(1)[0])) == 2
    for case in cases(4)[1:]:
        with pytest.raises(CancelledError):
            mine.verdicts_of("p", case)
    assert [v.case for v in mine.finished()] == ["case-0"] * 2


def test_nobody_helps_after_the_end(by_hand: ByHand, live: Live) -> None:
    judge = Judge("p")
    mine = by_hand(2, (judge, cases(20)))
    mine.close()
    assert live.tasks == []
    mine._pool.calls[1]()
    assert judge.others == []
