"""What an arithmetic is: how arrays get into it, what depends on its numbers, and how they get out.

The algorithm is one source for all arithmetics. Almost all of it works on any numbers, since NumPy
does; the three methods `number`, `root` and `positive` are the rest. The algorithm finds them by
the type of an array's elements: see `reference.arithmetic.numbers`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TypeVar

from reference.array import Array

Result = TypeVar("Result")


class UndecidedError(ArithmeticError):
    """A number is not known precisely enough to answer a question about it."""


class Arithmetic(ABC):
    """Numbers that the algorithm runs on."""

    @abstractmethod
    def convert(self, values: Array) -> Array:
        """A copy of floating-point numbers in this arithmetic: a state, which a run changes."""

    @abstractmethod
    def share(self, values: Array) -> Array:
        """Floating-point numbers in this arithmetic, which a run only reads: data."""

    @abstractmethod
    def number(self, value: float, like: Array) -> Array:
        """`value` in the arithmetic of `like`, unrounded, with two axes of length 1 to broadcast.

        Where plain numbers meet each other before they meet an array (as in 1 - value), they would
        round as float64, whatever the arithmetic.
        """

    @abstractmethod
    def root(self, values: Array) -> Array:
        """The square root of numbers that are certainly not negative."""

    @abstractmethod
    def positive(self, values: Array) -> Array:
        """1 where a number is above 0, and 0 elsewhere.

        Raises UndecidedError where that is not certain.
        """

    @abstractmethod
    def doubles(self, values: Array) -> Array:
        """The doubles nearest to the numbers.

        Raises UndecidedError where it is not certain which these are.
        """

    @abstractmethod
    def settled(self, run: Callable[[], Iterable[Result]]) -> Iterable[Result]:
        """The results of a run, which starts again with more precision if it is undecided."""


# By the `kind` of an array's dtype; the module of an arithmetic enters it here.
BY_KIND: dict[str, Arithmetic] = {}
