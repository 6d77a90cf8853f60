"""Rung 1: one thread does everything, as a program for a CPU would.

A launch of one block of one thread is a whole run. There is nothing to agree on with anybody, so
that there is no barrier, and nothing is done twice. It is the slowest way to use a GPU: a thread
issues an instruction every few clocks at best, waits some 4 clocks for a sum, 30 for what is in
the L1 cache, and nobody else is there to use the time.

i is a sample, m an input, j a hidden unit, n an output. All matrices are row-major, and lie in
global memory:

    X (samples, inputs)   y (samples, outputs)   syn0 (inputs, hidden)   syn1 (hidden, outputs)
    layer1 (3, samples, hidden)    l1, l1_error, l1_delta
    layer2 (3, samples, outputs)   l2, l2_error, l2_delta

syn0 and syn1 are updated in place; syn0_out, syn1_out and error_out have a row for each checkpoint.
With `keep` the kernel returns before it computes l1 and l2 again, so that those of the last update
are left, for `step`.
"""

import host
from device import cuda, sigmoid

# Samples times weights: beyond it, one thread would take about a second an iteration, or more.
MOST_WORK = 10_000_000


@cuda.jit
def train_kernel(
    X, y, syn0, syn1, alpha, checkpoints, syn0_out, syn1_out, error_out, keep, layer1, layer2
):  # fmt: skip
    """To be launched with one thread."""
    real = X.dtype.type
    samples, inputs = X.shape
    hidden, outputs = syn1.shape
    l1, l1_error, l1_delta = layer1[0], layer1[1], layer1[2]
    l2, l2_error, l2_delta = layer2[0], layer2[1], layer2[2]

    # [checkpoint]
    iteration = 0
    c = 0  # the next checkpoint
    while True:
        due = iteration == checkpoints[c]
        if due:
            for j in range(hidden):
                for m in range(inputs):
                    syn0_out[c, m, j] = syn0[m, j]
                for n in range(outputs):
                    syn1_out[c, j, n] = syn1[j, n]
            if keep:
                return
        # [/checkpoint]

        # [forward]
        # l1 = s(X syn0), l2 = s(l1 syn1)
        for i in range(samples):
            for j in range(hidden):
                x = real(0)
                for m in range(inputs):
                    x += X[i, m] * syn0[m, j]
                l1[i, j] = sigmoid(x, real)
            for n in range(outputs):
                x = real(0)
                for j in range(hidden):
                    x += l1[i, j] * syn1[j, n]
                l2[i, n] = sigmoid(x, real)
        # [/forward]

        # [checkpoint]
        if due:
            total = real(0)
            for i in range(samples):
                for n in range(outputs):
                    total += abs(y[i, n] - l2[i, n])
            error_out[c] = total / real(samples * outputs)
            c += 1
            if c == checkpoints.size:
                return
        # [/checkpoint]

        # [hidden-delta]
        # All deltas before any weight is changed.
        for i in range(samples):
            # [output-delta]
            for n in range(outputs):
                l2_error[i, n] = y[i, n] - l2[i, n]
                l2_delta[i, n] = l2_error[i, n] * (l2[i, n] * (real(1) - l2[i, n]))
            # [/output-delta]
            for j in range(hidden):
                x = real(0)
                for n in range(outputs):
                    x += l2_delta[i, n] * syn1[j, n]
                l1_error[i, j] = x
                l1_delta[i, j] = x * (l1[i, j] * (real(1) - l1[i, j]))
        # [/hidden-delta]

        # [update]
        # syn1 += alpha l1^T l2_delta, syn0 += alpha X^T l1_delta
        for j in range(hidden):
            for n in range(outputs):
                x = real(0)
                for i in range(samples):
                    x += l1[i, j] * l2_delta[i, n]
                syn1[j, n] += alpha * x
            for m in range(inputs):
                x = real(0)
                for i in range(samples):
                    x += X[i, m] * l1_delta[i, j]
                syn0[m, j] += alpha * x
        # [/update]
        iteration += 1


def one_thread(samples, layers, dtype):
    inputs, hidden, outputs = layers
    if samples * hidden * (inputs + outputs) > MOST_WORK:
        raise NotImplementedError("One thread is too slow for such a network.")
    return 1, 0


train, step = host.whole_runs(train_kernel, one_thread)
device, device_seconds = host.device, host.device_seconds
