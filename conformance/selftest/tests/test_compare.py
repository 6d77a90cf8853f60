"""The comparison can fail in every way that it should, and in no other."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from conformance.selftest.tests.conftest import CASES
from conformance.suite import traces
from conformance.suite.compare import Comparison, Deviation, Expected, compare, farthest
from conformance.suite.traces import Due, Trace
from conformance.verdict.diagnosis import Answer, Checked
from conformance.verdict.outcome import verdict_of
from reference.array import Array
from reference.cases.case import load as load_case
from reference.cases.tables import DType

finite = st.floats(-1e6, 1e6)
shapes = npst.array_shapes(min_dims=1, max_dims=2, max_side=5)
tolerances = st.floats(1e-12, 1e3)
Data = tuple[Array, Array, float]


@st.composite
def tensors(draw: st.DrawFn) -> Data:
    """Got and expected of one shape, with a tolerance."""
    shape = draw(shapes)
    got, expected = (draw(npst.arrays(np.float64, shape, elements=finite)) for _ in range(2))
    return got, expected, draw(tolerances)


def one(got: Array, expected: Array, tolerance: float) -> Comparison:
    return compare([("t", got)], [Expected("t", expected, tolerance)], "float64")


@given(tensors())
def test_fails_exactly_if_an_element_is_beyond_the_tolerance(data: Data) -> None:
    got, expected, tolerance = data
    found = one(got, expected, tolerance)
    beyond = [
        index
        for index in np.ndindex(got.shape)
        if abs(float(got[index]) - float(expected[index])) / tolerance > 1
    ]
    assert (found.first is not None) == bool(beyond)
    assert (found.margin > 1) == bool(beyond)
    assert found.numbers == got.size
    if found.first is not None:
        assert found.first.index in beyond
        assert found.first.margin == found.margin


@given(tensors(), st.floats(1, 1e6))
def test_a_larger_tolerance_never_fails_what_a_smaller_one_passes(
    data: Data, factor: float
) -> None:
    got, expected, tolerance = data
    tight, loose = one(got, expected, tolerance), one(got, expected, tolerance * factor)
    assert loose.margin <= tight.margin
    assert tight.first is not None or loose.first is None


@given(tensors(), st.sampled_from([math.nan, math.inf, -math.inf]), st.data())
def test_what_is_not_finite_always_fails(data: Data, bad: float, choose: st.DataObject) -> None:
    _, expected, _ = data
    index = choose.draw(st.sampled_from(list(np.ndindex(expected.shape))))
    got = expected.copy()
    assert one(got, expected, 1e300).first is None
    got[index] = bad
    found = one(got, expected, 1e300)
    assert found.first is not None
    assert found.first.index == index
    assert found.margin == math.inf


def test_equal_numbers_pass_and_minus_zero_equals_zero() -> None:
    values = np.array([0.0, 5e-324, -1.0])
    assert one(values, values, 1e-300).margin == 0
    assert one(np.array([-0.0]), np.array([0.0]), 1e-300).margin == 0


def test_a_subnormal_deviation_is_seen() -> None:
    assert one(np.array([1e-310]), np.array([0.0]), 1e-311).first is not None


def test_the_first_tensor_out_of_tolerance_is_named_not_the_worst() -> None:
    expected = [Expected(name, np.zeros(2), 1.0) for name in ("a", "b", "c")]
    got = [("a", np.zeros(2)), ("b", np.array([0.0, 2.0])), ("c", np.array([9.0, 0.0]))]
    found = compare(got, expected, "float64")
    assert found.first is not None
    assert (found.first.tensor, found.first.index) == ("b", (1,))
    assert found.margin == 9.0


def test_other_names_or_shapes_are_an_error_and_never_a_pass() -> None:
    expected = [Expected("a", np.zeros((2, 1)), 1.0)]
    with pytest.raises(ValueError, match="compared"):
        compare([("b", np.zeros((2, 1)))], expected, "float64")
    with pytest.raises(ValueError, match="compared"):
        compare([], expected, "float64")
    with pytest.raises(ValueError, match="shape"):
        compare([("a", np.zeros((1, 2)))], expected, "float64")


def test_ulps_are_counted_in_the_dtype() -> None:
    up = np.array([float(np.nextafter(np.float32(1), np.float32(2)))])
    found = compare([("t", up)], [Expected("t", np.ones(1), 1e-12)], "float32")
    assert found.first is not None
    assert found.first.ulps == 1.0


def test_numbers_are_counted_over_all_tensors() -> None:
    """And those from which correct runs stray."""
    expected = [Expected("a", np.zeros(3), 1.0, 1e-9), Expected("b", np.zeros(4), 1.0)]
    found = compare([(e.name, e.value) for e in expected], expected, "float64")
    assert (found.numbers, found.inexact) == (7, 3)


def deviation(got: float, tolerance: float, dtype: DType = "float64") -> Deviation:
    return Deviation("t", (0,), got, 1.0, tolerance, dtype)


def test_a_deviation_is_a_multiple_of_its_tolerance() -> None:
    assert deviation(1.75, 0.25).margin == deviation(0.25, 0.25).margin == 3.0
    assert deviation(1.75, 1.0).margin == 0.75
    for got in (math.nan, math.inf, -math.inf):
        assert deviation(got, 0.25).margin == math.inf
    assert deviation(1.75, 0.0).margin == math.inf
    assert deviation(math.nan, 0.0).margin == math.inf


@pytest.mark.parametrize(("dtype", "tiny"), [("float64", 2.0**-1022), ("float32", 2.0**-126)])
def test_what_no_correct_run_strays_from_has_a_tolerance_of_16_smallest_numbers(
    dtype: DType, tiny: float
) -> None:
    assert deviation(0.0, 16 * tiny, dtype).exact is True
    assert deviation(0.0, 0.0, dtype).exact is True
    assert deviation(0.0, 16.5 * tiny, dtype).exact is False


def test_the_farthest_element_counts_in_either_direction() -> None:
    assert farthest(np.array([[1.0, -5.0], [2.0, 0.0]]), np.ones((2, 2))) == 6.0
    assert farthest([3.0, 4.5], np.array([4.0, 4.0])) == 1.0
    assert farthest(np.empty((0, 2)), np.empty((0, 2))) == 0.0
    assert farthest(np.array([math.inf]), np.ones(1)) == math.inf
    assert math.isnan(farthest(np.array([1.0, math.nan]), np.ones(2)))


@cache
def loaded(name: str) -> dict[DType, Trace]:
    return traces.load(load_case(CASES / f"{name}.toml"))


def an_answer(trace: Trace, wrong_at: int | None = None) -> Answer:
    """The golden values as an answer, with one number of one check moved beyond tolerance."""
    answer = Answer(
        [
            Checked(due.check, n, [(e.name, e.value.copy()) for e in wanted], wanted)
            for due in trace.due
            for n, wanted in due.expected
        ]
    )
    if wrong_at is not None:
        checked = answer.checked[wrong_at]
        name, value = checked.got[-1]
        checked.got[-1] = (name, value + (2 * checked.expected[-1].tolerance or 1e-300))
    return answer


def of_kind(trace: Trace, *kinds: str) -> list[Due]:
    return [due for due in trace.due if due.check.kind in kinds]


@pytest.mark.parametrize("wrong_at", range(4))
def test_each_check_of_a_case_can_fail(wrong_at: int) -> None:
    trace = loaded("one-step")["float64"]
    assert sum(len(due.expected) for due in trace.due) == 4
    assert verdict_of("port", trace, an_answer(trace)).status == "PASS"
    verdict = verdict_of("port", trace, an_answer(trace, wrong_at))
    assert verdict.status == "FAIL"
    assert verdict.margin == pytest.approx(2, rel=0.1)
    assert verdict.divergence is not None
    assert verdict.divergence.check == ("step" if wrong_at < len(of_kind(trace, "step")) else "run")


@pytest.mark.parametrize(
    ("case_id", "check"), [("predict-small", "predict"), ("dropout-run", "predict")]
)
def test_inference_can_fail(case_id: str, check: str) -> None:
    for trace in loaded(case_id).values():
        only = replace(trace, due=of_kind(trace, check, "run"))
        assert verdict_of("port", only, an_answer(only)).status == "PASS"
        verdict = verdict_of("port", only, an_answer(only, 0))
        assert verdict.status == "FAIL"
        assert verdict.divergence is not None
        assert verdict.divergence.check == check


def test_drawn_weights_must_be_equal_to_the_last_bit() -> None:
    for trace in loaded("numpy-seed-small").values():
        drawn = of_kind(trace, "drawn")
        assert drawn
        assert all(e.tolerance == 0 for due in drawn for _, found in due.expected for e in found)
        assert verdict_of("port", trace, an_answer(trace)).status == "PASS"
        answer = an_answer(trace)
        first, *_ = [c for c in answer.checked if c.check.kind == "drawn"]
        name, value = first.got[0]
        first.got[0] = (name, np.nextafter(value, 2))
        verdict = verdict_of("port", trace, answer)
        assert verdict.status == "FAIL"
        assert verdict.divergence is not None
        assert (verdict.divergence.check, verdict.divergence.iteration) == ("drawn", first.n)


def test_another_accuracy_fails() -> None:
    trace = loaded("digits-accuracy")["float64"]
    assert trace.correct is not None
    for number, status in ((trace.correct, "PASS"), (trace.correct - 1, "FAIL"), (0, "FAIL")):
        answer = an_answer(trace)
        answer.correct = number
        verdict = verdict_of("port", trace, answer)
        assert verdict.status == status
        assert status == "PASS" or "held-out samples" in verdict.reason


@given(st.permutations(range(16)), st.integers(0, 15), st.booleans())
def test_the_order_of_checkpoints_changes_nothing_else(
    order: list[int], wrong_at: int, wrong: bool
) -> None:
    """Margin, status and count belong to the set of checkpoints, not to their order."""
    trace = loaded("three-layer")["float64"]
    only_runs = replace(trace, due=[trace.run])
    run = [trace.run.expected[i] for i in order]
    permuted = replace(only_runs, due=[replace(trace.run, expected=run)])
    one = verdict_of("port", only_runs, an_answer(only_runs, wrong_at if wrong else None))
    other = verdict_of(
        "port", permuted, an_answer(permuted, order.index(wrong_at) if wrong else None)
    )
    assert one.but(divergence=None, reason="", drift=[]) == other.but(
        divergence=None, reason="", drift=[]
    )
    assert (one.divergence is None) == (other.divergence is None) == (not wrong)


def test_an_empty_answer_is_never_a_pass() -> None:
    trace = loaded("one-step")["float64"]
    assert verdict_of("port", trace, Answer()).status == "FAIL"
    assert compare([], [], "float64").numbers == 0
    empty = np.zeros((0, 2))
    assert compare([("t", empty)], [Expected("t", empty, 1.0)], "float64").numbers == 0
