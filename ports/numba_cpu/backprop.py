"""Backpropagation in Numba, compiled for the CPU: the loops that NumPy hides, written out.

A network is a tuple of 2-D arrays of one type, so `syn[k]` works with a k known only at run
time. Each depth and each dtype is compiled once and kept in Numba's cache.

    l[k]      (m, n_k)        l[0] is X
    delta[k]  (m, n_k)        for k = 1 ... K; delta[0] is not used; error likewise
    syn[k]    (n_k, n_{k+1})
"""

import numpy as np
from numba import njit


@njit(cache=True)
def forward(l, syn):
    for k in range(len(syn)):
        samples, inputs = l[k].shape
        outputs = syn[k].shape[1]
        one = l[k].dtype.type(1)  # a literal 1.0 would turn float32 into float64
        for i in range(samples):
            for n in range(outputs):
                x = syn[k].dtype.type(0)
                for m in range(inputs):
                    x += l[k][i, m] * syn[k][m, n]
                l[k + 1][i, n] = one / (one + np.exp(-x))


@njit(cache=True)
def backward(l, error, delta, syn, y):
    last = len(syn)
    for k in range(last, 0, -1):
        samples, units = l[k].shape
        one = l[k].dtype.type(1)
        for i in range(samples):
            for m in range(units):
                if k == last:
                    e = y[i, m] - l[k][i, m]
                else:
                    e = syn[k].dtype.type(0)
                    for n in range(syn[k].shape[1]):
                        e += delta[k + 1][i, n] * syn[k][m, n]
                error[k][i, m] = e
                # The sigmoid's slope, from its output.
                delta[k][i, m] = e * (l[k][i, m] * (one - l[k][i, m]))


@njit(cache=True)
def update(l, delta, syn, alpha):
    """Changes syn; only after `backward` has used the old weights of every layer."""
    for k in range(len(syn)):
        inputs, outputs = syn[k].shape
        for m in range(inputs):
            for n in range(outputs):
                total = syn[k].dtype.type(0)
                for i in range(l[k].shape[0]):
                    total += l[k][i, m] * delta[k + 1][i, n]
                syn[k][m, n] += alpha * total


@njit(cache=True)
def mean_error(output, y):
    total = output.dtype.type(0)
    for i in range(output.shape[0]):
        for n in range(output.shape[1]):
            total += abs(y[i, n] - output[i, n])
    return total / output.dtype.type(output.size)


@njit(cache=True)
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
