"""The two generators: Philox4x32-10 in training, MT19937 for the initial weights.

All words are 32 bits in uint64. A signed number among them would make the result a float64, so
counts are turned into uint64 before they meet a word.
"""

import numpy as np
from compiling import compiled

U = np.uint64
LOW, HALF = U(0xFFFFFFFF), U(32)

# The last word of a counter: the purpose of the words.
FOR_DROPOUT, FOR_SHUFFLE = 0, 1


@compiled
def philox(c0, c1, c2, c3, k0, k1):
    """Four words from a counter of four and a key of two."""
    for _ in range(10):
        a, b = U(0xD2511F53) * c0, U(0xCD9E8D57) * c2  # 64-bit products
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + U(0x9E3779B9)) & LOW, (k1 + U(0xBB67AE85)) & LOW
    return c0, c1, c2, c3


@compiled
def words(count, seed, time, layer, purpose):
    """The first `count` words of what `purpose` draws at a time in a layer."""
    blocks = (count + 3) // 4
    drawn = np.empty((blocks, 4), dtype=np.uint64)
    for block in range(blocks):
        counter = U(block), U(time), U(layer), U(purpose)
        four = philox(*counter, seed & LOW, seed >> HALF)
        for w in range(4):
            drawn[block, w] = four[w]
    return drawn.ravel()


@compiled
def permutation(count, seed, epoch):
    """The order of the samples in an epoch: 0 ... count - 1, shuffled from the end."""
    order = np.arange(count)
    drawn = words(count, seed, epoch, 0, FOR_SHUFFLE)
    for i in range(count - 1, 0, -1):
        j = np.int64(drawn[i] * U(i + 1) >> HALF)
        order[i], order[j] = order[j], order[i]
    return order


@compiled
def between_minus_one_and_one(count, seed):
    """What `2 * numpy.random.random(count) - 1` gives after `numpy.random.seed(seed)`."""
    x = np.empty(624, dtype=np.uint64)  # the state of MT19937
    x[0] = seed
    for i in range(1, 624):
        x[i] = (U(1812433253) * (x[i - 1] ^ (x[i - 1] >> U(30))) + U(i)) & LOW
    numbers = np.empty(count)
    at = 624  # how many words of this state are used up
    for n in range(count):
        if at == 624:
            twist(x)
            at = 0
        # 624 is even, so both words are of the same state.
        a, b = tempered(x[at]) >> U(5), tempered(x[at + 1]) >> U(6)
        at += 2
        r = (np.float64(a) * 67108864.0 + np.float64(b)) / 9007199254740992.0
        numbers[n] = 2.0 * r - 1.0
    return numbers


@compiled
def twist(x):
    """The next 624 words of the state; each is made of its old self and two others."""
    for i in range(624):
        joined = (x[i] & U(0x80000000)) | (x[(i + 1) % 624] & U(0x7FFFFFFF))
        x[i] = x[(i + 397) % 624] ^ (joined >> U(1)) ^ (joined & U(1)) * U(0x9908B0DF)


@compiled
def tempered(word):
    """The word that is given out for one of the state."""
    word ^= word >> U(11)
    word ^= (word << U(7)) & U(0x9D2C5680)
    word ^= (word << U(15)) & U(0xEFC60000)
    return word ^ (word >> U(18))
