"""The two generators: Philox4x32-10 in training, MT19937 for the initial weights.

PyTensor's own random streams are NumPy's generators, of which neither is made for that: its Philox
is of 64-bit words. So this port has both, in NumPy; a program gets its batches and its factors of
dropout as arguments. Words are 32 bits in uint64.
"""

import numpy as np

LOW = 0xFFFFFFFF

# The last word of a counter: the purpose of the words.
FOR_DROPOUT, FOR_SHUFFLE = 0, 1


def philox(c0, c1, c2, c3, k0, k1):
    """Four words from a counter of four, the first of which is an array, and a key of two."""
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57  # 64-bit products
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & LOW, (a >> 32) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return c0, c1, c2, c3


def words(count, seed, time, layer, purpose):
    """The first `count` words of what `purpose` draws at a time in a layer."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    others = (np.full_like(blocks, word) for word in (time, layer, purpose))
    four = philox(blocks, *others, seed & LOW, seed >> 32)
    return np.stack(four, axis=-1).ravel()[:count]


def kept(shape, settings, iteration, k):
    """True for each unit of layer k that is kept; shape is (rows of the batch, n_k)."""
    drawn = words(shape[0] * shape[1], settings.philox_seed, iteration, k, FOR_DROPOUT)
    return (drawn >= float(settings.dropout) * 2**32).reshape(shape)


def batch(settings, X, y, iteration):
    """The samples that an update learns from."""
    size = min(settings.batch_size or len(X), len(X))
    epoch, place = divmod(iteration, -(-len(X) // size))
    rows = slice(place * size, place * size + size)
    if settings.shuffle:
        rows = permutation(len(X), settings.philox_seed, epoch)[rows]
    return X[rows], y[rows]


def permutation(count, seed, epoch):
    """The order of the samples in an epoch: 0 ... count - 1, shuffled from the end."""
    order = list(range(count))
    drawn = words(count, seed, epoch, 0, FOR_SHUFFLE).tolist()
    for i in range(count - 1, 0, -1):
        j = drawn[i] * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def between_minus_one_and_one(count, seed):
    """What `2 * numpy.random.random(count) - 1` gives after `numpy.random.seed(seed)`."""
    x = [seed]  # the state of MT19937
    for i in range(1, 624):
        x.append((1812433253 * (x[-1] ^ (x[-1] >> 30)) + i) & LOW)
    drawn = []
    while len(drawn) < 2 * count:
        twist(x)
        drawn += x
    drawn = tempered(np.array(drawn[: 2 * count], dtype=np.uint64))
    a, b = (drawn[0::2] >> 5).astype(float), (drawn[1::2] >> 6).astype(float)
    return 2 * ((a * 2**26 + b) / 2**53) - 1


def twist(x):
    """The next 624 words of the state; each is made of its old self and two others."""
    for i in range(624):
        joined = (x[i] & 0x80000000) | (x[(i + 1) % 624] & 0x7FFFFFFF)
        x[i] = x[(i + 397) % 624] ^ (joined >> 1) ^ (joined & 1) * 0x9908B0DF


def tempered(word):
    """The words that are given out for those of the state."""
    word = word ^ (word >> 11)
    word = word ^ ((word << 7) & 0x9D2C5680)
    word = word ^ ((word << 15) & 0xEFC60000)
    return word ^ (word >> 18)
