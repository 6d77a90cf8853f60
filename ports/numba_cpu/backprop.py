"""Backpropagation in Numba, compiled for the CPU: the loops that NumPy hides, written out.

As in C, the matrices of all layers lie one after the other in flat arrays, row by row; so one
compilation for each dtype does for networks of every depth.

    l, error, delta    (batch, n_k) for k = 1 ... K, layer k from l_at[k] on
    syn, descent,      (n_k, n_{k+1}) for k = 0 ... K - 1, with bias one row more, the last;
    velocity           matrix k from syn_at[k] on
    X, y               (samples, n_0) and (samples, n_K), of which a batch begins at row `first`

Only the first `rows` rows of l, error and delta belong to the batch: the last is smaller.
"""

from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numba import njit

SIGMOID, TANH, RELU, SOFTMAX = range(4)
ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU, "softmax": SOFTMAX}

# NumPy's error model: 1 / 0 is inf, as in C, so no division is checked.
compiled = njit(cache=True, error_model="numpy", inline="always")


class Net(NamedTuple):
    """A network and room for what an update computes. All arrays but the sizes have one dtype."""

    layers: np.ndarray
    syn_at: np.ndarray
    l_at: np.ndarray
    X: np.ndarray
    y: np.ndarray
    syn: np.ndarray
    velocity: np.ndarray
    descent: np.ndarray
    l: np.ndarray
    error: np.ndarray
    delta: np.ndarray
    batch: int


class Rules(NamedTuple):
    """The settings, with real numbers in the dtype; each zero leaves its capability out."""

    alpha: float
    bias: bool
    activation: int
    output: int
    cross_entropy: bool
    trim_value: float
    trim_norm: float
    l1: float
    l2: float
    momentum: float
    nesterov: bool


@compiled
def forward(net, rules, first, rows):
    last = net.layers.size - 1
    inputs = net.layers[0]
    for e in range(rows * inputs):
        net.l[e] = net.X[first * inputs + e]
    for k in range(last):
        inputs, outputs = net.layers[k], net.layers[k + 1]
        at, to, w = net.l_at[k], net.l_at[k + 1], net.syn_at[k]
        for i in range(rows):
            for n in range(outputs):
                x = net.syn[w + inputs * outputs + n] if rules.bias else net.syn.dtype.type(0)
                for m in range(inputs):
                    x += net.l[at + i * inputs + m] * net.syn[w + m * outputs + n]
                net.l[to + i * outputs + n] = x
            activation = rules.output if k == last - 1 else rules.activation
            activate(net.l, to + i * outputs, outputs, activation)


@compiled
def activate(l, at, units, activation):
    """A row of weighted sums becomes the outputs of its units."""
    zero, one = l.dtype.type(0), l.dtype.type(1)  # a literal 1.0 would make float32 float64
    if activation == SIGMOID:
        for n in range(at, at + units):
            l[n] = one / (one + np.exp(-l[n]))
    elif activation == TANH:
        for n in range(at, at + units):
            l[n] = np.tanh(l[n])
    elif activation == RELU:
        for n in range(at, at + units):
            l[n] = max(l[n], zero)
    else:
        largest, total = l[at], zero
        for n in range(at, at + units):
            largest = max(largest, l[n])
        for n in range(at, at + units):
            l[n] = np.exp(l[n] - largest)
            total += l[n]
        for n in range(at, at + units):
            l[n] /= total


@compiled
def slope(output, activation):
    """The activation's derivative, from its output."""
    one = type(output)(1)
    if activation == SIGMOID:
        return output * (one - output)
    if activation == TANH:
        return one - output * output
    return one if output > 0 else type(output)(0)


@compiled
def trimmed(x, limit):
    return min(max(x, -limit), limit) if limit > 0 else x


@compiled
def backward(net, rules, first, rows):
    """From the last layer down: error[k], then delta[k], with all weights still unchanged."""
    last = net.layers.size - 1
    units, at = net.layers[last], net.l_at[last]
    for e in range(rows * units):
        output = net.l[at + e]
        error = net.y[first * units + e] - output
        net.error[at + e] = error
        if not rules.cross_entropy:  # which cancels the slope
            error *= slope(output, rules.output)
        net.delta[at + e] = trimmed(error, rules.trim_value)
    for k in range(last - 1, 0, -1):
        units, outputs = net.layers[k], net.layers[k + 1]
        at, after, w = net.l_at[k], net.l_at[k + 1], net.syn_at[k]
        for i in range(rows):
            for m in range(units):  # a bias unit, behind these, passes nothing back
                error = net.syn.dtype.type(0)
                for n in range(outputs):
                    error += net.delta[after + i * outputs + n] * net.syn[w + m * outputs + n]
                e = at + i * units + m
                net.error[e] = error
                net.delta[e] = trimmed(error * slope(net.l[e], rules.activation), rules.trim_value)


@compiled
def find_descent(net, rules, rows):
    """descent[k] = l[k]^T delta[k+1], the sum over the batch; a bias unit's l is 1."""
    for k in range(net.layers.size - 1):
        inputs, outputs = net.layers[k], net.layers[k + 1]
        at, after, d = net.l_at[k], net.l_at[k + 1], net.syn_at[k]
        for m in range(inputs):
            for n in range(outputs):
                total = net.syn.dtype.type(0)
                for i in range(rows):
                    total += net.l[at + i * inputs + m] * net.delta[after + i * outputs + n]
                net.descent[d + m * outputs + n] = total
        if rules.bias:
            for n in range(outputs):
                total = net.syn.dtype.type(0)
                for i in range(rows):
                    total += net.delta[after + i * outputs + n]
                net.descent[d + inputs * outputs + n] = total


@compiled
def shrink(descent, limit):
    """Scale all of it, if the norm of all of it is above the limit."""
    squares = descent.dtype.type(0)
    for d in descent:
        squares += d * d
    norm = np.sqrt(squares)
    if norm > limit:
        for j in range(descent.size):
            descent[j] *= limit / norm


@compiled
def decay(net, rules):
    """Take the slope of l1 |w| + l2 w^2 / 2 from the descent, but for the bias unit's row."""
    for k in range(net.layers.size - 1):
        at = net.syn_at[k]
        for j in range(at, at + net.layers[k] * net.layers[k + 1]):
            net.descent[j] -= rules.l2 * net.syn[j] + rules.l1 * np.sign(net.syn[j])


@compiled
def update(net, rules):
    for j in range(net.syn.size):
        step = net.descent[j]
        if rules.momentum > 0:
            net.velocity[j] = rules.momentum * net.velocity[j] + step
            v = net.velocity[j]
            step = step + rules.momentum * v if rules.nesterov else v
        net.syn[j] += rules.alpha * step


@njit(cache=True, error_model="numpy", inline="always")
def iterate(net, rules, iteration):
    """One update. No weight changes before all of backward has used the old ones."""
    samples = net.y.size // net.layers[-1]
    batches = (samples + net.batch - 1) // net.batch
    first = iteration % batches * net.batch
    rows = min(net.batch, samples - first)
    forward(net, rules, first, rows)
    backward(net, rules, first, rows)
    find_descent(net, rules, rows)
    if rules.trim_norm > 0:
        shrink(net.descent, rules.trim_norm)
    if rules.l1 > 0 or rules.l2 > 0:
        decay(net, rules)
    update(net, rules)


@compiled
def mean_error(net, rules):
    """Of all samples, a batch at a time."""
    units, at = net.layers[-1], net.l_at[-1]
    samples = net.y.size // units
    total = net.y.dtype.type(0)
    for first in range(0, samples, net.batch):
        rows = min(net.batch, samples - first)
        forward(net, rules, first, rows)
        for e in range(rows * units):
            total += abs(net.y[first * units + e] - net.l[at + e])
    return total / net.y.dtype.type(net.y.size)


@njit(cache=True, error_model="numpy")
def advance(net, rules, start, end):
    """The updates from `start` up to `end`; returns the error of the weights reached."""
    for iteration in range(start, end):
        iterate(net, rules, iteration)
    return mean_error(net, rules)


def setup(X, y, state, *, alpha, batch_size=0, activation="sigmoid", output="sigmoid",
          loss="squared", bias=False, nesterov=False, trim_value=0.0, trim_norm=0.0,
          l1=0.0, l2=0.0, momentum=0.0):  # fmt: skip
    """A Net to compute in, and its Rules."""
    real = X.dtype.type
    syn = state[: len(state) // 2] if momentum else state
    layers = [X.shape[1], *(w.shape[1] for w in syn)]
    batch = min(batch_size or len(X), len(X))
    flat = np.concatenate([w.ravel() for w in syn])
    velocity = np.concatenate([v.ravel() for v in state[len(syn) :]]) if momentum else flat
    l_at = [0, *accumulate(batch * units for units in layers)]
    room = [np.empty(l_at[-1], dtype=X.dtype) for _ in range(3)]
    net = Net(
        np.array(layers),
        np.array([0, *accumulate(w.size for w in syn)]),
        np.array(l_at[:-1]),
        X.ravel(),
        y.ravel(),
        flat,
        velocity,
        np.empty_like(flat),
        *room,
        batch,
    )
    rules = Rules(
        alpha=real(alpha),
        bias=bias,
        activation=ACTIVATIONS[activation],
        output=ACTIVATIONS[output],
        cross_entropy=loss == "cross-entropy",
        trim_value=real(trim_value),
        trim_norm=real(trim_norm),
        l1=real(l1),
        l2=real(l2),
        momentum=real(momentum),
        nesterov=nesterov,
    )
    return net, rules


def matrices(net, like):
    """The state as arrays of the shapes of `like`."""
    flat = [*np.split(net.syn, net.syn_at[1:-1]), *np.split(net.velocity, net.syn_at[1:-1])]
    return [part.reshape(w.shape) for part, w in zip(flat, like, strict=False)]


def train(X, y, state, checkpoints, **settings):
    net, rules = setup(X, y, state, **settings)
    iteration = 0
    for n in checkpoints:
        error = advance(net, rules, iteration, n)
        iteration = n
        yield n, error, matrices(net, state)


def step(X, y, state, *, iteration=0, **settings):
    net, rules = setup(X, y, state, **settings)
    iterate(net, rules, iteration)
    rows = min(net.batch, len(X) - iteration % -(-len(X) // net.batch) * net.batch)
    places = list(zip(net.l_at[1:], net.layers[1:], strict=True))
    l, error, delta = (
        [flat[at : at + rows * units].reshape(rows, units) for at, units in places]
        for flat in (net.l, net.error, net.delta)
    )
    return l, error, delta, matrices(net, state)
