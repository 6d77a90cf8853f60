"""From the descent direction of each weight matrix to new weights.

`descent[k]` is minus the gradient, l[k]^T delta[k+1]; it is to be added.
"""

from collections.abc import Sequence

import numpy as np

from reference.array import Array
from reference.layers import positive


def clip(x: Array, limit: float) -> Array:
    """Each element of x where it lies between -limit and limit, and else the nearer of the two."""
    bound = limit + 0 * x  # of x's arithmetic: a plain float among balls would round
    return np.where(positive(x - bound), bound, np.where(positive(-bound - x), -bound, x))


def shrink(descent: Sequence[Array], limit: float) -> list[Array]:
    """All of it scaled, so that the root of the sum of all squares is at most `limit`.

    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013.
    """
    squares = [(d * d).sum(axis=(-2, -1), keepdims=True) for d in descent]
    norm = np.sqrt(sum(squares[1:], start=squares[0]))
    factor = np.where(positive(norm - limit), limit / norm, 1)
    return [d * factor for d in descent]


def decay(weights: Array, l1: float, l2: float, bias: bool) -> Array:
    """The slope of l1 |w| + l2 w^2 / 2; that of a bias unit's weights, the last row, is 0."""
    pull = l2 * weights
    if l1:
        pull = pull + l1 * (positive(weights) - positive(-weights))
    if bias:
        pull = np.concatenate([pull[..., :-1, :], 0 * pull[..., -1:, :]], axis=-2)
    return pull
