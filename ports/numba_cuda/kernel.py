"""Backpropagation as one CUDA kernel, written in Python and compiled by Numba.

One launch of one thread block does a whole training run: all iterations, and at each
checkpoint the recording of the state and of the error. Between two phases there is a barrier,
which costs tens of nanoseconds; a launch for each phase would cost microseconds.

A network has layers of sizes n_0 ... n_K and learns from a batch of samples at a time.
Throughout, i is a sample of the batch, m a unit of layer k, and n a unit of layer k + 1. With
bias units m goes one further, to n_k: that unit is always 1. All matrices are row-major:

    l[0]           (samples, n_0)          global memory: the data X, which is only ever read
    syn[k]         (n_k + bias, n_{k+1})   shared memory
    gamma[k]       (1, n_k)                shared memory; so is beta[k]
    l[k]           (batch, n_k)            shared memory, for k = 1 ... K
    delta[k]       (batch, n_k)            shared memory, for k = 1 ... K
    error[k]       (batch, n_k)            nowhere: the thread that computes an element of
                                           error[k] is the only one to need it, for that
                                           element of delta[k]
    descent        as syn, gamma, beta     global memory; so is what momentum or Adam remembers
    mean[k]        (1, n_k)                global memory; so are variance[k] and deviation[k]
    normal[k]      (batch, n_k)            global memory: the z of batch normalisation
    order          (samples)               global memory: the shuffled samples

Shared memory is for what threads read of each other, many times. What is in global memory is
used once or twice an update, mostly by the thread that wrote it, and without it larger networks
fit. Of dropout nothing is kept but a slope, in the room of delta[k].

The map of threads to elements: in each phase the elements of the phase's *result* are dealt
out like cards. Of T threads, thread t owns the elements t, t + T, t + 2T, ... of a matrix
laid out row by row. An element is a whole sum, which its owner adds up in index order: no
atomics, no partial sums. So the result depends neither on T nor on who runs first. What is
made of a whole row (softmax) or a whole column (batch normalisation) belongs, in a phase of its
own, to the owner of that row or column.

Every condition around a barrier is made of settings, sizes and counters that are the same in all
threads: all arrive at it, or none.
"""

from layers import backward, forward
from network import LIMITS, Batch, Network
from numba import cuda
from optimise import descend, improve, norm_factor
from random_numbers import shuffle


@cuda.jit(**LIMITS)
def backprop(
    # The data, all samples; the state: parameters, what is remembered of them, averages.
    X, y, state,
    # Room for the descents, for z, for a deviation for each hidden unit, for two orders.
    descent, normal, deviation, order,
    # The layout, as in network.Network; the number of normalised units; the settings.
    layers, at, l_at, hidden, rules,
    # The samples of a batch, at least 1; the iteration to begin with, and those to record, in
    # increasing order.
    batch_size, start, checkpoints,
    # Results: state and error at each checkpoint; with `keep` the last update's l, error, delta.
    state_out, error_out, keep, kept,
):  # fmt: skip
    """Train from `state`, which is overwritten. To be launched with one block of any size.

    All arrays are flat but state_out, with a row for each checkpoint, and kept: kept[0], kept[1]
    and kept[2] receive l, error and delta, all with the layout of l.
    """
    t = cuda.threadIdx.x
    T = cuda.blockDim.x
    real = X.dtype.type
    last = layers.size - 1  # K: the output layer, and the number of weight matrices
    count = descent.size  # of parameters
    units = l_at[last + 1]
    samples = X.size // layers[0]
    outputs = layers[last]
    batches = (samples + batch_size - 1) // batch_size

    room = cuda.shared.array(0, X.dtype)  # as large as the launch says
    parameters = room[:count]
    l = room[count : count + units]
    delta = room[count + units : count + 2 * units]
    averages = state[state.size - 2 * hidden :]
    memory = state[count : state.size - 2 * hidden]  # empty without momentum and Adam
    net = Network(layers, at, l_at, parameters, l, delta, averages, normal, deviation, descent)

    for e in range(t, count, T):
        parameters[e] = state[e]
    # Read after write: a thread needs weights that others have copied.
    cuda.syncthreads()

    # [checkpoint]
    iteration = start
    c = 0  # the next checkpoint
    while True:
        # A checkpoint: the state, and the mean of |y - l[K]| over all samples. They go forward
        # batch by batch, because l has room for one batch.
        if iteration == checkpoints[c]:
            for e in range(t, state.size, T):
                state_out[c, e] = parameters[e] if e < count else state[e]
            total = real(0)
            for b in range(batches):
                first = b * batch_size
                batch = Batch(first, min(batch_size, samples - first), False, order)
                forward(X, net, batch, rules, iteration, False)
                if t == 0:
                    for e in range(batch.rows * outputs):
                        total += abs(y[first * outputs + e] - l[l_at[last] + e])
                # Write after read: the next forward pass overwrites l[K], without any barrier
                # before that if there is no hidden layer. (The state, read above, is written
                # only after barriers of the training pass.)
                cuda.syncthreads()
            if t == 0:
                error_out[c] = total / real(samples * outputs)
            c += 1
            if c == checkpoints.size:
                return
        # [/checkpoint]

        # The batch of this iteration, from places that follow each other in the epoch's order.
        if rules.shuffle and (iteration % batches == 0 or iteration == start):
            shuffle(order, iteration // batches, rules.philox_seed)
        first = iteration % batches * batch_size
        batch = Batch(first, min(batch_size, samples - first), rules.shuffle, order)

        forward(X, net, batch, rules, iteration, True)
        backward(y, net, batch, rules, keep, kept)
        if keep:
            for e in range(t, units, T):
                kept[0, e] = l[e]
                kept[2, e] = delta[e]
        # [update]
        descend(X, net, batch, rules)
        factor = norm_factor(net, rules)
        improve(net, memory, factor, rules, iteration)
        # [/update]
        # Read after write: the next forward pass reads weights of every owner. Write after
        # read: it overwrites l, and with dropout delta, which other threads may still be reading
        # for their descents; a shuffle overwrites the order, which their descents also read; and
        # the next descents overwrite these, which others may be reading for the norm.
        cuda.syncthreads()
        iteration += 1


@cuda.jit(**LIMITS)
def infer(X, state, layers, at, l_at, hidden, rules, batch_size, output):
    """Write the output for X, in inference. To be launched with one block of any size.

    All arrays are flat.
    """
    t = cuda.threadIdx.x
    T = cuda.blockDim.x
    last = layers.size - 1
    count = at[at.size - 1]
    samples = X.size // layers[0]
    outputs = layers[last]

    room = cuda.shared.array(0, X.dtype)
    parameters = room[:count]
    l = room[count : count + l_at[last + 1]]
    averages = state[state.size - 2 * hidden :]
    # l stands for what only training has.
    net = Network(layers, at, l_at, parameters, l, l, averages, l, l, l)

    for e in range(t, count, T):
        parameters[e] = state[e]
    # Read after write: a thread needs weights that others have copied.
    cuda.syncthreads()

    for b in range((samples + batch_size - 1) // batch_size):
        first = b * batch_size
        batch = Batch(first, min(batch_size, samples - first), False, layers)
        forward(X, net, batch, rules, 0, False)
        for e in range(t, batch.rows * outputs, T):
            output[first * outputs + e] = l[l_at[last] + e]
        # No barrier: the next forward pass gives each element of l[K] to the same thread.
