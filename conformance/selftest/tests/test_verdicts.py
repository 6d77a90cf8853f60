"""From an answer to a verdict, and what the record of a verdict takes and refuses."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from conformance.ground.statuses import Status
from conformance.selftest.tests.conftest import CASES
from conformance.suite import traces
from conformance.suite.compare import Deviation
from conformance.suite.traces import Trace
from conformance.targets.manifest import KnownFailure
from conformance.verdict.diagnosis import Answer, Checked, line_of
from conformance.verdict.outcome import verdict_of, with_known_failures
from conformance.verdict.verdict import Divergence, Drift, Model, Repeat, Verdict, finite
from reference.cases.case import load as load_case
from reference.cases.tables import Timing
from reference.golden.checks import RunCheck

TRACE = traces.load(load_case(CASES / "one-step.toml"))["float64"]
QUICK = replace(TRACE, diagnosed=False)  # to look for known bugs takes long
RIGHT = Verdict.without_numbers("p", "c", "float32", Status.PASS)


def golden(trace: Trace = TRACE) -> Answer:
    """The golden values as an answer."""
    return Answer(
        [
            Checked(due.check, n, [(e.name, e.value.copy()) for e in wanted], wanted)
            for due in trace.due
            for n, wanted in due.expected
        ]
    )


def shifted(answer: Answer, check: int, tensor: str, tolerances: float) -> Answer:
    """The answer with all numbers of one tensor of one check off by so many tolerances."""
    checked = answer.checked[check]
    for i, expected in enumerate(checked.expected):
        if expected.name == tensor:
            value = expected.value + tolerances * expected.tolerance
            checked.got[i] = (tensor, value)
    return answer


def test_a_verdict_says_what_was_compared() -> None:
    answer = golden()
    expected = [e for checked in answer.checked for e in checked.expected]
    found = verdict_of("p", TRACE, answer)
    assert (found.port, found.case, found.dtype) == ("p", "one-step", "float64")
    assert (found.status, found.reason, found.margin) == (Status.PASS, "", 0.0)
    assert found.numbers_compared == sum(e.value.size for e in expected)
    assert found.numbers_inexact == sum(e.value.size for e in expected if e.noise > 0)
    assert 0 < found.numbers_inexact < found.numbers_compared
    assert (found.divergence, found.accuracy, found.drift) == (None, None, [])


def test_the_margin_is_the_worst_of_all_checks() -> None:
    answer = shifted(shifted(golden(), 0, "l2", 0.25), 1, "l2", 0.75)
    found = verdict_of("p", TRACE, shifted(answer, 3, "error", 0.5))
    assert found.status is Status.PASS
    assert found.margin == pytest.approx(0.75, rel=0.1)
    found = verdict_of("p", QUICK, shifted(golden(), 3, "error", math.nan))
    assert (found.status, found.margin) == (Status.FAIL, None)  # as files have infinity


def test_the_first_wrong_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def bugs(case: object, answer: Answer) -> list[Any]:
        assert case is TRACE.case
        return [SimpleNamespace(id=f"bug-{len(answer.checked)}")]

    monkeypatch.setattr("conformance.verdict.outcome.probable_bugs", bugs)
    answer = shifted(shifted(golden(), 1, "l1_delta", 3), 3, "error", 9)
    assert [(c.check.kind, c.n) for c in answer.checked][1::2] == [("step", 1), ("run", 1)]
    found = verdict_of("p", TRACE, answer)
    assert found.status is Status.FAIL
    assert found.reason.startswith("l1_delta[")
    assert "in one step from iteration 1: got " in found.reason
    assert found.divergence is not None
    at = found.divergence
    assert (at.check, at.iteration, at.tensor) == ("step", 1, "l1_delta")
    assert at.line == line_of("l_delta")
    assert at.bugs == ["bug-4"]
    quick = verdict_of("p", QUICK, answer).divergence
    assert quick is not None
    assert quick.bugs == []
    last = verdict_of("p", TRACE, shifted(golden(), 3, "error", 9)).divergence
    assert last is not None
    assert (last.check, last.iteration, last.line) == ("run", 1, None)


def test_a_run_that_was_cut_says_how_far_it_went() -> None:
    answer = golden()
    assert answer.checked.pop().n == 1
    cut = verdict_of("p", TRACE, answer)
    assert (cut.status, cut.reason) == (Status.PASS, "first 0 of 1 iterations")
    only_steps = Answer([c for c in answer.checked if not c.check.whole_run])
    assert verdict_of("p", TRACE, only_steps).reason == "first 0 of 1 iterations"
    assert verdict_of("p", TRACE, Answer()).reason == "nothing was compared"


def test_an_accuracy_is_a_part_of_the_held_out_samples() -> None:
    held_out = np.zeros((4, 2)), np.zeros((4, 1))
    trace = replace(TRACE, case=replace(TRACE.case, held_out_samples=held_out), correct=3)
    answer = golden()
    answer.correct = 3
    assert verdict_of("p", trace, answer).accuracy == 0.75
    answer.correct = 2
    found = verdict_of("p", trace, answer)
    said = "classifies 2 of 4 held-out samples correctly after the whole run, not 3"
    assert (found.status, found.accuracy, found.reason) == (Status.FAIL, None, said)


def test_drift_is_the_largest_deviation_at_each_checkpoint_of_the_run() -> None:
    timed = replace(QUICK, case=replace(TRACE.case, timing=Timing(iterations=[0, 1])))
    answer = golden()
    run = [c for c in answer.checked if c.check.whole_run]
    assert [c.n for c in run] == [0, 1]
    off = np.array([[0.0, -(2.0**-60)], [2.0**-61, 0.0]])
    run[0].got[0] = ("syn0", np.zeros((2, 2)))
    run[0].expected[0] = replace(run[0].expected[0], value=off, tolerance=1.0)
    run[1].got[0] = ("syn0", run[1].expected[0].value + math.inf)
    found = {d.tensor: d for d in verdict_of("p", timed, answer).drift}
    assert list(found) == [e.name for e in run[0].expected]
    assert found["syn0"].iterations == [0, 1]
    assert found["syn0"].deviations == [2.0**-60, None]
    assert found["error"].deviations == [0.0, 0.0]
    answer.checked = [c for c in answer.checked if c not in run] + run[::-1]
    assert {d.tensor: d for d in verdict_of("p", timed, answer).drift} == found


KNOWN = [
    KnownFailure(case="c", status="FAIL", message="too far", reason="by tables"),
    KnownFailure(case="c", status="CRASH", message="signal", reason="by luck"),
]
MISSED = "known failure did not occur: the manifest predicts FAIL with 'too far', but it was "


@pytest.mark.parametrize(
    ("status", "reason", "then", "said"),
    [
        ("FAIL", "l1 is too far off", "XFAIL", "by tables (l1 is too far off)"),
        ("CRASH", "signal 11", "XFAIL", "by luck (signal 11)"),
        ("FAIL", "signal 11", "FAIL", f"{MISSED}FAIL signal 11"),
        ("CRASH", "too far", "FAIL", f"{MISSED}CRASH too far"),
        ("PASS", "", "FAIL", f"{MISSED}PASS"),
        ("SKIP", "too far", "SKIP", "too far"),
    ],
)
def test_what_a_manifest_predicts(status: str, reason: str, then: str, said: str) -> None:
    before = RIGHT.but(status=Status[status], reason=reason)
    found = with_known_failures(before, KNOWN)
    assert (found.status, found.reason) == (then, said)
    assert with_known_failures(before, []) == before


def test_a_divergence_is_the_deviation_that_it_was_made_from() -> None:
    there = Deviation("l1", (2, 0), math.nan, 0.5, 0.25, "float32")
    stored = Divergence.of(RunCheck, 7, there, "a.py:1: x", ["bug"])
    assert stored.model_dump() == {
        "check": "run",
        "iteration": 7,
        "tensor": "l1",
        "index": [2, 0],
        "got": "nan",
        "got_hex": "nan",
        "expected": 0.5,
        "expected_hex": "0x1.0000000000000p-1",
        "tolerance": 0.25,
        "line": "a.py:1: x",
        "bugs": ["bug"],
    }
    again = stored.deviation("float32")
    assert repr(again) == repr(there)


DIVERGENCE = Divergence.of(RunCheck, 7, Deviation("l", (1,), 1.0, 0.5, 0.25, "float32"), None, [])
NAMES = {"port": "p", "case": "c", "dtype": "float64", "status": "PASS", "reason": ""}
VERDICT = {**NAMES, "margin": 0.5, "numbers_compared": 1}


@pytest.mark.parametrize(
    ("model", "good", "bad"),
    [
        (Divergence, {"iteration": 0}, {"iteration": -1}),
        (Divergence, {"iteration": 2**64 - 1}, {"iteration": 2**64}),
        (Divergence, {"index": [0, 10**15]}, {"index": [10**15 + 1]}),
        (Divergence, {"got": "-inf"}, {"got": "word"}),
        (Divergence, {"tolerance": 0.0}, {"tolerance": -1e-300}),
        (Divergence, {"check": "predict"}, {"check": "other"}),
        (Divergence, {"expected": 1.0}, {"expected": math.inf}),
        (Drift, {"deviations": [0.0, None]}, {"deviations": [-1.0, None]}),
        (Drift, {"iterations": [0, 1]}, {"iterations": [1, 1]}),
        (Drift, {"iterations": [1, 2]}, {"iterations": [2, 1]}),
        (Drift, {"iterations": [1, 2]}, {"iterations": [1]}),
        (Repeat, {"ulps": 0.5}, {"ulps": 0.0}),
        (Repeat, {"ulps": None}, {"ulps": math.inf}),
        (Verdict, {"margin": 0.0}, {"margin": -0.5}),
        (Verdict, {"margin": None}, {"margin": math.nan}),
        (Verdict, {"numbers_compared": 10**15}, {"numbers_compared": 10**15 + 1}),
        (Verdict, {"numbers_inexact": 0}, {"numbers_inexact": -1}),
        (Verdict, {"accuracy": 0.0}, {"accuracy": -0.1}),
        (Verdict, {"accuracy": 1.0}, {"accuracy": 1.1}),
        (Verdict, {}, {"more": 1}),
    ],
)
def test_a_record_takes_what_can_be_and_refuses_what_cannot(
    model: type[Any], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    bases: dict[Any, dict[str, Any]] = {
        Divergence: DIVERGENCE.model_dump(),
        Drift: {"tensor": "l", "iterations": [0, 1], "deviations": [0.5, 0.5]},
        Repeat: {"says": "so"},
        Verdict: VERDICT,
    }
    base = bases[model]
    assert model.model_validate({**base, **good})
    with pytest.raises(ValidationError):
        model.model_validate({**base, **bad})


def test_a_record_says_which_lists_do_not_fit() -> None:
    with pytest.raises(ValueError, match="there are 1 iterations and 2 deviations"):
        Drift(tensor="l", iterations=[1], deviations=[0.5, 0.5])
    with pytest.raises(ValueError, match="its iterations do not ascend"):
        Drift(tensor="l", iterations=[2, 2], deviations=[0.5, 0.5])


def test_texts_are_harmless_once_they_are_in_a_record() -> None:
    with_tables = Verdict.model_validate(
        VERDICT
        | {
            "port": "a\nb",
            "reason": "one\ntwo\x1b",
            "explanation": "one\ntwo\x1b",
            "divergence": DIVERGENCE.model_dump() | {"tensor": "l\n1", "bugs": ["a\x1b"]},
            "drift": [{"tensor": "x\ny", "iterations": [], "deviations": []}],
            "repeat": {"says": "a\tb"},
        }
    )
    assert with_tables.port == "a b"
    assert with_tables.reason == "one\n    two?"
    assert with_tables.explanation == "one\ntwo?"
    assert with_tables.divergence is not None
    assert (with_tables.divergence.tensor, with_tables.divergence.bugs) == ("l 1", ["a?"])
    assert [d.tensor for d in with_tables.drift] == ["x y"]
    assert with_tables.repeat == Repeat(says="a b")
    given: Any
    for given in ([], None, "text"):
        with pytest.raises(ValidationError) as refused:
            Verdict.model_validate(given)
        assert refused.value.errors()[0]["input"] == given


class Holder(Model):
    """A file with verdicts and a table of texts."""

    verdicts: list[Verdict]
    table: dict[str, str]


def test_texts_are_made_harmless_as_their_own_record_wants_them() -> None:
    held = Holder.model_validate(
        {"verdicts": [VERDICT | {"reason": "one\ntwo"}], "table": {"a\nb": "c\x1b"}}
    )
    assert held.verdicts[0].reason == "one\n    two"
    assert held.table == {"a b": "c?"}
    assert Holder(verdicts=[RIGHT], table={}).verdicts == [RIGHT]


def test_a_verdict_never_changes_and_another_is_checked() -> None:
    with pytest.raises(ValidationError):
        RIGHT.status = Status.FAIL
    other = RIGHT.but(reason="a\nb", margin=0.5)
    assert (other.reason, other.margin, other.key) == ("a\n    b", 0.5, ("p", "c", "float32"))
    assert (RIGHT.reason, RIGHT.margin, RIGHT.numbers_compared) == ("", None, 0)
    with pytest.raises(ValidationError):
        RIGHT.but(margin=-1)


def test_what_was_compared_is_infinite_where_files_have_null() -> None:
    assert RIGHT.compared is None
    assert RIGHT.but(numbers_compared=1).compared == math.inf
    assert RIGHT.but(numbers_compared=1, margin=0.5).compared == 0.5
    assert RIGHT.but(numbers_compared=1, margin=0.0).compared == 0.0
    assert [finite(x) for x in (0.5, math.inf, -math.inf, math.nan)] == [0.5, None, None, None]
