"""Rung 5: many networks, each by one thread: no thread ever waits for another.

3-4-1 with 4 samples, K networks that learn the same from different initial weights. Thread k owns
network k, and does all that rung 1 does, in registers. One network is as slow as there; but a
multiprocessor has hundreds of threads at hand, and while one waits for its exp, others compute. So
the time of an iteration hardly grows until all arithmetic units are busy.

    syn0 (12, K)   syn0[4 m + j, k] is syn0[m, j] of network k
    syn1 (4, K)

That is a structure of arrays. The threads of a warp read weight e of 32 neighbouring networks at
the same time, which lie beside each other: two transactions of 128 bytes in float64, one in
float32. As the host has them, all weights of a network together, neighbouring threads would read 96
bytes apart, and a transaction would fetch mostly what is used later, if it is still in the cache.
The host transposes (host.ensembles), one pass over the weights; since a launch reads and writes
each weight once and makes many iterations in between, both matter only for few iterations.

A launch goes from a checkpoint to the next: the weights wait in global memory meanwhile.

Inside, the samples come one after the other, forward and backward at once, and their descents add
up in registers: no weight changes before the last sample. Every loop has a constant length and is
unrolled, so that each element of the small arrays is a register; compile_ladder.py sees to it that
none is in memory. i is a sample, m an input, j a hidden unit.
"""

import host
from device import cuda, sigmoid

BLOCK = 128
SAMPLES, INPUTS, HIDDEN = 4, 3, 4
WEIGHTS = INPUTS * HIDDEN  # of syn0: the size of a local array is a name or a number


@cuda.jit(launch_bounds=BLOCK)
def advance(X, y, syn0, syn1, alpha, updates, error_out, keep, layer1, layer2):
    """So many updates, and the error after them. One thread a network; a last block may have more.

    With `keep`, the one network's layer1 is (l1, l1_error, l1_delta) of the first update; so is
    layer2.
    """
    k = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if k >= syn0.shape[1]:
        return  # nobody waits for this thread
    real = X.dtype.type
    a = cuda.local.array(WEIGHTS, X.dtype)
    a_descent = cuda.local.array(WEIGHTS, X.dtype)
    b = cuda.local.array(HIDDEN, X.dtype)
    b_descent = cuda.local.array(HIDDEN, X.dtype)
    l1 = cuda.local.array(HIDDEN, X.dtype)
    for e in range(WEIGHTS):
        a[e] = syn0[e, k]
    for j in range(HIDDEN):
        b[j] = syn1[j, k]

    # [checkpoint]
    for iteration in range(updates + 1):
        for e in range(WEIGHTS):
            a_descent[e] = real(0)
        for j in range(HIDDEN):
            b_descent[j] = real(0)
        total = real(0)
        # [/checkpoint]
        # [forward]
        for i in range(SAMPLES):
            x = real(0)
            for j in range(HIDDEN):
                h = real(0)
                for m in range(INPUTS):
                    h += X[i, m] * a[HIDDEN * m + j]
                l1[j] = sigmoid(h, real)
                x += l1[j] * b[j]
            l2 = sigmoid(x, real)
            # [/forward]
            # [output-delta]
            l2_error = y[i, 0] - l2
            l2_delta = l2_error * (l2 * (real(1) - l2))
            # [/output-delta]
            # [checkpoint]
            total += abs(l2_error)
            # [/checkpoint]
            # [update]
            # [hidden-delta]
            for j in range(HIDDEN):
                l1_error = l2_delta * b[j]
                l1_delta = l1_error * (l1[j] * (real(1) - l1[j]))
                # [/hidden-delta]
                b_descent[j] += l1[j] * l2_delta
                for m in range(INPUTS):
                    a_descent[HIDDEN * m + j] += X[i, m] * l1_delta
                # [/update]
                if keep and iteration == 0:
                    layer1[0, i, j], layer1[1, i, j], layer1[2, i, j] = l1[j], l1_error, l1_delta
            if keep and iteration == 0:
                layer2[0, i, 0], layer2[1, i, 0], layer2[2, i, 0] = l2, l2_error, l2_delta
        # [checkpoint]
        # The last round is for the error alone.
        if iteration == updates:
            error_out[k] = total / real(SAMPLES)
        # [/checkpoint]
        else:
            # [update]
            for e in range(WEIGHTS):
                a[e] += alpha * a_descent[e]
            for j in range(HIDDEN):
                b[j] += alpha * b_descent[j]
            # [/update]

    # [checkpoint]
    for e in range(WEIGHTS):
        syn0[e, k] = a[e]
    for j in range(HIDDEN):
        syn1[j, k] = b[j]
    # [/checkpoint]


train, step = host.ensembles(advance, 1, BLOCK, transposed=True)
device, device_seconds = host.device, host.device_seconds
