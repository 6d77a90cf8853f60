"""From the descent direction of each parameter to the step that is taken, over alpha.

A descent is minus the gradient, and is to be added: for syn[k], l[k]^T delta[k+1].
"""

from collections.abc import Sequence

import numpy as np

from reference.arithmetic.numbers import number, positive, root
from reference.array import Array


def clip(x: Array, limit: float) -> Array:
    """Each element of x if it is between -limit and limit, otherwise the nearer of the two."""
    bound = number(limit, x)
    return np.where(positive(x - bound), bound, np.where(positive(-bound - x), -bound, x))


def shrink(descent: Sequence[Array], limit: float) -> list[Array]:
    """All of it scaled, so that the root of the sum of all squares is at most `limit`.

    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013.
    """
    squares = [(d * d).sum(axis=(-2, -1), keepdims=True) for d in descent]
    norm = root(sum(squares[1:], start=squares[0]))
    factor = np.where(positive(norm - limit), limit / norm, 1)
    return [d * factor for d in descent]


def decay(weights: Array, l1: float, l2: float, bias: bool) -> Array:
    """The slope of l1 |w| + l2 w^2 / 2; for a bias unit's weights, the last row, it is 0."""
    kept = weights[..., :-1, :] if bias else weights
    pull = l2 * kept
    if l1:
        pull = pull + l1 * (positive(kept) - positive(-kept))
    return np.concatenate([pull, np.zeros_like(weights[..., -1:, :])], axis=-2) if bias else pull


def with_momentum(
    memory: Sequence[Sequence[Array]], descent: Sequence[Array], momentum: float, nesterov: bool
) -> tuple[list[Array], list[list[Array]]]:
    """The steps and the new velocities.

    B. T. Polyak, 1964; Y. Nesterov, 1983, in the form of I. Sutskever and others, "On the
    importance of initialization and momentum in deep learning", ICML 2013.
    """
    velocity = [momentum * v + d for v, d in zip(memory[0], descent, strict=True)]  # [velocity]
    if nesterov:
        return [d + momentum * v for d, v in zip(descent, velocity, strict=True)], [velocity]
    return velocity, [velocity]


def adam(
    memory: Sequence[Sequence[Array]],
    descent: Sequence[Array],
    beta1: float,
    beta2: float,
    epsilon: float,
    t: int,
) -> tuple[list[Array], list[list[Array]]]:
    """The steps of update t, counted from 1, and the new averages of descents and squares.

    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    """
    b1, b2 = number(beta1, descent[0]), number(beta2, descent[0])
    m = [b1 * m + (1 - b1) * d for m, d in zip(memory[0], descent, strict=True)]  # [m]
    v = [b2 * v + (1 - b2) * (d * d) for v, d in zip(memory[1], descent, strict=True)]  # [v]
    first, second = 1 - b1**t, 1 - b2**t  # both averages began at 0
    steps = [(m / first) / (root(v / second) + epsilon) for m, v in zip(m, v, strict=True)]
    return steps, [m, v]
