"""Backpropagation in CuPy: NumPy's lines, each of them one or more kernels on a GPU.

    l[k]      (m, n_k)         output of layer k; l[0] is the data
    syn[k]    (n_k, n_{k+1})   weights from layer k to layer k + 1
    error[k], delta[k]         (m, n_k), for k = 1 ... K

In an ensemble, all but the data have the networks as one axis more, their first: then `@` is a
batched product, and the same lines train all networks at once.

An operator returns before the GPU has done its work: kernels wait in a queue, in order. Only
`asnumpy` waits for them, when a checkpoint is copied to the host.
"""

import os

if os.environ.get("BACKPROP_ARRAYS") == "numpy":  # the emulation: see port.toml
    import numpy as xp

    asnumpy = xp.array
else:
    import cupy as xp

    asnumpy = xp.asnumpy


# [forward]
def sigmoid(x):
    return 1 / (1 + xp.exp(-x))


def forward(X, syn):
    l = [X]
    for weights in syn:
        l.append(sigmoid(l[-1] @ weights))
    return l
    # [/forward]


def update(X, y, syn, alpha):
    """One update: l, error and delta of the layers 1 ... K, and the new weights."""
    l, last = forward(X, syn), len(syn)
    # [output-delta]
    error = {last: y - l[last]}
    delta = {last: error[last] * l[last] * (1 - l[last])}
    # [/output-delta]
    # [hidden-delta]
    for k in range(last - 1, 0, -1):
        error[k] = delta[k + 1] @ transposed(syn[k])
        delta[k] = error[k] * l[k] * (1 - l[k])
    # [/hidden-delta]
    # [update]
    # New arrays: every error above used the old weights.
    new = [w + alpha * (transposed(l[k]) @ delta[k + 1]) for k, w in enumerate(syn)]
    # [/update]
    layers = range(1, last + 1)
    return l[1:], [error[k] for k in layers], [delta[k] for k in layers], new


def transposed(a):
    return a.swapaxes(-1, -2)


def train(X, y, state, checkpoints, *, alpha):
    X, y, syn = xp.asarray(X), xp.asarray(y), [xp.asarray(w) for w in state]
    # [checkpoint]
    iteration = 0
    for n in checkpoints:
        while iteration < n:
            *_, syn = update(X, y, syn, alpha)
            iteration += 1
        error = xp.abs(y - forward(X, syn)[-1]).mean(axis=(-2, -1))
        yield n, asnumpy(error), [asnumpy(w) for w in syn]
    # [/checkpoint]


def step(X, y, state, *, alpha):
    found = update(xp.asarray(X), xp.asarray(y), [xp.asarray(w) for w in state], alpha)
    return tuple([asnumpy(a) for a in arrays] for arrays in found)


def device():
    if xp.__name__ == "numpy":
        return "no GPU: NumPy instead of CuPy"
    return xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
