"""Rung 3: one warp, with all weights in registers, and shuffles in place of barriers.

Only for 3-4-1 with 4 samples, which has 16 pairs of a sample i and a hidden unit j. The 32 threads
of a warp, its lanes, run in step, and a shuffle hands a register to another lane: some 23 clocks,
as long as a read of shared memory, but with no write and no barrier before it.

    lane = 16 h + 4 i + j        i = 0 ... 3: sample, j = 0 ... 3: hidden unit, h = 0 or 1

    lane (i, j) has, in registers     and so have
    X[i, 0], X[i, 1], X[i, 2], y[i]   the 4 lanes of sample i
    syn0[0, j] ... syn0[2, j]         the 4 lanes of unit j: each makes the same update
    syn1[j]                           the same
    l1, l1_error, l1_delta of (i, j)  nobody else
    l2, l2_error, l2_delta of i       the 4 lanes of sample i: each computes the same

Half of the warp is not needed, and computes all once more (h = 1): a warp issues an instruction for
32 lanes or for 16 in the same time, and with nobody left out there is no branch. It is for the same
reason that a sum ends up in every lane that takes part, not in one that would have to send it back.

A sum over four lanes is made with two exchanges: first with the neighbour, then with the other
pair. Both ends of an exchange add the same two numbers, and a + b = b + a to the last bit: so the
copies of a weight stay equal. They must, and nothing else sees to it.

An iteration is one chain of dependent instructions; nothing else is there to fill the gaps:

    3 products and sums, exp, division               l1
    a product, 2 x (shuffle, sum), exp, division     l2
    a difference, 2 products                         l2_delta
    2 products                                       l1_delta
    a product, 2 x (shuffle, sum), product and sum   syn0

The other sums, of syn1 and two more of syn0, go beside it: 10 exchanges an iteration, 4 of them in
the chain. In float64 each takes two instructions, one for each half of the number.
"""

import host
from device import cuda, sigmoid

ALL = 0xFFFFFFFF  # every lane takes part in every shuffle


# [forward]
@cuda.jit(device=True, inline="always")
def over_units(x):
    """The sum over j, in all four lanes of a sample: those that differ in the lowest two bits."""
    x += cuda.shfl_xor_sync(ALL, x, 1)
    x += cuda.shfl_xor_sync(ALL, x, 2)
    return x
    # [/forward]


# [update]
@cuda.jit(device=True, inline="always")
def over_samples(x):
    """The sum over i, in all four lanes of a hidden unit."""
    x += cuda.shfl_xor_sync(ALL, x, 4)
    x += cuda.shfl_xor_sync(ALL, x, 8)
    return x
    # [/update]


# [forward]
@cuda.jit(device=True, inline="always")
def forward(x0, x1, x2, a0, a1, a2, b, real):
    """l1 and l2 of this lane: x is row i of X, a is column j of syn0, and b is syn1[j]."""
    l1 = sigmoid(x0 * a0 + x1 * a1 + x2 * a2, real)
    l2 = sigmoid(over_units(l1 * b), real)
    return l1, l2
    # [/forward]


@cuda.jit(device=True, inline="always")
def backward(l1, l2, target, b, real):
    """Errors and deltas of this lane; no lane needs another's."""
    # [output-delta]
    l2_error = target - l2
    l2_delta = l2_error * (l2 * (real(1) - l2))
    # [/output-delta]
    # [hidden-delta]
    l1_error = l2_delta * b
    l1_delta = l1_error * (l1 * (real(1) - l1))
    # [/hidden-delta]
    return l1_error, l1_delta, l2_error, l2_delta


@cuda.jit
def train_kernel(
    X, y, syn0, syn1, alpha, checkpoints, syn0_out, syn1_out, error_out, keep, layer1, layer2
):  # fmt: skip
    """To be launched with one warp. A checkpoint is written by the lanes of one sample."""
    real = X.dtype.type
    lane = cuda.threadIdx.x
    i = lane // 4 % 4
    j = lane % 4
    first = lane < 16  # of two lanes with the same, the one that writes
    x0, x1, x2, target = X[i, 0], X[i, 1], X[i, 2], y[i, 0]
    a0, a1, a2, b = syn0[0, j], syn0[1, j], syn0[2, j], syn1[j, 0]

    # [checkpoint]
    iteration = 0
    c = 0  # the next checkpoint
    while True:
        due = iteration == checkpoints[c]
        if due:
            if lane < 4:
                syn0_out[c, 0, j], syn0_out[c, 1, j], syn0_out[c, 2, j] = a0, a1, a2
                syn1_out[c, j, 0] = b
            if keep:
                return  # all lanes, or none
        # [/checkpoint]

        l1, l2 = forward(x0, x1, x2, a0, a1, a2, b, real)
        l1_error, l1_delta, l2_error, l2_delta = backward(l1, l2, target, b, real)

        # [checkpoint]
        if due:
            # The lanes that take part are all, though one writes: a shuffle waits for every lane.
            total = over_samples(abs(l2_error))
            if lane == 0:
                error_out[c] = total / real(4)
            c += 1
            if c == checkpoints.size:
                return
        # [/checkpoint]
        if keep and first:
            layer1[0, i, j], layer1[1, i, j], layer1[2, i, j] = l1, l1_error, l1_delta
            if j == 0:
                layer2[0, i, 0], layer2[1, i, 0], layer2[2, i, 0] = l2, l2_error, l2_delta

        # [update]
        b += alpha * over_samples(l1 * l2_delta)
        a0 += alpha * over_samples(x0 * l1_delta)
        a1 += alpha * over_samples(x1 * l1_delta)
        a2 += alpha * over_samples(x2 * l1_delta)
        # [/update]
        iteration += 1


def one_warp(samples, layers, dtype):
    return 32, 0


train, step = host.whole_runs(train_kernel, one_warp, small=True)
device, device_seconds = host.device, host.device_seconds
