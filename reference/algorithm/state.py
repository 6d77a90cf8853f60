"""The state of a network: everything that an update changes.

Outside of an update it is a flat list of matrices, in the order of `names`.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from reference.array import Array


class State(NamedTuple):
    """A state by its parts; K is the output layer."""

    parameters: list[Array]  # syn[0] ... syn[K-1]; with batch normalisation, gamma and beta
    memory: list[list[Array]]  # of the optimiser: none, one or two lists like that
    mean: list[Array]  # (1, n_k) for k = 1 ... K-1: running averages of the weighted inputs
    variance: list[Array]
    last: int  # K

    @property
    def syn(self) -> list[Array]:
        """The weight matrices."""
        return self.parameters[: self.last]

    def scale(self, k: int) -> tuple[Array, Array]:
        """gamma[k] and beta[k], each (1, n_k)."""
        hidden = self.last - 1
        return self.parameters[hidden + k], self.parameters[2 * hidden + k]

    def flat(self) -> list[Array]:
        """All matrices, in order."""
        return [*self.parameters, *chain(*self.memory), *self.mean, *self.variance]


def split(flat: Sequence[Array], memories: int, batch_norm: bool) -> State:
    """The parts of a flat state; `memories` is how many the optimiser has."""
    # A network has K weight matrices and, with batch normalisation, 2 (K - 1) more parameters;
    # each with its memories; and 2 (K - 1) averages.
    copies, more = 1 + memories, 2 * batch_norm
    last = (len(flat) + more * (copies + 1)) // (copies + more * (copies + 1))
    averages = batch_norm * (last - 1)
    rest: Iterator[Array] = iter(flat)

    def take(count: int) -> list[Array]:
        return list(islice(rest, count))

    parameters, *memory = [take(last + 2 * averages) for _ in range(copies)]
    return State(parameters, memory, take(averages), take(averages), last)


def names(last: int, memories: Sequence[str], batch_norm: bool) -> list[str]:
    """What the matrices of a flat state are called; `last` is K."""
    hidden = range(1, last) if batch_norm else range(0)

    def each(name: str) -> list[str]:
        return [f"{name}{k}" for k in hidden]

    parameters = [*(f"syn{k}" for k in range(last)), *each("gamma"), *each("beta")]
    memory = [f"{name}_{kind}" for kind in memories for name in parameters]
    return parameters + memory + each("mean") + each("variance")
