"""What the kernels' functions hand each other, and the arithmetic that they share.

kernel.py says where each array lies, and which thread owns which of its elements.
"""

import math
import sys
from typing import Any, NamedTuple

import numpy as np
from numba import config, cuda

# Sixteen warps: the most threads that a block has. The compiler is told, and so leaves each
# thread no more registers than so many threads can have; the simulator does not take it.
MAX_THREADS = 512
LIMITS = {} if config.ENABLE_CUDASIM else {"launch_bounds": MAX_THREADS}

# An activation is one of these integers in a kernel: it is compiled once for each dtype, and
# not for each network.
SIGMOID, TANH, RELU, SOFTMAX = range(4)


class Rules(NamedTuple):
    """The settings of conformance/contract/SPEC.md, as numbers: an argument of the kernels.

    0 turns off shuffling, dropout, trimming, decay and momentum. Real numbers have the dtype.
    """

    bias: int
    activation: int  # of hidden layers, SIGMOID ... RELU
    output: int
    cross_entropy: bool
    shuffle: bool
    philox_seed: int
    dropped_below: int  # dropout 2^32, rounded up: a unit whose word is below it is dropped
    kept_scale: Any  # 1 / (1 - dropout)
    batch_norm: bool
    norm_epsilon: Any
    norm_rate: Any
    alpha: Any
    trim_value: Any
    trim_norm: Any
    l1: Any
    l2: Any
    momentum: Any
    nesterov: bool
    adam: bool
    beta1: Any
    beta2: Any
    adam_epsilon: Any


class Network(NamedTuple):
    """The arrays of a network, all of them flat; made within a kernel."""

    # layers[k] is n_k. Parameter matrix p is at at[p] : at[p+1] of the parameters; l[k] and
    # delta[k] are at l_at[k] : l_at[k+1] of all outputs and of all deltas of a batch.
    layers: Any
    at: Any
    l_at: Any
    # In shared memory. What has the layout of l has room for a batch of the largest size.
    parameters: Any
    l: Any
    delta: Any
    # In global memory.
    averages: Any  # with batch normalisation, the running means, and then the variances
    normal: Any  # with batch normalisation, z, with the layout of l
    deviation: Any  # with batch normalisation, sqrt(v + norm_epsilon), as the means
    descent: Any  # of the parameters, in their order


class Batch(NamedTuple):
    """Some samples: `rows` places from `first` on, in the order of the data or a shuffled one."""

    first: int
    rows: int
    shuffled: bool
    order: Any


if config.ENABLE_CUDASIM:
    # The simulator runs a kernel as plain Python. There the functions of math compute in
    # float64, and math.exp raises OverflowError where the GPU's exp returns infinity (and the
    # sigmoid then 0). NumPy's keep the dtype, and its exp returns infinity.
    def exp(x):
        with np.errstate(over="ignore"):
            return np.exp(x)

    tanh, sqrt, power = np.tanh, np.sqrt, np.power

    # A device function that has no barrier and does not ask for its thread needs no help of the
    # simulator, whose help takes longer than the function.
    def inlined(function):
        return function

    # CUDA threads are Python threads there, which run in turn and wait by polling. With the
    # usual 5 ms before a thread must give way, an iteration takes ten times as long.
    sys.setswitchinterval(1e-5)
else:
    exp, tanh, sqrt, power = math.exp, math.tanh, math.sqrt, math.pow
    inlined = cuda.jit(device=True, inline="always")


# To Numba a float32 with the literal 1, an integer, makes a float64, so `real`, the dtype,
# makes every constant.
@inlined
def activate(x, activation, real):
    if activation == SIGMOID:
        return real(1) / (real(1) + exp(-x))
    if activation == TANH:
        return tanh(x)
    if activation == RELU:
        return x if x > real(0) else real(0)
    return x  # softmax needs the whole row first: see forward


# The activation's derivative, from its output. Softmax has none of its own.
@inlined
def slope(output, activation, real):
    if activation == SIGMOID:
        return output * (real(1) - output)
    if activation == TANH:
        return real(1) - output * output
    return real(1) if output > real(0) else real(0)


# Delta trimming by value.
@inlined
def trimmed(d, limit, real):
    if limit > real(0):
        if d > limit:
            return limit
        if d < -limit:
            return -limit
    return d


# The row of X and y that is sample i of the batch.
@inlined
def place(batch, i):
    return batch.order[batch.first + i] if batch.shuffled else batch.first + i
