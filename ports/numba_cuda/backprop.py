"""The host's side of the port: settings and arrays to the device, results back.

The algorithm is in kernel.py and the modules that it imports, which is all that runs on the GPU.
"""

import math
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from kernel import backprop, infer
from network import MAX_THREADS, RELU, SIGMOID, SOFTMAX, TANH, Rules
from numba import config, cuda
from random_numbers import draw

# What a block gets on every GPU. More has to be asked for, and Numba does not ask.
SHARED_BYTES = 48 * 1024
# Samples times weights: beyond it, the simulator takes about a second an iteration.
SIMULATOR_WORK = 50_000

ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU, "softmax": SOFTMAX}

# Numba warns that one block leaves most of a GPU idle. That is so, and meant to be.
config.CUDA_LOW_OCCUPANCY_WARNINGS = 0


class Settings(NamedTuple):
    """The keyword arguments of all functions. Each default leaves its capability out."""

    alpha: float
    bias: bool = False
    activation: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "squared"
    batch_size: int = 0
    shuffle: bool = False
    dropout: float = 0.0
    philox_seed: int = 0
    batch_norm: bool = False
    norm_epsilon: float = 0.0
    norm_rate: float = 0.0
    trim_value: float = 0.0
    trim_norm: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    adam: bool = False
    beta1: float = 0.0
    beta2: float = 0.0
    adam_epsilon: float = 0.0

    @property
    def memories(self):
        """How many numbers the optimiser remembers of each parameter."""
        return 2 if self.adam else 1 if self.momentum else 0

    def rules(self, dtype):
        """The settings as the kernels get them."""
        real = np.dtype(dtype).type
        activation, output = ACTIVATIONS[self.activation], ACTIVATIONS[self.output]
        cross_entropy = self.loss == "cross-entropy"
        if activation == SOFTMAX or (output == SOFTMAX and not cross_entropy):
            raise NotImplementedError("Softmax is for outputs with cross-entropy.")
        return Rules(
            bias=int(self.bias),
            activation=activation,
            output=output,
            cross_entropy=cross_entropy,
            shuffle=bool(self.shuffle),
            philox_seed=int(self.philox_seed),
            # Exact: a product with a power of two, and then an integer.
            dropped_below=math.ceil(float(real(self.dropout)) * 2**32),
            kept_scale=real(1) / (real(1) - real(self.dropout)),
            batch_norm=bool(self.batch_norm),
            norm_epsilon=real(self.norm_epsilon),
            norm_rate=real(self.norm_rate),
            alpha=real(self.alpha),
            trim_value=real(self.trim_value),
            trim_norm=real(self.trim_norm),
            l1=real(self.l1),
            l2=real(self.l2),
            momentum=real(self.momentum),
            nesterov=bool(self.nesterov),
            adam=bool(self.adam),
            beta1=real(self.beta1),
            beta2=real(self.beta2),
            adam_epsilon=real(self.adam_epsilon),
        )


class Layout:
    """Where everything lies in the flat arrays: see network.Network."""

    def __init__(self, inputs, state, settings):
        copies = 1 + settings.memories  # of the parameters
        # K matrices syn; with batch normalisation K - 1 each of gamma, beta, mean and variance.
        if settings.batch_norm:
            last = (len(state) + 2 * copies + 2) // (3 * copies + 2)
            hidden = state[last : 2 * last - 1]
        else:
            last = len(state) // copies
            hidden = []
        matrices = state[: last + 2 * len(hidden)]
        self.layers = [inputs, *(w.shape[1] for w in state[:last])]
        self.at = [0, *accumulate(matrix.size for matrix in matrices)]
        self.hidden = sum(gamma.size for gamma in hidden)
        self.weights, self.parameters = self.at[last], self.at[-1]

    def room(self, rows):
        """l_at for batches of so many rows; l[0] is X, and takes no room in shared memory."""
        return [0, 0, *accumulate(rows * units for units in self.layers[1:])]

    def arrays(self, l_at):
        return [cuda.to_device(np.array(a)) for a in (self.layers, self.at, l_at)]


def check_size(numbers, dtype, work):
    shared = numbers * dtype.itemsize
    if shared > SHARED_BYTES:
        raise NotImplementedError(
            f"The network needs {shared / 1024:.1f} KiB of shared memory, "
            f"and the one block that this port uses has {SHARED_BYTES // 1024} KiB."
        )
    if config.ENABLE_CUDASIM and work > SIMULATOR_WORK:
        raise NotImplementedError("The simulator is too slow for such a network; a GPU is not.")


def block_size(layout, rows):
    """As many threads as the largest phase has elements, in whole warps."""
    if config.ENABLE_CUDASIM:
        return 3  # few are fast, and more than one, so that the barriers are needed
    elements = max(layout.parameters, rows * max(layout.layers[1:]))
    return min(32 * math.ceil(elements / 32), MAX_THREADS)


def flatten(state):
    return np.concatenate([matrix.ravel() for matrix in state])


def run(X, y, state, start, checkpoints, settings, keep):
    """Launch the training. Returns what it wrote: state_out, error_out and kept."""
    samples, inputs = X.shape
    batch = min(settings.batch_size or samples, samples)
    layout = Layout(inputs, state, settings)
    l_at = layout.room(batch)
    units = l_at[-1]
    check_size(layout.parameters + 2 * units, X.dtype, samples * layout.weights)

    state_out = cuda.device_array((len(checkpoints), sum(w.size for w in state)), X.dtype)
    error_out = cuda.device_array(len(checkpoints), X.dtype)
    kept = cuda.device_array((3, units), X.dtype)
    shared = (layout.parameters + 2 * units) * X.itemsize
    # In the order of the kernel's parameters, line by line.
    backprop[1, block_size(layout, batch), 0, shared](
        cuda.to_device(X.ravel()),
        cuda.to_device(y.ravel()),
        cuda.to_device(flatten(state)),
        # --- room to work in, of at least one element: an empty array has no address to pass
        cuda.device_array(layout.parameters, X.dtype),
        cuda.device_array(units if settings.batch_norm else 1, X.dtype),
        cuda.device_array(max(layout.hidden, 1), X.dtype),
        cuda.device_array(2 * samples if settings.shuffle else 1, np.int64),
        # --- layout and settings
        *layout.arrays(l_at),
        layout.hidden,
        settings.rules(X.dtype),
        # --- batches and iterations
        batch,
        start,
        cuda.to_device(np.array(checkpoints)),
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
    shapes = [(batch, units) for units in Layout(X.shape[1], state, settings).layers[1:]]
    # The last batch may be smaller than the room for one.
    l, error, delta = ([a[:rows] for a in split(flat, shapes)] for flat in kept)
    return l, error, delta, split(state_out[0], [matrix.shape for matrix in state])


def predict(X, state, **settings):
    """The outputs of inference, of as many rows at a time as there is room for."""
    settings = Settings(**settings)
    samples, inputs = X.shape
    layout = Layout(inputs, state, settings)
    room = SHARED_BYTES // X.itemsize - layout.parameters
    rows = min(samples, max(1, room // sum(layout.layers[1:])))
    l_at = layout.room(rows)
    check_size(layout.parameters + l_at[-1], X.dtype, samples * layout.weights)

    output = cuda.device_array(samples * layout.layers[-1], X.dtype)
    shared = (layout.parameters + l_at[-1]) * X.itemsize
    infer[1, block_size(layout, rows), 0, shared](
        cuda.to_device(X.ravel()),
        cuda.to_device(flatten(state)),
        *layout.arrays(l_at),
        layout.hidden,
        settings.rules(X.dtype),
        rows,
        output,
    )
    return output.copy_to_host().reshape(samples, -1)


def initial(layers, numpy_seed, *, dtype, **settings):
    """The state to start from: weights drawn on the device, and around them zeros and ones."""
    settings = Settings(**settings)
    shapes = [(rows + int(settings.bias), columns) for rows, columns in pairwise(layers)]
    weights = cuda.device_array(sum(rows * columns for rows, columns in shapes), np.dtype(dtype))
    draw[1, 1](numpy_seed, cuda.to_device(np.array(layers)), int(settings.bias), weights)
    syn = split(weights.copy_to_host(), shapes)
    hidden = [(1, units) for units in layers[1:-1]] if settings.batch_norm else []
    ones, zeros = ([make(shape, dtype) for shape in hidden] for make in (np.ones, np.zeros))
    parameters = [*syn, *ones, *zeros]
    memory = [np.zeros_like(p) for _ in range(settings.memories) for p in parameters]
    return [*parameters, *memory, *zeros, *ones]


def device():
    if config.ENABLE_CUDASIM:
        return "Numba CUDA simulator"
    gpu = cuda.get_current_device()
    major, minor = gpu.compute_capability
    return f"{gpu.name} (compute capability {major}.{minor})"
