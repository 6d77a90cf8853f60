"""Which samples an update learns from."""

from jax import lax
from random_numbers import permutation


def sizes(settings, samples):
    """Of a batch, and of the last one of an epoch; and how many batches an epoch has."""
    size = min(settings.batch_size or samples, samples)
    batches = -(-samples // size)
    return size, samples - (batches - 1) * size, batches


def epoch_order(settings, samples, epoch):
    """The order of the samples in an epoch; None for their own."""
    return permutation(samples, settings.philox_seed, epoch) if settings.shuffle else None


def pick(X, y, order, first, rows):
    """So many samples from place `first` on. How many must be known before anything is computed."""
    if order is None:
        return lax.dynamic_slice_in_dim(X, first, rows), lax.dynamic_slice_in_dim(y, first, rows)
    chosen = lax.dynamic_slice_in_dim(order, first, rows)
    return X[chosen], y[chosen]


def batch(settings, X, y, iteration):
    """The samples of one update, whose number is known."""
    size, last_size, batches = sizes(settings, len(X))
    epoch, place = divmod(iteration, batches)
    rows = last_size if place == batches - 1 else size
    return pick(X, y, epoch_order(settings, len(X), epoch), place * size, rows)
