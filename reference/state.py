"""The state of a network: all that an update changes.

Outside of an update it is a flat list of matrices, in the order of `names`.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

from reference.array import Array


class State(NamedTuple):
    """A state by its parts; k counts layers, of which K is the output."""

    syn: list[Array]  # K weight matrices
    gamma: list[Array]  # (1, n_k) for k = 1 ... K-1, with batch normalisation; as are the next
    beta: list[Array]
    memory: list[list[Array]]  # of the optimiser: none, one or two like all of the above
    mean: list[Array]  # (1, n_k) for k = 1 ... K-1: running averages of the weighted inputs
    variance: list[Array]

    @property
    def parameters(self) -> list[Array]:
        """What is learned."""
        return self.syn + self.gamma + self.beta

    def flat(self) -> list[Array]:
        """All of it, in order."""
        return [*self.parameters, *chain(*self.memory), *self.mean, *self.variance]


def split(flat: Sequence[Array], memories: int, batch_norm: bool) -> State:
    """The parts of a flat state; `memories` is how many the optimiser has."""
    # A network has K weight matrices and, with batch normalisation, 2 (K - 1) more parameters;
    # each with its memories; and 2 (K - 1) averages.
    copies, more = 1 + memories, 2 * batch_norm
    last = (len(flat) + more * (copies + 1)) // (copies + more * (copies + 1))
    hidden = batch_norm * (last - 1)
    rest: Iterator[Array] = iter(flat)

    def take(count: int) -> list[Array]:
        return list(islice(rest, count))

    syn, gamma, beta = take(last), take(hidden), take(hidden)
    memory = [take(last + 2 * hidden) for _ in range(memories)]
    return State(syn, gamma, beta, memory, take(hidden), take(hidden))


def names(last: int, memories: Sequence[str], batch_norm: bool) -> list[str]:
    """What the matrices of a flat state are called; `last` is K."""
    hidden = range(1, last) if batch_norm else range(0)

    def each(name: str) -> list[str]:
        return [f"{name}{k}" for k in hidden]

    parameters = [*(f"syn{k}" for k in range(last)), *each("gamma"), *each("beta")]
    memory = [f"{name}_{kind}" for kind in memories for name in parameters]
    return parameters + memory + each("mean") + each("variance")
