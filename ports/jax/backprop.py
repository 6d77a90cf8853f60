"""Backpropagation in JAX, where autodiff does the backward pass and XLA compiles: the interface.

What comes in are NumPy arrays, and what goes out are JAX's, which NumPy takes for its own.
"""

from functools import partial

import jax
from batches import batch
from network import advance, infer, update
from settings import Settings
from state import flat, initial_matrices, split

# Without it JAX makes float32 of every float64. Nothing that is float32 becomes float64 by it.
jax.config.update("jax_enable_x64", True)

# XLA takes a fifth of a second or more to make a program fast, and half of that without trying to.
# A run of so few multiplications, roughly, is over sooner in any case.
SHORT = 10**5
quickly = partial(
    jax.jit,
    compiler_options={"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False},
)

# The new state of an update, and all that it was computed from, as one compiled function.
one_update, infer_quickly = quickly(update), quickly(infer)

# Of an ensemble: the same program, with one axis more for all that depends on a network's state.
advance_all = jax.vmap(advance, in_axes=(None, 0, None, None, None, None))

# By whether it is of an ensemble, and whether it is short.
RUNS = {
    (many, short): (quickly if short else jax.jit)(advance_all if many else advance)
    for many in (False, True)
    for short in (False, True)
}
COMPILED = (one_update, infer_quickly, *RUNS.values())
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
    size = len(X) * sum(w.size for w in state)
    run = RUNS[state[0].ndim > 2, size * checkpoints[-1] < SHORT]
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
    return infer_quickly(settings, split(state, settings), X)


def initial(layers, numpy_seed, *, dtype, **settings):
    return flat(initial_matrices(layers, numpy_seed, dtype, Settings.of(dtype, **settings)))
