"""Backpropagation for a network of any depth: the canonical implementation.

This one source runs on four arithmetics: float64 and float32 arrays, object arrays of
`flint.arb` balls (`reference.ball`) and randomised rounding (`reference.randomised`).
So it says nothing about number types, and every array may carry leading axes in front
of the two that matter.

The algorithm and the names are those of Andrew Trask, "A Neural Network in 11 Lines of
Python" (2015): gradient descent, where each delta is *minus* the gradient with respect to
a layer's weighted input and is therefore added. What the article names as further work is
composed with it: each capability is a function of `reference.layers` or `reference.update`.
conformance/SPEC.md has the formulas.

Shapes, for K + 1 layers of sizes n_0 ... n_K and a batch of m samples:

    l[k]       (m, n_k)          output of layer k; l[0] is the data
    syn[k]     (n_k, n_{k+1})    weights from layer k to layer k + 1; with bias units one row
                                 more, the last, from a unit that is always 1
    error[k]   (m, n_k)          layer k's share of y - l[K], for k = 1 ... K
    delta[k]   (m, n_k)          error[k] times the activation's slope, for k = 1 ... K
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reference.array import Array
from reference.rules import Rules


class Step(NamedTuple):
    """Everything that one update computes, for layers 1 ... K, and the state after it."""

    l: list[Array]
    error: list[Array]
    delta: list[Array]
    state: list[Array]


def forward(l0: Array, syn: Sequence[Array], rules: Rules) -> list[Array]:
    """The outputs of all layers, l[0] (the data) first."""
    l = [l0]
    for k, weights in enumerate(syn):
        activation = rules.layer(k + 1, len(syn))
        l.append(activation.value(rules.inputs(l[k]) @ weights))
    return l


def backward(
    l: Sequence[Array], y: Array, syn: Sequence[Array], rules: Rules
) -> tuple[list[Array], list[Array]]:
    """error[1] ... error[K] and delta[1] ... delta[K], found from the last to the first."""
    last = len(syn)
    l_error = {last: y - l[last]}
    l_delta = {last: rules.trim(rules.output_delta(l_error[last], l[last]))}
    for k in reversed(range(1, last)):
        l_error[k] = l_delta[k + 1] @ rules.without_bias(syn[k]).mT
        l_delta[k] = rules.trim(l_error[k] * rules.layer(k, last).slope(l[k]))
    layers = range(1, last + 1)
    return [l_error[k] for k in layers], [l_delta[k] for k in layers]


def update(X: Array, y: Array, state: Sequence[Array], rules: Rules, iteration: int) -> Step:
    """One update from the batch of this iteration, with every intermediate."""
    X, y = rules.batch(X, iteration), rules.batch(y, iteration)
    syn = state[: rules.weight_matrices(state)]
    l = forward(X, syn, rules)
    error, delta = backward(l, y, syn, rules)
    # The weights change only now: every error above used the old ones.
    descent = [rules.inputs(l[k]).mT @ delta[k] for k in range(len(syn))]
    return Step(l[1:], error, delta, rules.improve(state, descent))


def mean_error(output_error: Array) -> Array:
    """The mean of |y - output| over samples and outputs."""
    return np.abs(output_error).mean(axis=(-2, -1))


def step(
    X: Array, y: Array, state: Sequence[Array], *, iteration: int = 0, **settings: Any
) -> Step:
    """One update, with every intermediate.

    X is (samples, n_0), y is (samples, n_K), both of the dtype of `state`: the weights syn[0]
    ... syn[K-1], and then what the update rule keeps. `iteration` counts updates from 0, and
    picks the batch; `settings` are the fields of `Rules`.
    """
    return update(X, y, state, Rules(**settings), iteration)


def train(
    X: Array, y: Array, state: Sequence[Array], checkpoints: Collection[int], **settings: Any
) -> Iterator[tuple[int, Array, list[Array]]]:
    """Yield (n, error, state) at each checkpoint n, the state after n updates.

    The error at n belongs to a forward pass over all samples, before update n + 1.
    """
    rules = Rules(**settings)
    wanted = frozenset(checkpoints)
    state = list(state)
    for iteration in range(max(wanted) + 1):
        if iteration in wanted:
            syn = state[: rules.weight_matrices(state)]
            yield iteration, mean_error(y - forward(X, syn, rules)[-1]), state
        state = update(X, y, state, rules, iteration).state
