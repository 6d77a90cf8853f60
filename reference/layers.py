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
    """s' = s (1 - s)."""
    return output * (1 - output)


def tanh_slope(output: Array) -> Array:
    """t' = 1 - t^2."""
    return 1 - output * output


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return x * positive(x)


def softmax(x: Array) -> Array:
    """exp(x_n) / sum of exp(x_j) over a row; shifted by the row's maximum, so that exp cannot overflow."""
    e = np.exp(x - largest(x))
    return e / e.sum(axis=-1, keepdims=True)


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


def largest(x: Array) -> Array:
    """About each row's maximum; softmax is the same for every shift, so it need not be exact."""
    if x.dtype != object:
        return np.asarray(x).max(axis=-1, keepdims=True)
    middle = np.vectorize(float, otypes=[float])(x).max(axis=-1, keepdims=True)
    return np.vectorize(flint.arb, otypes=[object])(middle)


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
