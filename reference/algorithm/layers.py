"""What a layer does besides the matrix product, each operation beside its derivative.

Forward, a *stage* takes a layer's weighted inputs, or the output of the stage before.
Backward, it takes an error, minus the loss's gradient with respect to its output, and
returns the error with respect to its input.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from reference.algorithm.philox import kept
from reference.arithmetic.numbers import number, positive
from reference.array import Array


class Stage(Protocol):
    """One operation of one layer in one pass; `back` comes after `forward`."""

    def forward(self, x: Array) -> Array:
        """The stage's output."""

    def back(self, error: Array) -> Array:
        """The error of x, from the output's error."""


# [forward]
def sigmoid(x: Array) -> Array:
    """The logistic function, elementwise."""
    return 1 / (1 + np.exp(-x))
    # [/forward]


# [output-delta]
# [hidden-delta]
def sigmoid_slope(output: Array) -> Array:
    """The sigmoid s has the slope s (1 - s)."""
    return output * (1 - output)
    # [/hidden-delta]
    # [/output-delta]


def tanh_slope(output: Array) -> Array:
    """The hyperbolic tangent t has the slope 1 - t^2."""
    return 1 - output * output


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return x * positive(x)


def softmax(x: Array) -> Array:
    """exp(x_n) / sum_j exp(x_j) for each row, as 1 / sum_j exp(x_j - x_n).

    So, as in the sigmoid, an overflow does no harm, and balls stay narrow: the term for j =
    n is exactly 1.
    """
    difference = x[..., np.newaxis, :] - x[..., :, np.newaxis]  # (samples, n, j)
    itself = np.eye(x.shape[-1], dtype=bool)
    return 1 / np.exp(np.where(itself, 0 * difference, difference)).sum(axis=-1)


def no_slope(output: Array) -> Array:
    """Softmax mixes a row's elements: it has no slope of its own, and needs cross-entropy."""
    raise NotImplementedError


# Each with its slope, as a function of its *output*.
ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (np.tanh, tanh_slope),
    "relu": (relu, positive),
    "softmax": (softmax, no_slope),
}
# Those that hidden layers may have.
HIDDEN = tuple(name for name, (_, slope) in ACTIVATIONS.items() if slope is not no_slope)


# [forward]
class Activation:
    """The activation of a layer. Each unit's slope is taken from its output."""

    def __init__(self, name: str) -> None:
        self.value, self.slope = ACTIVATIONS[name]

    def forward(self, x: Array) -> Array:
        """See Stage."""
        self.output = self.value(x)
        return self.output
        # [/forward]

    # [output-delta]
    # [hidden-delta]
    def back(self, error: Array) -> Array:
        """See Stage."""
        return error * self.slope(self.output)  # [l_delta]
        # [/hidden-delta]
        # [/output-delta]


class CrossEntropyOutput(Activation):
    """Sigmoid or softmax outputs, with the loss whose logarithm their slope cancels."""

    def back(self, error: Array) -> Array:
        """See Stage."""
        return error


class Dropout:
    """Units are left out at random, and the others scaled to make up for them.

    N. Srivastava and others, "Dropout: a simple way to prevent neural networks from
    overfitting", JMLR 15, 2014; scaled in training, and so not in inference ("inverted").
    """

    def __init__(self, dropout: float, seed: int, iteration: int, k: int) -> None:
        self.dropout, self.drawn_by = dropout, (dropout, seed, iteration, k)

    def forward(self, x: Array) -> Array:
        """See Stage."""
        scale = 1 / (1 - number(self.dropout, x))
        self.factor = kept(x.shape[-2:], *self.drawn_by) * scale
        return x * self.factor

    def back(self, error: Array) -> Array:
        """See Stage."""
        return error * self.factor


class BatchNorm:
    """Each unit's weighted inputs over the batch get mean beta and deviation gamma.

    S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015. gamma and beta are (1, n_k).
    """

    def __init__(self, gamma: Array, beta: Array, epsilon: float) -> None:
        self.gamma, self.beta, self.epsilon = gamma, beta, epsilon

    def forward(self, x: Array) -> Array:
        """See Stage."""
        self.mean = average(x)  # [mean]
        centred = x - self.mean
        self.variance = average(centred * centred)  # [variance]
        self.deviation = np.sqrt(self.variance + self.epsilon)
        self.normal = centred / self.deviation
        return self.gamma * self.normal + self.beta

    def back(self, error: Array) -> Array:
        """See Stage. Mean and deviation depend on every row, so each row's error on all."""
        self.gamma_descent = (error * self.normal).sum(axis=-2, keepdims=True)  # [gamma]
        self.beta_descent = error.sum(axis=-2, keepdims=True)  # [beta]
        e = error * self.gamma
        return (e - average(e) - self.normal * average(e * self.normal)) / self.deviation


class FixedNorm(BatchNorm):
    """Batch normalisation in inference: with running averages instead of the batch's own."""

    def __init__(
        self, gamma: Array, beta: Array, epsilon: float, mean: Array, variance: Array
    ) -> None:
        super().__init__(gamma, beta, epsilon)
        self.mean, self.variance = mean, variance

    def forward(self, x: Array) -> Array:
        """See Stage."""
        normal = (x - self.mean) / np.sqrt(self.variance + self.epsilon)
        return self.gamma * normal + self.beta


def average(x: Array) -> Array:
    """The mean over the batch, (1, n)."""
    return x.sum(axis=-2, keepdims=True) / x.shape[-2]


def add_unit(l: Array) -> Array:
    """A layer's output with the bias unit, which is always 1, as one more column."""
    return np.concatenate([l, np.ones_like(l[..., :1])], axis=-1)


def drop_unit(weights: Array) -> Array:
    """The weights from a layer without those from its bias unit, the last row."""
    return weights[..., :-1, :]
