"""What SPEC.md calls random: weights of MT19937, words of Philox, and what is made from them."""

from collections.abc import Iterator
from itertools import pairwise

WORD = 0xFFFFFFFF


def mt19937(seed: int) -> Iterator[int]:
    """The 32-bit words of the generator."""
    x = [seed]
    for i in range(1, 624):
        x.append((1812433253 * (x[-1] ^ (x[-1] >> 30)) + i) & WORD)
    while True:
        for i in range(624):
            joined = (x[i] & 0x80000000) | (x[(i + 1) % 624] & 0x7FFFFFFF)
            x[i] = x[(i + 397) % 624] ^ (joined >> 1) ^ (0x9908B0DF if joined & 1 else 0)
        for word in x:
            word ^= word >> 11
            word ^= (word << 7) & 0x9D2C5680
            word ^= (word << 15) & 0xEFC60000
            yield word ^ (word >> 18)


def initial_weights(seed: int, layers: list[int], bias: bool) -> list[list[list[float]]]:
    """syn[0], syn[1], ... in float64; the rows of bias units are 0 and not drawn."""
    words = mt19937(seed)

    def weight() -> float:
        a, b = next(words) >> 5, next(words) >> 6
        return 2 * ((a * 2**26 + b) / 2**53) - 1

    drawn = []
    for inputs, outputs in pairwise(layers):
        syn = [[weight() for _ in range(outputs)] for _ in range(inputs)]
        drawn.append([*syn, [0.0] * outputs] if bias else syn)
    return drawn


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Four words of Philox4x32-10."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p, q = 0xCD9E8D57 * c2, 0xD2511F53 * c0
        c0, c1, c2, c3 = (p >> 32) ^ c1 ^ k0, p & WORD, (q >> 32) ^ c3 ^ k1, q & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return c0, c1, c2, c3


def word(seed: int, e: int, t: int, k: int, purpose: int) -> int:
    """Word e of a stream."""
    return philox((e // 4, t, k, purpose), (seed & WORD, seed >> 32))[e % 4]


def order_of_epoch(seed: int, epoch: int, samples: int) -> list[int]:
    """The samples in the order of an epoch."""
    order = list(range(samples))
    for i in range(samples - 1, 0, -1):
        j = word(seed, i, epoch, 0, 1) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def kept(seed: int, dropout: float, n: int, k: int, rows: int, units: int) -> list[list[bool]]:
    """Which units of layer k are kept in update n."""
    # A double holds dropout 2^32 exactly, so this compares real numbers.
    limit = dropout * 2**32
    return [
        [word(seed, i * units + m, n, k, 0) >= limit for m in range(units)] for i in range(rows)
    ]
