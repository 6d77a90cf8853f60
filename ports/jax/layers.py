"""What a layer computes, and the loss. JAX knows the derivatives of all but `trim_back`.

x, l           (m, n)   a layer's weighted inputs and outputs for the m samples of a batch
gamma, beta    (1, n)   of batch normalisation; so are mean and variance
"""

import jax
import jax.numpy as jnp
from random_numbers import kept

# A matrix product of up to so many products of numbers is written as elementwise operations.
SMALL = 2000


# [forward]
def weighted(settings, l, weights):
    """l weights; with bias, the last row of weights is from a unit that is always 1."""
    if settings.bias:
        return product(l, weights[:-1]) + weights[-1]
    return product(l, weights)
    # [/forward]


def product(a, b):
    """a b.

    XLA turns consecutive elementwise operations, and their derivatives, into one loop; it calls a
    function for a matrix product, and a call takes longer than a small loop.
    """
    # [forward]
    if a.size * b.shape[1] <= SMALL:
        return (a[:, :, None] * b[None, :, :]).sum(axis=1)
    return a @ b
    # [/forward]


ACTIVATIONS = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,  # has the slope 0 at 0, as SPEC.md requires; jnp.maximum(x, 0) has 1/2
    "softmax": jax.nn.softmax,
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
        return jnp.square(y - l).sum() / 2
    # [/hidden-delta]
    # [/output-delta]
    if settings.output == "softmax":
        return jax.nn.logsumexp(x, axis=1).sum() - (x * y).sum()
    return jax.nn.softplus(x).sum() - (x * y).sum()


@jax.custom_vjp
def trim_back(x, limit):
    """x itself; but what goes back through it is trimmed to -limit ... limit."""
    return x


trim_back.defvjp(
    lambda x, limit: (x, limit),
    lambda limit, delta: (jnp.clip(delta, -limit, limit), None),
)


def normalise(x, gamma, beta, epsilon):
    """Each unit gets mean beta and deviation gamma over the batch; also returns those it had."""
    mean = x.mean(axis=0, keepdims=True)
    centred = x - mean
    variance = jnp.square(centred).mean(axis=0, keepdims=True)
    return gamma * (centred / jnp.sqrt(variance + epsilon)) + beta, mean, variance


def normalise_by_averages(x, gamma, beta, epsilon, mean, variance):
    """As in training, but each sample for itself."""
    return gamma * ((x - mean) / jnp.sqrt(variance + epsilon)) + beta


def drop(settings, l, iteration, k):
    """Leave units out at random, and scale the others to make up for them."""
    units = kept(l.shape, settings.dropout, settings.philox_seed, iteration, k)
    return jnp.where(units, l * (1 / (1 - settings.dropout)), 0)
