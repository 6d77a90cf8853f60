"""Backpropagation as one CUDA kernel, written in Python and compiled by Numba.

One launch of one thread block does a whole training run: all iterations, and at each
checkpoint the recording of the state and of the error. Between two phases there is a barrier,
which costs tens of nanoseconds; a launch for each phase would cost microseconds.

A network has layers of sizes n_0 ... n_K and learns from a batch of samples at a time.
Throughout, i is a sample of the batch, m a unit of layer k, and n a unit of layer k + 1. With
bias units m goes one further, to n_k: that unit is always 1. All matrices are row-major:

    l[0]         (samples, n_0)        global memory: the data X, which is only ever read
    syn[k]       (n_k + bias, n_{k+1}) shared memory
    l[k]         (batch, n_k)          shared memory, for k = 1 ... K
    delta[k]     (batch, n_k)          shared memory, for k = 1 ... K
    error[k]     (batch, n_k)          nowhere: the thread that computes an element of error[k]
                                       is the only one to need it, for that element of delta[k]
    descent[k]   as syn[k]             global memory
    velocity[k]  as syn[k]             global memory

Shared memory is for what threads read of each other, many times. A descent and a velocity are
used once an update, by the thread that owns the weight (and a descent once more for the norm),
and without them larger networks fit.

The map of threads to elements: in each phase the elements of the phase's *result* are dealt
out like cards. Of T threads, thread t owns the elements t, t + T, t + 2T, ... of a matrix
laid out row by row. An element is a whole sum, which its owner adds up in index order: no
atomics, no partial sums. So the result depends neither on T nor on who runs first.

Every condition around a barrier is made of settings, sizes and counters that are the same in all
threads: all arrive at it, or none.
"""

import math
import sys

import numpy as np
from numba import config, cuda

# An activation is one of these integers in the kernel: it is compiled once for each dtype, and
# not for each network.
SIGMOID, TANH, RELU, SOFTMAX = range(4)

if config.ENABLE_CUDASIM:
    # The simulator runs the kernel as plain Python. There the functions of math compute in
    # float64, and math.exp raises OverflowError where the GPU's exp returns infinity (and the
    # sigmoid then 0). NumPy's keep the dtype, and its exp returns infinity.
    def exp(x):
        with np.errstate(over="ignore"):
            return np.exp(x)

    tanh, sqrt = np.tanh, np.sqrt

    # CUDA threads are Python threads there, which run in turn and wait by polling. With the
    # usual 5 ms before a thread must give way, an iteration takes ten times as long.
    sys.setswitchinterval(1e-5)
else:
    exp, tanh, sqrt = math.exp, math.tanh, math.sqrt


# To Numba a float32 with the literal 1, an integer, makes a float64: hence `real`, the dtype,
# which makes every constant.
@cuda.jit(device=True, inline="always")
def activate(x, activation, real):
    if activation == SIGMOID:
        return real(1) / (real(1) + exp(-x))
    if activation == TANH:
        return tanh(x)
    if activation == RELU:
        return x if x > real(0) else real(0)
    return x  # softmax needs the whole row first: see forward


# The activation's derivative, from its output. Softmax has none of its own.
@cuda.jit(device=True, inline="always")
def slope(output, activation, real):
    if activation == SIGMOID:
        return output * (real(1) - output)
    if activation == TANH:
        return real(1) - output * output
    return real(1) if output > real(0) else real(0)


@cuda.jit(device=True, inline="always")
def forward(data, rows, syn, l, layers, syn_at, l_at, bias, activation, output):
    """Compute l[1] ... l[K] of the `rows` samples in `data`; to be called by all threads."""
    t = cuda.threadIdx.x
    T = cuda.blockDim.x
    real = data.dtype.type
    last = layers.size - 1

    # l[k+1] = s([l[k], 1] syn[k]). Element e = (i, n) of l[k+1] is the output of unit n for
    # sample i: row i of l[k] times column n of syn[k], and the bias unit's weight to n.
    for k in range(last):
        inputs = layers[k]
        outputs = layers[k + 1]
        l_in = data if k == 0 else l[l_at[k] : l_at[k + 1]]
        l_out = l[l_at[k + 1] : l_at[k + 2]]
        w = syn[syn_at[k] : syn_at[k + 1]]
        for e in range(t, rows * outputs, T):
            i = e // outputs
            n = e % outputs
            total = real(0)
            for m in range(inputs):
                total += l_in[i * inputs + m] * w[m * outputs + n]
            if bias:
                total += w[inputs * outputs + n]
            l_out[e] = activate(total, output if k + 1 == last else activation, real)
        # Read after write: a row of l[k+1] has many owners, and the next layer, or softmax,
        # reads all of it; so does thread 0 of the output layer, for the mean error.
        cuda.syncthreads()

    # Softmax: l[K] holds the weighted inputs. Its rows are dealt out instead of its elements:
    # the owner of row i makes both sums and all outputs of the row, in index order, and no
    # other thread reads or writes that row meanwhile.
    if output == SOFTMAX:
        outputs = layers[last]
        for i in range(t, rows, T):
            row = l[l_at[last] + i * outputs : l_at[last] + (i + 1) * outputs]
            largest = row[0]
            for n in range(1, outputs):
                if row[n] > largest:
                    largest = row[n]
            total = real(0)
            for n in range(outputs):
                row[n] = exp(row[n] - largest)
                total += row[n]
            for n in range(outputs):
                row[n] /= total
        # Read after write: from here on the elements are dealt out again, to other threads
        # than the rows.
        cuda.syncthreads()


@cuda.jit
def backprop(
    # The data, all samples; the state, weights and then velocities; room for the descent.
    X, y, state, descent,
    # layers[k] is n_k. syn[k] is at syn_at[k] : syn_at[k+1] of all weights; l[k] and delta[k]
    # are at l_at[k] : l_at[k+1] of all outputs and of all deltas of a batch.
    layers, syn_at, l_at,
    # The iteration to begin with, and those to record, in increasing order.
    start, checkpoints,
    # The settings of conformance/SPEC.md. 0 turns off trimming, decay and momentum; batch is
    # at least 1; activation and output are SIGMOID ... SOFTMAX.
    samples, batch, bias, activation, output, cross_entropy, nesterov,
    alpha, trim_value, trim_norm, l1, l2, momentum,
    # Results: state and error at each checkpoint; with `keep` the last update's l, error, delta.
    state_out, error_out, keep, kept,
):  # fmt: skip
    """Train from `state`. To be launched with one block of any number of threads.

    Data, state, descent are flat. `state` is overwritten. kept[0], kept[1] and kept[2] receive
    l, error and delta, all with the layout of l.
    """
    t = cuda.threadIdx.x
    T = cuda.blockDim.x
    real = X.dtype.type
    last = layers.size - 1  # K: the output layer, and the number of weight matrices
    weights = syn_at[last]
    units = l_at[last + 1]
    batches = (samples + batch - 1) // batch

    memory = cuda.shared.array(0, X.dtype)  # as large as the launch says
    syn = memory[:weights]
    l = memory[weights : weights + units]
    delta = memory[weights + units : weights + 2 * units]
    velocity = state[weights:]  # empty without momentum

    for e in range(t, weights, T):
        syn[e] = state[e]
    # Read after write: a thread needs weights that others have copied.
    cuda.syncthreads()

    iteration = start
    c = 0  # the next checkpoint
    while True:
        # A checkpoint: the state, and the mean of |y - l[K]| over all samples. They go forward
        # batch by batch, because l has room for one batch.
        if iteration == checkpoints[c]:
            for e in range(t, weights, T):
                state_out[c, e] = syn[e]
            for e in range(t, velocity.size, T):
                state_out[c, weights + e] = velocity[e]
            total = real(0)
            for b in range(batches):
                first = b * batch
                rows = min(batch, samples - first)
                data = X[first * layers[0] : (first + rows) * layers[0]]
                forward(data, rows, syn, l, layers, syn_at, l_at, bias, activation, output)
                if t == 0:
                    for e in range(rows * layers[last]):
                        total += abs(y[first * layers[last] + e] - l[l_at[last] + e])
                # Write after read: the next forward pass overwrites l[K], without any barrier
                # before that if there is no hidden layer. (The state, read above, is written
                # only after the barriers of the backward pass.)
                cuda.syncthreads()
            if t == 0:
                error_out[c] = total / real(samples * layers[last])
            c += 1
            if c == checkpoints.size:
                return

        # The batch of this iteration: `rows` samples, the first of which is `first`.
        first = iteration % batches * batch
        rows = min(batch, samples - first)
        data = X[first * layers[0] : (first + rows) * layers[0]]
        forward(data, rows, syn, l, layers, syn_at, l_at, bias, activation, output)

        # Backward: error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, and delta[k] =
        # error[k] slope(l[k]), trimmed. Element e = (i, m) is unit m of layer k for sample i:
        # row i of delta[k+1] times row m of syn[k], which is column m of the transpose. No
        # error goes to the bias unit, so the last row of syn[k] is not read.
        for k in range(last, 0, -1):
            l_k = l[l_at[k] : l_at[k + 1]]
            delta_k = delta[l_at[k] : l_at[k + 1]]
            for e in range(t, rows * layers[k], T):
                if k == last:
                    error = y[first * layers[last] + e] - l_k[e]
                else:
                    i = e // layers[k]
                    m = e % layers[k]
                    outputs = layers[k + 1]
                    delta_out = delta[l_at[k + 1] : l_at[k + 2]]
                    w = syn[syn_at[k] : syn_at[k + 1]]
                    error = real(0)
                    for n in range(outputs):
                        error += delta_out[i * outputs + n] * w[m * outputs + n]
                d = error
                if k < last:
                    d *= slope(l_k[e], activation, real)
                elif not cross_entropy:
                    d *= slope(l_k[e], output, real)
                if trim_value > real(0):
                    if d > trim_value:
                        d = trim_value
                    elif d < -trim_value:
                        d = -trim_value
                delta_k[e] = d
                if keep:
                    kept[0, l_at[k] + e] = l_k[e]
                    kept[1, l_at[k] + e] = error
                    kept[2, l_at[k] + e] = d
            # Read after write: the layer before this one, and the descent, read delta[k] of
            # every owner. After the last round, k = 1, it is write after read too: the
            # update overwrites the weights, and must not until every error has used them.
            cuda.syncthreads()

        # Descent: descent[k] = [l[k], 1]^T delta[k+1]. Element e = (m, n) belongs to the weight
        # from unit m of layer k to unit n of layer k + 1: a sum over the batch, column m of
        # l[k] times column n of delta[k+1]. No barrier between layers: no l or delta changes.
        for k in range(last):
            inputs = layers[k]
            outputs = layers[k + 1]
            l_in = data if k == 0 else l[l_at[k] : l_at[k + 1]]
            delta_out = delta[l_at[k + 1] : l_at[k + 2]]
            for e in range(t, (inputs + bias) * outputs, T):
                m = e // outputs
                n = e % outputs
                total = real(0)
                for i in range(rows):
                    l_im = l_in[i * inputs + m] if m < inputs else real(1)
                    total += l_im * delta_out[i * outputs + n]
                descent[syn_at[k] + e] = total

        # Trimming by norm: every thread adds up all squares for itself, in index order. So all
        # have the same factor without handing it round, which would take another barrier.
        factor = real(1)
        if trim_norm > real(0):
            # Read after write: the norm is made of the descents of every owner.
            cuda.syncthreads()
            total = real(0)
            for e in range(weights):
                total += descent[e] * descent[e]
            norm = sqrt(total)
            if norm > trim_norm:
                factor = trim_norm / norm

        # Update: syn[k] += alpha descent[k], after decay and momentum. Each matrix is dealt out
        # as for its descent, so that a thread finds here the descents that it wrote. No barrier
        # between layers: weight, descent and velocity are of one owner.
        for k in range(last):
            for e in range(syn_at[k] + t, syn_at[k + 1], T):
                w = syn[e]
                d = factor * descent[e]
                if e < syn_at[k] + layers[k] * layers[k + 1]:  # not in the bias unit's row
                    sign = real(w > real(0)) - real(w < real(0))
                    d -= l2 * w + l1 * sign
                if momentum != real(0):
                    v = momentum * velocity[e] + d
                    velocity[e] = v
                    d = d + momentum * v if nesterov else v
                syn[e] = w + alpha * d
        # Read after write: the next forward pass reads weights of every owner. Write after
        # read: it overwrites l, which other threads may still be reading for their descents;
        # and the next descents overwrite these, which others may be reading for the norm.
        cuda.syncthreads()
        iteration += 1
