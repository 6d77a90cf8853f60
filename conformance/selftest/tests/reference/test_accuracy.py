"""How many held-out samples are learned: counted, and refused where rounding decides."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reference.algorithm import network
from reference.cases.case import Case, CaseError, load
from reference.cases.tables import Accuracy, DType
from reference.golden import accuracy, derive

CASES = Path(__file__).parents[4] / "conformance" / "suite" / "cases"
SEVERAL = replace(load(CASES / "several-outputs.toml"), iterations=20)


def held_out(case: Case, wrong: int, at_least: float, times: int = 5) -> Case:
    """The case with its own inputs, several times over, held out; some of them get a wrong label.

    The labels are what a plain run answers.
    """
    X, y, state = case.arrays("float64")
    [(_, _, trained)] = network.train(X, y, state, [case.iterations], **case.settings._asdict())
    X = np.concatenate([X] * times)
    answers = network.predict(X, trained, **case.settings._asdict()).argmax(axis=-1)
    answers[:wrong] = (answers[:wrong] + 1) % y.shape[1]
    labels = np.eye(y.shape[1])[answers]
    return replace(case, accuracy=Accuracy(at_least=at_least), held_out_samples=(X, labels))


def test_rows_are_right_where_the_largest_output_is_the_label() -> None:
    y = np.eye(3)[[0, 1, 2, 0]]
    output = np.array([[0.3, 0.2, 0.1], [-3, -1, -2], [0.1, 0.9, 0.8], [0, 0, 1]])
    assert accuracy.correct(output, y) == 2
    both = np.stack([output, y])
    assert accuracy.correct(both, y).tolist() == [2, 4]


@pytest.mark.parametrize("dtype", derive.DTYPES)
def test_the_right_ones_are_counted_after_the_whole_run(dtype: DType) -> None:
    samples = 5 * len(SEVERAL.X)
    for wrong in (0, 1, 3):
        assert accuracy.expected(held_out(SEVERAL, wrong, 0.1), dtype) == samples - wrong


def test_fewer_than_the_case_asks_for_are_refused() -> None:
    samples = 5 * len(SEVERAL.X)
    exactly = (samples - 2) / samples
    assert accuracy.expected(held_out(SEVERAL, 2, exactly), "float64") == samples - 2
    with pytest.raises(CaseError, match=rf"but {samples - 3} of {samples} are correct in float64"):
        accuracy.expected(held_out(SEVERAL, 3, exactly), "float64")


def test_an_accuracy_that_rounding_decides_is_refused() -> None:
    """Two outputs with the same weights and targets differ by rounding alone."""
    first = [np.concatenate([w[..., :1]] * w.shape[-1], axis=-1) for w in SEVERAL.weights[-1:]]
    same = np.concatenate([SEVERAL.y[:, :1]] * SEVERAL.y.shape[1], axis=1)
    case = replace(SEVERAL, weights=[*SEVERAL.weights[:-1], *first], y=same)
    with pytest.raises(CaseError, match=r"accuracy depends on rounding: .*, .* are correct"):
        accuracy.expected(held_out(case, 0, 0.1), "float64")
    many = held_out(case, 0, 0.1, times=1)
    assert many.held_out_samples is not None
    X, y = many.held_out_samples
    one = replace(many, held_out_samples=(X[:1], y[:1]))
    with pytest.raises(CaseError, match=r"accuracy depends on rounding: 0, 1 are correct"):
        accuracy.expected(one, "float64")
