"""Rung 1: the 3-4-1 network with 4 samples, its sizes known when it is compiled, its exp its own.

What is computed is what the port computes. But no array is left in the loop: the samples, the
weights and the outputs are tuples, and a tuple of four numbers is called a `Four` here.

    X          4 samples of 3 inputs;  columns  is X^T, 3 Fours over samples
    syn0       3 Fours: syn0[m][j], over hidden units j
    l1         4 Fours: l1[i][j], of sample i, over hidden units; l1_error and l1_delta likewise
    syn1       a Four over hidden units
    l2, y      a Four over samples; l2_error and l2_delta likewise

LLVM's SLP vectoriser looks for equal operations beside one another, and finds that each function
on a Four has four. It makes one instruction on a 256-bit register of them, in the loop as a whole:
the iteration has 5 divisions, not 20. It could not through a call of the C library's exp, nor with
arrays, which as far as it knows may overlap. Numba leaves it off, since it once miscompiled, so the
manifest sets NUMBA_SLP_VECTORIZE.

Of fast math there is only `contract`: a product and a sum may become one instruction, which rounds
once.
"""

import numpy as np
from numba import njit

SHAPES = [(4, 3), (4, 1), (3, 4), (4, 1)]  # of X, y, syn0, syn1

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}}
inlined = njit(**OPTIONS, forceinline=True)
compiled = njit(**OPTIONS, cache=True)

LEAST, MOST = -708.0, 709.0  # exp of what is beyond is not a normal double
LOG2_E = 1.4426950408889634
# ln 2 in two parts; the first has 42 bits, so that its product with a k of exp is exact.
LN2_HIGH, LN2_LOW = 0.6931471805598903, 5.497923018708371e-14
# e^f = 1 + f (C0 + C1 f + ...) for |f| <= ln 2 / 2, to 0.09 of 2^-53.
C0, C1, C2 = 1.0, 0.5000000000000006, 0.1666666666666667
C3, C4, C5 = 0.04166666666657314, 0.008333333333326141, 0.0013888888932488599
C6, C7, C8 = 0.00019841269874800493, 2.4801504346997686e-05, 2.7557255425746435e-06
C9, C10 = 2.7626357241447223e-07, 2.510520637395701e-08
# k + TO_EXPONENT has k + 1023, which as an exponent means 2^k, in its lowest bits.
TO_EXPONENT = 1.5 * 2.0**52 + 1023.0


@inlined
def exp(x):
    """e^x = 2^k e^f. Outside of LEAST ... MOST, that of the nearer of both; NaN for NaN."""
    x = min(max(x, LEAST), MOST)
    k = np.rint(x * LOG2_E)
    f = (x - k * LN2_HIGH) - k * LN2_LOW
    high = C5 + f * (C6 + f * (C7 + f * (C8 + f * (C9 + f * C10))))
    power = 1.0 + f * (C0 + f * (C1 + f * (C2 + f * (C3 + f * (C4 + f * high)))))
    bits = np.float64(k + TO_EXPONENT).view(np.int64) << np.int64(52)
    return power * np.int64(bits).view(np.float64)


@inlined
def sigmoid(x):
    return 1.0 / (1.0 + exp(-x))


@inlined
def sigmoids(x):
    return sigmoid(x[0]), sigmoid(x[1]), sigmoid(x[2]), sigmoid(x[3])


@inlined
def slopes(l):
    return l[0] * (1 - l[0]), l[1] * (1 - l[1]), l[2] * (1 - l[2]), l[3] * (1 - l[3])


@inlined
def plus(a, b):
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


@inlined
def minus(a, b):
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]


@inlined
def times(a, b):
    return a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]


@inlined
def scaled(a, factor):
    return a[0] * factor, a[1] * factor, a[2] * factor, a[3] * factor


@inlined
def dot(a, b):
    """One number: the only sum within a Four."""
    return (a[0] * b[0] + a[1] * b[1]) + (a[2] * b[2] + a[3] * b[3])


@inlined
def sum_of_three(factors, a):
    return plus(plus(scaled(a[0], factors[0]), scaled(a[1], factors[1])), scaled(a[2], factors[2]))


@inlined
def sum_of_four(factors, a):
    return plus(
        plus(scaled(a[0], factors[0]), scaled(a[1], factors[1])),
        plus(scaled(a[2], factors[2]), scaled(a[3], factors[3])),
    )


# [forward]
@inlined
def hidden_sums(X, syn0):
    """X syn0, of sample i and over hidden units."""
    return (
        sum_of_three(X[0], syn0),
        sum_of_three(X[1], syn0),
        sum_of_three(X[2], syn0),
        sum_of_three(X[3], syn0),
    )
    # [/forward]


@inlined
def forward(X, syn0, syn1):
    # [forward]
    x = hidden_sums(X, syn0)
    l1 = sigmoids(x[0]), sigmoids(x[1]), sigmoids(x[2]), sigmoids(x[3])
    l2 = sigmoids((dot(l1[0], syn1), dot(l1[1], syn1), dot(l1[2], syn1), dot(l1[3], syn1)))
    return l1, l2
    # [/forward]


@inlined
def backward(y, l1, l2, syn1):
    # [output-delta]
    l2_error = minus(y, l2)
    l2_delta = times(l2_error, slopes(l2))
    # [/output-delta]
    # [hidden-delta]
    l1_error = (
        scaled(syn1, l2_delta[0]),
        scaled(syn1, l2_delta[1]),
        scaled(syn1, l2_delta[2]),
        scaled(syn1, l2_delta[3]),
    )
    l1_delta = (
        times(l1_error[0], slopes(l1[0])),
        times(l1_error[1], slopes(l1[1])),
        times(l1_error[2], slopes(l1[2])),
        times(l1_error[3], slopes(l1[3])),
    )
    # [/hidden-delta]
    return l2_error, l2_delta, l1_error, l1_delta


@compiled
def advance(X, columns, y, syn0, syn1, alpha, count):
    """The weights after `count` updates; `columns` is X^T."""
    # [update]
    for _ in range(count):
        l1, l2 = forward(X, syn0, syn1)
        _, l2_delta, _, l1_delta = backward(y, l1, l2, syn1)
        syn1 = plus(syn1, scaled(sum_of_four(l2_delta, l1), alpha))
        syn0 = (
            plus(syn0[0], scaled(sum_of_four(columns[0], l1_delta), alpha)),
            plus(syn0[1], scaled(sum_of_four(columns[1], l1_delta), alpha)),
            plus(syn0[2], scaled(sum_of_four(columns[2], l1_delta), alpha)),
        )
    return syn0, syn1
    # [/update]


@compiled
def infer(X, syn0, syn1):
    return forward(X, syn0, syn1)[1]


@compiled
def look(X, y, syn0, syn1):
    """All that an update computes before the weights change."""
    l1, l2 = forward(X, syn0, syn1)
    return l1, l2, *backward(y, l1, l2, syn1)


class Network:
    """A network's samples and weights, as tuples."""

    def __init__(self, X, y, state, alpha, settings):
        if [a.shape for a in (X, y, *state)] != SHAPES or X.dtype != np.float64 or settings:
            raise NotImplementedError(
                "Only the plain 3-4-1 network in float64 with all of 4 samples in each update."
            )
        self.X, self.columns, self.syn0 = (tuples(a) for a in (X, X.T, state[0]))
        self.y, self.syn1 = (tuple(a[:, 0].tolist()) for a in (y, state[1]))
        self.alpha = float(alpha)

    def advance(self, count):
        weights = self.syn0, self.syn1
        self.syn0, self.syn1 = advance(self.X, self.columns, self.y, *weights, self.alpha, count)

    def state(self):
        return [np.array(self.syn0), column(self.syn1)]


def tuples(matrix):
    return tuple(map(tuple, matrix.tolist()))


def column(four):
    return np.array(four).reshape(4, 1)


def train(X, y, state, checkpoints, *, alpha, **settings):
    # [checkpoint]
    network = Network(X, y, state, alpha, settings)
    iteration = 0
    for n in checkpoints:
        network.advance(n - iteration)
        iteration = n
        l2 = column(infer(network.X, network.syn0, network.syn1))
        yield n, np.abs(y - l2).mean(), network.state()
    # [/checkpoint]


def step(X, y, state, *, alpha, **settings):
    network = Network(X, y, state, alpha, settings)
    seen = look(network.X, network.y, network.syn0, network.syn1)
    l1, l2, l2_error, l2_delta, l1_error, l1_delta = seen
    network.advance(1)
    of_layers = (l1, l2), (l1_error, l2_error), (l1_delta, l2_delta)
    return *([np.array(a), column(b)] for a, b in of_layers), network.state()
