"""Timed runs have other numbers each time, and the same exact answer once it is put back."""

import itertools

import numpy as np
import pytest

from conformance.bench.renumbered import numberings
from conformance.bench.workloads import Workload
from conformance.ground.places import CASES
from conformance.suite import traces
from conformance.suite.compare import compare
from reference.algorithm import network
from reference.arithmetic.float import FLOAT
from reference.cases.case import load
from reference.golden.checks import RunCheck
from reference.golden.start import LARGE

# Some settings go by the number of a sample or unit, others do not.
NAMES = (
    *("three-layer", "deep", "bias-run", "momentum-run", "adam-run", "mini-batch-run"),
    *("dropout-run", "shuffle-run", "batch-norm-run", "everything", "ensemble-momentum"),
)


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_put_back_is_the_golden_one(name: str) -> None:
    case = load(CASES / f"{name}.toml")
    due = traces.load(case)["float64"].upto(300).run
    expected = dict(due.expected)
    for numbering in itertools.islice(numberings(due.check.start, seed=1), 3):
        start = numbering.of(due.check.start)
        question = RunCheck(start, due.check.points)
        for n, answer in question.computed(network, FLOAT):
            assert compare(numbering.back(answer), expected[n], "float64").first is None


def test_no_two_runs_have_the_same_numbers() -> None:
    case = load(CASES / "three-layer.toml")
    start = RunCheck.all_of(case, "float64", lambda _: [])[0].start
    assert start.arrays["weights"] == [w.tolist() for w in start.state]  # it keeps them
    asked = set()
    for numbering in itertools.islice(numberings(start, seed=1), 3000):
        found = numbering.of(start)
        assert found.arrays["weights"] == [w.tolist() for w in found.state]
        asked.add(b"".join(a.tobytes() for a in (found.X, found.y, *found.state)))
    # Signs of inputs that are all 0 or orders of equal samples may make two of them alike.
    assert len(asked) > 2900


def test_inputs_change_their_sign() -> None:
    start = RunCheck.all_of(load(CASES / "three-layer.toml"), "float64", lambda _: [])[0].start
    signs = [one.signs for one in itertools.islice(numberings(start, seed=1), 10)]
    assert {sign for drawn in signs for sign in drawn} == {1, -1}


def test_large_data_are_not_copied() -> None:
    large = Workload((200, 20, 2), samples=100, alpha=0.5, counts=(1,), turn_s=0.1)
    start = large.run("float64").start
    assert start.X.size > LARGE
    [one, other] = itertools.islice(numberings(start, seed=1), 2)
    assert one.of(start).X is start.X
    assert one.signs == [1] * 200  # they would be those of the data
    assert one.orders[0] == [*range(200)]
    assert not np.array_equal(one.of(start).state[0], other.of(start).state[0])
