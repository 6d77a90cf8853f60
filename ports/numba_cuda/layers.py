"""Forward and backward through the layers of a batch, by all threads of a block.

i is a sample of the batch, m a unit of a layer, n a unit of the next. Elements are dealt out as
kernel.py says: of T threads, thread t owns the elements t, t + T, t + 2T, ... of a result that
is laid out row by row. Batch normalisation deals out a layer's units instead: thread t owns the
columns t, t + T, t + 2T, ... of that layer, and adds up each in the order of its rows.

In both, a condition around a barrier is made of k and of settings, the same in all threads.
"""

from network import SOFTMAX, activate, exp, inlined, place, slope, sqrt, trimmed
from numba import cuda
from random_numbers import FOR_DROPOUT, philox_word


# What element e of layer k hands on, from x, which its activation gets. With dropout, a dropped
# unit's output is 0 and a kept one's is scaled; backward needs the slope of the output before
# that, times the same factor. delta[k] is not in use until then, and keeps it.
@inlined
def unit_output(x, e, k, net, rules, iteration, training):
    real = net.l.dtype.type
    hidden = k < net.layers.size - 1
    output = activate(x, rules.activation if hidden else rules.output, real)
    if training and hidden and rules.dropped_below != 0:
        word = philox_word(e, iteration, k, FOR_DROPOUT, rules.philox_seed)
        factor = rules.kept_scale if word >= rules.dropped_below else real(0)
        net.delta[net.l_at[k] + e] = factor * slope(output, rules.activation, real)
        output *= factor
    return output


# Batch normalisation of unit n of hidden layer k in inference, with the running averages.
@inlined
def fixed_norm(x, n, k, net, rules):
    last = net.layers.size - 1
    gamma = net.at[last + k - 1] + n
    beta = net.at[2 * last + k - 2] + n
    h = gamma - net.at[last]  # its place among all hidden units
    variance = net.averages[net.averages.size // 2 + h]
    z = (x - net.averages[h]) / sqrt(variance + rules.norm_epsilon)
    return net.parameters[gamma] * z + net.parameters[beta]


# Batch normalisation of hidden layer k in training: from its weighted inputs, which l[k] holds,
# to its outputs. Only the owner of a unit touches its column, gamma, beta and averages here.
@cuda.jit(device=True, inline="always")
def normalise(k, net, batch, rules, iteration):
    real = net.l.dtype.type
    last = net.layers.size - 1
    units = net.layers[k]
    count = real(batch.rows)
    start = net.l_at[k]
    # Read after write: a unit's owner needs its column, whose elements others own.
    cuda.syncthreads()
    for m in range(cuda.threadIdx.x, units, cuda.blockDim.x):
        mean = real(0)
        for i in range(batch.rows):
            mean += net.l[start + i * units + m]
        mean /= count
        variance = real(0)
        for i in range(batch.rows):
            centred = net.l[start + i * units + m] - mean
            variance += centred * centred
        variance /= count
        deviation = sqrt(variance + rules.norm_epsilon)

        gamma = net.at[last + k - 1] + m
        beta = net.at[2 * last + k - 2] + m
        h = gamma - net.at[last]  # its place among all hidden units
        v = net.averages.size // 2 + h
        net.averages[h] += rules.norm_rate * (mean - net.averages[h])
        net.averages[v] += rules.norm_rate * (variance - net.averages[v])

        net.deviation[h] = deviation
        for i in range(batch.rows):
            e = i * units + m
            z = (net.l[start + e] - mean) / deviation
            net.normal[start + e] = z
            x = net.parameters[gamma] * z + net.parameters[beta]
            net.l[start + e] = unit_output(x, e, k, net, rules, iteration, True)


# Back through normalise: from the error e of gamma z + beta, which delta[k] holds, to
# delta[k]. The owner of a unit finds the z and the deviation here that it wrote itself.
@cuda.jit(device=True, inline="always")
def normalise_back(k, net, batch, rules):
    real = net.l.dtype.type
    last = net.layers.size - 1
    units = net.layers[k]
    count = real(batch.rows)
    start = net.l_at[k]
    # Read after write: a unit's owner needs its column, whose elements others own.
    cuda.syncthreads()
    for m in range(cuda.threadIdx.x, units, cuda.blockDim.x):
        of_gamma = real(0)
        of_beta = real(0)
        for i in range(batch.rows):
            e = start + i * units + m
            of_gamma += net.delta[e] * net.normal[e]
            of_beta += net.delta[e]
        gamma = net.at[last + k - 1] + m
        net.descent[gamma] = of_gamma
        net.descent[net.at[2 * last + k - 2] + m] = of_beta

        # With g = e gamma: (g - avg(g) - z avg(g z)) / deviation. gamma and deviation are the
        # same in all rows, so that they may come last.
        scale = net.parameters[gamma] / net.deviation[gamma - net.at[last]]
        of_gamma /= count
        of_beta /= count
        for i in range(batch.rows):
            e = start + i * units + m
            d = scale * (net.delta[e] - of_beta - net.normal[e] * of_gamma)
            net.delta[e] = trimmed(d, rules.trim_value, real)


# Compute l[1] ... l[K] of the batch. In inference nothing is done that belongs to training
# alone: no dropout, and batch normalisation by the running averages.
@cuda.jit(device=True, inline="always")
def forward(X, net, batch, rules, iteration, training):
    t = cuda.threadIdx.x
    T = cuda.blockDim.x
    real = net.l.dtype.type
    last = net.layers.size - 1

    # [forward]
    # l[k+1] = s([l[k], 1] syn[k]). Element e = (i, n) of l[k+1] is the output of unit n for
    # sample i: row i of l[k] times column n of syn[k], and the bias unit's weight to n.
    for k in range(last):
        inputs = net.layers[k]
        outputs = net.layers[k + 1]
        w = net.at[k]
        out = net.l_at[k + 1]
        normalised = rules.batch_norm and k + 1 < last
        for e in range(t, batch.rows * outputs, T):
            i = e // outputs
            n = e % outputs
            x = real(0)
            if k == 0:
                row = place(batch, i) * inputs
                for m in range(inputs):
                    x += X[row + m] * net.parameters[w + m * outputs + n]
            else:
                row = net.l_at[k] + i * inputs
                for m in range(inputs):
                    x += net.l[row + m] * net.parameters[w + m * outputs + n]
            if rules.bias:
                x += net.parameters[w + inputs * outputs + n]
            if normalised and training:
                net.l[out + e] = x
            else:
                if normalised:
                    x = fixed_norm(x, n, k + 1, net, rules)
                net.l[out + e] = unit_output(x, e, k + 1, net, rules, iteration, training)
        if normalised and training:
            normalise(k + 1, net, batch, rules, iteration)
        # Read after write: a row of l[k+1] has many owners, and the next layer, or softmax,
        # reads all of it; so does whoever takes the outputs of the last layer. With dropout
        # and batch normalisation, so do slopes in delta[k+1], which a unit's owner wrote.
        cuda.syncthreads()
    # [/forward]

    # Softmax: l[K] holds the weighted inputs. Its rows are dealt out instead of its elements:
    # the owner of row i makes both sums and all outputs of the row, in index order, and no
    # other thread reads or writes that row meanwhile.
    if rules.output == SOFTMAX:
        outputs = net.layers[last]
        start = net.l_at[last]
        for i in range(t, batch.rows, T):
            row = start + i * outputs
            largest = net.l[row]
            for n in range(1, outputs):
                if net.l[row + n] > largest:
                    largest = net.l[row + n]
            total = real(0)
            for n in range(outputs):
                net.l[row + n] = exp(net.l[row + n] - largest)
                total += net.l[row + n]
            for n in range(outputs):
                net.l[row + n] /= total
        # Read after write: from here on the elements are dealt out again, to other threads
        # than the rows.
        cuda.syncthreads()


# Compute delta[K] ... delta[1] of the batch, and with batch normalisation the descents of gamma
# and beta. With `keep`, error goes to kept[1].
@cuda.jit(device=True, inline="always")
def backward(y, net, batch, rules, keep, kept):
    t = cuda.threadIdx.x
    T = cuda.blockDim.x
    real = net.l.dtype.type
    last = net.layers.size - 1

    # [hidden-delta]
    # error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, and delta[k] = error[k] slope(l[k]),
    # trimmed. Element e = (i, m) is unit m of layer k for sample i: row i of delta[k+1] times
    # row m of syn[k], which is column m of the transpose. No error goes to the bias unit, so
    # the last row of syn[k] is not read.
    for k in range(last, 0, -1):
        units = net.layers[k]
        start = net.l_at[k]
        normalised = rules.batch_norm and k < last
        for e in range(t, batch.rows * units, T):
            i = e // units
            m = e % units
            # [output-delta]
            if k == last:
                error = y[place(batch, i) * units + m] - net.l[start + e]
                d = error
                if not rules.cross_entropy:
                    d *= slope(net.l[start + e], rules.output, real)
            # [/output-delta]
            else:
                outputs = net.layers[k + 1]
                row = net.l_at[k + 1] + i * outputs
                w = net.at[k] + m * outputs
                error = real(0)
                for n in range(outputs):
                    error += net.delta[row + n] * net.parameters[w + n]
                if rules.dropped_below != 0:  # unit_output left the slope, times its factor
                    d = error * net.delta[start + e]
                else:
                    d = error * slope(net.l[start + e], rules.activation, real)
            if keep:
                kept[1, start + e] = error
            net.delta[start + e] = d if normalised else trimmed(d, rules.trim_value, real)
        if normalised:
            normalise_back(k, net, batch, rules)
        # Read after write: the layer before this one, and the descent, read delta[k] of every
        # owner. After the last round, k = 1, it is write after read too: the update overwrites
        # the weights, and must not until every error has used them.
        cuda.syncthreads()
    # [/hidden-delta]
