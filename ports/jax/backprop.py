"""Backpropagation in JAX, where autodiff does the backward pass and XLA compiles: the interface.

What comes in are NumPy arrays, and what goes out are JAX's, which NumPy takes for its own.
"""

import jax
from batches import batch
from network import advance, infer, update
from settings import Settings
from state import flat, initial_matrices, split

# Without it JAX makes float32 of every float64. Nothing that is float32 becomes float64 by it.
jax.config.update("jax_enable_x64", True)

# The new state of an update, and all that it was computed from, as one compiled function.
one_update = jax.jit(update)

# Of an ensemble: the same program, with one axis more for all that depends on a network's state.
advance_all = jax.jit(jax.vmap(advance, in_axes=(None, 0, None, None, None, None)))

COMPILED = (one_update, advance, advance_all, infer)
MOST_PROGRAMS = 150


def make_room():
    """Forget what was compiled, once it is much.

    There is a program of a megabyte or more for each shape and each set of settings, for as long
    as the process lives: of a thousand cases, that would be all the memory that a port may have.
    """
    if sum(function._cache_size() for function in COMPILED) > MOST_PROGRAMS:
        jax.clear_caches()


def train(X, y, state, checkpoints, **settings):
    make_room()
    settings = Settings.of(X.dtype, **settings)
    # [checkpoint]
    run = advance_all if state[0].ndim > 2 else advance
    state, iteration = split(state, settings), 0
    for n in checkpoints:
        state, error = run(settings, state, X, y, iteration, n)
        iteration = n
        yield n, error, flat(state)
    # [/checkpoint]


def step(X, y, state, *, iteration=0, **settings):
    make_room()
    settings = Settings.of(X.dtype, **settings)
    rows = batch(settings, X, y, iteration)
    state, trace = one_update(settings, split(state, settings), *rows, iteration)
    return trace.l, trace.error, trace.delta, flat(state)


def predict(X, state, **settings):
    make_room()
    settings = Settings.of(X.dtype, **settings)
    return infer(settings, split(state, settings), X)


def initial(layers, numpy_seed, *, dtype, **settings):
    return flat(initial_matrices(layers, numpy_seed, dtype, Settings.of(dtype, **settings)))
