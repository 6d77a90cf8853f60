"""Each update is minus the gradient: checked by central differences in 300-bit arithmetic."""

import itertools
import json
import subprocess
import sys
from typing import Any

import flint
import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from conformance.ground.places import CASES, ROOT
from reference.algorithm import network
from reference.algorithm.batches import batch_slice
from reference.algorithm.initial import initial_state
from reference.algorithm.layers import HIDDEN, BatchNorm, softmax
from reference.algorithm.optimise import adam, clip, shrink, with_momentum
from reference.algorithm.settings import Settings
from reference.arithmetic.ball import BALLS
from reference.arithmetic.base import UndecidedError
from reference.arithmetic.numbers import positive
from reference.array import Array
from reference.cases.case import load

BITS = 300
ITERATION = 5  # for what is drawn at random
H = flint.arb(2) ** -60  # the truncation error of central differences is of the order h^2


def loss(X: Array, y: Array, state: list[Array], settings: Settings) -> flint.arb:
    """What training descends, written out: SPEC.md, section 2."""
    parts = settings.split(state)
    output = network.forward(X, parts.syn, settings.stages(parts, ITERATION), settings)[-1]
    total = 0 * output.flat[0]
    for target, o in zip(y.flat, output.flat, strict=True):
        if settings.loss == "squared":
            total += (target - o) * (target - o) / 2
        elif settings.output == "softmax":
            total -= target * o.log()
        else:
            total -= target * o.log() + (1 - target) * (1 - o).log()
    for weights in parts.syn:
        for w in (weights[:-1] if settings.bias else weights).flat:
            total += settings.l1 * abs(w) + settings.l2 * w * w / 2
    return total


def central_difference(
    X: Array, y: Array, state: list[Array], settings: Settings, k: int, index: tuple[int, ...]
) -> flint.arb:
    losses = []
    for sign in (1, -1):
        moved = [w.copy() for w in state]
        moved[k][index] = moved[k][index] + sign * H
        losses.append(loss(X, y, moved, settings))
    return (losses[0] - losses[1]) / (2 * H)


hidden = st.sampled_from(HIDDEN)
squared: dict[str, st.SearchStrategy[Any]] = {
    "bias": st.booleans(),
    "activation": hidden,
    "output": st.sampled_from(["sigmoid", "tanh"]),
    "l1": st.sampled_from([0.0, 0.25]),
    "l2": st.sampled_from([0.0, 0.5]),
}
cross_entropy: dict[str, st.SearchStrategy[Any]] = {
    "bias": st.booleans(),
    "activation": hidden,
    "output": st.sampled_from(["sigmoid", "softmax"]),
    "loss": st.just("cross-entropy"),
}
beside: dict[str, st.SearchStrategy[Any]] = {
    "batch_norm": st.booleans(),
    "norm_epsilon": st.just(0.125),
    "norm_rate": st.just(0.25),
    "dropout": st.sampled_from([0.0, 0.25]),
    "philox_seed": st.integers(0, 2**63 - 1),
}
any_settings = st.one_of(
    st.fixed_dictionaries(squared | beside), st.fixed_dictionaries(cross_entropy | beside)
).map(lambda fields: Settings(**fields))


@hypothesis.settings(max_examples=40)
@given(
    layers=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    samples=st.integers(1, 3),
    settings=any_settings,
    seed=st.integers(0, 2**32 - 1),
)
def test_update_is_minus_the_gradient(
    layers: list[int], samples: int, settings: Settings, seed: int
) -> None:
    random = np.random.RandomState(seed)
    targets = random.uniform(0, 1, (samples, layers[-1]))
    with flint.ctx.workprec(BITS):
        X = BALLS.convert(random.uniform(-1, 1, (samples, layers[0])))
        y = BALLS.convert(targets)
        if settings.output == "softmax":  # its targets are probabilities: each row sums to 1
            y = y / y.sum(axis=-1, keepdims=True)
        drawn = [
            random.uniform(-2, 2, (a + settings.bias, b)) for a, b in itertools.pairwise(layers)
        ]
        state = [BALLS.convert(w) for w in initial_state(drawn, settings)]
        # Not all gamma and beta as they start, where relu is at its corner.
        for k in range(len(drawn), len(settings.split(state).parameters)):
            state[k] = BALLS.convert(np.asarray(random.uniform(0.5, 1.5, state[k].shape)))
        after = network.step(X, y, state, iteration=ITERATION, **settings._asdict()).state
        for k, parameter in enumerate(settings.split(state).parameters):
            for index in np.ndindex(parameter.shape):
                update = after[k][index] - parameter[index]
                gradient = central_difference(X, y, state, settings, k, index)
                assert abs(float((update + gradient).mid())) < 1e-30


@given(st.integers(1, 20), st.integers(1, 25), st.integers(0, 5))
def test_the_batches_of_an_epoch_are_all_samples_in_order(
    samples: int, batch_size: int, epoch: int
) -> None:
    count = -(-samples // batch_size)
    batches = [
        range(samples)[batch_slice(samples, batch_size, epoch * count + b)] for b in range(count)
    ]
    assert [i for batch in batches for i in batch] == list(range(samples))
    assert all(len(batch) == batch_size for batch in batches[:-1])


numbers = npst.arrays(np.float64, (3, 2), elements=st.floats(-10, 10))


@given(numbers, st.floats(0.01, 20))
def test_clip_is_numpys(x: Array, limit: float) -> None:
    assert (clip(x, limit) == np.clip(x, -limit, limit)).all()


@given(numbers, numbers, st.floats(0.01, 20))
def test_shrink_limits_the_norm_of_all_and_keeps_the_direction(
    a: Array, b: Array, limit: float
) -> None:
    together = np.concatenate([a, b])
    norm = np.sqrt((together * together).sum())
    with np.errstate(divide="ignore"):
        shrunk = np.concatenate(shrink([a, b], limit))
    if norm <= limit:
        assert (shrunk == together).all()
    else:
        assert shrunk == pytest.approx(together * (limit / norm), rel=1e-12)


def test_a_branch_on_a_ball_is_never_silently_decided() -> None:
    for wide in (flint.arb(0, 1e-30), flint.arb(1e-40, 1e-30)):
        with pytest.raises(UndecidedError):
            positive(np.array([wide], dtype=object))
    zero = np.array([flint.arb(0), flint.arb(1, 0.5), flint.arb(-1, 0.5)], dtype=object)
    assert positive(zero).tolist() == [0, 1, 0]


WITHOUT_FLINT = """
import json, sys
sys.modules["flint"] = None  # an import of it fails
import numpy as np
from reference.algorithm import network
given = json.load(sys.stdin)
X, y, state = (given[key] for key in ("X", "y", "state"))
X, y, state = np.array(X), np.array(y), [np.array(w) for w in state]
[(n, error, after)] = network.train(X, y, state, [2], **given["settings"])
step = network.step(X, y, state, **given["settings"])
print(json.dumps([error.tolist(), [w.tolist() for w in after], [w.tolist() for w in step.state]]))
third_party = {"flint", "pydantic", "scipy", "cffi"} & {m for m in sys.modules if sys.modules[m]}
assert not third_party, third_party
"""


def test_numbers_without_an_arithmetic_are_refused() -> None:
    """Without its module, a ball must not be taken for a float that is not positive."""
    program = (
        "import flint, numpy as np; from reference.algorithm.layers import relu\n"
        "relu(np.array([flint.arb(0, 1)], dtype=object))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "no arithmetic for arrays of object" in done.stderr


@pytest.mark.parametrize("name", ["everything", "everything-else", "relu-step", "softmax-step"])
def test_the_algorithm_needs_nothing_but_numpy(name: str) -> None:
    case = load(CASES / f"{name}.toml")
    X, y, state = case.arrays("float64")
    settings = case.settings_for("float64")
    given = {"X": X, "y": y, "state": state, "settings": settings}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FLINT],
        input=json.dumps(given, default=np.ndarray.tolist),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    [(_, error, after)] = network.train(X, y, state, [2], **settings)
    step = network.step(X, y, state, **settings)
    assert json.loads(done.stdout) == [
        error.tolist(),
        [w.tolist() for w in after],
        [w.tolist() for w in step.state],
    ]


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_under_a_constant_descent_is_a_geometric_sum(nesterov: bool) -> None:
    memory = [[np.zeros((1, 1))]]
    for _ in range(50):
        steps, memory = with_momentum(memory, [np.ones((1, 1))], 0.8, nesterov)
    velocity = sum(0.8**i for i in range(50))
    assert memory[0][0].item() == pytest.approx(velocity, rel=1e-12)
    assert steps[0].item() == pytest.approx(1 + 0.8 * velocity if nesterov else velocity, rel=1e-9)


@given(st.floats(0.1, 10), st.integers(1, 200))
def test_adam_under_a_constant_descent_takes_steps_of_1(size: float, updates: int) -> None:
    """Both averages are then what they average, once their start at 0 is corrected."""
    memory = [[np.zeros((1, 1))], [np.zeros((1, 1))]]
    for t in range(1, updates + 1):
        steps, memory = adam(memory, [np.full((1, 1), -size)], 0.9, 0.999, 1e-12, t)
        assert steps[0].item() == pytest.approx(-1, rel=1e-9)


@given(npst.arrays(np.float64, (6, 3), elements=st.floats(-10, 10)))
def test_batch_norm_gives_mean_beta_and_deviation_gamma(x: Array) -> None:
    gamma, beta = np.array([[1.0, 2.0, 0.5]]), np.array([[0.0, -1.0, 3.0]])
    stage = BatchNorm(gamma, beta, 1e-30)
    output = stage.forward(x + np.arange(18).reshape(6, 3))
    assert output.mean(axis=0) == pytest.approx(beta[0], abs=1e-9)
    spread = stage.variance[0] > 1e-6
    assert output.std(axis=0)[spread] == pytest.approx(gamma[0][spread], rel=1e-6)


def test_inference_uses_running_averages_and_drops_nothing() -> None:
    settings: dict[str, Any] = {
        "batch_norm": True,
        "norm_epsilon": 0.5,
        "norm_rate": 0.25,
        "dropout": 0.5,
        "philox_seed": 9,
    }
    random = np.random.RandomState(6)
    X, syn = random.rand(4, 2), [random.rand(2, 3), random.rand(3, 1)]
    gamma, beta, mean = random.rand(1, 3), random.rand(1, 3), random.rand(1, 3)
    variance = random.rand(1, 3)
    output = network.predict(X, [*syn, gamma, beta, mean, variance], **settings)
    normal = (X @ syn[0] - mean) / np.sqrt(variance + 0.5)
    hidden = 1 / (1 + np.exp(-(gamma * normal + beta)))
    assert output == pytest.approx(1 / (1 + np.exp(-(hidden @ syn[1]))), rel=1e-12)


def test_softmax_is_the_same_for_every_shift() -> None:
    x = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]])
    with np.errstate(over="ignore"):
        assert softmax(x).sum(axis=-1) == pytest.approx(1)
        assert softmax(x + 123) == pytest.approx(softmax(x), rel=1e-12)


def test_alpha_scales_the_update() -> None:
    random = np.random.RandomState(3)
    X, y, syn = random.rand(2, 3), random.rand(2, 1), [random.rand(3, 1)]
    one = network.step(X, y, syn).state[0] - syn[0]
    tenth = network.step(X, y, syn, alpha=0.1).state[0] - syn[0]
    assert tenth == pytest.approx(one / 10, rel=1e-12)


def test_train_leaves_its_inputs_alone() -> None:
    random = np.random.RandomState(4)
    X, y, syn = random.rand(2, 3), random.rand(2, 1), [random.rand(3, 1)]
    before = [a.copy() for a in (X, y, *syn)]
    list(network.train(X, y, syn, [0, 5]))
    assert all((a == b).all() for a, b in zip((X, y, *syn), before, strict=True))


def test_float32_stays_float32() -> None:
    random = np.random.RandomState(5)
    X, y, syn = (random.rand(*s).astype("float32") for s in ((2, 3), (2, 1), (3, 1)))
    step = network.step(X, y, [syn], alpha=0.1)
    for arrays in step:
        assert all(a.dtype == np.float32 for a in arrays)
    [(_, error, _)] = network.train(X, y, [syn], [1], alpha=0.1)
    assert error.dtype == np.float32
