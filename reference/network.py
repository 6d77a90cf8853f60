"""Backpropagation for a sigmoid network of any depth: the canonical implementation.

This one source runs on four arithmetics: float64 and float32 arrays, object arrays of
`flint.arb` balls (`reference.ball`) and randomised rounding (`reference.randomised`).
So it says nothing about number types, and every array may carry leading axes in front
of the two that matter.

The algorithm and the names are those of Andrew Trask, "A Neural Network in 11 Lines of
Python" (2015): full-batch gradient descent on half the squared error, where each delta
is *minus* the gradient with respect to a layer's weighted input and is therefore added.

Shapes, for K + 1 layers of sizes n_0 ... n_K and a batch of m samples:

    l[k]       (m, n_k)          output of layer k; l[0] is the data
    syn[k]     (n_k, n_{k+1})    weights from layer k to layer k + 1
    error[k]   (m, n_k)          layer k's share of y - l[K], for k = 1 ... K
    delta[k]   (m, n_k)          error[k] times the slope of the sigmoid, for k = 1 ... K
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from reference.array import Array


class Step(NamedTuple):
    """Everything that one update computes, for layers 1 ... K, and the weights after it."""

    l: list[Array]
    error: list[Array]
    delta: list[Array]
    syn: list[Array]


def sigmoid(x: Array) -> Array:
    """The logistic function, elementwise."""
    return 1 / (1 + np.exp(-x))


def slope(output: Array) -> Array:
    """The sigmoid's derivative, from its *output* s rather than its input: s' = s(1 - s)."""
    return output * (1 - output)


def forward(l0: Array, syn: Sequence[Array]) -> list[Array]:
    """The outputs of all layers, l[0] (the data) first."""
    l = [l0]
    for weights in syn:
        l.append(sigmoid(l[-1] @ weights))
    return l


def step(X: Array, y: Array, syn: Sequence[Array], *, alpha: float = 1.0) -> Step:
    """One full-batch update, with every intermediate.

    X is (m, n_0), y is (m, n_K), both of the dtype of `syn`; `alpha` is the learning rate.
    """
    l = forward(X, syn)
    last = len(syn)

    l_error = {last: y - l[last]}
    l_delta = {last: l_error[last] * slope(l[last])}
    for k in reversed(range(1, last)):
        l_error[k] = l_delta[k + 1] @ syn[k].mT
        l_delta[k] = l_error[k] * slope(l[k])

    # The new weights are made only now: every error above used the old ones.
    new_syn = [syn[k] + alpha * (l[k].mT @ l_delta[k + 1]) for k in range(last)]

    layers = range(1, last + 1)
    return Step(l[1:], [l_error[k] for k in layers], [l_delta[k] for k in layers], new_syn)


def mean_error(output_error: Array) -> Array:
    """The mean of |y - output| over samples and outputs."""
    return np.abs(output_error).mean(axis=(-2, -1))


def train(
    X: Array, y: Array, syn: Sequence[Array], checkpoints: Collection[int], *, alpha: float = 1.0
) -> Iterator[tuple[int, Array, list[Array]]]:
    """Yield (n, error, weights) at each checkpoint n, the state after n updates.

    The error at n belongs to a forward pass with those weights, before update n + 1.
    """
    wanted = frozenset(checkpoints)
    syn = list(syn)
    for iteration in range(max(wanted) + 1):
        now = step(X, y, syn, alpha=alpha)
        if iteration in wanted:
            yield iteration, mean_error(now.error[-1]), syn
        syn = now.syn
