"""Backpropagation in one CUDA kernel, written in Python and compiled by Numba.

One launch of one thread block does a whole training run: all iterations, and at each
checkpoint the recording of the weights and the error. A barrier between two phases costs
tens of nanoseconds there; a launch for each phase would cost microseconds.

A network has layers of sizes n_0 ... n_K and a batch of m samples. All matrices are
row-major, and they live in

    l[0]       (m, n_0)          global memory: the data X, which is only ever read
    syn[k]     (n_k, n_{k+1})    shared memory
    l[k]       (m, n_k)          shared memory, for k = 1 ... K
    delta[k]   (m, n_k)          shared memory, for k = 1 ... K
    error[k]   (m, n_k)          nowhere: the thread that computes an element of error[k] is
                                 the only one to need it, for the same element of delta[k]

The map of threads to elements: in each phase the elements of the phase's *result* are
dealt out like cards. Of T threads, thread t owns the elements t, t + T, t + 2T, ... of the
matrix laid out row by row. An element is a whole sum, added up by its owner in index order:
no atomics, no partial sums. So the result depends neither on T nor on who runs first.
"""

import math
import sys
from itertools import accumulate

import numpy as np
from numba import config, cuda

# What a block gets on every GPU. More must be asked for, and Numba does not ask.
SHARED_BYTES = 48 * 1024

# One block is what a toy network can use: the warning that it leaves most of the GPU idle
# is true, and no news.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

if config.ENABLE_CUDASIM:
    # The simulator runs the kernel as plain Python. There math.exp computes in float64 and
    # raises OverflowError where the GPU's exp returns infinity (and the sigmoid then 0).
    # NumPy's exp does what the GPU's does: it keeps the dtype and returns infinity.
    def exp(x):
        with np.errstate(over="ignore"):
            return np.exp(x)

    # CUDA threads are Python threads here, one of which runs at a time, and they wait for
    # one another by polling. With the usual 5 ms before a waiting thread gives way, an
    # iteration takes 15 times as long.
    sys.setswitchinterval(1e-5)
else:
    exp = math.exp


# float32 combined with the literal 1, an integer, would be float64: hence `one`, which is
# the 1 of the dtype.
@cuda.jit(device=True, inline="always")
def sigmoid(x, one):
    return one / (one + exp(-x))


@cuda.jit(device=True, inline="always")
def slope(output, one):
    """The sigmoid's derivative, from its output."""
    return output * (one - output)


@cuda.jit
def backprop(
    X, y, syn_in, alpha, samples, layers, syn_at, l_at, checkpoints, syn_out, error_out, keep, kept
):
    """Train from the weights syn_in. To be launched with one block of any number of threads.

    X, y and syn_in are flat; layers[k] is n_k. syn[k] lies at syn_at[k] : syn_at[k+1] of
    all weights; l[k] and delta[k] at l_at[k] : l_at[k+1] of all outputs and all deltas.
    syn_out[c] and error_out[c] receive the state at checkpoints[c]. If `keep` is true,
    kept[0], kept[1] and kept[2] receive all l, error and delta of the last update.
    """
    t = cuda.threadIdx.x
    T = cuda.blockDim.x
    real = X.dtype.type
    one = real(1)
    last = layers.size - 1  # K: the output layer, and the number of weight matrices
    weights = syn_at[last]
    units = l_at[last + 1]

    memory = cuda.shared.array(0, X.dtype)  # as large as the launch says
    syn = memory[:weights]
    l = memory[weights : weights + units]  # noqa: E741 - the article's name
    delta = memory[weights + units : weights + 2 * units]

    for e in range(t, weights, T):
        syn[e] = syn_in[e]
    # Read after write: a thread needs weights that others have copied.
    cuda.syncthreads()

    iteration = 0
    c = 0  # the next checkpoint
    while True:
        # Forward: l[k+1] = sigmoid(l[k] syn[k]). Element e = (i, n) of l[k+1] is the output
        # of unit n for sample i: row i of l[k] times column n of syn[k].
        for k in range(last):
            inputs = layers[k]
            outputs = layers[k + 1]
            l_in = X if k == 0 else l[l_at[k] : l_at[k + 1]]
            l_out = l[l_at[k + 1] : l_at[k + 2]]
            w = syn[syn_at[k] : syn_at[k + 1]]
            for e in range(t, samples * outputs, T):
                i = e // outputs
                n = e % outputs
                total = real(0)
                for m in range(inputs):
                    total += l_in[i * inputs + m] * w[m * outputs + n]
                l_out[e] = sigmoid(total, one)
            # Read after write: a row of l[k+1] has many owners, and the next layer reads
            # all of it. (After the output layer, thread 0 reads it for the mean error.)
            cuda.syncthreads()

        # c and iteration are the same in every thread, so either all threads come in here
        # or none does, and all return together: nobody is left waiting at a barrier.
        if iteration == checkpoints[c]:
            for e in range(t, weights, T):
                syn_out[c, e] = syn[e]
            if t == 0:
                output = l[l_at[last] : units]
                total = real(0)
                for e in range(output.size):
                    total += abs(y[e] - output[e])
                error_out[c] = total / real(output.size)
            # Write after read needs no barrier of its own: syn is next written by the
            # update and l[K] by the forward pass after it, and no thread gets there before
            # every thread, having read, arrives at the barriers of the backward pass.
            c += 1
            if c == checkpoints.size:
                return

        # Backward: error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, and delta[k] =
        # error[k] slope(l[k]). Element e = (i, n) is unit n of layer k for sample i: row i
        # of delta[k+1] times row n of syn[k], which is column n of the transpose.
        for k in range(last, 0, -1):
            l_k = l[l_at[k] : l_at[k + 1]]
            delta_k = delta[l_at[k] : l_at[k + 1]]
            for e in range(t, l_k.size, T):
                if k == last:
                    error = y[e] - l_k[e]
                else:
                    outputs = layers[k + 1]
                    i = e // layers[k]
                    n = e % layers[k]
                    delta_next = delta[l_at[k + 1] : l_at[k + 2]]
                    w = syn[syn_at[k] : syn_at[k + 1]]
                    error = real(0)
                    for o in range(outputs):
                        error += delta_next[i * outputs + o] * w[n * outputs + o]
                delta_k[e] = error * slope(l_k[e], one)
                if keep:
                    kept[0, l_at[k] + e] = l_k[e]
                    kept[1, l_at[k] + e] = error
                    kept[2, l_at[k] + e] = delta_k[e]
            # Read after write: the layer before, and the update, read all of delta[k].
            # After the last round (k = 1) it is a write after read as well: the update
            # overwrites weights, and must not before every error has used the old ones.
            cuda.syncthreads()

        # Update: syn[k] += alpha l[k]^T delta[k+1]. Element e = (m, n) is the weight from
        # unit m of layer k to unit n of layer k + 1: a sum over the batch, column m of l[k]
        # times column n of delta[k+1]. No barrier between layers: each weight is read and
        # written by its owner alone, and no l and no delta changes.
        for k in range(last):
            inputs = layers[k]
            outputs = layers[k + 1]
            l_in = X if k == 0 else l[l_at[k] : l_at[k + 1]]
            delta_out = delta[l_at[k + 1] : l_at[k + 2]]
            w = syn[syn_at[k] : syn_at[k + 1]]
            for e in range(t, inputs * outputs, T):
                m = e // outputs
                n = e % outputs
                total = real(0)
                for i in range(samples):
                    total += l_in[i * inputs + m] * delta_out[i * outputs + n]
                w[e] += alpha * total
        # Read after write: the next forward pass reads weights of every owner. Write after
        # read: it overwrites l, which other threads may still be reading for their update.
        cuda.syncthreads()
        iteration += 1


def block_size(elements):
    """How many threads to launch, if the largest phase has so many elements."""
    if config.ENABLE_CUDASIM:
        return 3  # OS threads: few are faster, and one would not need the barriers
    warps = -(-elements // 32)
    return 32 * min(warps, 16)


def run(X, y, syn, checkpoints, alpha, keep):
    """Launch the kernel. Returns what it wrote: syn_out, error_out and kept."""
    samples, inputs = X.shape
    layers = [inputs, *(w.shape[1] for w in syn)]
    sizes = [samples * units for units in layers[1:]]
    syn_at = [0, *accumulate(w.size for w in syn)]
    l_at = [0, 0, *accumulate(sizes)]  # l[0] is X, and takes no room in shared memory
    weights, units = syn_at[-1], l_at[-1]

    shared = (weights + 2 * units) * X.itemsize
    if shared > SHARED_BYTES:
        raise NotImplementedError(
            f"The network needs {shared / 1024:.1f} KiB of shared memory, "
            f"and this port uses one block, which has {SHARED_BYTES // 1024} KiB."
        )
    syn_out = cuda.device_array((len(checkpoints), weights), X.dtype)
    error_out = cuda.device_array(len(checkpoints), X.dtype)
    kept = cuda.device_array((3, units), X.dtype)
    threads = block_size(max(*sizes, *(w.size for w in syn)))
    backprop[1, threads, 0, shared](
        cuda.to_device(X.ravel()),
        cuda.to_device(y.ravel()),
        cuda.to_device(flat(syn)),
        X.dtype.type(alpha),
        samples,
        cuda.to_device(np.array(layers)),
        cuda.to_device(np.array(syn_at)),
        cuda.to_device(np.array(l_at)),
        cuda.to_device(np.array(checkpoints)),
        syn_out,
        error_out,
        keep,
        kept,
    )
    # Copying to the host waits for the kernel to end.
    return syn_out.copy_to_host(), error_out.copy_to_host(), kept.copy_to_host()


def flat(matrices):
    return np.concatenate([matrix.ravel() for matrix in matrices])


def split(numbers, shapes):
    """The inverse of flat: matrices of these shapes, one after the other."""
    ends = list(accumulate(rows * columns for rows, columns in shapes))
    return [part.reshape(s) for part, s in zip(np.split(numbers, ends[:-1]), shapes, strict=True)]


def train(X, y, syn, checkpoints, *, alpha):
    syn_out, error_out, _ = run(X, y, syn, checkpoints, alpha, False)
    shapes = [w.shape for w in syn]
    return [
        (n, error, split(weights, shapes))
        for n, error, weights in zip(checkpoints, error_out, syn_out, strict=True)
    ]


def step(X, y, syn, *, alpha):
    """One update, by the kernel that trains: with the weights at checkpoint 1."""
    syn_out, _, kept = run(X, y, syn, [1], alpha, True)
    shapes = [(len(X), w.shape[1]) for w in syn]
    l, error, delta = (split(numbers, shapes) for numbers in kept)  # noqa: E741
    return l, error, delta, split(syn_out[0], [w.shape for w in syn])


def device():
    if config.ENABLE_CUDASIM:
        return "Numba CUDA simulator"
    gpu = cuda.get_current_device()
    name = gpu.name.decode() if isinstance(gpu.name, bytes) else gpu.name
    major, minor = gpu.compute_capability
    return f"{name}, compute capability {major}.{minor}"
