"""Deltas and descents against automatic differentiation by JAX.

The loss is written out for JAX from SPEC.md, without any line of the reference's backward pass.
JAX is not among the packages of the lock file: `.ci/run` installs it from requirements.txt here.
"""

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.selftest.sweeps.sampled import sampled
from reference.algorithm import network
from reference.algorithm.initial import initial_state
from reference.algorithm.philox import kept
from reference.algorithm.settings import Settings
from reference.array import Array
from reference.cases.case import Case, load_all

try:
    jax: Any = importlib.import_module("jax")
except ImportError:
    MISSING = (
        "THE WITNESS IS MISSING: JAX is not installed, so nothing holds the deltas and descents "
        "against automatic differentiation; pip install -r ports/jax/requirements.txt"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING, pytrace=False)
    pytest.skip(MISSING, allow_module_level=True)

jnp = jax.numpy
jax.config.update("jax_enable_x64", True)

CASES = load_all(Path(__file__).parents[4] / "conformance" / "suite" / "cases")
ITERATIONS = (0, 2)
RELATIVE = 1e-12

# JAX has some with an underscore: soft_sign.
ACTIVATIONS: dict[str, Any] = {
    name.replace("_", ""): function for name, function in {"tanh": jnp.tanh, **vars(jax.nn)}.items()
}


def loss(
    parameters: Any, added: Any, X: Any, y: Any, settings: Settings, factors: list[Any]
) -> Any:
    """What training descends; `added` is added to the weighted inputs of each layer."""
    last = len(added)
    syn, gamma, beta = parameters[:last], parameters[last:], parameters[2 * last - 1 :]
    l = X
    for k in range(1, last + 1):
        if settings.bias:
            l = jnp.concatenate([l, jnp.ones((len(l), 1))], axis=1)
        x = l @ syn[k - 1] + added[k - 1]
        if k == last:
            break
        if settings.batch_norm:
            mean, variance = x.mean(axis=0), x.var(axis=0)
            x = gamma[k - 1] * (x - mean) * (variance + settings.norm_epsilon) ** -0.5 + beta[k - 1]
        l = ACTIVATIONS[settings.activation](x) * factors[k - 1]
    if settings.loss == "squared":
        total = ((y - ACTIVATIONS[settings.output](x)) ** 2).sum() / 2
    elif settings.output == "softmax":
        total = -(y * jax.nn.log_softmax(x)).sum()
    else:
        total = -(y * jax.nn.log_sigmoid(x) + (1 - y) * jax.nn.log_sigmoid(-x)).sum()
    for weights in syn:
        w = weights[:-1] if settings.bias else weights
        # |w|, with the slope 0 at 0 that SPEC.md asks for; JAX takes 1 there.
        size = w * jax.lax.stop_gradient(jnp.sign(w))
        total += settings.l1 * size.sum() + settings.l2 * (w**2).sum() / 2
    return total


def plain_settings(case: Case) -> Settings:
    """The case's settings without what makes of a gradient something else.

    With momentum, the velocity after one update from 0 is the descent itself.
    """
    off: dict[str, Any] = {"adam": False, "trim_value": 0.0, "trim_norm": 0.0, "nesterov": False}
    return case.settings._replace(**off, momentum=0.5)


def assert_close(got: Array, expected: Any) -> None:
    wanted = np.asarray(expected)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= RELATIVE * np.abs(wanted).max() + 1e-300


# Those that `make test` tries; the sweep `gradients` has all.
SAMPLE = [case for case in CASES if case.id in ("everything", "batch-norm-step")]


@pytest.mark.parametrize("case", sampled(CASES, *SAMPLE), ids=[case.id for case in CASES])
def test_deltas_and_descents_are_minus_the_gradient(case: Case) -> None:
    settings = plain_settings(case)
    X, y, flat = case.arrays("float64")
    if case.networks:  # each is as if it were alone: the last one speaks for all
        flat = [matrices[-1] for matrices in flat]
    if settings.batch_norm:  # an offset is what it takes away, and costs both programs digits
        X = X - X.mean(axis=0)
    random = np.random.default_rng(1)
    if (
        settings.output == "softmax"
    ):  # y - l is its gradient only for targets that are probabilities
        y = random.dirichlet(np.ones(y.shape[1]), len(y))
    state = initial_state(flat[: len(case.layers) - 1], settings)
    parts = settings.split(state)
    for k in range(len(parts.syn), len(parts.parameters)):
        state[k] = np.asarray(random.uniform(0.5, 1.5, state[k].shape))  # gamma and beta
    parts = settings.split(state)
    for n in ITERATIONS:
        with np.errstate(over="ignore"):  # a saturated sigmoid
            step = network.step(X, y, state, iteration=n, **settings._asdict())
        rows = settings.rows(len(X), n)
        factors = [
            kept(l.shape, settings.dropout, settings.philox_seed, n, k) / (1 - settings.dropout)
            if settings.dropout
            else np.ones_like(l)
            for k, l in enumerate(step.l[:-1], 1)
        ]
        data = X[rows], y[rows], settings, factors
        gradient = jax.grad(lambda p, a, data=data: -loss(p, a, *data), argnums=(0, 1))
        added = [jnp.zeros(l.shape) for l in step.l]
        descents, deltas = gradient(parts.parameters, added)
        for got, expected in zip(step.delta, deltas, strict=True):
            assert_close(got, expected)
        velocities = settings.split(step.state).memory[0]
        for got, expected in zip(velocities, descents, strict=True):
            assert_close(got, expected)
