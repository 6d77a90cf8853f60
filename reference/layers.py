"""What a layer does besides the matrix product: activations, losses, bias units.

Each activation stands beside its slope, which is taken from the activation's *output*.
"""

from collections.abc import Callable
from typing import NamedTuple

import flint
import numpy as np

from reference.array import Array
from reference.ball import UndecidedError


class Activation(NamedTuple):
    """A function of a layer's weighted inputs, and its slope as a function of its output."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def sigmoid(x: Array) -> Array:
    """The logistic function, elementwise."""
    return 1 / (1 + np.exp(-x))


def sigmoid_slope(output: Array) -> Array:
    """The sigmoid s has the slope s (1 - s)."""
    return output * (1 - output)


def tanh_slope(output: Array) -> Array:
    """The hyperbolic tangent t has the slope 1 - t^2."""
    return 1 - output * output


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return x * positive(x)


def softmax(x: Array) -> Array:
    """exp(x_n) / sum_j exp(x_j) for each row, as 1 / sum_j exp(x_j - x_n).

    So, as in the sigmoid, nothing overflows that matters, and balls stay narrow: the term for
    j = n is exactly 1.
    """
    difference = x[..., np.newaxis, :] - x[..., :, np.newaxis]  # (samples, n, j)
    itself = np.eye(x.shape[-1], dtype=bool)
    return 1 / np.exp(np.where(itself, 0 * difference, difference)).sum(axis=-1)


def no_slope(output: Array) -> Array:
    """Softmax mixes a row's elements: it has no slope of its own, and needs cross-entropy."""
    raise NotImplementedError


def positive(x: Array) -> Array:
    """1 where x > 0 and 0 elsewhere; a ball on which that is not certain is undecided."""
    if x.dtype != object:
        return (np.asarray(x) > 0).astype(x.dtype)
    return np.vectorize(certainly_positive, otypes=[object])(x)


def certainly_positive(x: flint.arb) -> int:
    """1 or 0. Raises UndecidedError where the ball reaches to both sides."""
    if x > 0:
        return 1
    if x <= 0:
        return 0
    raise UndecidedError(f"the sign of {x} is not certain")


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, sigmoid_slope),
    "tanh": Activation(np.tanh, tanh_slope),
    "relu": Activation(relu, positive),
    "softmax": Activation(softmax, no_slope),
}


def add_unit(l: Array) -> Array:
    """A layer's output with the bias unit, which is always 1, as one more column."""
    return np.concatenate([l, np.ones_like(l[..., :1])], axis=-1)


def drop_unit(weights: Array) -> Array:
    """The weights from a layer without those from its bias unit, the last row."""
    return weights[..., :-1, :]
