"""What a layer computes, and the loss. Autograd knows the derivatives of all but TrimBack.

x, l           (m, n)   a layer's weighted inputs and outputs for the m samples of a batch
gamma, beta    (1, n)   of batch normalisation; so are mean and variance

In an ensemble all of them have one axis more, their first: the networks. So axes are counted from
the last.
"""

import torch
from random_numbers import kept


# [forward]
def weighted(l, weights, bias):
    """l weights; with bias, the last row of weights is from a unit that is always 1."""
    if not bias:
        return l @ weights
    if weights.ndim == 2:
        return torch.addmm(weights[-1], l, weights[:-1])  # one operation, which is faster
    return l @ weights[:, :-1] + weights[:, -1:]
    # [/forward]


ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,  # its slope at 0 is 0, as SPEC.md requires
    "softmax": lambda x: torch.softmax(x, dim=-1),
}


def loss(x, l, y, settings):
    """The loss that training reduces, from the last layer's weighted inputs or its outputs.

    Cross-entropy is written with weighted inputs, so that no logarithm of 0 can occur. Its
    form for softmax has the gradient l - y for any y; it is -(y log l).sum() where rows of
    y sum to 1.
    """
    # [output-delta]
    # [hidden-delta]
    if settings.loss == "squared":
        return (y - l).square().sum() / 2
    # [/hidden-delta]
    # [/output-delta]
    if settings.output == "softmax":
        return torch.logsumexp(x, dim=-1).sum() - (x * y).sum()
    return torch.nn.functional.binary_cross_entropy_with_logits(x, y.expand_as(x), reduction="sum")


class TrimBack(torch.autograd.Function):
    """x itself; but what goes back through it, a delta, is trimmed to -limit ... limit."""

    @staticmethod
    def forward(ctx, x, limit):
        ctx.limit = limit
        return x.view_as(x)

    @staticmethod
    def backward(ctx, delta):
        return delta.clamp(-ctx.limit, ctx.limit), None


def normalise(x, gamma, beta, epsilon):
    """Each unit gets mean beta and deviation gamma over the batch; also returns those it had.

    `torch.nn.functional.batch_norm` would do, except that its running averages divide the
    variance by m - 1.
    """
    mean = x.mean(dim=-2, keepdim=True)
    centred = x - mean
    variance = centred.square().mean(dim=-2, keepdim=True)
    normal = centred / torch.sqrt(variance + epsilon)
    return gamma * normal + beta, mean.detach(), variance.detach()


def normalise_by_averages(x, gamma, beta, epsilon, mean, variance):
    """As in training, but each sample for itself."""
    return gamma * ((x - mean) / torch.sqrt(variance + epsilon)) + beta


def drop(l, settings, iteration, k):
    """Leave units out at random, and scale the others to make up for them."""
    units = kept(l.shape[-2:], settings.dropout, settings.philox_seed, iteration, k)
    return l * units * (1 / (1 - settings.dropout))  # bool times a number would be float32
