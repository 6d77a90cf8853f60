"""Forward, and a program built from it: formulas, their gradients, and compiled functions.

    l[k]      (m, n_k)               output of layer k; l[0] is the batch
    x[k]      (m, n_k)               weighted inputs of layer k, for k = 1 ... K
    syn[k]    (n_k + bias, n_{k+1})  with bias, the last row is from a unit that is always 1

Nothing here has a value while a program is built. `l @ weights` is a node of a graph, whose
matrices have a dtype and a number of dimensions, but no sizes yet. `pytensor.grad` extends that
graph by one for the gradients, and `pytensor.function` simplifies all of it and compiles it.
"""

import gc
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np
import pytensor
import pytensor.tensor as pt
from layers import ACTIVATIONS, loss, normalise, normalise_by_averages, weighted
from optimise import improve
from pytensor.compile.mode import Mode
from pytensor.gradient import grad_clip
from state import split


class Pass(NamedTuple):
    """The formulas of a forward pass."""

    x: list[Any]  # x[1] ... x[K]
    l: list[Any]  # l[1] ... l[K]
    mean: list[Any]  # (1, n_k) of the batch, with batch normalisation, for k = 1 ... K-1
    variance: list[Any]
    last_x: Any = None  # x[K] as it goes into the loss: behind what trims its delta


def forward(settings, state, X, factors=None):
    """From the first layer up; without `factors`, a list for dropout, inference."""
    # [forward]
    result, l = Pass([], [], [], []), X
    for k in range(1, state.last + 1):
        x = weighted(settings, l, state.syn[k - 1])
        result.x.append(x)
        if settings.trim_value is not None:
            # Its value is x; but what goes back through it, a delta, is trimmed.
            x = grad_clip(x, -settings.trim_value, settings.trim_value)
        if k == state.last:
            break
        if settings.batch_norm:
            scale = *state.scale(k), settings.norm_epsilon
            if factors is None:
                x = normalise_by_averages(x, *scale, state.mean[k - 1], state.variance[k - 1])
            else:
                x, mean, variance = normalise(x, *scale)
                result.mean.append(mean)
                result.variance.append(variance)
        l = ACTIVATIONS[settings.activation](x)
        if factors:
            l = l * factors[k - 1]
        result.l.append(l)
    result.l.append(ACTIVATIONS[settings.output](x))
    return result._replace(last_x=x)
    # [/forward]


class Program:
    """The functions for all networks of one depth and dtype that use the same capabilities.

    The state and the settings' numbers are shared variables: the functions have them inside.
    """

    def __init__(self, settings, dtype, one_row):
        # What is known of sizes: that the row of, say, gamma is one, and meets each of a batch.
        shapes = [(1, None) if row else (None, None) for row in one_row]
        self.numbers = {n: pytensor.shared(np.ones((), dtype)) for n in settings.numbers()}
        self.matrices = [pytensor.shared(np.ones((1, 1), dtype), shape=s) for s in shapes]
        self.settings, self.dtype = settings._replace(**self.numbers), dtype
        self.state = split(self.matrices, settings)
        self.X = pt.matrix("X", dtype=dtype)

    @staticmethod
    def loaded(settings, matrices):
        """The program for such a network, with this state."""
        one_row = tuple(len(matrix) == 1 for matrix in matrices)
        program = build(settings.program(), str(matrices[0].dtype), one_row)
        for variable, matrix in zip(program.matrices, matrices, strict=True):
            variable.set_value(matrix)
        for name, number in settings.numbers().items():
            program.numbers[name].set_value(np.asarray(number))
        return program

    def values(self):
        """The matrices of the state."""
        return [matrix.get_value() for matrix in self.matrices]

    @cached_property
    def update(self):
        """Arguments of an update; what it updates by which formulas; l, error, delta of 1 ... K."""
        s, state = self.settings, self.state
        y, t = pt.matrix("y", dtype=self.dtype), pt.scalar("t", dtype=self.dtype)
        hidden = range(1, state.last if s.dropout is not None else 1)
        factors = [pt.matrix(f"factor{k}", dtype=self.dtype) for k in hidden]
        # [output-delta]
        # [hidden-delta]
        now = forward(s, state, self.X, factors)
        # Of minus the loss the gradients are errors (at l), deltas (at x), and descents.
        goal = -loss(s, now.last_x, now.l[-1], y)
        parameters = state.parameters
        found = pytensor.grad(goal, [*parameters, *now.x, *now.l[:-1]])
        descent, delta, error = (
            found[: len(parameters)],
            found[len(parameters) :][: state.last],
            found[len(parameters) + state.last :],
        )
        # [/hidden-delta]
        # [/output-delta]
        # [update]
        # Every formula is of the old state; the new one is stored when all of it is computed.
        new = improve(s, state, descent, now, t).flat()
        arguments = [self.X, y, *factors, *([t] if s.adam else [])]
        updates = list(zip(self.matrices, new, strict=True))
        # [output-delta]
        # [hidden-delta]
        return arguments, updates, [*now.l, *error, y - now.l[-1], *delta]
        # [/hidden-delta]
        # [/output-delta]
        # [/update]

    @cached_property
    def learn(self):
        """Compiled: an update."""
        # [update]
        arguments, updates, _ = self.update
        return compiled(arguments, [], updates)
        # [/update]

    @cached_property
    def learn_and_tell(self):
        """Compiled as it stands: an update that returns l, error and delta.

        To simplify the graph takes seven times as long as all the rest, and as long as some
        thousand updates of a small network.
        """
        arguments, updates, told = self.update
        return compiled(arguments, told, updates, Mode(linker="py", optimizer=None))

    @cached_property
    def infer(self):
        """Compiled: the outputs l[K], without anything that belongs to training alone."""
        return compiled([self.X], forward(self.settings, self.state, self.X).l[-1], [])


MOST_PROGRAMS = 50


@cache
def build(*which):
    """The program of these; all others are forgotten once they are many.

    Each has some megabytes, in cycles of objects that Python collects late when there are many: of
    a thousand cases, that would be all the memory that a port may have.
    """
    if build.cache_info().currsize >= MOST_PROGRAMS:
        build.cache_clear()
        gc.collect()
    return Program(*which)


def compiled(arguments, results, updates, mode=None):
    function = pytensor.function(arguments, results, updates=updates, mode=mode)
    function.trust_input = True  # arguments are arrays of the right dtype; they are not checked
    return function
