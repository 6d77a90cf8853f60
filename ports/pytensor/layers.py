"""What a layer computes, and the loss, as formulas. PyTensor derives their gradients.

x, l           (m, n)   a layer's weighted inputs and outputs for the m samples of a batch
gamma, beta    (1, n)   of batch normalisation; so are mean and variance
"""

import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from pytensor.tensor.special import softmax


# [forward]
def weighted(settings, l, weights):
    """l weights; with bias, the last row of weights is from a unit that is always 1."""
    return l @ weights[:-1] + weights[-1] if settings.bias else l @ weights
    # [/forward]


ACTIVATIONS = {
    "sigmoid": pt.sigmoid,
    "tanh": pt.tanh,
    "relu": lambda x: pt.switch(x > 0, x, 0),  # so that its slope at 0 is 0
    "softmax": lambda x: softmax(x, axis=1),
}


def loss(settings, x, l, y):
    """The loss that training reduces, from the last layer's weighted inputs or its outputs.

    Cross-entropy is written with weighted inputs, so that no logarithm of 0 can occur. Its
    form for softmax has the gradient l - y for any y; it is -(y log l).sum() where rows of
    y sum to 1.
    """
    # [output-delta]
    # [hidden-delta]
    if settings.loss == "squared":
        return ((y - l) ** 2).sum() / 2
    # [/hidden-delta]
    # [/output-delta]
    if settings.output == "softmax":
        return log_sum_exp(x).sum() - (x * y).sum()
    return pt.softplus(x).sum() - (x * y).sum()


def log_sum_exp(x):
    """The logarithm of the sum of exp(x) in each row, shifted so that nothing overflows."""
    largest = disconnected_grad(x.max(axis=1, keepdims=True))
    return pt.log(pt.exp(x - largest).sum(axis=1, keepdims=True)) + largest


def normalise(x, gamma, beta, epsilon):
    """Each unit gets mean beta and deviation gamma over the batch; also returns those it had."""
    mean = x.mean(axis=0, keepdims=True)
    centred = x - mean
    variance = (centred**2).mean(axis=0, keepdims=True)
    return gamma * (centred / pt.sqrt(variance + epsilon)) + beta, mean, variance


def normalise_by_averages(x, gamma, beta, epsilon, mean, variance):
    """As in training, but each sample for itself."""
    return gamma * ((x - mean) / pt.sqrt(variance + epsilon)) + beta
