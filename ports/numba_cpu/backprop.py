"""Backpropagation in Numba, compiled for the CPU: the loops that NumPy hides, written out.

A network is a tuple of 2-D arrays of one type, so `syn[k]` works with a k known only at run
time. Each depth and each dtype is compiled once and kept in Numba's cache.

    l[k]         (m, n_k)               l[0] is X, all of it
    delta[k]     (m, n_k)               for k = 1 ... K; delta[0] is not used; error likewise
    syn[k]       (n_k + bias, n_{k+1})  with bias, the last row is from a unit that is always 1
    descent[k]   like syn[k]            what is added to syn[k] after a factor alpha
    velocity[k]  like syn[k]            only used with momentum

A batch is `rows` samples of X and y, from row `first` on; in all other arrays it has the first
`rows` rows. So none has to be cut out of another.
"""

import numpy as np
from numba import njit

# NumPy's error model: 1 / 0 is inf, as in C, so no division is checked. Inlined, since each
# array that is handed to a function costs an atomic reference count: half the time here.
compiled = njit(cache=True, error_model="numpy", inline="always")

# LINEAR is no activation of a network: its slope, 1, stands for that of an output layer that
# cancels against the slope of cross-entropy.
SIGMOID, TANH, RELU, SOFTMAX, LINEAR = range(5)
ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU, "softmax": SOFTMAX}


@compiled
def forward(l, syn, first, rows, bias, activation, output):
    for k in range(len(syn)):
        l_in, l_out, weights = l[k], l[k + 1], syn[k]
        kind = output if k == len(syn) - 1 else activation
        start = first if k == 0 else 0
        inputs = weights.shape[0] - bias
        for i in range(rows):
            for n in range(weights.shape[1]):
                x = weights.dtype.type(0)
                for m in range(inputs):
                    x += l_in[start + i, m] * weights[m, n]
                if bias:
                    x += weights[inputs, n]
                l_out[i, n] = activate(x, kind)
            if kind == SOFTMAX:
                softmax(l_out, i)


@compiled
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


@compiled
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


@compiled
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


@compiled
def backward(l, error, delta, syn, y, first, rows, activation, output, limit):
    """From the last layer down: error[k], then delta[k], with all weights still unchanged."""
    last = len(syn)
    output_layer(y, l[last], error[last], delta[last], first, rows, output, limit)
    for k in range(last - 1, 0, -1):
        hidden_layer(delta[k + 1], syn[k], l[k], error[k], delta[k], rows, activation, limit)


@compiled
def output_layer(y, output, error, delta, first, rows, kind, limit):
    """error = y - output, delta = error slope(output)"""
    for i in range(rows):
        for n in range(output.shape[1]):
            e = y[first + i, n] - output[i, n]
            error[i, n] = e
            delta[i, n] = trimmed(e * slope(output[i, n], kind), limit)


@compiled
def hidden_layer(next_delta, weights, output, error, delta, rows, kind, limit):
    """error = next_delta weights^T, delta = error slope(output); none for the bias unit's row"""
    for i in range(rows):
        for m in range(output.shape[1]):
            e = output.dtype.type(0)
            for n in range(weights.shape[1]):
                e += next_delta[i, n] * weights[m, n]
            error[i, m] = e
            delta[i, m] = trimmed(e * slope(output[i, m], kind), limit)


@compiled
def trimmed(delta, limit):
    """Between -limit and limit, which is infinite without trimming."""
    return min(max(delta, -limit), limit)


@compiled
def descend(l, delta, descent, first, rows, bias):
    """descent = l^T delta, a sum over the batch; l of a bias unit is 1."""
    for k in range(len(descent)):
        l_in, l_delta, target = l[k], delta[k + 1], descent[k]
        start = first if k == 0 else 0
        inputs = target.shape[0] - bias
        for m in range(inputs):
            for n in range(target.shape[1]):
                total = target.dtype.type(0)
                for i in range(rows):
                    total += l_in[start + i, m] * l_delta[i, n]
                target[m, n] = total
        if bias:
            for n in range(target.shape[1]):
                total = target.dtype.type(0)
                for i in range(rows):
                    total += l_delta[i, n]
                target[inputs, n] = total


@compiled
def shrink(descent, limit):
    """Scale all of it, so that the root of the sum of all squares is at most `limit`."""
    squares = descent[0].dtype.type(0)
    for k in range(len(descent)):
        for d in descent[k].flat:
            squares += d * d
    norm = np.sqrt(squares)
    if norm > limit:
        for k in range(len(descent)):
            target = descent[k]
            for m in range(target.shape[0]):
                for n in range(target.shape[1]):
                    target[m, n] *= limit / norm


@compiled
def decay(descent, syn, bias, l1, l2):
    """Take the slope of l1 |w| + l2 w^2 / 2 off, but not for the bias unit's row."""
    for k in range(len(syn)):
        target, weights = descent[k], syn[k]
        for m in range(weights.shape[0] - bias):
            for n in range(weights.shape[1]):
                target[m, n] -= l2 * weights[m, n] + l1 * np.sign(weights[m, n])


@compiled
def move(syn, velocity, descent, alpha, momentum, nesterov):
    """syn += alpha descent; with momentum, alpha times the velocity, or a step ahead of it."""
    for k in range(len(syn)):
        weights, moving, target = syn[k], velocity[k], descent[k]
        for m in range(weights.shape[0]):
            for n in range(weights.shape[1]):
                d = target[m, n]
                if momentum > 0:
                    v = momentum * moving[m, n] + d
                    moving[m, n] = v
                    d = d + momentum * v if nesterov else v
                weights[m, n] += alpha * d


@compiled
def mean_error(output, y):
    total = output.dtype.type(0)
    for i in range(output.shape[0]):
        for n in range(output.shape[1]):
            total += abs(y[i, n] - output[i, n])
    return total / output.dtype.type(output.size)


# Compiled once for each depth and dtype, with all of the above in it.
@njit(cache=True, error_model="numpy")
def advance(
    l, error, delta, syn, velocity, descent, y, start, end,
    alpha, bias, activation, output, output_slope, batch_size, trim_value, trim_norm, l1, l2,
    momentum, nesterov,
):  # fmt: skip
    """Updates number `start` to `end` - 1. All use the old weights until `move`."""
    batches = (len(y) - 1) // batch_size + 1
    for iteration in range(start, end):
        first = iteration % batches * batch_size if batches > 1 else 0
        rows = min(batch_size, len(y) - first)
        forward(l, syn, first, rows, bias, activation, output)
        backward(l, error, delta, syn, y, first, rows, activation, output_slope, trim_value)
        descend(l, delta, descent, first, rows, bias)
        if trim_norm > 0:
            shrink(descent, trim_norm)
        if l1 != 0 or l2 != 0:
            decay(descent, syn, bias, l1, l2)
        move(syn, velocity, descent, alpha, momentum, nesterov)


@njit(cache=True, error_model="numpy")
def evaluate(l, syn, y, bias, activation, output):
    """A forward pass of all samples; returns the error of the weights."""
    forward(l, syn, 0, len(y), bias, activation, output)
    return mean_error(l[-1], y)


class Network:
    """The arrays to compute in, the state copied, and the settings as numbers of the dtype."""

    def __init__(
        self, X, y, state, *, alpha, bias=False, activation="sigmoid", output="sigmoid",
        loss="squared", batch_size=0, trim_value=0.0, trim_norm=0.0, l1=0.0, l2=0.0,
        momentum=0.0, nesterov=False,
    ):  # fmt: skip
        real = X.dtype.type
        matrices = tuple(w.copy() for w in state)
        count = len(state) // 2 if momentum else len(state)
        self.state, self.syn, self.y = list(matrices), matrices[:count], y
        self.velocity = matrices[count:] if momentum else self.syn
        self.descent = tuple(np.empty_like(w) for w in self.syn)
        layers = [X.shape[1], *(w.shape[1] for w in self.syn)]
        room = [tuple(np.empty((len(X), n), dtype=X.dtype) for n in layers) for _ in range(3)]
        self.l, self.error, self.delta = (X, *room[0][1:]), room[1], room[2]
        self.batch_size = min(batch_size or len(X), len(X))
        self.forward = int(bias), ACTIVATIONS[activation], ACTIVATIONS[output]
        self.rules = (
            real(alpha),
            *self.forward,
            LINEAR if loss == "cross-entropy" else ACTIVATIONS[output],
            self.batch_size,
            real(trim_value or np.inf),
            *(real(value) for value in (trim_norm, l1, l2, momentum)),
            nesterov,
        )

    def advance(self, start, end):
        arrays = self.l, self.error, self.delta, self.syn, self.velocity, self.descent, self.y
        advance(*arrays, start, end, *self.rules)

    def mean_error(self):
        return evaluate(self.l, self.syn, self.y, *self.forward)


def train(X, y, state, checkpoints, **settings):
    network = Network(X, y, state, **settings)
    iteration = 0
    for n in checkpoints:
        network.advance(iteration, n)
        iteration = n
        yield n, network.mean_error(), network.state


def step(X, y, state, *, iteration=0, **settings):
    network = Network(X, y, state, **settings)
    network.advance(iteration, iteration + 1)
    batches = [len(X[at : at + network.batch_size]) for at in range(0, len(X), network.batch_size)]
    rows = batches[iteration % len(batches)]
    tensors = network.l, network.error, network.delta
    return *([a[:rows] for a in arrays[1:]] for arrays in tensors), network.state
