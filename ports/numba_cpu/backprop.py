"""Backpropagation in Numba, compiled for the CPU: the interface.

Compiled functions know no names and no defaults: a `Network` gives them arrays to compute in, and
the settings as numbers of the dtype.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from layers import ACTIVATIONS, LINEAR
from network import More, advance, infer, mean_error
from stages import Hidden, Rules
from state import State, initial_matrices


class Settings(NamedTuple):
    """conformance/contract/SPEC.md says what each does; each default leaves its capability out."""

    alpha: float
    bias: bool = False
    activation: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "squared"
    batch_size: int = 0
    shuffle: bool = False
    dropout: float = 0.0
    philox_seed: int = 0
    batch_norm: bool = False
    norm_epsilon: float = 0.0
    norm_rate: float = 0.0
    trim_value: float = 0.0
    trim_norm: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    adam: bool = False
    beta1: float = 0.0
    beta2: float = 0.0
    adam_epsilon: float = 0.0


class Network:
    """A copy of the state, and all that an update or a forward pass needs.

    `batch_l` and `batch_y` are what updates learn from: with shuffling, copies whose order
    changes; else the same arrays as `l` and y.
    """

    def __init__(self, X, y, state, settings):
        s, real = settings, X.dtype.type
        self.state = State(state, s)
        layers = [X.shape[1], *(w.shape[1] for w in self.state.syn)]
        room = [tuple(np.empty((len(X), n), dtype=X.dtype) for n in layers) for _ in range(3)]
        self.l, (self.batch_l, self.error, self.delta) = (X, *room[0][1:]), room
        self.batch_y = np.empty_like(y)
        if not s.shuffle:
            self.batch_l, self.batch_y = self.l, y
        self.batch_size = min(s.batch_size or len(X), len(X))
        self.forward = int(s.bias), ACTIVATIONS[s.activation], ACTIVATIONS[s.output]
        self.rules = (
            real(s.alpha),
            *self.forward,
            LINEAR if s.loss == "cross-entropy" else ACTIVATIONS[s.output],
            self.batch_size,
            *(real(x) for x in (s.trim_value or np.inf, s.trim_norm, s.l1, s.l2, s.momentum)),
            s.nesterov,
        )
        plain = not (s.shuffle or s.dropout or s.batch_norm or s.adam)
        self.more = None if plain else more_than_plain(X, y, layers, self.state, s)

    def advance(self, start, end):
        s = self.state
        arrays = self.batch_l, self.error, self.delta, s.syn, s.descent, self.batch_y
        flat = s.parameters, s.memory[0], s.descents, s.decays
        advance(*arrays, *flat, start, end, *self.rules, self.more)

    def infer(self):
        infer(self.l, self.state.syn, *self.forward, self.more)
        return self.l[-1]


def more_than_plain(X, y, layers, state, settings):
    """What the compiled functions need beside the arrays and settings of a plain network."""
    s, real = settings, X.dtype.type
    rules = Rules(
        batch_norm=s.batch_norm,
        norm_epsilon=real(s.norm_epsilon),
        norm_rate=real(s.norm_rate),
        dropout=s.dropout > 0,
        least_kept=np.uint64(math.ceil(s.dropout * 2**32)),
        scale=real(1) / (real(1) - real(s.dropout)),
        shuffle=s.shuffle,
        philox_seed=np.uint64(s.philox_seed),
        adam=s.adam,
        beta1=real(s.beta1),
        beta2=real(s.beta2),
        adam_epsilon=real(s.adam_epsilon),
    )

    def hidden(k):
        samples = [np.ones((len(X), layers[k]), dtype=X.dtype) for _ in range(3)]
        deviation = np.empty((1, layers[k]), dtype=X.dtype)
        norm = state.norms[k - 1] if k and s.batch_norm else [deviation] * 6
        return Hidden(*samples, deviation, *norm)

    return More(rules, tuple(map(hidden, range(len(layers) - 1))), X, y, state.memory[1])


def train(X, y, state, checkpoints, **settings):
    if state[0].ndim > 2:
        yield from train_all(X, y, state, checkpoints, settings)
        return
    # [checkpoint]
    network = Network(X, y, state, Settings(**settings))
    iteration = 0
    for n in checkpoints:
        network.advance(iteration, n)
        iteration = n
        yield n, mean_error(network.infer(), y), network.state.matrices
    # [/checkpoint]


def train_all(X, y, state, checkpoints, settings):
    """An ensemble: on all cores that the process may use, each network as if it were alone."""

    def run(matrices):
        found = train(X, y, list(matrices), checkpoints, **settings)
        return [(error, [w.copy() for w in now]) for _, error, now in found]

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        runs = list(pool.map(run, zip(*state, strict=True)))
    for n, ends in zip(checkpoints, zip(*runs, strict=True), strict=True):
        errors, states = zip(*ends, strict=True)
        yield n, np.array(errors), [np.stack(matrices) for matrices in zip(*states, strict=True)]


def step(X, y, state, *, iteration=0, **settings):
    network = Network(X, y, state, Settings(**settings))
    network.advance(iteration, iteration + 1)
    size = network.batch_size
    first = iteration % math.ceil(len(X) / size) * size
    rows = min(size, len(X) - first)
    tensors = network.batch_l, network.error, network.delta
    return *([a[:rows] for a in arrays[1:]] for arrays in tensors), network.state.matrices


def predict(X, state, **settings):
    y = np.empty((0, 0), dtype=X.dtype)  # not used
    return Network(X, y, state, Settings(**settings)).infer()


def initial(layers, numpy_seed, *, dtype, **settings):
    return initial_matrices(layers, numpy_seed, dtype, Settings(**settings))
