"""Forward, an update whose backward pass is autodiff's, and the loop over iterations.

    l[k]      (m, n_k)               output of layer k; l[0] is the batch
    x[k]      (m, n_k)               weighted inputs of layer k, for k = 1 ... K
    syn[k]    (n_k + bias, n_{k+1})  with bias, the last row is from a unit that is always 1

All functions here are pure: they change none of their arguments, and a new state is a result.
JAX calls each once, with placeholders for arrays, to see what is computed, and XLA compiles that.
So `if` and `for` are about what is known by then: static settings, depths and shapes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from batches import epoch_order, pick, sizes
from jax import lax
from layers import ACTIVATIONS, drop, loss, normalise, normalise_by_averages, trim_back, weighted
from optimise import improve


# [output-delta]
# [hidden-delta]
class Nudges(NamedTuple):
    """Zeros that are added on the way forward, to ask for the gradients at these places."""

    x: list[jax.Array]  # added to x[1] ... x[K]: minus the gradients here are the deltas
    l: list[jax.Array]  # added to l[1] ... l[K-1]: here they are the errors
    # [/hidden-delta]
    # [/output-delta]


class Pass(NamedTuple):
    """What a forward pass computes."""

    x: list[jax.Array]  # x[1] ... x[K]
    l: list[jax.Array]  # l[1] ... l[K]
    mean: list[jax.Array]  # (1, n_k) of the batch, with batch normalisation, for k = 1 ... K-1
    variance: list[jax.Array]


class Trace(NamedTuple):
    """What an update computes beside the new state, for layers 1 ... K."""

    l: list[jax.Array]
    error: list[jax.Array]
    delta: list[jax.Array]


def forward(settings, state, X, iteration=None, nudges=None):
    """From the first layer up; without an iteration, inference."""
    # [forward]
    syn, gamma, beta = state.parameters
    result, l = Pass([], [], [], []), X
    for k in range(1, len(syn) + 1):
        x = weighted(settings, l, syn[k - 1])
        if nudges:
            x = x + nudges.x[k - 1]
        if settings.trim_value is not None:
            x = trim_back(x, settings.trim_value)
        result.x.append(x)
        if k == len(syn):
            result.l.append(ACTIVATIONS[settings.output](x))
            break
        if settings.batch_norm:
            scale = gamma[k - 1], beta[k - 1], settings.norm_epsilon
            if iteration is None:
                x = normalise_by_averages(x, *scale, state.mean[k - 1], state.variance[k - 1])
            else:
                x, mean, variance = normalise(x, *scale)
                result.mean.append(mean)
                result.variance.append(variance)
        l = ACTIVATIONS[settings.activation](x)
        if settings.dropout is not None and iteration is not None:
            l = drop(settings, l, iteration, k)
        if nudges:
            l = l + nudges.l[k - 1]
        result.l.append(l)
    return result
    # [/forward]


def update(settings, state, X, y, iteration):
    """The state after one update from a batch, and its Trace."""

    # [output-delta]
    # [hidden-delta]
    def goal(parameters, nudges):
        """Minus the loss, so that its gradients are added."""
        now = forward(settings, state._replace(parameters=parameters), X, iteration, nudges)
        return -loss(settings, now.x[-1], now.l[-1], y), now

    sizes = [w.shape[1] for w in state.parameters.syn]
    zeros = [jnp.zeros((len(X), n), X.dtype) for n in sizes]
    # One call of autodiff finds the deltas of all layers (at.x), and the hidden errors (at.l).
    ascend = jax.grad(goal, argnums=(0, 1), has_aux=True)
    # [update]
    (descent, at), now = ascend(state.parameters, Nudges(zeros, zeros[:-1]))
    # [/hidden-delta]
    # [/output-delta]
    new = improve(settings, state, descent, now, iteration)
    # [/update]
    # [output-delta]
    # [hidden-delta]
    return new, Trace(now.l, [*at.l, y - now.l[-1]], at.x)
    # [/hidden-delta]
    # [/output-delta]


def advance(settings, state, X, y, start, end):
    """The state after updates number `start` to `end` - 1, and the error of inference with it."""
    size, last_size, batches = sizes(settings, len(X))

    def one(iteration, carry):
        state, order = carry
        place = iteration % batches
        if settings.shuffle:
            new_epoch = (place == 0) | (iteration == start)
            epoch = iteration // batches
            order = lax.cond(new_epoch, lambda: epoch_order(settings, len(X), epoch), lambda: order)

        def learn(rows):
            # The Trace is dropped, and so XLA leaves out all that only it needs.
            return lambda: update(
                settings, state, *pick(X, y, order, place * size, rows), iteration
            )[0]

        # An array's shape is a part of its type, so a smaller last batch is a program of its own.
        if last_size == size:
            return learn(size)(), order
        return lax.cond(place == batches - 1, learn(last_size), learn(size)), order

    order = jnp.arange(len(X)) if settings.shuffle else None
    # [checkpoint]
    state, _ = lax.fori_loop(start, end, one, (state, order))
    return state, jnp.abs(y - forward(settings, state, X).l[-1]).mean()
    # [/checkpoint]


def infer(settings, state, X):
    """The outputs l[K], without anything that belongs to training alone."""
    return forward(settings, state, X).l[-1]
