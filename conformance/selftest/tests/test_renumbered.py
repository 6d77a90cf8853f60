"""Timed runs have other numbers each time, and the same exact answer once it is put back."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from conformance.bench.renumbered import numberings
from conformance.bench.workloads import Workload
from conformance.ground.places import CASES
from conformance.selftest.tests.conftest import PYTHON_MANIFEST, PYTHON_MODULE, Conformance
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
    asked = set()
    for numbering in itertools.islice(numberings(start, seed=1), 3000):
        found = numbering.of(start)
        assert found.arrays["weights"] == [w.tolist() for w in found.state]
        asked.add(b"".join(a.tobytes() for a in (found.X, found.y, *found.state)))
    # Signs of inputs that are all 0 or orders of equal samples may make two of them alike.
    assert len(asked) > 2900


def test_large_data_are_not_copied() -> None:
    large = Workload((200, 20, 2), samples=100, alpha=0.5, counts=(1,), turn_s=0.1)
    start = large.run("float64").start
    assert start.X.size > LARGE
    [one, other] = itertools.islice(numberings(start, seed=1), 2)
    assert one.of(start).X is start.X
    assert not np.array_equal(one.of(start).state[0], other.of(start).state[0])


# It looks up what it was asked before, and computes the rest.
MEMO = (
    PYTHON_MODULE.replace("SABOTAGE", "pass").replace("def train(", "def computed(")
    + """
known = {}

def train(X, y, state, checkpoints, *, alpha):
    key = repr([a.tolist() for a in (X, y, *state)]), alpha
    found = known.setdefault(key, {})
    if not set(checkpoints) <= set(found):
        found |= {n: (n, e, w) for n, e, w in computed(X, y, state, checkpoints, alpha=alpha)}
    return [found[n] for n in checkpoints]
"""
)
SHORT = """
format = 1
id = "short"
title = "The article's network, for 4000 iterations"
purpose = "It is timed."

[network]
layers = [3, 4, 1]

[training]
iterations = 4000

[init]
numpy_seed = 1

[data]
X = [[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]
y = [[0], [1], [1], [0]]

[trace]
checkpoints = [0, 400, 4000]
steps = []

[timing]
iterations = [400, 4000]
"""


@pytest.mark.parametrize("remembers", [False, True])
def test_a_port_that_remembers_gains_nothing(
    conformance: Conformance, tmp_path: Path, remembers: bool
) -> None:
    port, cases = tmp_path / "port", tmp_path / "cases"
    for folder in (port, cases):
        folder.mkdir()
    (port / "port.py").write_text(MEMO if remembers else PYTHON_MODULE.replace("SABOTAGE", "pass"))
    (port / "port.toml").write_text(PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha"]'))
    (cases / "short.toml").write_text(SHORT)
    done = conformance(port, cases=cases / "short.toml", options=())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.results is not None
    [timing] = done.results["timings"]
    # NumPy takes some 20 microseconds for an iteration on any machine; a look-up takes none.
    assert timing["ns_low"] > 1000
