"""The state of a network: all that an update changes.

Its matrices come in the order of the contract: syn, then with batch normalisation gamma and beta;
the optimiser's memories of all of these; mean and variance.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from random_numbers import between_minus_one_and_one


class State(NamedTuple):
    """A state by its parts. Their elements may be arrays, shared variables or formulas."""

    parameters: list[Any]  # syn[0] ... syn[K-1]; with batch normalisation, gamma and beta
    memory: list[list[Any]]  # of the optimiser: none, one or two lists like that
    mean: list[Any]  # (1, n_k) for k = 1 ... K-1: running averages of the weighted inputs
    variance: list[Any]
    last: int  # K

    @property
    def syn(self):
        return self.parameters[: self.last]

    def scale(self, k):
        """gamma[k] and beta[k], each (1, n_k)."""
        return self.parameters[self.last + k - 1], self.parameters[2 * self.last + k - 2]

    def flat(self):
        """All matrices, in order."""
        return [
            *self.parameters,
            *(p for part in self.memory for p in part),
            *self.mean,
            *self.variance,
        ]


def split(matrices, settings):
    """The parts of a flat state."""
    memories = count_memories(settings)
    # A network has K weight matrices and, with batch normalisation, 2 (K - 1) more parameters;
    # each of them also in each memory; and 2 (K - 1) averages.
    if settings.batch_norm:
        last = (len(matrices) + 2 * memories + 4) // (3 * memories + 5)
        hidden = last - 1
    else:
        last, hidden = len(matrices) // (1 + memories), 0
    count = last + 2 * hidden
    parameters, *memory = (matrices[n * count : (n + 1) * count] for n in range(1 + memories))
    averages = matrices[count * (1 + memories) :]
    return State(parameters, memory, averages[:hidden], averages[hidden:], last)


def count_memories(settings):
    """The optimiser's numbers for each parameter: m and v, the velocity, or none."""
    return 2 if settings.adam else 0 if settings.momentum is None else 1


def initial_matrices(layers, numpy_seed, dtype, settings):
    """The state that a run starts from: drawn weights, and nothing remembered or normalised."""
    shapes = list(pairwise(layers))
    drawn = between_minus_one_and_one(sum(m * n for m, n in shapes), numpy_seed).astype(dtype)
    ends = np.cumsum([m * n for m, n in shapes])
    parts = zip(np.split(drawn, ends[:-1]), shapes, strict=True)
    syn = [np.pad(w.reshape(shape), ((0, int(settings.bias)), (0, 0))) for w, shape in parts]
    units = [(1, n) for n in layers[1:-1]] if settings.batch_norm else []
    ones, zeros = ([make(shape, dtype) for shape in units] for make in (np.ones, np.zeros))
    parameters = [*syn, *ones, *zeros]
    memory = [np.zeros_like(w) for _ in range(count_memories(settings)) for w in parameters]
    return [*parameters, *memory, *zeros, *ones]
