"""What a port is asked, what its answer must look like, and what of it is compared."""

from typing import Any

import numpy as np
import pytest

from conformance.selftest.tests.conftest import CASES
from reference.algorithm import network
from reference.arithmetic.float import FLOAT
from reference.array import Array
from reference.cases.case import Case, load
from reference.cases.tables import DType
from reference.golden.checks import (
    KEYS,
    KINDS,
    Check,
    DrawnCheck,
    PredictCheck,
    RunCheck,
    StepCheck,
)
from reference.golden.start import LARGE, At, Start

NAMES = (
    "one-step",
    "ensemble-momentum",
    "numpy-seed-small",
    "dropout-step",
    "batch-norm-step",
    "mini-batch-step",
    "predict-small",
    "adam-step",
)
SUITE = {name: load(CASES / f"{name}.toml") for name in NAMES}
ONE_STEP = SUITE["one-step"]
W = [[[0.5, -0.25], [0.75, 0.125]], [[1.0], [-0.5]]]  # of one-step, as its file has them
X, Y = [[1, 0], [0, 1], [1, 1]], [[1], [0], [1]]
SETTINGS = {"dtype": "float64", "layers": [2, 2, 1], "alpha": 1.0}


def marked(case: Case, dtype: DType, n: int) -> list[Array]:
    """The initial state plus n, so that one sees where it went."""
    return [w + n for w in case.arrays(dtype)[2]]


def checks(case: Case, dtype: DType = "float64") -> list[Check]:
    found = [kind.all_of(case, dtype, lambda n: marked(case, dtype, n)) for kind in KINDS]
    return [check for several in found for check in several]


def as_answer(check: Check) -> dict[str, Any]:
    """What the reference answers, as a port puts it, with the first part of each kind's formula."""
    start = check.start
    state, given = start.state, start.given
    if isinstance(check, StepCheck):
        step = network.step(start.X, start.y, state, iteration=check.points[0], **given)
        return {"l": step.l, "error": step.error, "delta": step.delta, "weights": step.state}
    if isinstance(check, PredictCheck):
        return {"output": network.predict(check.X, state, **given)}
    if isinstance(check, DrawnCheck):
        seed = check.points[0]
        return {"weights": network.initial(start.case.layers, seed, dtype=check.dtype, **given)}
    run = network.train(start.X, start.y, state, check.points, **given)
    return {"checkpoints": [{"error": error, "weights": new} for _, error, new in run]}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SUITE)
def test_what_is_compared_is_the_answer_in_the_shapes_that_were_said(
    name: str, dtype: DType
) -> None:
    for check in checks(SUITE[name], dtype):
        told = check.tensors(as_answer(check))
        right = list(check.computed(network, FLOAT))
        assert [(n, [t for t, _ in found]) for n, found in told] == [
            (n, [t for t, _ in found]) for n, found in right
        ]
        for (_, here), (_, there) in zip(told, right, strict=True):
            for (_, one), (_, other) in zip(here, there, strict=True):
                assert np.array_equal(one, other)
                assert np.asarray(other).dtype == dtype
        shapes = [(n, [(t, np.shape(value)) for t, value in found]) for n, found in right]
        assert check.shapes == shapes
        assert check.numbers == sum(np.size(value) for _, found in right for _, value in found)


def test_a_port_is_asked_for_each_step_then_for_the_run() -> None:
    later = {"X": X, "y": Y}
    assert [check.request() for check in checks(ONE_STEP)] == [
        {"op": "step", **SETTINGS, **later, "weights": W},
        {"op": "step", **SETTINGS, **later, "weights": [(np.array(w) + 1).tolist() for w in W]},
        {"op": "train", **SETTINGS, **later, "weights": W, "checkpoints": [0, 1]},
    ]
    assert [(c.kind, c.points) for c in checks(ONE_STEP)] == [
        ("step", (0,)),
        ("step", (1,)),
        ("run", (0, 1)),
    ]


def test_inference_and_drawing_are_asked_without_targets() -> None:
    case = SUITE["predict-small"]
    told = [check.request() for check in checks(case) if isinstance(check, PredictCheck)]
    assert case.predict is not None
    assert [request["weights"][0] for request in told] == [
        marked(case, "float64", n)[0].tolist() for n in (0, 100)
    ]
    for request in told:
        assert {*request} == {"op", "dtype", "layers", "alpha", "weights", "X"}
        assert (request["op"], request["X"]) == ("predict", case.predict.X)
    drawn = [c for c in checks(SUITE["numpy-seed-small"], "float32") if isinstance(c, DrawnCheck)]
    seeds = [0, 1, 2, 5489, 2**31 - 1, 2**31, 2**32 - 1]
    assert [check.request() for check in drawn] == [
        {
            "op": "initial",
            "dtype": "float32",
            "layers": [3, 4, 1],
            "alpha": 1.0,
            "numpy_seed": seed,
            "shapes": [(3, 4), (4, 1)],
        }
        for seed in seeds
    ]


@pytest.mark.parametrize(
    ("name", "numbered"),
    [("one-step", False), ("mini-batch-step", True), ("dropout-step", True), ("adam-step", True)],
)
def test_a_step_has_a_number_where_that_matters(name: str, numbered: bool) -> None:
    for check in checks(SUITE[name]):
        if isinstance(check, StepCheck):
            request = check.request()
            assert request.get("iteration") == (check.points[0] if numbered else None)


def test_a_step_beyond_the_run_starts_from_its_last_state() -> None:
    case = load(CASES / "late-adam.toml")
    last = case.trace.checkpoints[-1]
    beyond = [n for n in case.trace.steps if n > case.iterations]
    assert beyond
    asked: list[int] = []

    def golden(n: int) -> list[Array]:
        asked.append(n)
        return case.arrays("float64")[2]

    StepCheck.all_of(case, "float64", golden)
    assert asked == [n if n <= case.iterations else last for n in case.trace.steps]


def test_each_kind_says_where_it_is_and_has_its_own_name() -> None:
    """A report names the check and its iteration or seed, in a line and in a sentence."""
    for told in (
        [kind.kind for kind in KINDS],
        [kind.where.format(n=1234567) for kind in KINDS],
        [kind.story.format(n=1234567) for kind in KINDS],
    ):
        assert len({*told}) == len(KINDS)
        assert all("1234567" in text or text.isalpha() for text in told)
    assert [kind for kind in KINDS if kind.whole_run] == [RunCheck]
    # The lists of a golden file. What is drawn is in none.
    assert {*KEYS} == {"checkpoints", "steps", "predictions"}


def test_a_run_is_cut_and_nothing_else() -> None:
    *others, run = checks(load(CASES / "predict-small.toml"))
    assert run.points == (0, 1, 10, 100)
    for most, points in ((None, (0, 1, 10, 100)), (10, (0, 1, 10)), (9, (0, 1)), (0, (0,))):
        cut = run.upto(most)
        assert isinstance(cut, RunCheck)
        assert (cut.points, cut.start) == (points, run.start)
        assert cut.request()["checkpoints"] == [*points]
    assert run.upto(-1) is None
    assert all(check.upto(0) is check for check in others)


def test_inference_can_be_asked_about_other_inputs() -> None:
    start = Start(ONE_STEP, "float32")
    other = np.array([[0.25, 4.0]], dtype=np.float32)
    check = PredictCheck(start, [0], other)
    assert check.request()["X"] == [[0.25, 4.0]]
    assert check.answer() == {"output": (1, 1)}
    assert PredictCheck.points_of(ONE_STEP) == []
    own = PredictCheck(Start(SUITE["predict-small"], "float32"), [0])
    assert own.X.dtype == np.float32


def test_in_a_step_each_tensor_comes_after_what_it_is_computed_from() -> None:
    [first, *_] = checks(SUITE["batch-norm-step"])
    [(_, found)] = first.computed(network, FLOAT)
    assert len(SUITE["batch-norm-step"].layers) == 3
    assert [name for name, _ in found] == [
        *("mean1", "variance1", "l1", "l2"),
        *("l2_error", "l2_delta", "l1_error", "l1_delta"),
        *("syn0", "syn1", "gamma1", "beta1"),
    ]
    [first, *_] = checks(SUITE["adam-step"])
    [(_, found)] = first.computed(network, FLOAT)
    memory = [name for name, _ in found if name.startswith("syn")]
    assert memory == ["syn0_m", "syn1_m", "syn0_v", "syn1_v", "syn0", "syn1"]


@pytest.mark.parametrize(
    ("tensor", "marker"),
    [
        ("l2", "l"),
        ("l1_error", "l_error"),
        ("l2_error", "output-error"),
        ("l1_delta", "l_delta"),
        ("l2_delta", "l_delta"),
        ("syn1", "syn"),
        ("gamma1", "gamma"),
        ("syn0_velocity", "velocity"),
        ("syn1_m", "m"),
        ("beta1_v", "v"),
    ],
)
def test_the_line_of_a_tensor_has_a_marker(tensor: str, marker: str) -> None:
    step, run = checks(ONE_STEP)[0], checks(ONE_STEP)[-1]
    assert step.source(tensor) == marker
    assert run.source(tensor) is None


def test_an_ensemble_says_how_many_networks_and_has_an_error_for_each() -> None:
    [run] = checks(SUITE["ensemble-momentum"])
    assert run.start.networks == run.request()["networks"] == 5
    entries = run.answer()["checkpoints"]
    assert isinstance(entries, list)
    first = entries[0]
    assert isinstance(first, At)
    assert (first.iteration, first.fields["error"]) == (0, (5,))
    assert Start(ONE_STEP, "float64").networks is None


def test_a_start_is_in_its_dtype_and_may_have_another_state() -> None:
    for dtype in ("float64", "float32"):
        start = Start(ONE_STEP, dtype)
        assert {a.dtype for a in (start.X, start.y, *start.state)} == {np.dtype(dtype)}
        assert start.arrays == {"X": X, "y": Y, "weights": W}
    other = Start(ONE_STEP, "float64", tuple(marked(ONE_STEP, "float64", 1)))
    assert other.body("weights")["weights"] == [(np.array(w) + 1).tolist() for w in W]
    assert other.arrays is other.arrays  # made once, since they may be large


def test_what_is_large_is_not_sent_with_each_question_about_a_small_case() -> None:
    assert load(CASES / "digits-accuracy.toml").X.size > LARGE
    assert all(case.X.size < LARGE / 100 for case in SUITE.values())
