"""The loops over layers and iterations.

A network is a tuple of 2-D arrays of one type, so `syn[k]` works with a k known only at run
time. Each depth and each dtype is compiled once and kept in Numba's cache.

    l[k]         (m, n_k)               l[0] is X, all of it
    delta[k]     (m, n_k)               for k = 1 ... K; delta[0] is not used; error likewise
    syn[k]       (n_k + bias, n_{k+1})  with bias, the last row is from a unit that is always 1
    descent[k]   like syn[k]            what is added to syn[k] after a factor alpha

Updates see the parameters and their descents as 1-D arrays too, one after the other: see
optimise.py. So `descents` is all of `descent`, and that of gamma and beta.

A batch is `rows` samples of X and y, from row `first` on; in all other arrays it has the first
`rows` rows. So none has to be cut out of another.

`more` is None for a plain network. Numba then leaves out everything that depends on it: a
plain network spends no time on it, neither to compile nor to run.
"""

from typing import NamedTuple

import numpy as np
from compiling import compiled, inlined
from layers import LINEAR, descend, hidden_layer, output_layer, outputs
from optimise import adam, decay, move, shrink
from random_numbers import permutation
from stages import INFERENCE, Hidden, Rules, stages_back, stages_forward


class More(NamedTuple):
    """What shuffling, dropout, batch normalisation and Adam need, whichever of them are used."""

    rules: Rules
    hidden: tuple[Hidden, ...]  # hidden[k] is of layer k; hidden[0] is not used
    X: np.ndarray  # the samples in their own order; with shuffling, l[0] and y have an epoch's
    y: np.ndarray
    v: np.ndarray  # like the parameters: Adam's averages of squares


@inlined
def forward(l, syn, first, rows, bias, activation, output, more, iteration):
    """From the first layer up: l[k + 1] from l[k]."""
    # [forward]
    last = len(syn) - 1
    for k in range(len(syn)):
        start = first if k == 0 else 0
        if k == last:
            kind = output
        elif more is None:
            kind = activation
        else:
            kind = LINEAR  # the weighted inputs alone
        outputs(l[k], syn[k], l[k + 1], start, rows, bias, kind)
        if more is not None and k < last:
            hidden = more.hidden[k + 1]
            stages_forward(l[k + 1], hidden, more.rules, rows, activation, iteration, k + 1)
    # [/forward]


@inlined
def backward(l, error, delta, syn, y, first, rows, activation, output, limit, more):
    """From the last layer down: error[k], then delta[k], with all weights still unchanged."""
    # [output-delta]
    last = len(syn)
    output_layer(y, l[last], error[last], delta[last], first, rows, output, limit)
    # [/output-delta]
    # [hidden-delta]
    for k in range(last - 1, 0, -1):
        if more is None:
            hidden_layer(delta[k + 1], syn[k], l[k], error[k], delta[k], rows, activation, limit)
        else:
            no_limit = type(limit)(np.inf)  # what is trimmed is the delta, and it is not yet one
            hidden_layer(delta[k + 1], syn[k], l[k], error[k], delta[k], rows, LINEAR, no_limit)
            stages_back(delta[k], more.hidden[k], more.rules, rows, activation, limit)
    # [/hidden-delta]


@compiled
def advance(
    l, error, delta, syn, descent, y, parameters, velocity, descents, decays, start, end,
    alpha, bias, activation, output, output_slope, batch_size, trim_value, trim_norm, l1, l2,
    momentum, nesterov, more,
):  # fmt: skip
    """Updates number `start` to `end` - 1. All use the old weights until the last lines."""
    batches = (len(y) - 1) // batch_size + 1
    for iteration in range(start, end):
        new_epoch = iteration % batches == 0 or iteration == start
        if more is not None and more.rules.shuffle and new_epoch:
            order = permutation(len(y), more.rules.philox_seed, iteration // batches)
            reorder(more.X, l[0], order)
            reorder(more.y, y, order)
        first = iteration % batches * batch_size if batches > 1 else 0
        rows = min(batch_size, len(y) - first)
        forward(l, syn, first, rows, bias, activation, output, more, iteration)
        backward(l, error, delta, syn, y, first, rows, activation, output_slope, trim_value, more)
        # [update]
        for k in range(len(syn)):
            start_row = first if k == 0 else 0
            descend(l[k], delta[k + 1], descent[k], start_row, rows, bias)
        # [/update]
        if trim_norm > 0:
            shrink(descents, trim_norm)
        if l1 != 0 or l2 != 0:
            decay(descents, parameters, decays, l1, l2)
        # [update]
        if more is None:
            move(parameters, velocity, descents, alpha, momentum, nesterov)
        # [/update]
        elif more.rules.adam:
            adam(parameters, velocity, more.v, descents, alpha, more.rules, iteration + 1)
        else:
            move(parameters, velocity, descents, alpha, momentum, nesterov)


@compiled
def infer(l, syn, bias, activation, output, more):
    """A forward pass of all samples."""
    forward(l, syn, 0, len(l[0]), bias, activation, output, more, INFERENCE)


@compiled
def reorder(source, target, order):
    """Row i of target = row order[i] of source."""
    for i in range(len(order)):
        for n in range(source.shape[1]):
            target[i, n] = source[order[i], n]


@compiled
# [checkpoint]
def mean_error(output, y):
    """The mean of |y - output| over samples and outputs."""
    total = output.dtype.type(0)
    for i in range(output.shape[0]):
        for n in range(output.shape[1]):
            total += abs(y[i, n] - output[i, n])
    return total / output.dtype.type(output.size)
    # [/checkpoint]
