"""Backpropagation for a network of any depth: the canonical implementation.

This one source runs on every arithmetic of `reference.arithmetic`: float64 and float32, balls
that enclose the exact value, and randomised rounding.
So it says nothing about number types, and every array may carry leading axes in front
of the two that matter.

The algorithm and the names come from Andrew Trask, "A Neural Network in 11 Lines of Python"
(2015): gradient descent, where each delta is *minus* the gradient with respect to a layer's
weighted input and is therefore added. The article's further work is composed with it: each
capability is a function of `layers` or `optimise`, beside this file.
conformance/contract/SPEC.md has the formulas.

Shapes, for K + 1 layers of sizes n_0 ... n_K and a batch of m samples:

    l[k]       (m, n_k)          output of layer k; l[0] is the data
    syn[k]     (n_k, n_{k+1})    weights from layer k to layer k + 1; with bias units one row
                                 more, the last, from a unit that is always 1
    error[k]   (m, n_k)          layer k's share of y - l[K], for k = 1 ... K
    delta[k]   (m, n_k)          error[k] times the activation's slope, for k = 1 ... K

Comments like `[forward]` and `[/forward]` mark a step, which `make report` shows beside the same
step of other programs.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.algorithm.initial import draw, initial_state
from reference.algorithm.layers import BatchNorm, Stage
from reference.algorithm.settings import Settings
from reference.algorithm.state import State
from reference.array import Array


class Step(NamedTuple):
    """Everything that one update computes, for layers 1 ... K, and the state after it."""

    l: list[Array]
    error: list[Array]
    delta: list[Array]
    state: list[Array]


def forward(
    l0: Array, syn: Sequence[Array], stages: Sequence[Sequence[Stage]], settings: Settings
) -> list[Array]:
    """The outputs of all layers, l[0] (the data) first."""
    # [forward]
    l = [l0]
    for k, weights in enumerate(syn):
        x = settings.inputs(l[k]) @ weights  # [l]
        for stage in stages[k + 1]:
            x = stage.forward(x)
        l.append(x)
    return l
    # [/forward]


def backward(
    l: Sequence[Array],
    y: Array,
    syn: Sequence[Array],
    stages: Sequence[Sequence[Stage]],
    settings: Settings,
) -> tuple[list[Array], list[Array]]:
    """error[1] ... error[K] and delta[1] ... delta[K], found from the last to the first."""
    # [output-delta]
    last = len(syn)
    l_error = {last: y - l[last]}  # [output-error]
    # [/output-delta]
    l_delta: dict[int, Array] = {}
    # [hidden-delta]
    for k in reversed(range(1, last + 1)):
        if k < last:
            l_error[k] = l_delta[k + 1] @ settings.without_bias(syn[k]).mT  # [l_error]
        # [output-delta]
        delta = l_error[k]
        for stage in reversed(stages[k]):
            delta = stage.back(delta)
        l_delta[k] = settings.trim(delta)
        # [/output-delta]
    # [/hidden-delta]
    layers = range(1, last + 1)
    return [l_error[k] for k in layers], [l_delta[k] for k in layers]


def update(
    X: Array, y: Array, state: State, settings: Settings, iteration: int
) -> tuple[list[Array], list[Array], list[Array], State]:
    """One update from the batch of this iteration: l, error, delta, and the new state."""
    rows = settings.rows(X.shape[-2], iteration)
    X, y = X[..., rows, :], y[..., rows, :]
    stages = settings.stages(state, iteration)
    l = forward(X, state.syn, stages, settings)
    error, delta = backward(l, y, state.syn, stages, settings)
    # [update]
    # The weights change only now: every error above used the old ones.
    descent = [settings.inputs(l[k]).mT @ delta[k] for k in range(len(state.syn))]  # [syn]
    # [/update]
    norms = [stage for layer in stages for stage in layer if isinstance(stage, BatchNorm)]
    return l[1:], error, delta, settings.improve(state, descent, norms, iteration)


def infer(X: Array, state: State, settings: Settings) -> Array:
    """The outputs, without anything that belongs to training alone."""
    return forward(X, state.syn, settings.stages(state), settings)[-1]


# [checkpoint]
def mean_error(output_error: Array) -> Array:
    """The mean of |y - output| over samples and outputs."""
    return np.abs(output_error).mean(axis=(-2, -1))
    # [/checkpoint]


def step(X: Array, y: Array, state: Sequence[Array], *, iteration: int = 0, **given: Any) -> Step:
    """One update, with every intermediate.

    X is (samples, n_0), y is (samples, n_K), both of the dtype of `state`, a list of matrices
    in the order of `state.names`. `iteration` counts updates from 0: it picks the
    batch, and what is drawn at random; `given` are fields of `Settings`.
    """
    settings = Settings(**given)
    l, error, delta, new = update(X, y, settings.split(state), settings, iteration)
    return Step(l, error, delta, new.flat())


def train(
    X: Array, y: Array, state: Sequence[Array], checkpoints: Collection[int], **given: Any
) -> Iterator[tuple[int, Array, list[Array]]]:
    """Yield (n, error, state) at each checkpoint n, the state after n updates.

    The error at n belongs to inference on all samples, before update n + 1.
    """
    settings = Settings(**given)
    # [checkpoint]
    wanted = frozenset(checkpoints)
    now = settings.split(state)
    for iteration in range(max(wanted) + 1):
        if iteration in wanted:
            yield iteration, mean_error(y - infer(X, now, settings)), now.flat()
        *_, now = update(X, y, now, settings, iteration)
    # [/checkpoint]


def predict(X: Array, state: Sequence[Array], **given: Any) -> Array:
    """The outputs l[K] for X, (samples, n_K), in inference."""
    settings = Settings(**given)
    return infer(X, settings.split(state), settings)


def initial(layers: Sequence[int], numpy_seed: int, *, dtype: str, **given: Any) -> list[Array]:
    """The state that a run starts from, with weights drawn from a seed and then rounded."""
    settings = Settings(**given)
    weights = draw(numpy_seed, layers, settings.bias)
    return initial_state([w.astype(dtype) for w in weights], settings)
