"""Which samples an update learns from."""

from typing import Any

from reference.algorithm.philox import permutation


def batch_slice(samples: int, batch_size: int, iteration: int) -> slice:
    """The places of mini-batch `iteration`, counted from 0; all if `batch_size` is 0.

    The batches go through the samples in order and start again after the last one, which is
    smaller if batch_size does not divide the number of samples.
    """
    if not batch_size:
        return slice(0, samples)
    first = iteration % batches(samples, batch_size) * batch_size
    return slice(first, min(first + batch_size, samples))


def shuffled_batch(samples: int, batch_size: int, iteration: int, seed: int) -> Any:
    """The rows at these places, if the samples are put into another order in each epoch."""
    epoch = iteration // batches(samples, batch_size)
    return permutation(samples, seed, epoch)[batch_slice(samples, batch_size, iteration)]


def batches(samples: int, batch_size: int) -> int:
    """How many batches an epoch has."""
    return -(-samples // batch_size)
