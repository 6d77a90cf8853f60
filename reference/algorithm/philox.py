"""Philox4x32-10: random words from a key and a counter, with no state between them.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2,
3", SC 2011. Each number that a run draws has a counter of its own, so implementations that
draw in a different order, or on many threads, draw the same numbers.
conformance/contract/SPEC.md has the layout.
"""

from typing import Any

import numpy as np

from reference.array import Array

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
LOW = 0xFFFFFFFF

# The last word of a counter: what the words are for.
FOR_DROPOUT, FOR_SHUFFLE = 0, 1


def philox(counter: Any, key: tuple[int, int]) -> tuple[Array, ...]:
    """Four 32-bit words from a counter of four (numbers or arrays) and a key of two."""
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(w, np.uint64) for w in counter))
    k0, k1 = key
    for _ in range(ROUNDS):
        low, high = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (high >> 32) ^ c1 ^ k0, high & LOW, (low >> 32) ^ c3 ^ k1, low & LOW
        k0, k1 = (k0 + KEY_STEPS[0]) & LOW, (k1 + KEY_STEPS[1]) & LOW
    return c0, c1, c2, c3


def words(count: int, seed: int, time: int, layer: int, purpose: int) -> Array:
    """The first `count` words of what `purpose` draws at a time in a layer, as uint64."""
    blocks = np.arange(-(-count // 4))
    four = philox((blocks, time, layer, purpose), (seed & LOW, seed >> 32))
    return np.stack(four, axis=-1).ravel()[:count]


def kept(shape: tuple[int, int], dropout: float, seed: int, iteration: int, k: int) -> Any:
    """True for each unit of layer k that is kept; shape is (rows of the batch, n_k)."""
    drawn = words(shape[0] * shape[1], seed, iteration, k, FOR_DROPOUT)
    return (drawn >= dropout * 2**32).reshape(shape)


def permutation(count: int, seed: int, epoch: int) -> Array:
    """The order of the samples in an epoch: 0 ... count - 1, shuffled from the end.

    R. Durstenfeld, "Algorithm 235: Random permutation", CACM 7(7), 1964.
    """
    order = np.arange(count)
    drawn = words(count, seed, epoch, 0, FOR_SHUFFLE)
    for i in range(count - 1, 0, -1):
        j = int(drawn[i]) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order
