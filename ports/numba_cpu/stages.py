"""What batch normalisation and dropout put around a hidden layer's activation.

Forward, a layer's weighted inputs x become its output l[k], in place: normalised, activated,
dropped. Backward, its error becomes its delta the same way. A network without batch
normalisation and dropout never comes here: see `outputs` and `hidden_layer` in layers.py.
"""

from typing import NamedTuple

import numpy as np
from compiling import compiled
from layers import activate, slope, trimmed
from random_numbers import FOR_DROPOUT, words

INFERENCE = np.int64(-1)  # in place of an iteration; a Python int would be a type of its own


class Hidden(NamedTuple):
    """The arrays of one hidden layer, beside its l, error and delta."""

    own: np.ndarray  # (m, n_k): the activation's own output, before dropout
    factor: np.ndarray  # (m, n_k): what dropout multiplies it by
    normal: np.ndarray  # (m, n_k): z, the weighted inputs with mean 0 and deviation 1
    deviation: np.ndarray  # (1, n_k), of the batch; as all that follow, a number for each unit
    gamma: np.ndarray  # the deviation and the mean that the layer learns to have instead
    beta: np.ndarray
    gamma_descent: np.ndarray
    beta_descent: np.ndarray
    mean: np.ndarray  # running averages of the batches' means and variances
    variance: np.ndarray


class Rules(NamedTuple):
    """The settings that a plain network does not have; real numbers have the dtype."""

    batch_norm: bool
    norm_epsilon: float
    norm_rate: float
    dropout: bool
    least_kept: int  # the least random word, as uint64, whose unit is kept
    scale: float  # 1 / (1 - dropout)
    shuffle: bool
    philox_seed: int  # as uint64
    adam: bool
    beta1: float
    beta2: float
    adam_epsilon: float


@compiled
def stages_forward(x, hidden, rules, rows, activation, iteration, k):
    """Weighted inputs to outputs, of layer k; INFERENCE is without what belongs to training."""
    if rules.batch_norm:
        if iteration == INFERENCE:
            normalise_by_averages(x, hidden, rows, rules.norm_epsilon)
        else:
            normalise(x, hidden, rows, rules.norm_epsilon, rules.norm_rate)
    for i in range(rows):
        for n in range(x.shape[1]):
            x[i, n] = activate(x[i, n], activation)
            hidden.own[i, n] = x[i, n]
    if rules.dropout and iteration != INFERENCE:
        drop(x, hidden.factor, rules, rows, iteration, k)


@compiled
def stages_back(delta, hidden, rules, rows, activation, limit):
    """Errors of the outputs to deltas."""
    for i in range(rows):
        for n in range(delta.shape[1]):
            delta[i, n] *= hidden.factor[i, n] * slope(hidden.own[i, n], activation)
    if rules.batch_norm:
        normalise_back(delta, hidden, rows)
    for i in range(rows):
        for n in range(delta.shape[1]):
            delta[i, n] = trimmed(delta[i, n], limit)


@compiled
def drop(l, factor, rules, rows, iteration, k):
    """Leave units out at random, and scale the others to make up for them."""
    units = l.shape[1]
    drawn = words(rows * units, rules.philox_seed, iteration, k, FOR_DROPOUT)
    for i in range(rows):
        for n in range(units):
            kept = drawn[i * units + n] >= rules.least_kept
            factor[i, n] = rules.scale if kept else l.dtype.type(0)
            l[i, n] *= factor[i, n]


@compiled
def normalise(x, hidden, rows, epsilon, rate):
    """Each unit gets mean beta and deviation gamma over the batch; the averages follow."""
    count = x.dtype.type(rows)  # an integer would turn float32 into float64
    for n in range(x.shape[1]):
        mean, variance = x.dtype.type(0), x.dtype.type(0)
        for i in range(rows):
            mean += x[i, n]
        mean /= count
        for i in range(rows):
            variance += (x[i, n] - mean) * (x[i, n] - mean)
        variance /= count
        deviation = np.sqrt(variance + epsilon)
        for i in range(rows):
            z = (x[i, n] - mean) / deviation
            hidden.normal[i, n] = z
            x[i, n] = hidden.gamma[0, n] * z + hidden.beta[0, n]
        hidden.deviation[0, n] = deviation
        hidden.mean[0, n] += rate * (mean - hidden.mean[0, n])
        hidden.variance[0, n] += rate * (variance - hidden.variance[0, n])


@compiled
def normalise_back(delta, hidden, rows):
    """A batch's mean and deviation depend on every row, so each row's delta on all errors."""
    count = delta.dtype.type(rows)
    for n in range(delta.shape[1]):
        gamma_descent, beta_descent = delta.dtype.type(0), delta.dtype.type(0)
        for i in range(rows):
            gamma_descent += delta[i, n] * hidden.normal[i, n]
            beta_descent += delta[i, n]
        hidden.gamma_descent[0, n] = gamma_descent
        hidden.beta_descent[0, n] = beta_descent
        gamma, deviation = hidden.gamma[0, n], hidden.deviation[0, n]
        # Of g = error gamma, the averages over the rows of g and of g z.
        g_average, gz_average = gamma * beta_descent / count, gamma * gamma_descent / count
        for i in range(rows):
            g = delta[i, n] * gamma
            delta[i, n] = (g - g_average - hidden.normal[i, n] * gz_average) / deviation


@compiled
def normalise_by_averages(x, hidden, rows, epsilon):
    """As in training, but each sample for itself."""
    for n in range(x.shape[1]):
        deviation = np.sqrt(hidden.variance[0, n] + epsilon)
        for i in range(rows):
            z = (x[i, n] - hidden.mean[0, n]) / deviation
            x[i, n] = hidden.gamma[0, n] * z + hidden.beta[0, n]
