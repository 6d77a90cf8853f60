"""Backpropagation in PyTorch, where autograd does the backward pass: the interface.

What comes in are NumPy arrays, and so is what goes out; in between all are tensors of the same
dtype, and settings are Python's numbers: a tensor times such a number keeps its own dtype.
"""

import os
from typing import NamedTuple

import torch
from network import infer, mean_error, update
from state import State, initial_matrices

# The networks of the cases are small: a second thread would only be waited for.
if "OMP_NUM_THREADS" not in os.environ:
    torch.set_num_threads(1)


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


def train(X, y, state, checkpoints, **settings):
    settings = Settings(**settings)
    X, y, state = torch.tensor(X), torch.tensor(y), State(state, settings)
    # [checkpoint]
    iteration = 0
    for n in checkpoints:
        while iteration < n:
            update(X, y, state, settings, iteration)
            iteration += 1
        yield n, mean_error(y - infer(X, state, settings)), state.arrays()
    # [/checkpoint]


def step(X, y, state, *, iteration=0, **settings):
    settings = Settings(**settings)
    state = State(state, settings)
    intermediates = update(torch.tensor(X), torch.tensor(y), state, settings, iteration, trace=True)
    return *([t.numpy(force=True) for t in tensors] for tensors in intermediates), state.arrays()


def predict(X, state, **settings):
    settings = Settings(**settings)
    return infer(torch.tensor(X), State(state, settings), settings).numpy()


def initial(layers, numpy_seed, *, dtype, **settings):
    return initial_matrices(layers, numpy_seed, getattr(torch, dtype), Settings(**settings))
