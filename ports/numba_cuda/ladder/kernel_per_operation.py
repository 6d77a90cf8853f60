"""Rung 4: a kernel for each operation, as NumPy has a call for each, with the loop on the host.

One thread owns one element of an operation's result, and there are as many threads as elements:
any network fits, and a large one fills the GPU. The end of a kernel is the barrier, and the only
one that there is between blocks: what follows on the same stream finds all that was written before.

    forward       l1 = s(X syn0)                                  element (i, j) of l1
    forward       l2 = s(l1 syn1)                                 (i, n) of l2
    output_delta  l2_error = y - l2, l2_delta                     (i, n) of both
    hidden_delta  l1_error = l2_delta syn1^T, l1_delta            (i, j) of both
    update        syn1 += alpha l1^T l2_delta                     (j, n) of syn1
    update        syn0 += alpha X^T l1_delta                      (m, j) of syn0

Six launches per iteration. Each takes the host some microseconds (in Python more than in C++),
and the GPU a few from the end of one to the start of the next, whatever there is to compute: a
small network is bound by launches, and the GPU idle. All results go through global memory, and
all are there for `step` in the end.

i is a sample, m a unit of the layer before, j or n one of the result. All matrices are row-major.
Neighbouring threads own neighbouring elements of a row, and so read neighbouring columns of
weights.
"""

import math

import host
from device import SIMULATED, cuda, sigmoid

# Any size gives the same bits. In the simulator small blocks make a grid of several.
BLOCK = 8 if SIMULATED else 128


# [forward]
@cuda.jit(launch_bounds=BLOCK)
def forward(l, syn, l_next):
    """l_next = s(l syn)."""
    e = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if e >= l_next.size:
        return
    real = l.dtype.type
    i, n = e // l_next.shape[1], e % l_next.shape[1]
    x = real(0)
    for m in range(l.shape[1]):
        x += l[i, m] * syn[m, n]
    l_next[i, n] = sigmoid(x, real)
    # [/forward]


# [output-delta]
@cuda.jit(launch_bounds=BLOCK)
def output_delta(y, l2, l2_error, l2_delta):
    """l2_error = y - l2, and l2_delta from it: the thread has just made what it needs."""
    e = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if e >= l2.size:
        return
    real = y.dtype.type
    i, n = e // l2.shape[1], e % l2.shape[1]
    l2_error[i, n] = y[i, n] - l2[i, n]
    l2_delta[i, n] = l2_error[i, n] * (l2[i, n] * (real(1) - l2[i, n]))
    # [/output-delta]


# [hidden-delta]
@cuda.jit(launch_bounds=BLOCK)
def hidden_delta(l2_delta, syn1, l1, l1_error, l1_delta):
    """l1_error = l2_delta syn1^T, and l1_delta from it. Row j of syn1 is column j of syn1^T."""
    e = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if e >= l1.size:
        return
    real = l1.dtype.type
    i, j = e // l1.shape[1], e % l1.shape[1]
    x = real(0)
    for n in range(l2_delta.shape[1]):
        x += l2_delta[i, n] * syn1[j, n]
    l1_error[i, j] = x
    l1_delta[i, j] = x * (l1[i, j] * (real(1) - l1[i, j]))
    # [/hidden-delta]


# [update]
@cuda.jit(launch_bounds=BLOCK)
def update(l, delta, alpha, syn):
    """syn += alpha l^T delta."""
    e = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if e >= syn.size:
        return
    real = l.dtype.type
    m, n = e // syn.shape[1], e % syn.shape[1]
    x = real(0)
    for i in range(l.shape[0]):
        x += l[i, m] * delta[i, n]
    syn[m, n] += alpha * x
    # [/update]


# [checkpoint]
@cuda.jit
def mean_error(y, l2, mean):
    """The mean of |y - l2|, by one thread: it is needed at checkpoints only."""
    real = y.dtype.type
    total = real(0)
    for i in range(y.shape[0]):
        for n in range(y.shape[1]):
            total += abs(y[i, n] - l2[i, n])
    mean[0] = total / real(y.size)
    # [/checkpoint]


def launch(kernel, elements, stream, *arguments):
    """With a thread for each element; the last block may have more."""
    kernel[math.ceil(elements / BLOCK), BLOCK, stream](*arguments)


def iteration(net):
    """One update: six launches, all of which are only queued."""
    # [forward]
    launch(forward, net.l1.size, net.stream, net.X, net.syn0, net.l1)
    launch(forward, net.l2.size, net.stream, net.l1, net.syn1, net.l2)
    # [/forward]
    # [output-delta]
    launch(output_delta, net.l2.size, net.stream, net.y, net.l2, net.l2_error, net.l2_delta)
    # [/output-delta]
    # [hidden-delta]
    launch(
        hidden_delta, net.l1.size, net.stream,
        net.l2_delta, net.syn1, net.l1, net.l1_error, net.l1_delta,
    )  # fmt: skip
    # [/hidden-delta]
    # [update]
    # hidden_delta has ended: it was the last that needs the weights from before.
    launch(update, net.syn1.size, net.stream, net.l1, net.l2_delta, net.alpha, net.syn1)
    launch(update, net.syn0.size, net.stream, net.X, net.l1_delta, net.alpha, net.syn0)
    # [/update]


# [checkpoint]
def updates(net, count):
    for _ in range(count):
        iteration(net)


def measure(net):
    launch(forward, net.l1.size, net.stream, net.X, net.syn0, net.l1)
    launch(forward, net.l2.size, net.stream, net.l1, net.syn1, net.l2)
    mean_error[1, 1, net.stream](net.y, net.l2, net.mean_error)
    # [/checkpoint]


train, step = host.loops(updates, measure)
device, device_seconds = host.device, host.device_seconds
