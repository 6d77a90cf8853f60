"""The host's side of the port: settings and arrays to the device, results back.

The algorithm is in kernel.py, which is all that runs on the GPU.
"""

import math
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from kernel import RELU, SIGMOID, SOFTMAX, TANH, backprop
from numba import config, cuda

# What a block gets on every GPU. More has to be asked for, and Numba does not ask.
SHARED_BYTES = 48 * 1024
# Samples times weights: beyond it, the simulator takes about a second an iteration.
SIMULATOR_WORK = 50_000
# Sixteen warps. compile_sm90.py holds the kernel to the registers that this leaves it.
MAX_THREADS = 512

ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU, "softmax": SOFTMAX}

# Numba warns that one block leaves most of a GPU idle. That is so, and meant to be.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0


class Settings(NamedTuple):
    """The keyword arguments of train and step. Each default leaves its capability out."""

    alpha: float
    bias: bool = False
    activation: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "squared"
    batch_size: int = 0
    trim_value: float = 0.0
    trim_norm: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False


def block_size(elements):
    """How many threads to launch, if the largest phase has so many elements."""
    if config.ENABLE_CUDASIM:
        return 3  # few are fast, and more than one, so that the barriers are needed
    return min(32 * math.ceil(elements / 32), MAX_THREADS)


def run(X, y, state, start, checkpoints, settings, keep):
    """Launch the kernel. Returns what it wrote: state_out, error_out and kept."""
    samples, inputs = X.shape
    batch = min(settings.batch_size or samples, samples)
    syn = state[: len(state) // 2] if settings.momentum else state
    layers = [inputs, *(w.shape[1] for w in syn)]
    sizes = [batch * units for units in layers[1:]]
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
    activation, output = ACTIVATIONS[settings.activation], ACTIVATIONS[settings.output]
    if activation == SOFTMAX or (output == SOFTMAX and settings.loss != "cross-entropy"):
        raise NotImplementedError("Softmax is for outputs with cross-entropy.")

    real = X.dtype.type
    flat_state = np.concatenate([matrix.ravel() for matrix in state])
    state_out = cuda.device_array((len(checkpoints), flat_state.size), X.dtype)
    error_out = cuda.device_array(len(checkpoints), X.dtype)
    kept = cuda.device_array((3, units), X.dtype)
    threads = block_size(max(*sizes, *(w.size for w in syn)))
    # In the order of the kernel's parameters, line by line.
    backprop[1, threads, 0, shared](
        cuda.to_device(X.ravel()),
        cuda.to_device(y.ravel()),
        cuda.to_device(flat_state),
        cuda.device_array(weights, X.dtype),
        # --- the layout
        cuda.to_device(np.array(layers)),
        cuda.to_device(np.array(syn_at)),
        cuda.to_device(np.array(l_at)),
        # --- iterations
        start,
        cuda.to_device(np.array(checkpoints)),
        # --- settings
        samples,
        batch,
        int(settings.bias),
        activation,
        output,
        settings.loss == "cross-entropy",
        bool(settings.nesterov),
        real(settings.alpha),
        real(settings.trim_value),
        real(settings.trim_norm),
        real(settings.l1),
        real(settings.l2),
        real(settings.momentum),
        # --- results
        state_out,
        error_out,
        keep,
        kept,
    )
    # Copying to the host waits for the kernel to end.
    return state_out.copy_to_host(), error_out.copy_to_host(), kept.copy_to_host()


def split(flat, shapes):
    """Cut a flat array into matrices of these shapes."""
    ends = accumulate(rows * columns for rows, columns in shapes)
    return [flat[end - r * c : end].reshape(r, c) for end, (r, c) in zip(ends, shapes, strict=True)]


def train(X, y, state, checkpoints, **settings):
    settings = Settings(**settings)
    state_out, error_out, _ = run(X, y, state, 0, checkpoints, settings, keep=False)
    shapes = [matrix.shape for matrix in state]
    rows = zip(checkpoints, error_out, state_out, strict=True)
    return [(n, error, split(flat, shapes)) for n, error, flat in rows]


def step(X, y, state, *, iteration=0, **settings):
    """One update, by the kernel that trains: it begins at `iteration` and ends at the next."""
    settings = Settings(**settings)
    state_out, _, kept = run(X, y, state, iteration, [iteration + 1], settings, keep=True)
    batch = min(settings.batch_size or len(X), len(X))
    first = iteration % math.ceil(len(X) / batch) * batch
    rows = min(batch, len(X) - first)
    syn = state[: len(state) // 2] if settings.momentum else state
    shapes = [(batch, w.shape[1]) for w in syn]
    # The last batch may be smaller than the room for one.
    l, error, delta = ([a[:rows] for a in split(flat, shapes)] for flat in kept)
    return l, error, delta, split(state_out[0], [matrix.shape for matrix in state])


def device():
    if config.ENABLE_CUDASIM:
        return "Numba CUDA simulator"
    gpu = cuda.get_current_device()
    major, minor = gpu.compute_capability
    return f"{gpu.name} (compute capability {major}.{minor})"
