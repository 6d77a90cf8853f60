"""Forward, and an update whose backward pass is autograd's.

    l[k]      (m, n_k)               output of layer k; l[0] is the batch
    x[k]      (m, n_k)               weighted inputs of layer k, for k = 1 ... K
    syn[k]    (n_k + bias, n_{k+1})  with bias, the last row is from a unit that is always 1

In an ensemble, all but l[0] have one axis more, their first: the networks. The loss is the
sum of all their losses. A weight affects only one of them, so its gradient belongs to its
own network's loss.

While it computes forward, PyTorch records each operation. `torch.autograd.grad` goes through
that record from a number back to whatever its gradient is asked for. The number here is minus
the loss, and so it finds what the article calls errors (at l) and deltas (at x), and descents (at
the parameters). No line of this port says how an error goes back; what it says is what training
descends: `loss` in layers.py.
"""

from typing import NamedTuple

import torch
from layers import ACTIVATIONS, TrimBack, drop, loss, normalise, normalise_by_averages, weighted
from optimise import improve
from random_numbers import permutation


class Pass(NamedTuple):
    """What a forward pass leaves."""

    x: list  # x[1] ... x[K]
    l: list  # l[0] ... l[K]
    means: list  # (1, n_k) of the batch, with batch normalisation, for k = 1 ... K-1
    variances: list
    last_x: torch.Tensor | None = None  # x[K] as it goes into the loss: behind what trims its delta


def forward(X, state, settings, iteration=None):
    """From the first layer up; without an iteration, inference."""
    # [forward]
    result, last = Pass([], [X], [], []), len(state.syn)
    for k in range(1, last + 1):
        x = weighted(result.l[k - 1], state.syn[k - 1], settings.bias)
        result.x.append(x)
        if settings.trim_value:
            x = TrimBack.apply(x, settings.trim_value)
        if k == last:
            break
        if settings.batch_norm:
            scale = state.gamma[k - 1], state.beta[k - 1], settings.norm_epsilon
            if iteration is None:
                x = normalise_by_averages(x, *scale, state.mean[k - 1], state.variance[k - 1])
            else:
                x, mean, variance = normalise(x, *scale)
                result.means.append(mean)
                result.variances.append(variance)
        l = ACTIVATIONS[settings.activation](x)
        if settings.dropout and iteration is not None:
            l = drop(l, settings, iteration, k)
        result.l.append(l)
    result.l.append(ACTIVATIONS[settings.output](x))
    return result._replace(last_x=x)
    # [/forward]


def update(X, y, state, settings, iteration, trace=False):
    """One update of the state, in place; with `trace`, returns l, error and delta of 1 ... K."""
    X, y = batch(X, y, settings, iteration)
    # [output-delta]
    # [hidden-delta]
    now = forward(X, state, settings, iteration)
    total = loss(now.last_x, now.l[-1], y, settings)
    deltas, errors = (now.x, now.l[1:-1]) if trace else ([], [])
    # Of minus the loss, the gradients at x are the deltas of all layers, and at l hidden errors.
    # What is asked for is in one list, so that one pass back finds all of it.
    # [update]
    found = torch.autograd.grad(-total, [*state.parameters, *deltas, *errors])
    # [/hidden-delta]
    # [/output-delta]
    descent = list(found[: len(state.parameters)])
    with torch.no_grad():
        # The weights change only now: the pass back above used the old ones.
        improve(state, descent, settings, iteration)
        # [/update]
        averages, batches = (*state.mean, *state.variance), (*now.means, *now.variances)
        for average, of_batch in zip(averages, batches, strict=True):
            average += settings.norm_rate * (of_batch - average)
    # [output-delta]
    # [hidden-delta]
    deltas, errors = found[len(descent) :][: len(deltas)], found[len(descent) + len(deltas) :]
    return now.l[1:], [*errors, y - now.l[-1]], deltas
    # [/hidden-delta]
    # [/output-delta]


def batch(X, y, settings, iteration):
    """The samples of an update: views of the data, or with shuffling copies of rows."""
    size = min(settings.batch_size or len(X), len(X))
    batches = -(-len(X) // size)
    rows = slice(iteration % batches * size, iteration % batches * size + size)
    if settings.shuffle:
        rows = permutation(len(X), settings.philox_seed, iteration // batches)[rows]
    return X[rows], y[rows]


@torch.no_grad()
def infer(X, state, settings):
    """The outputs l[K], without anything that belongs to training alone; nothing is recorded."""
    return forward(X, state, settings).l[-1]


# [checkpoint]
def mean_error(output_error):
    """The mean of |y - output| over samples and outputs, of each network."""
    return output_error.abs().mean(dim=(-2, -1)).numpy(force=True)
    # [/checkpoint]
