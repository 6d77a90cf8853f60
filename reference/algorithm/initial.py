"""The state that a run starts from."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from reference.algorithm.settings import Settings
from reference.array import Array


def draw(seed: int, layers: Sequence[int], bias: bool) -> list[Array]:
    """Weights in [-1, 1) as the article draws them, in float64: syn[0] first, row by row.

    The generator is MT19937 as `numpy.random.seed(seed)` starts it, and each number r in [0, 1)
    is made of two of its words (M. Matsumoto, T. Nishimura, "Mersenne Twister", ACM TOMACS
    8(1), 1998). Weights from bias units are 0, and not drawn.
    """
    random = np.random.RandomState(seed)
    weights = [2 * random.random_sample(shape) - 1 for shape in pairwise(layers)]
    if bias:
        weights = [np.concatenate([w, np.zeros_like(w[:1])]) for w in weights]
    return weights


def initial_state(weights: Sequence[Array], settings: Settings) -> list[Array]:
    """The flat state with these weights: nothing remembered, nothing normalised away."""
    units = [w[..., :1, :] for w in weights[:-1]] if settings.batch_norm else []
    ones, zeros = [np.ones_like(u) for u in units], [np.zeros_like(u) for u in units]
    parameters = [*weights, *ones, *zeros]
    memory = [np.zeros_like(p) for _ in settings.memories for p in parameters]
    return [*parameters, *memory, *zeros, *ones]
