"""The state of a network: all that an update changes.

It is one array, with the matrices of the contract as views, in their order: syn, then with batch
normalisation gamma and beta; the optimiser's memories of all of these; mean and variance.
"""

from itertools import accumulate, pairwise

import numpy as np
from random_numbers import between_minus_one_and_one


class State:
    """A copy of the matrices of a state; its parts; and room for the descents."""

    def __init__(self, matrices, settings):
        memories = count_memories(settings)
        # A network has K weight matrices and, with batch normalisation, 2 (K - 1) more
        # parameters; each of them also in each memory; and 2 (K - 1) averages.
        if settings.batch_norm:
            last = (len(matrices) + 2 * memories + 4) // (3 * memories + 5)
            normalised = last - 1
        else:
            last = len(matrices) // (1 + memories)
            normalised = 0
        count = last + 2 * normalised
        shapes = [w.shape for w in matrices]
        whole = np.concatenate([w.ravel() for w in matrices])
        size = sum(w.size for w in matrices[:count])

        self.matrices = cut(whole, shapes)
        self.syn = tuple(self.matrices[:last])
        # One after the other, as 1-D arrays: parameters and descents, and what is remembered.
        self.parameters = whole[:size]
        # Compiled code is always given two memories; one that it does not use is no copy.
        used = [whole[n * size : (n + 1) * size] for n in range(1, 1 + memories)]
        self.memory = [*used, self.parameters, self.parameters][:2]
        self.descents = np.zeros_like(self.parameters)
        parts = cut(self.descents, shapes[:count])
        self.descent = tuple(parts[:last])
        # 1 for what l1 and l2 apply to: weights that are not from bias units.
        self.decays = np.zeros_like(self.parameters)
        for w in cut(self.decays, shapes[:last]):
            w[: len(w) - settings.bias] = 1

        # gamma, beta, their descents, mean and variance; one entry for each hidden layer.
        ends = self.matrices[last:count], parts[last:], self.matrices[count * (1 + memories) :]
        halves = [half for end in ends for half in (end[:normalised], end[normalised:])]
        self.norms = list(zip(*halves, strict=True))


def count_memories(settings):
    """The optimiser's numbers for each parameter: m and v, the velocity, or none."""
    return 2 if settings.adam else 1 if settings.momentum else 0


def cut(flat, shapes):
    """Views of the first numbers of `flat` as matrices that lie one after the other."""
    ends = accumulate(m * n for m, n in shapes)
    return [flat[end - m * n : end].reshape(m, n) for end, (m, n) in zip(ends, shapes, strict=True)]


def initial_matrices(layers, numpy_seed, dtype, settings):
    """The state that a run starts from: drawn weights, and nothing remembered or normalised."""
    shapes = list(pairwise(layers))
    count = sum(m * n for m, n in shapes)
    drawn = between_minus_one_and_one(count, np.uint64(numpy_seed)).astype(dtype)
    syn = cut(drawn, shapes)
    if settings.bias:
        syn = [np.vstack([w, np.zeros_like(w[:1])]) for w in syn]
    units = [(1, n) for n in layers[1:-1]] if settings.batch_norm else []
    ones, zeros = ([make(shape, dtype) for shape in units] for make in (np.ones, np.zeros))
    parameters = [*syn, *ones, *zeros]
    memory = [np.zeros_like(w) for _ in range(count_memories(settings)) for w in parameters]
    return [*parameters, *memory, *zeros, *ones]
