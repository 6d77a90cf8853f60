"""The two generators: Philox4x32-10 in training, MT19937 for the initial weights.

PyTorch's generator for the CPU is MT19937, and from its words come the initial weights. It has
Philox only in its GPU generator, not for the CPU, so this port has its own. Words are 32 bits in
int64; products wrap around, and what `>>` moves in from the left for a negative number is masked
away.
"""

import torch

LOW = 0xFFFFFFFF

# The last word of a counter: the purpose of the words.
FOR_DROPOUT, FOR_SHUFFLE = 0, 1


def philox(c0, c1, c2, c3, k0, k1):
    """Four words from a counter of four, tensors of one shape, and a key of two numbers."""
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = ((b >> 32) & LOW) ^ c1 ^ k0, b & LOW, ((a >> 32) & LOW) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return c0, c1, c2, c3


def words(count, seed, time, layer, purpose):
    """The first `count` words of what `purpose` draws at a time in a layer."""
    blocks = torch.arange(-(-count // 4))
    others = (torch.full_like(blocks, word) for word in (time, layer, purpose))
    return torch.stack(philox(blocks, *others, seed & LOW, seed >> 32), dim=1).ravel()[:count]


def kept(shape, dropout, seed, iteration, k):
    """True for each unit of layer k that is kept; shape is (rows of the batch, n_k)."""
    drawn = words(shape[0] * shape[1], seed, iteration, k, FOR_DROPOUT)
    return (drawn.double() >= dropout * 2**32).view(shape)


def permutation(count, seed, epoch):
    """The order of the samples in an epoch: 0 ... count - 1, shuffled from the end."""
    order = list(range(count))
    drawn = words(count, seed, epoch, 0, FOR_SHUFFLE).tolist()
    for i in range(count - 1, 0, -1):
        j = drawn[i] * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def between_minus_one_and_one(count, seed):
    """What `2 * numpy.random.random(count) - 1` gives after `numpy.random.seed(seed)`.

    `torch.rand` makes other numbers of the same words: so they are taken as they are, two at a
    time, the first of which is the upper half of a 64-bit number.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.empty(count, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    a, b = ((drawn >> 32) & LOW) >> 5, (drawn & LOW) >> 6
    return 2 * ((a.double() * 2**26 + b.double()) / 2**53) - 1
