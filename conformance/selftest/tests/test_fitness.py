"""Which random cases can be judged: tolerances tell something, and rounding decides nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.selftest.tests.conftest import CASES
from conformance.suite import fitness, traces
from conformance.suite.compare import Expected
from conformance.suite.traces import Trace
from reference.cases.case import Case, CaseError, load

TRACES = traces.load(load(CASES / "one-step.toml"))
DTYPES = ("float64", "float32")


def with_run(trace: Trace, expected: list[tuple[int, list[Expected]]]) -> Trace:
    due = [replace(due, expected=expected) if due.check.whole_run else due for due in trace.due]
    return replace(trace, due=due)


def changed(trace: Trace, **changes: Any) -> Trace:
    """Each expected tensor that has noise, with these fields."""
    return replace(
        trace,
        due=[
            replace(
                due,
                expected=[
                    (n, [replace(e, **changes) if e.noise else e for e in expected])
                    for n, expected in due.expected
                ],
            )
            for due in trace.due
        ],
    )


@pytest.mark.parametrize(
    ("value", "tolerance", "telling"),
    [
        ([0.001, 0.5], 0.01, True),
        ([0.001, 0.5], 0.0101, False),
        ([2.0, -300.0], 3.0, True),
        ([2.0, -300.0], 3.01, False),
    ],
)
def test_a_tolerance_beyond_a_hundredth_tells_nothing(
    value: list[float], tolerance: float, telling: bool
) -> None:
    """Of the largest number of its tensor, or of 1 where that is less."""
    wide, fine = Expected("wide", np.array(value), tolerance), Expected("fine", np.ones(2), 1e-9)
    trace = TRACES["float64"]
    for expected in (
        [(0, [wide])],
        [(0, [fine, wide]), (1, [fine])],
        [(0, [fine]), (1, [wide, fine])],
    ):
        assert fitness.telling(with_run(trace, expected)) == telling


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_smooth_run_is_steady_and_one_number_that_is_not_decides(dtype: Any) -> None:
    trace = TRACES[dtype]
    assert fitness.steady(trace)
    assert not fitness.steady(changed(trace, tolerance=1e-300))
    for i, due in enumerate(trace.due):
        tight = changed(replace(trace, due=[due]), tolerance=1e-300)
        assert not fitness.steady(replace(trace, due=[*trace.due[:i], *tight.due]))


def test_what_has_no_noise_and_what_is_drawn_is_not_computed() -> None:
    trace = TRACES["float64"]
    [[(_, first), *later]] = [due.expected for due in trace.due if due.check.whole_run]
    other = [replace(e, value=e.value + 1, noise=0.0) for e in first]
    assert fitness.steady(with_run(trace, [(0, other), *later]))
    drawn = traces.load(load(CASES / "numpy-seed-small.toml"))["float32"]
    assert fitness.steady(replace(drawn, due=[d for d in drawn.due if d.check.kind == "drawn"]))
    assert not fitness.steady(changed(drawn, tolerance=1e-300))  # what comes after it is


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_state_is_shaken_by_4_units_in_the_last_place(dtype: Any) -> None:
    """At the first checkpoint it is the initial state, which a run does not compute."""
    trace = TRACES[dtype]
    (n, first), *later = trace.run.expected
    eps = float(np.finfo(dtype).eps)
    for units, steady in ((4.0, True), (3.5, False)):
        shaken = [
            replace(e, noise=1.0, tolerance=units * eps * float(abs(e.value).max()))
            for e in first
            if e.name != "error"
        ]
        expected = [(n, [*shaken, first[-1]]), *later]
        assert fitness.steady(with_run(trace, expected)) == steady


def test_a_case_without_golden_data_is_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_nothing(_: Case) -> None:
        raise CaseError("cannot be certified")

    monkeypatch.setattr(traces, "load", load_nothing)
    assert fitness.data_if_fit(load(CASES / "one-step.toml")) is None
