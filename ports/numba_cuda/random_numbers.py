"""Random words on the device: Philox4x32-10 for training, MT19937 for initial weights.

Words of 32 bits are held in int64, and each result is cut to 32 bits with LOW. Products of two
words may reach 2^64 and so wrap to negative numbers, but only their bits matter, and LOW takes
the right ones. An unsigned type would need a cast at each constant: to Numba a uint64 with a
literal, which is an int64, makes a float64.
"""

from network import inlined
from numba import cuda, int64

LOW = 0xFFFFFFFF

# Philox: the multipliers, and what is added to the key in each round.
MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
STEP_0, STEP_1 = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10

# The last word of a counter: the purpose of the words.
FOR_DROPOUT, FOR_SHUFFLE = 0, 1

# MT19937: words of state, how far ahead the second word is that makes a new one, the bits that
# come from two neighbours, and the constants of its steps.
STATE_WORDS, AHEAD = 624, 397
UPPER, LOWER = 0x80000000, 0x7FFFFFFF
TWIST, SEEDING = 0x9908B0DF, 1812433253


# Word e of the stream of a purpose, at a time, in a layer. It is a function of its arguments
# alone, with no state between calls: any thread computes the word of its own element. A
# counter makes four words. The thread uses one of them; its neighbours compute all four again
# for the others, which is faster than passing them on.
@inlined
def philox_word(e, time, layer, purpose, seed):
    # int changes nothing here; in the simulator it makes Python's integers, which do not warn.
    c0 = int(e >> 2)
    c1 = int(time)
    c2 = layer
    c3 = purpose
    k0 = seed & LOW
    k1 = seed >> 32
    for _ in range(ROUNDS):
        low = c0 * MULTIPLIER_0
        high = c2 * MULTIPLIER_1
        c0 = ((high >> 32) & LOW) ^ c1 ^ k0
        c1 = high & LOW
        c2 = ((low >> 32) & LOW) ^ c3 ^ k1
        c3 = low & LOW
        k0 = (k0 + STEP_0) & LOW
        k1 = (k1 + STEP_1) & LOW
    which = e & 3
    if which == 0:
        return c0
    if which == 1:
        return c1
    return c2 if which == 2 else c3


# The order of the samples in an epoch: 0, 1, 2, ..., shuffled from the end. The first half of
# `order` gets it; the second gets the places to exchange with. To be called by all threads.
@cuda.jit(device=True, inline="always")
def shuffle(order, epoch, seed):
    samples = order.size // 2
    # Place i belongs to thread i mod T, which draws for it.
    for i in range(cuda.threadIdx.x, samples, cuda.blockDim.x):
        order[i] = i
        order[samples + i] = (philox_word(i, epoch, 0, FOR_SHUFFLE, seed) * (i + 1)) >> 32
    # Read after write: thread 0 needs the places of every owner.
    cuda.syncthreads()
    # Each exchange builds on the one before, so that one thread makes them all.
    if cuda.threadIdx.x == 0:
        for i in range(samples - 1, 0, -1):
            j = order[samples + i]
            moved = order[i]
            order[i] = order[j]
            order[j] = moved
    # Read after write: from here on, every thread reads the order. (It is written again after
    # the barrier at the end of an update, the last to read it.)
    cuda.syncthreads()


# Word c of the Mersenne Twister, if those before it have been made; x is its state.
@inlined
def twister_word(x, c):
    i = c % STATE_WORDS
    joined = (x[i] & UPPER) | (x[(i + 1) % STATE_WORDS] & LOWER)
    word = x[(i + AHEAD) % STATE_WORDS] ^ (joined >> 1)
    if joined & 1:
        word ^= TWIST
    x[i] = word
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C5680
    word ^= (word << 15) & 0xEFC60000
    return word ^ (word >> 18)


@cuda.jit
def draw(seed, layers, bias, weights):
    """Initial weights from a seed: those of numpy.random.seed, bit for bit.

    To be launched with one thread, since each word is made from earlier ones. A weight is 2 r - 1
    with r = (a 2^26 + b) / 2^53. The integers here are below 2^53 in size and the division is by
    a power of two: so the conversion to the dtype is the only rounding, as if from float64.
    """
    real = weights.dtype.type
    x = cuda.shared.array(STATE_WORDS, int64)
    x[0] = seed
    for i in range(1, STATE_WORDS):
        x[i] = (SEEDING * (x[i - 1] ^ (x[i - 1] >> 30)) + i) & LOW

    at = 0
    c = 0
    for k in range(layers.size - 1):
        for _ in range(layers[k] * layers[k + 1]):
            a = twister_word(x, c) >> 5
            b = twister_word(x, c + 1) >> 6
            c += 2
            weights[at] = real((a << 27) + (b << 1) - (1 << 53)) / real(1 << 53)
            at += 1
        # Those from a bias unit are 0, and not drawn.
        for _ in range(bias * layers[k + 1]):
            weights[at] = real(0)
            at += 1
