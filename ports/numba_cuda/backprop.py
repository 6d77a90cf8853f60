"""Backpropagation in one CUDA kernel, written in Python and compiled by Numba.

One launch of one thread block does a whole training run: all iterations, and at each
checkpoint the recording of the weights and the error. So nothing but the data goes to the
device, and nothing but the recorded states comes back.

The layers of a network with sizes n_0 ... n_K and a batch of m samples, and where they live:

    l[0]       (m, n_0)          the data X         global memory: only ever read
    syn[k]     (n_k, n_{k+1})    weights            shared memory
    l[k]       (m, n_k)          layer outputs      shared memory, k = 1 ... K
    delta[k]   (m, n_k)          the deltas         shared memory, k = 1 ... K
    error[k]   (m, n_k)          not stored: the thread that computes an element of error[k]
                                 is the only one to use it, for the same element of delta[k]

All are row-major. In each phase the elements of the phase's *result* are dealt out to the
threads like cards: of T threads, thread t owns elements t, t + T, t + 2T, ... An element is
a whole sum, added up by its owner in index order: there are no atomics and no partial sums,
so the result does not depend on T or on who runs first.

The device sees flat arrays: element (i, n) of a matrix with `outputs` columns is element
i * outputs + n.
"""

import math
import sys

import numpy as np
from numba import config, cuda

# What one block gets without opting in to more, which Numba does not do.
SHARED_BYTES = 48 * 1024

if config.ENABLE_CUDASIM:
    # The simulator runs the kernel as Python, where math.exp computes in double precision
    # and raises OverflowError instead of returning infinity. NumPy's exp does as the GPU
    # does: it keeps the dtype, and overflows to infinity, so that sigmoid(-1000) is 0.
    def exp(x):
        with np.errstate(over="ignore"):
            return np.exp(x)

else:
    exp = math.exp


# A literal 1 would be an integer, and Numba's float32 with an integer is float64: hence
# `one`, the 1 of the dtype.
@cuda.jit(device=True, inline="always")
def sigmoid(x, one):
    return one / (one + exp(-x))


# The sigmoid's derivative, from its output.
@cuda.jit(device=True, inline="always")
def slope(output, one):
    return output * (one - output)


@cuda.jit
def backprop_kernel(
    X, y, syn_in, alpha, samples, layers, syn_at, l_at, checkpoints, syn_out, error_out, inner
):
    """Train from the weights syn_in, and record the state at each checkpoint.

    layers (K+1) holds n_0 ... n_K. syn_at[k] and l_at[k] say where syn[k] and l[k] start in
    the flat arrays `syn` and `l` below; delta[k] starts where l[k] does. The last of each is
    the total. Row c of syn_out, and error_out[c], are the state at checkpoints[c].
    `inner` is (3, all of l), for l, error and delta of the last update; or it has no rows.
    """
    t, T = cuda.threadIdx.x, cuda.blockDim.x
    real = X.dtype.type
    one = real(1)
    last = layers.size - 1
    weights, units = syn_at[last], l_at[last + 1]

    memory = cuda.shared.array(0, X.dtype)
    syn = memory[:weights]
    l = memory[weights : weights + units]
    delta = memory[weights + units : weights + 2 * units]

    for e in range(t, weights, T):
        syn[e] = syn_in[e]
    # Read after write: any thread may need any weight.
    cuda.syncthreads()

    c = 0
    iteration = 0
    while True:
        # Forward. l[k+1] = sigmoid(l[k] syn[k]): element e of l[k+1] is (i, n), the output
        # of unit n for sample i.
        for k in range(last):
            inputs, outputs = layers[k], layers[k + 1]
            l_in = X if k == 0 else l[l_at[k] : l_at[k + 1]]
            l_out = l[l_at[k + 1] : l_at[k + 2]]
            w = syn[syn_at[k] : syn_at[k + 1]]
            for e in range(t, samples * outputs, T):
                i, n = e // outputs, e % outputs
                total = real(0)
                for m in range(inputs):
                    total += l_in[i * inputs + m] * w[m * outputs + n]
                l_out[e] = sigmoid(total, one)
            # Read after write: the next layer's elements need whole rows of l[k+1], which
            # belong to many threads. After the output layer it is thread 0, below, that
            # reads what others wrote.
            cuda.syncthreads()

        # Every thread has the same c, so all of them branch alike and leave together.
        if iteration == checkpoints[c]:
            for e in range(t, weights, T):
                syn_out[c, e] = syn[e]
            if t == 0:
                output = l[l_at[last] : l_at[last + 1]]
                total = real(0)
                for e in range(output.size):
                    total += abs(y[e] - output[e])
                error_out[c] = total / real(output.size)
            # No barrier: what was read here, l[K] and syn, is next written by phases that
            # lie behind at least one barrier that thread 0 and all others must reach first.
            c += 1
            if c == checkpoints.size:
                return

        # Backward. error[K] = y - l[K] and error[k] = delta[k+1] syn[k]^T; delta[k] =
        # error[k] slope(l[k]): element e is (i, m), unit m of layer k for sample i.
        for k in range(last, 0, -1):
            outputs = layers[k]
            l_k = l[l_at[k] : l_at[k + 1]]
            delta_k = delta[l_at[k] : l_at[k + 1]]
            for e in range(t, samples * outputs, T):
                if k == last:
                    error = y[e] - l_k[e]
                else:
                    ...
            cuda.syncthreads()
        iteration += 1
