"""What a judge asks, how often, and what it says of each trouble: on a client that is scripted."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.ground.statuses import Status
from conformance.process.channel import Trouble
from conformance.process.memory import FILLS, filled
from conformance.process.sandbox import Reach
from conformance.selftest.tests.conftest import CASES
from conformance.suite import traces
from conformance.suite.traces import Trace
from conformance.targets.build import NotReady, Ready, files_sha256
from conformance.targets.manifest import Manifest, Port, Rung, Target
from conformance.verdict.diagnosis import Answer
from conformance.verdict.judge import Judge, ask
from conformance.verdict.verdict import Verdict
from conformance.wire.requests import Failure, Unsupported
from reference.cases.case import Case, load
from reference.golden.checks import Check, PredictCheck
from reference.golden.tensors import Points

CASE = load(CASES / "one-step.toml")
TRACES = traces.load(CASE)
TRACE = TRACES["float64"]
ENV = {"A": "b"}
RUNS = {"process": "command", "python": "module", "c-abi": "library"}


def golden(check: Check) -> Points:
    """What is right."""
    expected = {(d.check.kind, n): e for d in TRACES[check.dtype].due for n, e in d.expected}
    return [(n, [(e.name, e.value.copy()) for e in expected[check.kind, n]]) for n in check.points]


def beyond(points: Points, by: float = 9.0) -> Points:
    """The same with the first number off."""
    points[0][1][0] = (points[0][1][0][0], points[0][1][0][1] + by)
    return points


Says = Callable[[int, Check], Points]


class Scripted:
    """Channel and client in one; `says` gives the answer to a check in the nth asking."""

    made: list["Scripted"] = []
    within_reach = frozenset([Reach.NETWORK])
    says: Says
    turns: Iterator[int]
    starts: Callable[[], str]

    def __init__(self, *words: Any) -> None:
        self.words, self.asked, self.done = words, dict[str, Any](), list[str]()
        self.limit_s = 0.0
        self.made.append(self)

    def asking(self, channel: "Scripted", limit_s: float) -> "Scripted":
        channel.limit_s = limit_s
        return channel

    def hello(self) -> str:
        return type(self).starts()

    def answer_to(self, check: Check) -> Points:
        self.asked = {"op": check.request()["op"], "dtype": check.dtype}
        if check.kind == "step" and check.points == (0,):
            type(self).turn = next(type(self).turns)
        return type(self).says(type(self).turn, check)

    turn = 0

    def fill(self, byte: int) -> None:
        self.done.append(f"fill {byte}")

    def close(self) -> None:
        self.done.append("close")

    def kill(self) -> None:
        self.done.append("kill")

    def interrupt(self) -> None:
        self.done.append("interrupt")


@pytest.fixture(autouse=True)
def script(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    """A script that answers rightly, and no search for known bugs."""
    monkeypatch.setattr("conformance.verdict.judge.Channel", Scripted)
    monkeypatch.setattr("conformance.verdict.outcome.probable_bugs", lambda *_: [])
    Scripted.made = []
    Scripted.turns = count(1)
    Scripted.turn = 0
    Scripted.says = staticmethod(lambda turn, check: golden(check))
    Scripted.starts = staticmethod(lambda: "chip")
    return Scripted


def manifest(kind: str = "process", **more: Any) -> Manifest:
    run: dict[str, Any] = {RUNS[kind]: ["x"] if kind == "process" else "x", "time_limit_s": 7}
    given = {"format": 1, "language": "L", "kind": kind, "dtypes": ["float64", "float32"]}
    given |= {"toolchain": {"detect": ["true"]}, "run": run | {"memory_limit_mb": 5}}
    return Manifest.model_validate(given | more)


@pytest.fixture
def target(tmp_path: Path) -> Callable[..., Target]:
    def make(
        kind: str = "process", *, emulated: bool = False, rung: Any = None, **more: Any
    ) -> Target:
        folder = tmp_path / "p"
        folder.mkdir(exist_ok=True)
        (folder / "p.c").write_text("int p;")
        return Target(Port("p", folder, manifest(kind, **more)), emulated, rung)

    return make


@pytest.fixture
def judge(target: Callable[..., Target]) -> Callable[..., Judge]:
    def make(kind: str = "process", of: Target | None = None, **how: Any) -> Judge:
        ready = Ready(of or target(kind), ["go"], ENV, "t", [], None, (Path("o"),), (Path("w"),))
        return Judge(ready, lambda channel, limit_s: channel.asking(channel, limit_s), **how)  # type: ignore[attr-defined]

    return make


def says(script: type[Scripted], how: Says) -> None:
    script.says = staticmethod(how)
    script.turns = count(1)


def raising(error: Exception, kind: str = "run", turns: Collection[int] = range(1, 99)) -> Says:
    """A right answer to all but the checks of this kind, in these turns."""

    def say(turn: int, check: Check) -> Points:
        if check.kind == kind and turn in turns:
            raise error
        return golden(check)

    return say


Make = Callable[..., Judge]
CRASH = Trouble(Status.CRASH, "was killed by SIGSEGV", ": its words")


def test_a_right_port_is_asked_twice_by_one_process(judge: Make, script: type[Scripted]) -> None:
    mine = judge()
    assert (mine.device, mine.within_reach, mine.missing) == (None, None, None)
    assert mine.sha256 == files_sha256(mine.target.port.folder, documents=False)
    verdict = mine.judge(CASE, TRACE)
    assert (verdict.status, verdict.reason, verdict.port) == (Status.PASS, "", "p")
    assert next(script.turns) == 3
    assert mine.judge(CASE, TRACES["float32"]).dtype == "float32"
    [process] = script.made
    assert process.words == (["go"], filled(ENV), 5, (Path("o"),), (Path("w"),))
    assert process.limit_s == 7
    assert (mine.device, mine.within_reach) == ("chip", {Reach.NETWORK})
    mine.interrupt()
    mine.close()
    mine.close()
    mine.interrupt()
    assert process.done == ["interrupt", "close"]
    mine.judge(CASE, TRACE)
    assert len(script.made) == 2


@pytest.mark.parametrize("kind", RUNS)
def test_the_memory_of_a_worker_is_filled_for_each_asking(
    kind: str, judge: Make, script: type[Scripted]
) -> None:
    mine = judge(kind)
    for _ in range(2):
        mine.judge(CASE, TRACE)
    first, second = (f"fill {byte}" for byte in FILLS)
    worker = kind != "process"  # other programs keep the first
    assert script.made[0].done == ([second, first, second] if worker else [])
    mine.close()
    mine.judge(CASE, TRACE)
    assert script.made[1].done == ([second] if worker else [])
    timing = mine.for_timing()
    timing.judge(CASE, TRACE)
    assert script.made[2].words[1] == ENV
    assert script.made[2].done == []


@pytest.mark.parametrize(
    ("iterations", "wrong", "seconds", "turns"),
    [
        (30, False, 9.0, 2),
        (31, False, 0.1, 1),
        (31, True, 1.9, 2),
        (31, True, 2.0, 1),
        (30, True, 9.0, 2),
    ],
)
def test_how_often_a_case_is_asked(
    iterations: int,
    wrong: bool,
    seconds: float,
    turns: int,
    judge: Make,
    script: type[Scripted],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = count(100.0, seconds)
    monkeypatch.setattr("conformance.verdict.judge.time.monotonic", lambda: next(clock))
    case = replace(CASE, iterations=iterations)
    says(script, lambda turn, check: beyond(golden(check)) if wrong else golden(check))
    status = judge().judge(case, replace(TRACE, case=case)).status
    assert status == ("FAIL" if wrong else "PASS")
    assert next(script.turns) == turns + 1


def test_a_second_answer_that_is_different_is_told(judge: Make, script: type[Scripted]) -> None:
    def nearly(turn: int, check: Check) -> Points:
        off = 2.0**-54 if turn == 2 and check.points == (0,) else 0.0
        return beyond(golden(check), off)

    for strict, status in ((False, Status.PASS), (True, Status.FAIL)):
        says(script, nearly)
        verdict = judge(strict=strict).judge(CASE, TRACE)
        assert (verdict.status, "ulp" in verdict.reason) == (status, True)
        says(script, nearly)
        assert judge(strict=strict).again().judge(CASE, TRACE).status is status
    says(script, raising(CRASH, turns=(2,)))
    verdict = judge().judge(CASE, TRACE)
    assert verdict.status is Status.CRASH
    assert "the first answer to the same request is right" in verdict.reason


def test_known_bugs_are_looked_for_once(
    judge: Make, script: type[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def bugs(case: Case, answer: Answer) -> list[Any]:
        looked.append(script.turn)
        return []

    monkeypatch.setattr("conformance.verdict.outcome.probable_bugs", bugs)
    for wrong, diagnosed, turns in (({1, 2}, True, [2]), ({2}, True, [2]), ({2}, False, [])):
        says(script, lambda turn, check, w=wrong: beyond(golden(check), 9.0 * (turn in w)))  # type: ignore[misc]
        looked.clear()
        judge().judge(CASE, replace(TRACE, diagnosed=diagnosed))
        assert len(looked) == len(turns)


@pytest.mark.parametrize(
    ("kind", "error", "status", "reason"),
    [
        ("process", CRASH, "CRASH", "asked for train: was killed by SIGSEGV: its words"),
        ("python", CRASH, "CRASH", "in train: was killed by SIGSEGV: its words"),
        ("c-abi", CRASH, "CRASH", "in backprop_train_f64: was killed by SIGSEGV: its words"),
        ("python", Trouble(Status.GARBAGE, "no list", "?"), "GARBAGE", "no list?"),
        ("process", Failure("no"), "FAIL", "the port says: no"),
        ("python", Failure("no"), "FAIL", "in train: no"),
        ("c-abi", Failure("no"), "FAIL", "no"),
    ],
)
def test_trouble_says_what_was_asked(
    kind: str, error: Exception, status: str, reason: str, judge: Make, script: type[Scripted]
) -> None:
    says(script, raising(error))
    verdict = judge(kind).judge(CASE, TRACE)
    assert (verdict.status, verdict.reason) == (status, reason)
    assert next(script.turns) == 3
    ended = [process.done[-2:] for process in script.made]
    assert ended == ([["kill", "close"]] * 2 if isinstance(error, Trouble) else ended)
    assert len(ended) == (2 if isinstance(error, Trouble) else 1)


def test_where_a_library_crashes_at_once_the_layout_is_looked_at(
    judge: Make, script: type[Scripted]
) -> None:
    hint = "; look at the layout of backprop_settings first"
    for signal in ("SIGSEGV", "SIGBUS", "SIGFPE"):
        error = Trouble(Status.CRASH, f"was killed by {signal}", "!")
        for kind in ("c-abi", "python"):
            for check in ("step", "run"):
                says(script, raising(error, check))
                reason = judge(kind).judge(CASE, TRACE).reason
                hinted = kind == "c-abi" and check == "step" and signal != "SIGFPE"
                assert (f"{signal}{hint}!" in reason) is hinted
                assert (hint in reason) is hinted


def test_silence_and_a_lack_are_not_repeated(judge: Make, script: type[Scripted]) -> None:
    says(script, raising(Trouble(Status.TIMEOUT, "no answer")))
    verdict = judge().judge(CASE, TRACE)
    assert (verdict.status, verdict.reason) == (Status.TIMEOUT, "asked for train: no answer")
    assert next(script.turns) == 2
    says(script, raising(Unsupported("no such dtype")))
    verdict = judge().judge(CASE, TRACE)
    assert (verdict.status, verdict.reason) == (Status.SKIP, "no such dtype")
    assert next(script.turns) == 2


DEVICE = {
    "device": {"detect": ["true"]},
    "emulation": {"name": "pretence", "max_iterations": 0},
}


def test_what_is_required_may_not_be_declined_but_by_a_rung_or_an_emulation(
    judge: Make, target: Callable[..., Target], script: type[Scripted]
) -> None:
    says(script, raising(Unsupported("too slow"), "step"))
    verdict = judge(required=True).judge(CASE, TRACE)
    assert (verdict.status, verdict.reason) == (Status.FAIL, "required, but skipped: too slow")
    rung = Rung(name="fast", dtypes=["float64"], library="x")
    for of in (target("c-abi", rung=rung), target(emulated=True, **DEVICE)):
        verdict = judge(of=of, required=True).judge(CASE, TRACE)
        assert (verdict.status, verdict.reason) == (Status.SKIP, "too slow")


@pytest.mark.parametrize(
    ("kind", "error", "status", "reason"),
    [
        (
            "process",
            Trouble(Status.TIMEOUT, "silent", "!"),
            "TIMEOUT",
            "silent; is each answer flushed?!",
        ),
        (
            "python",
            Trouble(Status.TIMEOUT, "silent"),
            "TIMEOUT",
            "silent; what does it wait for while it is loaded?",
        ),
        ("process", Trouble(Status.CRASH, "ended"), "CRASH", "ended"),
        ("c-abi", Trouble(Status.CRASH, "SIGSEGV"), "CRASH", "SIGSEGV"),
        ("process", Failure("no"), "FAIL", "the port says: no"),
        ("python", Failure("no"), "FAIL", "no"),
        ("process", Unsupported("no chip"), "SKIP", "no chip"),
    ],
)
def test_what_does_not_start_is_not_started_again(
    kind: str, error: Exception, status: str, reason: str, judge: Make, script: type[Scripted]
) -> None:
    def start() -> str:
        raise error

    script.starts = staticmethod(start)
    mine = judge(kind)
    verdict = mine.judge(CASE, TRACE)
    assert (verdict.status, verdict.reason) == (status, f"on start: {reason}")
    other = replace(CASE, id="other")
    again = mine.judge(other, replace(TRACES["float32"], case=other))
    assert (again.case, again.dtype, again.reason) == ("other", "float32", verdict.reason)
    [process] = script.made
    assert "close" in process.done
    assert mine.device is None


def test_who_does_not_start_a_second_time_keeps_the_first_verdict(
    judge: Make, script: type[Scripted]
) -> None:
    once = iter(["chip"])
    script.starts = staticmethod(lambda: next(once, None) or fail())

    def fail() -> str:
        raise Trouble(Status.TIMEOUT, "silent")

    says(script, raising(CRASH))
    verdict = judge().judge(CASE, TRACE)
    assert (verdict.status, verdict.repeat) == (Status.CRASH, None)


def test_a_wrong_answer_counts_if_there_is_trouble_later(
    judge: Make, script: type[Scripted]
) -> None:
    def say(turn: int, check: Check) -> Points:
        return beyond(raising(CRASH)(turn, check))

    says(script, say)
    verdict = judge().judge(CASE, TRACE)
    assert verdict.status is Status.FAIL
    assert verdict.divergence is not None
    assert "; then CRASH: asked for train: was killed by SIGSEGV: its words" in verdict.reason
    assert "; not reproducible" not in verdict.reason


@pytest.mark.parametrize("required", [False, True])
def test_what_cannot_be_prepared(required: bool, target: Callable[..., Target]) -> None:
    absent = Judge(NotReady(target(), "no gcc", "toolchain"), required=required)
    verdict = absent.judge(CASE, TRACE)
    told = ("FAIL", "required, but skipped: no gcc") if required else ("SKIP", "no gcc")
    assert (verdict.status, verdict.reason) == told
    assert absent.missing == "toolchain"
    with pytest.raises(Unsupported, match="no gcc"):
        absent.client()
    broken = Judge(NotReady(target(), "does not build", None), required=required)
    verdict = broken.judge(CASE, TRACE)
    assert (verdict.status, verdict.reason) == ("FAIL", "does not build")
    assert absent.again().judge(CASE, TRACE).status == told[0]
    assert absent.for_timing().judge(CASE, TRACE).status == told[0]


def test_a_capability_that_is_not_listed_is_a_skip(judge: Make, script: type[Scripted]) -> None:
    case = replace(CASE, needs=["bias"])
    verdict = judge(required=True).judge(case, TRACE)
    assert (verdict.status, verdict.reason) == (
        Status.SKIP,
        "does not list the capability bias",
    )
    assert script.made == []


def test_a_failure_is_known_for_its_case_and_dtype(
    judge: Make, target: Callable[..., Target], script: type[Scripted]
) -> None:
    def known(**about: Any) -> Verdict:
        entry = {"case": "one-step", "status": "FAIL", "message": "no", "reason": "because"}
        says(script, raising(Failure("no")))
        return judge(of=target(known_failure=[entry | about])).judge(CASE, TRACE)

    assert known().status is Status.XFAIL
    assert known().explanation == ""
    assert known(dtype="float64").status is Status.XFAIL
    assert known(dtype="float32").status is Status.FAIL
    assert known(case="other").status is Status.FAIL


def test_a_wrong_verdict_says_how_to_repeat_it(
    judge: Make, target: Callable[..., Target], script: type[Scripted], tmp_path: Path
) -> None:
    says(script, raising(Failure("no")))
    mine = judge(strict=True)
    told = mine.judge(CASE, TRACE).explanation
    port = f"make conformance PORT={mine.target.port.folder}"
    assert told.endswith(f"\n  reproduce: {port} CASES=one-step STRICT=1")
    assert judge().judge(CASE, TRACE).explanation.endswith("CASES=one-step")
    mine = judge(of=target("c-abi", rung=Rung(name="fast", dtypes=["float64"], library="x")))
    assert f"{port}:fast CASES=one-step" in mine.judge(CASE, TRACE).explanation
    elsewhere = tmp_path / "one-step.toml"
    elsewhere.write_text(CASE.path.read_text())
    assert f"CASES={elsewhere}" in judge().judge(load(elsewhere), TRACE).explanation
    assert judge().judge(replace(CASE, file=None), TRACE).explanation == ""
    says(script, lambda turn, check: golden(check))
    assert judge().judge(CASE, TRACE).explanation == ""


def asked(trace: Trace, most: int | None) -> Answer:
    answer = Answer()
    ask(Scripted(), trace, most, answer)  # type: ignore[arg-type]
    return answer


def test_all_is_asked_in_order_up_to_the_limit() -> None:
    whole = asked(TRACE, None)
    assert [(c.check.kind, c.n) for c in whole.checked] == [
        ("step", 0),
        ("step", 1),
        ("run", 0),
        ("run", 1),
    ]
    assert [e.name for e in whole.checked[-1].expected] == [n for n, _ in whole.checked[-1].got]
    assert [c.n for c in asked(TRACE, 0).checked] == [0, 1, 0]
    assert whole.correct is None


def test_held_out_samples_are_classified_with_what_was_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.eye(3)[:, :1]
    case = replace(CASE, held_out_samples=(X, y))
    trace = replace(TRACE, case=case, correct=2)
    seen: list[PredictCheck] = []

    def answer_to(self: Scripted, check: Check) -> Points:
        if isinstance(check, PredictCheck):
            seen.append(check)
            return [(1, [("l2", np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))])]
        return golden(check)

    monkeypatch.setattr(Scripted, "answer_to", answer_to)
    # Which output is the largest: 0, 1, 0; where y has its 1: 0, 0, 0.
    assert asked(trace, None).correct == 2
    [check] = seen
    learned = [value for name, value in golden(TRACE.run.check)[-1][1] if name != "error"]
    assert all(map(np.array_equal, check.start.state, learned))
    assert np.array_equal(check.X, X)
    assert check.points == (1,)
    assert asked(trace, 1).correct == 2
    assert asked(trace, 0).correct is None


def test_what_has_not_started_can_be_ended(judge: Make) -> None:
    one = judge()
    one.interrupt()
    one.close()


def test_the_files_of_a_port_are_known_by_its_sources_alone(
    judge: Make, target: Callable[..., Target], tmp_path: Path
) -> None:
    one = target()
    before = judge(of=one).sha256
    (tmp_path / "p" / "README.md").write_text("About it.")
    assert judge(of=one).sha256 == before
    (tmp_path / "p" / "p.c").write_text("int q;")
    assert judge(of=one).sha256 != before
