"""The state of a network: all that an update changes.

Its matrices come in the order of the contract: syn, then with batch normalisation gamma and beta;
the optimiser's memories of all of these; mean and variance.
"""

from itertools import pairwise

import torch
from random_numbers import between_minus_one_and_one


class State:
    """A copy of a state's matrices as tensors, and its parts; all parts are lists.

    `parameters` are leaves of autograd's graph: gradients are with respect to them. They are
    changed in place, so that they stay the same leaves for all of a run.
    """

    def __init__(self, matrices, settings):
        memories = count_memories(settings)
        # A network has K weight matrices and, with batch normalisation, 2 (K - 1) more
        # parameters; each of them also in each memory; and 2 (K - 1) averages.
        if settings.batch_norm:
            last = (len(matrices) + 2 * memories + 4) // (3 * memories + 5)
            hidden = last - 1
        else:
            last, hidden = len(matrices) // (1 + memories), 0
        count = last + 2 * hidden
        self.matrices = [torch.tensor(matrix) for matrix in matrices]
        self.parameters = [w.requires_grad_() for w in self.matrices[:count]]
        self.memory = [self.matrices[n * count : (n + 1) * count] for n in range(1, 1 + memories)]
        self.syn = self.parameters[:last]
        # (1, n_k) for each hidden layer k = 1 ... K-1, which is at place k - 1.
        self.gamma, self.beta = (
            self.parameters[last : last + hidden],
            self.parameters[last + hidden :],
        )
        averages = self.matrices[count * (1 + memories) :]
        self.mean, self.variance = averages[:hidden], averages[hidden:]

    def arrays(self):
        """All matrices, in order, as NumPy arrays that share the tensors' memory."""
        return [matrix.numpy(force=True) for matrix in self.matrices]


def count_memories(settings):
    """The optimiser's numbers for each parameter: m and v, the velocity, or none."""
    return 2 if settings.adam else 1 if settings.momentum else 0


def initial_matrices(layers, numpy_seed, dtype, settings):
    """The state that a run starts from: drawn weights, and nothing remembered or normalised."""
    shapes = list(pairwise(layers))
    drawn = between_minus_one_and_one(sum(m * n for m, n in shapes), numpy_seed).to(dtype)
    syn = [
        w.view(shape)
        for w, shape in zip(drawn.split([m * n for m, n in shapes]), shapes, strict=True)
    ]
    if settings.bias:
        syn = [torch.cat([w, torch.zeros_like(w[:1])]) for w in syn]
    units = [(1, n) for n in layers[1:-1]] if settings.batch_norm else []
    ones, zeros = (
        [make(shape, dtype=dtype) for shape in units] for make in (torch.ones, torch.zeros)
    )
    parameters = [*syn, *ones, *zeros]
    memory = [torch.zeros_like(w) for _ in range(count_memories(settings)) for w in parameters]
    return [matrix.numpy() for matrix in (*parameters, *memory, *zeros, *ones)]
