"""What one layer of a plain network computes, for `rows` samples of a batch.

    output, error, delta   (m, n)         of this layer; next_delta (m, n') of the next one
    weights                (n + bias, n') from this layer to the next; with bias, the last row is
                                          from a unit that is always 1

A batch starts at row `first` of the data, and at row 0 of all other arrays.
"""

import numpy as np
from compiling import inlined

# LINEAR is no activation of a network. It stands for the slope, 1, of an output layer that
# cancels against the slope of cross-entropy, and for a layer whose own stages are still to come.
SIGMOID, TANH, RELU, SOFTMAX, LINEAR = range(5)
ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU, "softmax": SOFTMAX}


@inlined
def outputs(l_in, weights, l_out, first, rows, bias, kind):
    """l_out = s(l_in weights): row 0 of l_out belongs to row `first` of l_in."""
    # [forward]
    inputs = weights.shape[0] - bias
    for i in range(rows):
        for n in range(weights.shape[1]):
            x = weights.dtype.type(0)
            for m in range(inputs):
                x += l_in[first + i, m] * weights[m, n]
            if bias:
                x += weights[inputs, n]
            l_out[i, n] = activate(x, kind)
        if kind == SOFTMAX:
            softmax(l_out, i)
    # [/forward]


@inlined
def activate(x, kind):
    """A unit's output from the sum of its inputs; that of softmax depends on the whole row."""
    one = type(x)(1)  # a literal 1.0 would turn float32 into float64
    if kind == SIGMOID:
        return one / (one + np.exp(-x))
    if kind == TANH:
        return np.tanh(x)
    if kind == RELU:
        return max(x, type(x)(0))
    return x


@inlined
def softmax(l, i):
    """Row i, shifted by its maximum, so that no exp overflows."""
    largest, total = l[i, 0], l.dtype.type(0)
    for n in range(l.shape[1]):
        largest = max(largest, l[i, n])
    for n in range(l.shape[1]):
        l[i, n] = np.exp(l[i, n] - largest)
        total += l[i, n]
    for n in range(l.shape[1]):
        l[i, n] /= total


@inlined
def slope(output, kind):
    """The activation's derivative, from its output."""
    one = type(output)(1)
    if kind == SIGMOID:
        return output * (one - output)
    if kind == TANH:
        return one - output * output
    if kind == RELU:
        return one if output > 0 else type(output)(0)
    return one


@inlined
def output_layer(y, output, error, delta, first, rows, kind, limit):
    """error = y - output, delta = error slope(output)"""
    # [output-delta]
    for i in range(rows):
        for n in range(output.shape[1]):
            e = y[first + i, n] - output[i, n]
            error[i, n] = e
            delta[i, n] = trimmed(e * slope(output[i, n], kind), limit)
    # [/output-delta]


@inlined
def hidden_layer(next_delta, weights, output, error, delta, rows, kind, limit):
    """error = next_delta weights^T, delta = error slope(output); none for the bias unit's row"""
    # [hidden-delta]
    for i in range(rows):
        for m in range(output.shape[1]):
            e = output.dtype.type(0)
            for n in range(weights.shape[1]):
                e += next_delta[i, n] * weights[m, n]
            error[i, m] = e
            delta[i, m] = trimmed(e * slope(output[i, m], kind), limit)
    # [/hidden-delta]


@inlined
def trimmed(delta, limit):
    """Between -limit and limit, which is infinite without trimming."""
    return min(max(delta, -limit), limit)


@inlined
def descend(l_in, next_delta, descent, first, rows, bias):
    """descent = l_in^T next_delta, a sum over the batch; the input of a bias unit is 1."""
    # [update]
    inputs = descent.shape[0] - bias
    for m in range(inputs):
        for n in range(descent.shape[1]):
            total = descent.dtype.type(0)
            for i in range(rows):
                total += l_in[first + i, m] * next_delta[i, n]
            descent[m, n] = total
    if bias:
        for n in range(descent.shape[1]):
            total = descent.dtype.type(0)
            for i in range(rows):
                total += next_delta[i, n]
            descent[inputs, n] = total
    # [/update]
