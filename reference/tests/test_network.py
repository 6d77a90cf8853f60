"""The deltas are the gradient: checked by central differences in 300-bit arithmetic."""

import itertools

import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import ball, network
from reference.array import Array

BITS = 300
H = flint.arb(2) ** -60  # the truncation error of central differences is of the order h^2


def half_squared_error(X: Array, y: Array, syn: list[Array]) -> flint.arb:
    error = y - network.forward(X, syn)[-1]
    return (error * error).sum() / 2


def central_difference(
    X: Array, y: Array, syn: list[Array], k: int, index: tuple[int, ...]
) -> flint.arb:
    losses = []
    for sign in (1, -1):
        moved = [w.copy() for w in syn]
        moved[k][index] = moved[k][index] + sign * H
        losses.append(half_squared_error(X, y, moved))
    return (losses[0] - losses[1]) / (2 * H)


@settings(max_examples=25, deadline=None)
@given(
    layers=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    samples=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_update_is_minus_the_gradient(layers: list[int], samples: int, seed: int) -> None:
    random = np.random.RandomState(seed)
    with flint.ctx.workprec(BITS):
        X = ball.balls(random.uniform(-1, 1, (samples, layers[0])))
        y = ball.balls(random.uniform(0, 1, (samples, layers[-1])))
        syn = [ball.balls(random.uniform(-2, 2, shape)) for shape in itertools.pairwise(layers)]
        after = network.step(X, y, syn).syn
        for k, weights in enumerate(syn):
            for index in np.ndindex(weights.shape):
                update = after[k][index] - weights[index]
                gradient = central_difference(X, y, syn, k, index)
                assert abs(float((update + gradient).mid())) < 1e-30


def test_alpha_scales_the_update() -> None:
    random = np.random.RandomState(3)
    X, y, syn = random.rand(2, 3), random.rand(2, 1), [random.rand(3, 1)]
    one = network.step(X, y, syn).syn[0] - syn[0]
    tenth = network.step(X, y, syn, alpha=0.1).syn[0] - syn[0]
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
