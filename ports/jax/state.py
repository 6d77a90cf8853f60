"""The state of a network: all that an update changes, in a tree of tuples and lists.

JAX takes such trees apart and puts them together. This tree's leaves, from left to right,
are in the contract's order of a state's matrices.
"""

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from random_numbers import between_minus_one_and_one


class Parameters(NamedTuple):
    """What is learned; descents, velocities and averages also have such a tuple."""

    syn: list[jax.Array]  # (n_k + bias, n_{k+1}); with bias, the last row is from a unit that is 1
    gamma: list[jax.Array]  # (1, n_k) for k = 1 ... K-1, with batch normalisation; so is beta
    beta: list[jax.Array]


class State(NamedTuple):
    parameters: Parameters
    memory: list[Parameters]  # the optimiser's: none; velocities; or Adam's m and v
    mean: list[jax.Array]  # (1, n_k) for k = 1 ... K-1, running averages; so is variance
    variance: list[jax.Array]


def state_of(last, settings, leaf=0):
    """A tree for K = last, with the same in each place."""
    hidden = [leaf] * (last - 1 if settings.batch_norm else 0)
    parameters = Parameters([leaf] * last, hidden, hidden)
    memories = 2 if settings.adam else 0 if settings.momentum is None else 1
    return State(parameters, [parameters] * memories, hidden, hidden)


def split(matrices, settings):
    """A flat state as a tree: of the depth whose tree has as many leaves."""
    depths = range(1, len(matrices) + 1)
    trees = (jax.tree.structure(state_of(last, settings)) for last in depths)
    return next(tree for tree in trees if tree.num_leaves == len(matrices)).unflatten(matrices)


def flat(state):
    """All matrices, in order."""
    return jax.tree.leaves(state)


def initial_matrices(layers, numpy_seed, dtype, settings):
    """The state that a run starts from: drawn weights, and nothing remembered or normalised."""
    shapes = list(pairwise(layers))
    drawn = between_minus_one_and_one(sum(m * n for m, n in shapes), numpy_seed).astype(dtype)
    syn = []
    for m, n in shapes:
        weights, drawn = drawn[: m * n].reshape(m, n), drawn[m * n :]
        syn.append(jnp.pad(weights, ((0, int(settings.bias)), (0, 0))))
    units = [(1, n) for n in layers[1:-1]] if settings.batch_norm else []
    ones, zeros = ([make(shape, dtype) for shape in units] for make in (jnp.ones, jnp.zeros))
    parameters = Parameters(syn, ones, zeros)
    nothing = jax.tree.map(jnp.zeros_like, parameters)
    return State(parameters, [nothing] * len(state_of(1, settings).memory), zeros, ones)
