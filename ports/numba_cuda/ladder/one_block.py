"""Rung 2: one block of threads shares the work, with barriers and shared memory.

A launch is a whole run again. In each phase the elements of its result are dealt out: of T threads,
thread t owns the elements t, t + T, t + 2T, ... of the matrix, row by row. The owner adds up its
element alone and in index order, so that every T gives the same bits.

What threads read of each other is in shared memory, on the multiprocessor itself: about 23 clocks
away. Between a phase that writes it and one that reads it, all wait at a barrier, which costs about
as much again, and more the more warps there are. Each iteration has four:

    phase                        its owner reads                 then a barrier, since
    l1                           X, syn0                         l2 needs whole rows of l1
    l2, l2_error, l2_delta       l1, syn1, y                     l1_error needs rows of l2_delta
    l1_error, l1_delta           l2_delta, syn1, its l1          weights must stay until here
    syn0, syn1                   X, l1, both deltas, its own     the next l1 needs the new weights

l2_error, l2_delta and l1_error need no phase of their own: their owner has just made what they
are made of. For 3-4-1 with 4 samples, one warp of 32 threads has 16 elements of l1 to do, then 4 of
l2, 16, and 16 weights: the rest of it waits, and so does the rest of the GPU.

Shared memory, in this order, each row-major:

    syn0 (inputs, hidden)   syn1 (hidden, outputs)   l1, l1_delta (samples, hidden)
    l2, l2_delta (samples, outputs)

X and y are only read, and stay in global memory, from where they come into the L1 cache.
i is a sample, m an input, j a hidden unit, n an output.
"""

import math

import host
from device import cuda, sigmoid

# What a block gets on every GPU without asking; and Numba does not ask.
SHARED_BYTES = 48 * 1024
MAX_THREADS = 512


@cuda.jit(launch_bounds=MAX_THREADS)
def train_kernel(
    X, y, syn0_in, syn1_in, alpha, checkpoints, syn0_out, syn1_out, error_out, keep, layer1, layer2
):  # fmt: skip
    """To be launched with one block of any size."""
    t = cuda.threadIdx.x
    T = cuda.blockDim.x
    real = X.dtype.type
    samples, inputs = X.shape
    hidden, outputs = syn1_in.shape

    room = cuda.shared.array(0, X.dtype)  # as large as the launch says
    at = inputs * hidden
    syn0 = room[:at]
    syn1 = room[at : at + hidden * outputs]
    at += hidden * outputs
    l1 = room[at : at + samples * hidden]
    at += samples * hidden
    l1_delta = room[at : at + samples * hidden]
    at += samples * hidden
    l2 = room[at : at + samples * outputs]
    at += samples * outputs
    l2_delta = room[at : at + samples * outputs]

    for e in range(t, inputs * hidden, T):
        syn0[e] = syn0_in[e // hidden, e % hidden]
    for e in range(t, hidden * outputs, T):
        syn1[e] = syn1_in[e // outputs, e % outputs]
    # Read after write: each column of weights was copied by many.
    cuda.syncthreads()

    # [checkpoint]
    iteration = 0
    c = 0  # the next checkpoint
    while True:
        due = iteration == checkpoints[c]
        if due:
            # No barrier is needed to read all weights here: they change three barriers later.
            for e in range(t, inputs * hidden, T):
                syn0_out[c, e // hidden, e % hidden] = syn0[e]
            for e in range(t, hidden * outputs, T):
                syn1_out[c, e // outputs, e % outputs] = syn1[e]
            if keep:
                return  # all threads, or none: `keep` is the same for all
        # [/checkpoint]

        # [forward]
        for e in range(t, samples * hidden, T):
            i, j = e // hidden, e % hidden
            x = real(0)
            for m in range(inputs):
                x += X[i, m] * syn0[m * hidden + j]
            l1[e] = sigmoid(x, real)
        # Read after write: a row of l1 has many owners.
        cuda.syncthreads()

        for e in range(t, samples * outputs, T):
            i, n = e // outputs, e % outputs
            x = real(0)
            for j in range(hidden):
                x += l1[i * hidden + j] * syn1[j * outputs + n]
            x = sigmoid(x, real)
            # [output-delta]
            error = y[i, n] - x
            l2[e] = x
            # [/forward]
            l2_delta[e] = error * (x * (real(1) - x))
            # [/output-delta]
            if keep:
                layer2[0, i, n], layer2[1, i, n], layer2[2, i, n] = x, error, l2_delta[e]
        # [checkpoint]
        # Read after write: a row of l2_delta has many owners, and the error below needs all of l2.
        cuda.syncthreads()

        if due:
            # One thread, in index order. l2 is not written again before two barriers from here.
            if t == 0:
                total = real(0)
                for e in range(samples * outputs):
                    total += abs(y[e // outputs, e % outputs] - l2[e])
                error_out[c] = total / real(samples * outputs)
            c += 1
            if c == checkpoints.size:
                return
        # [/checkpoint]

        # [hidden-delta]
        for e in range(t, samples * hidden, T):
            i, j = e // hidden, e % hidden
            error = real(0)
            for n in range(outputs):
                error += l2_delta[i * outputs + n] * syn1[j * outputs + n]
            l1_delta[e] = error * (l1[e] * (real(1) - l1[e]))
            if keep:
                layer1[0, i, j], layer1[1, i, j], layer1[2, i, j] = l1[e], error, l1_delta[e]
        # Read after write: a column of l1_delta has many owners. Write after read: the update
        # changes syn1, and others may still need the old one for their l1_error.
        cuda.syncthreads()
        # [/hidden-delta]

        # [update]
        for e in range(t, hidden * outputs, T):
            j, n = e // outputs, e % outputs
            x = real(0)
            for i in range(samples):
                x += l1[i * hidden + j] * l2_delta[i * outputs + n]
            syn1[e] += alpha * x
        for e in range(t, inputs * hidden, T):
            m, j = e // hidden, e % hidden
            x = real(0)
            for i in range(samples):
                x += X[i, m] * l1_delta[i * hidden + j]
            syn0[e] += alpha * x
        # Read after write: the next l1 needs columns of weights. Write after read: it overwrites
        # l1, which others may still be reading for their weights.
        cuda.syncthreads()
        # [/update]
        iteration += 1


def threads_and_room(samples, layers, dtype):
    """As many threads as the largest phase has elements, in whole warps; and the bytes for all."""
    inputs, hidden, outputs = layers
    weights = inputs * hidden + hidden * outputs
    room = (weights + 2 * samples * (hidden + outputs)) * dtype.itemsize
    if room > SHARED_BYTES:
        raise NotImplementedError(
            f"This network needs {room} bytes of shared memory, and a block has {SHARED_BYTES}."
        )
    elements = max(inputs * hidden, hidden * outputs, samples * hidden, samples * outputs)
    return min(32 * math.ceil(elements / 32), MAX_THREADS), room


train, step = host.whole_runs(train_kernel, threads_and_room)
device, device_seconds = host.device, host.device_seconds
