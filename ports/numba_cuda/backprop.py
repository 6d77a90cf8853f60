"""Backpropagation in one CUDA kernel, written in Python and compiled by Numba.

One launch of one thread block does a whole training run: all iterations, and at each
checkpoint the recording of weights and error. Between two phases there is a barrier, which
costs tens of nanoseconds; a launch for each phase would cost microseconds.

A network has layers of sizes n_0 ... n_K and a batch of samples. Throughout, i is a sample,
m a unit of layer k, and n a unit of layer k + 1. All matrices are row-major; they live in

    l[0]       (samples, n_0)    global memory: the data X, which is only ever read
    syn[k]     (n_k, n_{k+1})    shared memory
    l[k]       (samples, n_k)    shared memory, for k = 1 ... K
    delta[k]   (samples, n_k)    shared memory, for k = 1 ... K
    error[k]   (samples, n_k)    nowhere: the thread that computes an element of error[k] is
                                 the only one to need it, for that element of delta[k]

The map of threads to elements: in each phase the elements of the phase's *result* are dealt
out like cards. Of T threads, thread t owns the elements t, t + T, t + 2T, ... of a matrix
laid out row by row. An element is a whole sum, which its owner adds up in index order: no
atomics, no partial sums. So the result depends neither on T nor on who runs first.
"""

import math
import sys
from itertools import accumulate

import numpy as np
from numba import config, cuda

# What a block gets on every GPU. More has to be asked for, and Numba does not ask.
SHARED_BYTES = 48 * 1024
# Samples times weights: beyond it, the simulator takes about a second an iteration.
SIMULATOR_WORK = 50_000
# Sixteen warps. compile_sm90.py holds the kernel to the registers that this leaves it.
MAX_THREADS = 512

# Numba warns that one block leaves most of a GPU idle. That is so, and meant to be.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

if config.ENABLE_CUDASIM:
    # The simulator runs the kernel as plain Python. There math.exp computes in float64, and
    # raises OverflowError where the GPU's exp returns infinity (and the sigmoid then 0).
    # NumPy's exp keeps the dtype and returns infinity, as the GPU's does.
    def exp(x):
        with np.errstate(over="ignore"):
            return np.exp(x)

    # CUDA threads are Python threads there, which run in turn and wait by polling. With the
    # usual 5 ms before a thread must give way, an iteration takes ten times as long.
    sys.setswitchinterval(1e-5)
else:
    exp = math.exp


# To Numba a float32 with the literal 1, an integer, makes a float64: hence `one`, which is
# the 1 of the dtype.
@cuda.jit(device=True, inline="always")
def sigmoid(x, one):
    return one / (one + exp(-x))


# The sigmoid's derivative, from its output.
@cuda.jit(device=True, inline="always")
def slope(output, one):
    return output * (one - output)


@cuda.jit
def backprop(
    X, y, syn_in, alpha, samples, layers, syn_at, l_at, checkpoints, syn_out, error_out, keep, kept
):
    """Train from the weights syn_in. To be launched with one block of any number of threads.

    X, y and syn_in are flat; layers[k] is n_k. syn[k] is at syn_at[k] : syn_at[k+1] of all
    weights; l[k] and delta[k] are at l_at[k] : l_at[k+1] of all outputs and of all deltas.
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
    l = memory[weights : weights + units]
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
            # all of it. (From the output layer only thread 0 reads, for the mean error,
            # what others wrote.)
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
            # update, and l[K] by the forward pass after it. No thread gets there before
            # every thread, done with reading, arrives at the barriers of the backward pass.
            c += 1
            if c == checkpoints.size:
                return

        # Backward: error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, and delta[k] =
        # error[k] slope(l[k]). Element e = (i, m) is unit m of layer k for sample i: row i
        # of delta[k+1] times row m of syn[k], which is column m of the transpose.
        for k in range(last, 0, -1):
            l_k = l[l_at[k] : l_at[k + 1]]
            delta_k = delta[l_at[k] : l_at[k + 1]]
            for e in range(t, samples * layers[k], T):
                if k == last:
                    error = y[e] - l_k[e]
                else:
                    i = e // layers[k]
                    m = e % layers[k]
                    outputs = layers[k + 1]
                    delta_out = delta[l_at[k + 1] : l_at[k + 2]]
                    w = syn[syn_at[k] : syn_at[k + 1]]
                    error = real(0)
                    for n in range(outputs):
                        error += delta_out[i * outputs + n] * w[m * outputs + n]
                delta_k[e] = error * slope(l_k[e], one)
                if keep:
                    kept[0, l_at[k] + e] = l_k[e]
                    kept[1, l_at[k] + e] = error
                    kept[2, l_at[k] + e] = delta_k[e]
            # Read after write: the layer before this one, and the update, read delta[k] of
            # every owner. After the last round, k = 1, it is write after read too: the
            # update overwrites the weights, and must not until every error has used them.
            cuda.syncthreads()

        # Update: syn[k] += alpha l[k]^T delta[k+1]. Element e = (m, n) is the weight from
        # unit m of layer k to unit n of layer k + 1: a sum over the batch, column m of l[k]
        # times column n of delta[k+1]. No barrier between layers: a weight is read and
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
        return 3  # few are fast, and more than one, so that the barriers are needed
    return min(32 * math.ceil(elements / 32), MAX_THREADS)


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
            f"and the one block that this port uses has {SHARED_BYTES // 1024} KiB."
        )
    if config.ENABLE_CUDASIM and samples * weights > SIMULATOR_WORK:
        raise NotImplementedError("The simulator is too slow for such a network; a GPU is not.")

    syn_out = cuda.device_array((len(checkpoints), weights), X.dtype)
    error_out = cuda.device_array(len(checkpoints), X.dtype)
    kept = cuda.device_array((3, units), X.dtype)
    threads = block_size(max(*sizes, *(w.size for w in syn)))
    backprop[1, threads, 0, shared](
        cuda.to_device(X.ravel()),
        cuda.to_device(y.ravel()),
        cuda.to_device(np.concatenate([w.ravel() for w in syn])),
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


def split(flat, shapes):
    """Cut a flat array into matrices of these shapes."""
    ends = accumulate(rows * columns for rows, columns in shapes)
    return [flat[end - r * c : end].reshape(r, c) for end, (r, c) in zip(ends, shapes, strict=True)]


def train(X, y, syn, checkpoints, *, alpha):
    syn_out, error_out, _ = run(X, y, syn, checkpoints, alpha, keep=False)
    states = zip(checkpoints, error_out, syn_out, strict=True)
    return [(n, error, split(weights, [w.shape for w in syn])) for n, error, weights in states]


def step(X, y, syn, *, alpha):
    """One update, by the kernel that trains: the weights are those at checkpoint 1."""
    syn_out, _, kept = run(X, y, syn, [1], alpha, keep=True)
    shapes = [(len(X), w.shape[1]) for w in syn]
    l, error, delta = (split(flat, shapes) for flat in kept)
    return l, error, delta, split(syn_out[0], [w.shape for w in syn])


def device():
    if config.ENABLE_CUDASIM:
        return "Numba CUDA simulator"
    gpu = cuda.get_current_device()
    major, minor = gpu.compute_capability
    return f"{gpu.name} (compute capability {major}.{minor})"
