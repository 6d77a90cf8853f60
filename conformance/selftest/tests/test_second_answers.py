"""Two answers to one request: the verdict, as SPEC.md has it, and how far apart they are."""

import math
from typing import Any

import numpy as np
import pytest

from conformance.ground.statuses import Status
from conformance.selftest.tests.conftest import CASES
from conformance.selftest.tests.test_repeat import WHY
from conformance.suite import traces
from conformance.suite.compare import Expected
from conformance.verdict.diagnosis import Answer, Checked
from conformance.verdict.repeat import of_both, ulps_apart
from conformance.verdict.verdict import Verdict
from reference.cases.case import load

DUE = traces.load(load(CASES / "one-step.toml"))["float64"].run
ONE = np.array([[1.0, 2.0], [4.0, -1.0]])
UP = np.nextafter(1.0, 2.0)


def answer(*values: Any, correct: int | None = None) -> Answer:
    """At iterations 0, 1, ... of the run: a tensor `t` that may stray by 2**-40, and a number."""
    return Answer(
        [
            Checked(
                DUE.check,
                n,
                [("t", value), ("error", np.array(0.5))],
                [Expected("t", ONE, 2.0**-40), Expected("error", np.array(0.5), 0.0)],
            )
            for n, value in enumerate(values)
        ],
        correct,
    )


def moved(by: float) -> Any:
    """ONE with its last element moved."""
    return ONE + np.array([[0, 0], [0, by]])


def verdict(status: str, reason: str = "") -> Verdict:
    return Verdict.without_numbers("p", "c", "float64", Status[status], reason)


def both(one: Verdict, other: Verdict, a: Answer, b: Answer, strict: bool = False) -> Verdict:
    return of_both(one, other, a, b, strict=strict)


PASS, FAIL = verdict("PASS"), verdict("FAIL", "l1 is off")


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (answer(ONE), answer(ONE)),
        (answer(ONE * np.nan), answer(ONE * np.nan)),
        (answer(ONE), answer(ONE, moved(1.0))),  # as far as both go
        (answer(ONE, correct=3), answer(ONE, correct=3)),
    ],
)
def test_the_same_numbers_change_nothing(a: Answer, b: Answer, strict: bool) -> None:
    for given in (PASS, FAIL):
        assert both(given, given, a, b, strict) == given


def test_other_numbers_that_are_right_are_a_note_and_strictly_a_failure() -> None:
    a, b = answer(ONE, ONE), answer(ONE, moved(-3 * 2.0**-52))
    says = "not reproducible: 3 ulps (t[1, 1] in the run at iteration 1)"
    found = both(PASS.but(reason="first 1 of 2 iterations"), PASS, a, b)
    assert (found.status, found.reason) == (Status.PASS, f"first 1 of 2 iterations; {says}")
    assert found.repeat is not None
    assert (found.repeat.says, found.repeat.ulps) == (says, 3.0)
    found = both(PASS, PASS, a, b, strict=True)
    assert (found.status, found.reason) == (
        Status.FAIL,
        f"{says}, and STRICT=1 demands the same bits",
    )


def test_the_largest_difference_counts() -> None:
    a, b = answer(ONE, ONE), answer(moved(-4 * 2.0**-52), moved(-2 * 2.0**-52))
    found = both(PASS, PASS, a, b)
    assert found.reason == "not reproducible: 4 ulps (t[1, 1] in the run at iteration 0)"
    a.checked[1].got[1] = ("error", np.array(0.5 + 9 * 2.0**-53))
    found = both(PASS, PASS, a, b)
    assert found.reason == "not reproducible: 9 ulps (error in the run at iteration 1)"


@pytest.mark.parametrize(
    ("a", "b", "close"),
    [
        (answer(ONE), answer(moved(2.0**-40)), True),
        (answer(ONE), answer(moved(2.0**-39)), False),
        (answer(ONE * np.nan, ONE), answer(ONE * np.nan, moved(2.0**-41)), True),
        (answer(ONE), answer(ONE * np.nan), False),
        (answer(ONE, correct=3), answer(ONE, correct=4), False),
    ],
)
def test_wrong_answers_are_compared_with_each_other(a: Answer, b: Answer, close: bool) -> None:
    found = both(FAIL, FAIL, a, b)
    other = f"the second answer to the same request has other numbers: {WHY}"
    assert found.status is Status.FAIL
    assert found.reason.startswith("l1 is off; not reproducible: ")
    assert found.reason.endswith(other) is not close
    assert found.repeat is not None
    assert (found.repeat.ulps is not None) is close


FIRST_RIGHT = "the first answer to the same request is right, and this is the second"
SECOND_RIGHT = "the second answer to the same request is right"


@pytest.mark.parametrize(
    ("one", "other", "status", "said"),
    [
        ("PASS", "FAIL", "FAIL", FIRST_RIGHT),
        ("PASS", "CRASH", "CRASH", FIRST_RIGHT),
        ("PASS", "SKIP", "FAIL", FIRST_RIGHT),
        ("FAIL", "PASS", "FAIL", SECOND_RIGHT),
        ("GARBAGE", "PASS", "GARBAGE", SECOND_RIGHT),
        ("FAIL", "CRASH", "FAIL", "asked a second time, it is CRASH"),
        ("GARBAGE", "TIMEOUT", "GARBAGE", "asked a second time, it is TIMEOUT"),
    ],
)
def test_of_two_statuses_the_wrong_one_counts(one: str, other: str, status: str, said: str) -> None:
    which = "other" if one == "PASS" else "one"
    found = both(verdict(one, "of one"), verdict(other, "of other"), answer(), answer())
    assert (found.status, found.reason) == (
        status,
        f"of {which}; not reproducible: {said}: {WHY}",
    )
    lines = both(verdict(one, "a\nb"), verdict(other, "a\nb"), answer(), answer())
    assert lines.reason == f"a\n    b\n    not reproducible: {said}: {WHY}"


@pytest.mark.parametrize("status", ["CRASH", "GARBAGE", "TIMEOUT", "SKIP"])
def test_of_what_gave_no_answer_twice_there_is_nothing_to_compare(status: str) -> None:
    given = verdict(status)
    assert both(given, given, answer(ONE), answer(moved(1.0))) == given


@pytest.mark.parametrize(
    ("a", "b", "dtype", "apart"),
    [
        (1.0, UP, "float64", 1.0),
        (1.0, np.nextafter(1.0, 0.0), "float64", 0.5),  # in units of the larger
        (-1.0, -UP, "float64", 1.0),
        (1.0, 1 + 2.0**-23, "float32", 1.0),
        (0.0, 5e-324, "float64", 1.0),
        (math.inf, 1.0, "float64", 0.0),
        (1.0, math.nan, "float64", 0.0),
        (2.0**127, 2.0**128, "float32", 2.0**23),  # the largest of float32 has such a unit
    ],
)
def test_units_in_the_last_place_of_the_larger(
    a: float, b: float, dtype: Any, apart: float
) -> None:
    pair = np.array([a, 3.0]), np.array([b, 3.0])
    for first, second in (pair, pair[::-1]):
        assert ulps_apart(first, second, dtype).tolist() == [apart, 0.0]
