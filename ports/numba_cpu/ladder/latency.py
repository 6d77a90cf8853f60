"""Rung 2: the chain of an iteration shortened: what has to wait for what, and nothing else.

In rung 1 (fixed.py), an iteration is a chain: syn0, X syn0, exp, a division, l1 syn1, exp, a
division, l2_delta, l1_delta, X^T l1_delta, syn0. The core waits for one after the other. Here,

* what is remembered of syn0 is X syn0 itself. An update adds alpha (X X^T) l1_delta to it, and
  X X^T never changes. So two matrix products are one, and syn0 is not in the chain: the sum of all
  l1_delta is kept, and at the end X^T makes of it what syn0 has gained.
* l1_delta = l2_delta (syn1 slope(l1)), and the part in brackets, times alpha X X^T, is computed
  while the second sigmoid is. After l2_delta there is one product and sum for each sample.
* all weights are times -log2 e, and sigmoid(x) = 1 / (1 + 2^z): no product before the rounding to a
  whole power. 1 is added to 2^k before the polynomial is there, not after it, and the polynomial is
  summed in pairs (Estrin), not from one end (Horner). Limits are applied to k, beside the chain.
* with d = 1 + 2^z, l2 = 1 / d and l2_delta = (y - l2) l2 (1 - l2) = (y d - 1) (d - 1) / d^3. The
  numerator is there before 1 / d is, which then takes two products.

A `Four` is a tuple of four numbers, over the four samples i: in z1[j], of hidden unit j, l1[j] and
`sums`[j], in z2, y and l2_delta, and in gram[i], a row of alpha X X^T. So sums over hidden units
are within no Four. As in rung 1, LLVM's SLP vectoriser makes 256-bit instructions of functions on
Fours, if NUMBA_SLP_VECTORIZE lets it.
"""

import numpy as np
from numba import njit

SHAPES = [(4, 3), (4, 1), (3, 4), (4, 1)]  # of X, y, syn0, syn1

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}
inlined = njit(**OPTIONS, forceinline=True)
compiled = njit(**OPTIONS, cache=True)

TO_Z = -1.4426950408889634  # -log2 e: e^-x = 2^z for z = TO_Z x
# z1 and syn0 are rounded each for itself. After so many updates, z1 is made from syn0 again.
STRETCH = 10_000
# Limits of k. Below the least, 2^k is no normal double; above the most, d^3 overflows. So an output
# under 2^-340 comes out as about 2^-340.
LEAST, MOST = -1022.0, 340.0
# 2^f = 1 + f (C0 + C1 f + ...) for |f| <= 1/2, to 0.04 of 2^-53.
C0, C1, C2 = 0.6931471805599453, 0.2402265069591011, 0.055504108664821736
C3, C4, C5 = 0.009618129107600674, 0.0013333558146540528, 0.0001540353045005716
C6, C7, C8 = 1.5252733641101197e-05, 1.3215438381676816e-06, 1.0178156646643351e-07
C9, C10 = 7.073303914063438e-09, 4.4394182000383653e-10
# k + TO_EXPONENT has k + 1023, which as an exponent means 2^k, in its lowest bits.
TO_EXPONENT = 1.5 * 2.0**52 + 1023.0


@inlined
def plus_power(one, z):
    """one + 2^z = (one + 2^k) + 2^k (2^f - 1). NaN for NaN and for an infinite z."""
    k = np.rint(z)
    f = z - k
    bits = np.float64(min(max(k, LEAST), MOST) + TO_EXPONENT).view(np.int64) << np.int64(52)
    scale = np.int64(bits).view(np.float64)
    f2 = f * f
    f4 = f2 * f2
    low = (C1 + C2 * f) + f2 * (C3 + C4 * f)
    high = ((C5 + C6 * f) + f2 * (C7 + C8 * f)) + f4 * (C9 + C10 * f)
    return (one + scale) + (scale * f) * ((C0 + f * low) + (f4 * f) * high)


@inlined
def denominators(z):
    """What the sigmoids are 1 / of."""
    d0, d1 = plus_power(1.0, z[0]), plus_power(1.0, z[1])
    d2, d3 = plus_power(1.0, z[2]), plus_power(1.0, z[3])
    return d0, d1, d2, d3


@inlined
def inverses(a):
    return 1 / a[0], 1 / a[1], 1 / a[2], 1 / a[3]


@inlined
def slopes(l):
    return l[0] * (1 - l[0]), l[1] * (1 - l[1]), l[2] * (1 - l[2]), l[3] * (1 - l[3])


@inlined
def minus_one(a):
    return a[0] - 1, a[1] - 1, a[2] - 1, a[3] - 1


@inlined
def plus(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


@inlined
def times(a, b):
    return a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]


@inlined
def scaled(a, factor):
    return a[0] * factor, a[1] * factor, a[2] * factor, a[3] * factor


@inlined
def dot(a, b):
    return (a[0] * b[0] + a[1] * b[1]) + (a[2] * b[2] + a[3] * b[3])


@inlined
def sum_of_four(factors, a):
    return plus(
        plus(scaled(a[0], factors[0]), scaled(a[1], factors[1])),
        plus(scaled(a[2], factors[2]), scaled(a[3], factors[3])),
    )


# [forward]
@inlined
def forward(z1, w):
    """l1, and d2 = 1 / l2. All divisions come after all polynomials."""
    d = denominators(z1[0]), denominators(z1[1]), denominators(z1[2]), denominators(z1[3])
    l1 = inverses(d[0]), inverses(d[1]), inverses(d[2]), inverses(d[3])
    return l1, denominators(sum_of_four(w, l1))
    # [/forward]


# [update]
@inlined
def moved(z, part, gram, l2_delta):
    """z1[j] after an update. The products with `gram` do not wait for l2_delta.

    Then it is two sums side by side, of which z is in one from the start.
    """
    g0, g1 = scaled(gram[0], part[0]), scaled(gram[1], part[1])
    g2, g3 = scaled(gram[2], part[2]), scaled(gram[3], part[3])
    even = plus(plus(z, scaled(g0, l2_delta[0])), scaled(g2, l2_delta[2]))
    return plus(even, plus(scaled(g1, l2_delta[1]), scaled(g3, l2_delta[3])))
    # [/update]


@compiled
def advance(gram, y, z1, w, alpha, count):
    """w and the sum of all l1_delta, both times TO_Z, after `count` updates."""
    nothing = (0.0, 0.0, 0.0, 0.0)
    sums = nothing, nothing, nothing, nothing
    for _ in range(count):
        # [forward]
        l1, d2 = forward(z1, w)
        # [/forward]
        # [output-delta]
        numerators = times(minus_one(times(y, d2)), minus_one(d2))
        # [/output-delta]
        # [hidden-delta]
        # The l1_delta[j], without l2_delta.
        parts = (
            scaled(slopes(l1[0]), w[0]),
            scaled(slopes(l1[1]), w[1]),
            scaled(slopes(l1[2]), w[2]),
            scaled(slopes(l1[3]), w[3]),
        )
        # [/hidden-delta]
        # [output-delta]
        # [forward]
        l2 = inverses(d2)
        # [/forward]
        l2_delta = times(times(numerators, l2), times(l2, l2))
        # [/output-delta]
        # [update]
        z1 = (
            moved(z1[0], parts[0], gram, l2_delta),
            moved(z1[1], parts[1], gram, l2_delta),
            moved(z1[2], parts[2], gram, l2_delta),
            moved(z1[3], parts[3], gram, l2_delta),
        )
        # From here on nothing is waited for before the next iteration's second sigmoid.
        # [hidden-delta]
        sums = (
            plus(sums[0], times(parts[0], l2_delta)),
            plus(sums[1], times(parts[1], l2_delta)),
            plus(sums[2], times(parts[2], l2_delta)),
            plus(sums[3], times(parts[3], l2_delta)),
        )
        # [/hidden-delta]
        descent = (
            dot(l1[0], l2_delta),
            dot(l1[1], l2_delta),
            dot(l1[2], l2_delta),
            dot(l1[3], l2_delta),
        )
        w = plus(w, scaled(descent, TO_Z * alpha))
        # [/update]
    return w, sums


@compiled
def infer(z1, w):
    """l1 and l2, in Fours over samples."""
    l1, d2 = forward(z1, w)
    return l1, inverses(d2)


class Network:
    """A network's weights, and what a compiled function is told of them and of the samples."""

    def __init__(self, X, y, state, alpha, settings):
        if [a.shape for a in (X, y, *state)] != SHAPES or X.dtype != np.float64 or settings:
            raise NotImplementedError(
                "Only the plain 3-4-1 network in float64 with all of 4 samples in each update."
            )
        self.X, self.alpha = X, float(alpha)
        self.gram, self.y = tuples(alpha * (X @ X.T)), tuples(y.T)[0]
        self.syn0, self.syn1 = state

    def weighted(self):
        """z1 and w."""
        return tuples(TO_Z * (self.X @ self.syn0).T), tuples(TO_Z * self.syn1.T)[0]

    def advance(self, count):
        for start in range(0, count, STRETCH):
            some = min(STRETCH, count - start)
            # [update]
            w, sums = advance(self.gram, self.y, *self.weighted(), self.alpha, some)
            self.syn0 = self.syn0 + self.alpha / TO_Z * (self.X.T @ np.array(sums).T)
            self.syn1 = np.array(w).reshape(4, 1) / TO_Z
            # [/update]

    def infer(self):
        """l1 and l2 as matrices."""
        l1, l2 = infer(*self.weighted())
        return np.array(l1).T, np.array(l2).reshape(4, 1)


def tuples(matrix):
    return tuple(map(tuple, matrix.tolist()))


def train(X, y, state, checkpoints, *, alpha, **settings):
    # [checkpoint]
    network = Network(X, y, state, alpha, settings)
    iteration = 0
    for n in checkpoints:
        network.advance(n - iteration)
        iteration = n
        yield n, np.abs(y - network.infer()[1]).mean(), [network.syn0, network.syn1]
    # [/checkpoint]


def step(X, y, state, *, alpha, **settings):
    """The weights come from `advance`; it never has errors and deltas, so they are made here."""
    network = Network(X, y, state, alpha, settings)
    l1, l2 = network.infer()
    l2_error = y - l2
    l2_delta = l2_error * (l2 * (1 - l2))
    l1_error = l2_delta @ state[1].T
    l1_delta = l1_error * (l1 * (1 - l1))
    network.advance(1)
    return [l1, l2], [l1_error, l2_error], [l1_delta, l2_delta], [network.syn0, network.syn1]
