"""The same run with other numbers, so that no two timed runs have the same answer.

A port that remembers its answers would be timed at nothing. So each timed run gets samples, inputs
and hidden units in an order of its own, and some inputs with the other sign. Mathematically the
run is the same: its answer, put back into the order of the case, must be the golden one.
"""

import copy
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reference.array import Array
from reference.golden.start import LARGE, Start
from reference.golden.tensors import Tensors

TRIES = 100  # after so many orders that were there before, one comes again


@dataclass(frozen=True)
class Numbering:
    """New orders: of the samples, of the units of each layer; and a sign for each input.

    Unit j of layer k is unit `orders[k][j]` of the case.
    """

    samples: list[int]
    orders: list[list[int]]  # (n_k,) each
    signs: list[int]  # (n_0,), 1 or -1, by the numbers of the case

    def of(self, start: Start) -> Start:
        """What a run starts from, in this order."""
        found = copy.copy(start)
        found.__dict__.pop("arrays", None)  # those of the case's order
        if start.X.size <= LARGE:
            signed = start.X * np.array(self.signs, start.X.dtype)
            found.X = signed[np.ix_(self.samples, self.orders[0])]
            found.y = start.y[self.samples]
        names = start.case.state_names
        found.state = [self._there(name, w) for name, w in zip(names, start.state, strict=True)]
        return found

    def back(self, tensors: Tensors) -> Tensors:
        """The answer to such a run, in the order of the case."""
        return [(name, self._back(name, np.asarray(value))) for name, value in tensors]

    def _there(self, name: str, value: Array) -> Array:
        if (k := _layer(name)) is None:
            return value
        below, above = self._rows(k, value), self.orders[k + 1]
        moved: Array = (value * self._sign(name, value))[..., below, :][..., above]
        return moved

    def _back(self, name: str, value: Array) -> Array:
        if (k := _layer(name)) is None:
            return value
        below, above = np.argsort(self._rows(k, value)), np.argsort(self.orders[k + 1])
        moved: Array = value[..., below, :][..., above] * self._sign(name, value)
        return moved

    def _rows(self, k: int, value: Array) -> list[int]:
        """The order of a matrix's rows: the units of layer k, then the bias unit if any."""
        return [*self.orders[k], *range(len(self.orders[k]), value.shape[-2])]

    def _sign(self, name: str, value: Array) -> Array:
        """By the rows of a matrix in the order of the case, (n_k, 1).

        Adam's v is made of squares, so it has no sign.
        """
        signs = np.ones((value.shape[-2], 1), value.dtype)
        if _layer(name) == 0 and not name.endswith("_v"):
            signs[: len(self.signs), 0] = self.signs
        return signs


def _layer(name: str) -> int | None:
    """The layer before a weight matrix, or before what an optimiser remembers for that matrix."""
    found = re.match(r"syn(\d+)", name)
    return int(found[1]) if found else None


def numberings(start: Start, seed: int) -> Iterator[Numbering]:
    """Orders of a run, without end. None comes twice until nearly all have been there.

    What the answer depends on stays where it is: batches go by the numbers of the samples, and
    dropout's masks also by those of hidden units, to which batch normalisation's vectors belong.
    """
    rng, layers, settings = random.Random(seed), start.case.layers, start.case.settings
    small = start.X.size <= LARGE
    batches = settings.batch_size or settings.dropout
    fixed = settings.dropout or settings.batch_norm
    moves = [small, *[not fixed] * (len(layers) - 2), False]

    def order(size: int, moved: bool) -> list[int]:
        return rng.sample(range(size), size) if moved else list(range(size))

    def drawn() -> Numbering:
        return Numbering(
            order(len(start.X), bool(small and not batches)),
            [order(size, moved) for size, moved in zip(layers, moves, strict=True)],
            [rng.choice((1, -1)) if small else 1 for _ in range(layers[0])],
        )

    seen: set[int] = set()
    while True:
        for _ in range(TRIES):
            found = drawn()
            if (key := hash(repr(found))) not in seen:
                break
        seen.add(key)
        yield found
