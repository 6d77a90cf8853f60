"""Backpropagation in Numba, compiled for the CPU: the loops that NumPy hides, written out.

A network is a tuple of 2-D arrays of one type, so `syn[k]` works with a k known only at run
time. Each depth and each dtype is compiled once and kept in Numba's cache.

    l[k]      (m, n_k)        l[0] is X
    delta[k]  (m, n_k)        for k = 1 ... K; delta[0] is not used; error likewise
    syn[k]    (n_k, n_{k+1})
"""

import numpy as np
from numba import njit

# NumPy's error model: 1 / 0 is inf, as in C, so no division is checked. Inlined, since each
# array that is handed to a function costs an atomic reference count: half the time here.
compiled = njit(cache=True, error_model="numpy", inline="always")


@compiled
def forward(l, syn):
    for k in range(len(syn)):
        l_in, l_out, weights = l[k], l[k + 1], syn[k]
        one = weights.dtype.type(1)  # a literal 1.0 would turn float32 into float64
        for i in range(l_out.shape[0]):
            for n in range(weights.shape[1]):
                x = weights.dtype.type(0)
                for m in range(weights.shape[0]):
                    x += l_in[i, m] * weights[m, n]
                l_out[i, n] = one / (one + np.exp(-x))


@compiled
def backward(l, error, delta, syn, y):
    """From the last layer down: error[k], then delta[k], with all weights still unchanged."""
    last = len(syn)
    output_layer(y, l[last], error[last], delta[last])
    for k in range(last - 1, 0, -1):
        hidden_layer(delta[k + 1], syn[k], l[k], error[k], delta[k])


@compiled
def output_layer(y, output, error, delta):
    """error = y - output, delta = error slope(output)"""
    one = output.dtype.type(1)
    for i in range(output.shape[0]):
        for n in range(output.shape[1]):
            error[i, n] = y[i, n] - output[i, n]
            delta[i, n] = error[i, n] * (output[i, n] * (one - output[i, n]))


@compiled
def hidden_layer(next_delta, weights, output, error, delta):
    """error = next_delta weights^T, delta = error slope(output)"""
    zero, one = output.dtype.type(0), output.dtype.type(1)
    for i in range(output.shape[0]):
        for m in range(output.shape[1]):
            e = zero
            for n in range(weights.shape[1]):
                e += next_delta[i, n] * weights[m, n]
            error[i, m] = e
            delta[i, m] = e * (output[i, m] * (one - output[i, m]))


@compiled
def update(l, delta, syn, alpha):
    """Changes syn; only after `backward` has used the old weights of every layer."""
    for k in range(len(syn)):
        l_in, l_delta, weights = l[k], delta[k + 1], syn[k]
        for m in range(weights.shape[0]):
            for n in range(weights.shape[1]):
                total = weights.dtype.type(0)
                for i in range(l_in.shape[0]):
                    total += l_in[i, m] * l_delta[i, n]
                weights[m, n] += alpha * total


@compiled
def mean_error(output, y):
    total = output.dtype.type(0)
    for i in range(output.shape[0]):
        for n in range(output.shape[1]):
            total += abs(y[i, n] - output[i, n])
    return total / output.dtype.type(output.size)


@compiled
def advance(l, error, delta, syn, y, alpha, iterations):
    """That many updates, then a forward pass; returns the error of the weights reached."""
    for _ in range(iterations):
        forward(l, syn)
        backward(l, error, delta, syn, y)
        update(l, delta, syn, alpha)
    forward(l, syn)
    return mean_error(l[-1], y)


def room(X, syn):
    """Tuples (l, error, delta, syn): l[0] is X, syn a copy, the rest to be written."""
    layers = [X.shape[1], *(w.shape[1] for w in syn)]

    def blank():
        return [np.empty((len(X), units), dtype=X.dtype) for units in layers]

    return (X, *blank()[1:]), tuple(blank()), tuple(blank()), tuple(w.copy() for w in syn)


def train(X, y, syn, checkpoints, *, alpha):
    l, error, delta, syn = room(X, syn)
    iteration = 0
    for n in checkpoints:
        mean = advance(l, error, delta, syn, y, X.dtype.type(alpha), n - iteration)
        iteration = n
        yield n, mean, syn


def step(X, y, syn, *, alpha):
    l, error, delta, syn = room(X, syn)
    forward(l, syn)
    backward(l, error, delta, syn, y)
    update(l, delta, syn, X.dtype.type(alpha))
    return l[1:], error[1:], delta[1:], syn
