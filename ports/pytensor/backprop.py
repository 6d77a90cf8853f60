"""Backpropagation in PyTensor, where gradients are derived as formulas: the interface.

A program is built once for all networks of one depth and dtype that use the same capabilities;
a request loads its state and its numbers into it. What differs from update to update are arguments.
"""

import numpy as np
from network import Program
from random_numbers import batch, kept
from settings import Settings
from state import initial_matrices, split

# A run of so few multiplications is over before its update would be simplified.
SHORT = 10**5


def train(X, y, state, checkpoints, **settings):
    if state[0].ndim > 2:
        yield from train_all(X, y, state, checkpoints, settings)
        return
    settings = Settings.of(X.dtype, **settings)
    # [checkpoint]
    program, iteration = Program.loaded(settings, state), 0
    short = len(X) * sum(w.size for w in state) * checkpoints[-1] < SHORT
    learn = program.learn_and_tell if short else program.learn
    for n in checkpoints:
        while iteration < n:
            learn(*arguments(settings, X, y, state, iteration))
            iteration += 1
        yield n, np.abs(y - program.infer(X)).mean(), program.values()
    # [/checkpoint]


def train_all(X, y, state, checkpoints, settings):
    """An ensemble: one network after the other, as if it were alone, loaded into one program."""
    each = zip(*state, strict=True)
    runs = [list(train(X, y, list(matrices), checkpoints, **settings)) for matrices in each]
    for ends in zip(*runs, strict=True):
        numbers, errors, states = zip(*ends, strict=True)
        stacked = [np.stack(matrices) for matrices in zip(*states, strict=True)]
        yield numbers[0], np.array(errors), stacked


def step(X, y, state, *, iteration=0, **settings):
    settings = Settings.of(X.dtype, **settings)
    program = Program.loaded(settings, state)
    found = program.learn_and_tell(*arguments(settings, X, y, state, iteration))
    last = len(found) // 3
    return found[:last], found[last : 2 * last], found[2 * last :], program.values()


def predict(X, state, **settings):
    return Program.loaded(Settings.of(X.dtype, **settings), state).infer(X)


def initial(layers, numpy_seed, *, dtype, **settings):
    return initial_matrices(layers, numpy_seed, dtype, Settings.of(dtype, **settings))


def arguments(settings, X, y, state, iteration):
    """A batch; with dropout, the factors of all hidden layers; for Adam, the update's number."""
    given = list(batch(settings, X, y, iteration))
    if settings.dropout is not None:
        scale = 1 / (1 - settings.dropout)
        hidden = [w.shape[1] for w in split(state, settings).syn[:-1]]
        for k, units in enumerate(hidden, 1):
            given.append(kept((len(given[0]), units), settings, iteration, k) * scale)
    if settings.adam:
        given.append(np.asarray(iteration + 1, X.dtype))
    return given
