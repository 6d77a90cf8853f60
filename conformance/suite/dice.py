"""Random choices that are the same on every machine and in every version of Python."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Choices that depend on the words alone that it is made with.

    Only `random.random` is used: Python promises never to change what it gives for a seed.
    """

    def __init__(self, *words: object) -> None:
        self._next = random.Random(" ".join(map(str, words))).random

    def chance(self, part: float) -> bool:
        """True in this part of all cases."""
        return self._next() < part

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high; low if there is none."""
        return low + int(self._next() * max(high - low + 1, 1))

    def real(self, low: float, high: float, digits: int = 4) -> float:
        """A number from low to high, of a few decimal digits."""
        return round(low + (high - low) * self._next(), digits)

    def pick(self, options: Sequence[T]) -> T:
        """One of these."""
        return options[int(self._next() * len(options))]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """All of these in a random order."""
        keys = [self._next() for _ in options]
        return [options[i] for i in sorted(range(len(options)), key=keys.__getitem__)]

    def matrix(self, rows: int, columns: int, low: float, high: float) -> list[list[float]]:
        """Rows of numbers from low to high."""
        return [[self.real(low, high) for _ in range(columns)] for _ in range(rows)]
