"""The two generators: Philox4x32-10 in training, MT19937 for the initial weights.

JAX's own random numbers are of another generator, Threefry. `jax.lax.rng_bit_generator` has Philox,
but sets only a part of its counter. Words are 32 bits in uint64, so that products have room.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

LOW = 0xFFFFFFFF

# The last word of a counter: the purpose of the words.
FOR_DROPOUT, FOR_SHUFFLE = 0, 1


def philox(c0, c1, c2, c3, k0, k1):
    """Four words from a counter of four and a key of two."""
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57  # 64-bit products
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & LOW, (a >> 32) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return c0, c1, c2, c3


def words(count, seed, time, layer, purpose):
    """The first `count` words of what `purpose` draws at a time in a layer."""
    blocks = jnp.arange(-(-count // 4), dtype=jnp.uint64)
    time, layer, purpose = (jnp.asarray(word, jnp.uint64) for word in (time, layer, purpose))
    four = philox(blocks, time, layer, purpose, seed & LOW, seed >> 32)
    return jnp.stack(four, axis=-1).ravel()[:count]


def kept(shape, dropout, seed, iteration, k):
    """True for each unit of layer k that is kept; shape is (rows of the batch, n_k)."""
    drawn = words(shape[0] * shape[1], seed, iteration, k, FOR_DROPOUT)
    return (drawn.astype(jnp.float64) >= dropout.astype(jnp.float64) * 2**32).reshape(shape)


@partial(jax.jit, static_argnums=0)
def permutation(count, seed, epoch):
    """The order of the samples in an epoch: 0 ... count - 1, shuffled from the end."""
    drawn = words(count, seed, epoch, 0, FOR_SHUFFLE)

    def exchange(n, order):
        i = count - 1 - n
        j = (drawn[i] * (i + 1).astype(jnp.uint64) >> 32).astype(int)
        return order.at[i].set(order[j]).at[j].set(order[i])

    return lax.fori_loop(0, count - 1, exchange, jnp.arange(count))


@partial(jax.jit, static_argnums=0)
def between_minus_one_and_one(count, seed):
    """What `2 * numpy.random.random(count) - 1` gives after `numpy.random.seed(seed)`."""

    def fill(i, x):
        before = x[i - 1]
        return x.at[i].set((1812433253 * (before ^ (before >> 30)) + i.astype(jnp.uint64)) & LOW)

    x = jnp.zeros(624, jnp.uint64).at[0].set(seed)
    x = lax.fori_loop(1, 624, fill, x)
    blocks = -(-2 * count // 624)
    _, drawn = lax.scan(lambda x, _: 2 * (twist(x),), x, length=blocks)
    drawn = tempered(drawn.ravel())[: 2 * count]
    a, b = (drawn[0::2] >> 5).astype(jnp.float64), (drawn[1::2] >> 6).astype(jnp.float64)
    return 2 * ((a * 2**26 + b) / 2**53) - 1


def twist(x):
    """The next 624 words of the state; each is made of its old self and two others."""

    def one(i, x):
        joined = (x[i] & 0x80000000) | (x[(i + 1) % 624] & 0x7FFFFFFF)
        return x.at[i].set(x[(i + 397) % 624] ^ (joined >> 1) ^ (joined & 1) * 0x9908B0DF)

    return lax.fori_loop(0, 624, one, x)


def tempered(word):
    """The words that are given out for those of the state."""
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C5680
    word ^= (word << 15) & 0xEFC60000
    return word ^ (word >> 18)
