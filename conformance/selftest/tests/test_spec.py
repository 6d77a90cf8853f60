"""The examples of SPEC.md run, and the reference computes the same numbers."""

import ast
import doctest
import re
import tomllib
from itertools import islice
from pathlib import Path
from typing import Any

import flint
import numpy as np
import pytest

from conformance.ground.statuses import Status, worst
from conformance.selftest.oracle.random_numbers import mt19937
from conformance.selftest.tests.conftest import CASES, ROOT
from conformance.suite import compare, traces
from conformance.verdict.repeat import ulps_apart
from conformance.wire.client import BYTES_BESIDES, BYTES_PER_NUMBER
from reference.algorithm import network, optimise, philox
from reference.algorithm.batches import batch_slice
from reference.algorithm.layers import ACTIVATIONS, BatchNorm, FixedNorm
from reference.algorithm.settings import Settings
from reference.algorithm.state import names
from reference.cases.capabilities import implied_needs
from reference.cases.case import load
from reference.golden.checks import StepCheck

TEXT = (ROOT / "conformance/contract/SPEC.md").read_text()
SECTIONS = {part.split("\n", 1)[0]: part for part in re.split(r"^##+ ", TEXT, flags=re.M)[1:]}


def run() -> dict[str, list[Any]]:
    """What each section's examples show, after one session has run them all."""
    session: dict[str, Any] = {}
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    found = {}
    for name, text in SECTIONS.items():
        code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))
        test = doctest.DocTestParser().get_doctest(code, session, name, "SPEC.md", 0)
        said: list[str] = []
        failed, _ = runner.run(test, out=said.append, clear_globs=False)
        assert not failed, "".join(said)
        session.update(test.globs)
        wanted = [example.want for example in test.examples if example.want]
        found[name.split(" (")[0]] = [_literal(line) for line in wanted]
    return found


def _literal(shown: str) -> Any:
    """The value that a result shows; of a loop, one for each line."""
    try:
        return ast.literal_eval(shown)
    except (SyntaxError, ValueError):
        return shown


SHOWN: dict[str, list[Any]] = {}


@pytest.fixture
def shown() -> dict[str, list[Any]]:
    """What each section shows; the first test runs the examples."""
    if not SHOWN:
        SHOWN.update(run())
    return SHOWN


def lines(text: str) -> list[Any]:
    return [ast.literal_eval(line) for line in text.splitlines()]


def one(x: float) -> Any:
    return np.array([[float(x)]])


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_has_an_example(section: str) -> None:
    assert re.search(r"```(python|toml)\n", SECTIONS[section])


def test_terms(shown: dict[str, list[Any]]) -> None:
    case = load(CASES / "one-step.toml")
    l = [case.X, *network.step(case.X, case.y, case.weights).l]
    assert shown["1. Terms"] == [[a.shape for a in l], [w.shape for w in case.weights]]


STATE = [one(0), one(3)]


def test_algorithm(shown: dict[str, list[Any]]) -> None:
    step = network.step(one(1), one(1), STATE)
    seen, weights = shown["2. The algorithm"]
    (l1, l2), (e1, e2), (d1, d2) = step.l, step.error, step.delta
    assert seen == [round(float(a.item()), 6) for a in (l1, l2, e2, d2, e1, d1)]
    assert weights == [round(w.item(), 6) for w in step.state]


def test_bias(shown: dict[str, list[Any]]) -> None:
    state = [np.array([[0.0], [0.0]]), np.array([[3.0], [-1.0]])]
    step = network.step(one(1), one(1), state, bias=True)
    seen, updated = shown["Bias units"]
    assert seen == [round(a.item(), 6) for a in (step.l[1], step.delta[1], step.error[0])]
    assert updated == round(step.state[1][1].item(), 6)


def test_mini_batches(shown: dict[str, list[Any]]) -> None:
    batches = [list(range(5))[batch_slice(5, 2, n)] for n in range(4)]
    assert shown["Mini-batches"] == [batches]


def test_random_words(shown: dict[str, list[Any]]) -> None:
    answer, order = shown["Random words"]
    assert answer == [f"{int(w):08x}" for w in philox.philox((0, 0, 0, 0), (0, 0))]
    assert order == philox.permutation(5, 9, 0).tolist()


def test_dropout(shown: dict[str, list[Any]]) -> None:
    kept, (l1, delta1) = shown["Dropout"]
    assert kept == philox.kept((1, 3), 0.5, 9, 0, 1).tolist()[0]
    settings: dict[str, Any] = {"dropout": 0.5, "philox_seed": 9}
    step = network.step(one(1), one(1), [np.zeros((1, 3)), np.ones((3, 1))], **settings)
    assert [l1, l1, 0.0] == step.l[0][0].tolist()
    slopes = step.delta[0][0] / step.error[0][0]
    assert slopes.tolist() == pytest.approx([delta1 / 0.1, delta1 / 0.1, 0])


def test_batch_normalisation(shown: dict[str, list[Any]]) -> None:
    norm = BatchNorm(one(2), one(1), 12)
    given, (gamma, beta), delta, averages = shown["Batch normalisation"]
    assert norm.forward(np.array([[0.0], [4.0]])).ravel().tolist() == given
    assert norm.back(np.array([[1.0], [0.0]])).ravel().tolist() == delta
    assert (norm.gamma_descent.item(), norm.beta_descent.item()) == (gamma, beta)
    rate = 0.25
    assert averages == (rate * norm.mean.item(), 1 + rate * (norm.variance.item() - 1))
    settings: dict[str, Any] = {"batch_norm": True, "norm_epsilon": 12.0, "norm_rate": rate}
    state = [one(1), one(1), one(2), one(1), one(0), one(1)]
    X = np.array([[0.0], [4.0]])
    after = network.step(X, X, state, **settings).state
    assert averages == (after[-2].item(), after[-1].item())


def test_activations(shown: dict[str, list[Any]]) -> None:
    (l, slope), relu, soft = shown["Activations"]
    value, its_slope = ACTIVATIONS["tanh"]
    assert l == round(value(one(0.5)).item(), 6)
    assert slope == round(its_slope(value(one(0.5))).item(), 6)
    value, its_slope = ACTIVATIONS["relu"]
    assert relu == [(v, s) for x in (-2, 0, 2) for v, s in [_both(value, its_slope, x)]]
    value, _ = ACTIVATIONS["softmax"]
    rows = [[0.0, np.log(3)], [1000.0, 1000.0]]
    assert list(soft) == [np.round(value(np.array([row])), 6)[0].tolist() for row in rows]


def _both(value: Any, slope: Any, x: float) -> tuple[float, float]:
    found = value(one(x))
    return found.item(), slope(found).item()


def test_cross_entropy(shown: dict[str, list[Any]]) -> None:
    weights = [np.array([[0.0, np.log(3)]])]
    settings: dict[str, Any] = {"output": "softmax", "loss": "cross-entropy"}
    step = network.step(one(1), np.array([[1.0, 0.0]]), weights, **settings)
    assert np.round(step.error[0], 6).tolist() == shown["Cross-entropy"]
    assert np.round(step.delta[0], 6).tolist() == shown["Cross-entropy"]


def test_delta_trimming(shown: dict[str, list[Any]]) -> None:
    deltas, descents = shown["Delta trimming"]
    assert optimise.clip(np.array([[0.75, -0.75, 0.25]]), 0.5).tolist() == [deltas]
    assert [d.item() for d in optimise.shrink([one(3), one(4)], 2.5)] == descents


def test_regularisation(shown: dict[str, list[Any]]) -> None:
    assert shown["Regularisation"] == [(1 - optimise.decay(one(-2), 0.25, 0.5, False)).item()]


def test_momentum(shown: dict[str, list[Any]]) -> None:
    [(v, classical, nesterov)] = shown["Momentum"]
    for after, flag in ((classical, False), (nesterov, True)):
        [step], [[velocity]] = optimise.with_momentum([[one(4)]], [one(1)], 0.5, flag)
        assert (v, after) == (velocity.item(), 1 + 0.5 * step.item())


def test_adam(shown: dict[str, list[Any]]) -> None:
    [text] = shown["Adam"]
    syn, memory = 0.0, [[one(0)], [one(0)]]
    for (m, v, after), (t, d) in zip(lines(text), ((1, 2), (2, 0)), strict=True):
        [step], memory = optimise.adam(memory, [one(d)], 0.5, 0.75, 2, t)
        syn += step.item()
        assert (m, v, after) == (memory[0][0].item(), memory[1][0].item(), round(syn, 6))


def test_state(shown: dict[str, list[Any]]) -> None:
    assert shown["The state"] == [names(2, ["velocity"], True)]


def test_initial_weights(shown: dict[str, list[Any]]) -> None:
    """The 10,000th word is the C++ standard's, for the generator that it calls mt19937."""
    word, (a, b, weight) = shown["Initial weights"]
    assert word == 4123659995
    numpys = np.random.RandomState(5489).randint(0, 2**32, 10_000, np.uint32)
    assert word == numpys[-1] == next(islice(mt19937(5489), 9_999, None))
    assert [a, b] == list(islice(mt19937(1), 2))
    assert weight == network.initial([3, 4, 1], 1, dtype="float64")[0][0, 0]


def test_inference(shown: dict[str, list[Any]]) -> None:
    fixed = FixedNorm(one(2), one(1), 12, one(0.5), one(1.75))
    assert shown["Inference"] == [round(fixed.forward(one(4)).item(), 6)]


def test_ensembles(shown: dict[str, list[Any]]) -> None:
    case = load(CASES / "ensemble-two.toml")
    [text] = shown["Ensembles"]
    assert lines(text) == case.weights[0][:, 0, 0].tolist()


def test_checkpoints(shown: dict[str, list[Any]]) -> None:
    run = network.train(one(1), one(1), STATE, [0, 1])
    [text] = shown["3. Checkpoints"]
    assert lines(text) == [round(error.item(), 4) for _, error, _ in run]


def test_capabilities() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", SECTIONS["4. Capabilities"], re.S)
    case = tomllib.loads(block)
    settings = Settings(output=case["network"]["output"], **case["training"])
    assert implied_needs(case["network"]["layers"], settings) == case["needs"]


def test_what_some_capabilities_need() -> None:
    for path in CASES.glob("*.toml"):
        needs = set(load(path).needs)
        assert "cross-entropy" in needs or "softmax" not in needs
        assert needs & {"dropout", "mini-batch"} or "philox" not in needs


def test_golden_values(shown: dict[str, list[Any]]) -> None:
    narrow, rounded = shown["5. Golden values"]
    assert narrow == float(np.float32(0.1))
    with flint.ctx.workprec(200):
        assert rounded == float((1 / (1 + (-flint.arb(1)).exp())).mid())


def test_tolerances(shown: dict[str, list[Any]]) -> None:
    (passes, margin), of_nan, least = shown["6. Tolerances"]
    run = traces.load(load(CASES / "one-step.toml"))["float64"].run
    [(_, (syn0, syn1, error)), _] = run.expected
    said = dict(re.findall(r">>> (noise|got, expected) = (.*)", SECTIONS["6. Tolerances"]))
    got, expected = map(float, said["got, expected"].split(", "))
    assert (float(said["noise"]), expected) == (error.noise, float(error.value))
    assert (syn0.tolerance, syn1.tolerance) == (least, least)
    for number, passed in ((got, passes), (float("nan"), of_nan)):
        found = compare.compare([("error", np.array(number))], [error], "float64")
        assert (found.first is None) == passed
    found = compare.compare([("error", np.array(got))], [error], "float64")
    assert round(found.margin, 2) == margin


def test_statuses(shown: dict[str, list[Any]]) -> None:
    apart, shown_status = shown["7. Statuses"]
    assert apart == ulps_apart(np.array((0.1 + 0.2) + 0.3), np.array(0.1 + (0.2 + 0.3)), "float64")
    assert shown_status == worst([Status.SKIP, Status.PASS, Status.CRASH])
    rows = re.findall(r"^\| ([A-Z]+) \|", SECTIONS["7. Statuses"], re.M)
    assert rows == [status.value for status in Status]


def test_limits(shown: dict[str, list[Any]]) -> None:
    check, _ = (due.check for due in traces.load(load(CASES / "one-step.toml"))["float64"].due[:2])
    longest = BYTES_PER_NUMBER * check.numbers + BYTES_BESIDES
    assert isinstance(check, StepCheck)
    assert shown["8. Limits"] == [(check.numbers, longest)]


def test_case_files(tmp_path: Path) -> None:
    """The case of section 9 is the network of section 2."""
    [block] = re.findall(r"```toml\n(.*?)```", SECTIONS["9. Case files"], re.S)
    (tmp_path / "by-hand.toml").write_text(block)
    case = load(tmp_path / "by-hand.toml")
    assert case.needs == []
    assert [a.tolist() for a in case.arrays("float64")[2]] == [w.tolist() for w in STATE]
    assert (case.X.tolist(), case.y.tolist(), case.settings.alpha) == ([[1]], [[1]], 1)
