"""What a check starts from, and what its answer must look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from reference.array import Array
from reference.cases.case import Case
from reference.cases.tables import DType

Shape = tuple[int, ...]
# Where X has more numbers, X and y are the same in all questions about a case: they are sent once.
LARGE = 10_000


@dataclass(frozen=True)
class At:
    """The shape of an answer's entry for one checkpoint, by its keys."""

    iteration: int
    fields: dict[str, "Spec"]


# What part of an answer must look like: an array of this shape, or a list of parts.
Spec: TypeAlias = "Shape | At | list[Spec]"


class Start:
    """What a port is told: a case's settings and data in one dtype, and a state to start from.

    Everything is rounded to the dtype. Nothing says what is expected. An ensemble has as many
    networks as the state has.
    """

    def __init__(self, case: Case, dtype: DType, state: Sequence[Array] | None = None) -> None:
        self.case, self.dtype = case, dtype
        self.X, self.y, initial = case.arrays(dtype)
        self.state = initial if state is None else list(state)
        self.networks = len(self.state[0]) if case.networks else None
        self.given = case.settings_for(dtype)

    @property
    def state_shapes(self) -> list[Spec]:
        """The shapes of the matrices of a state."""
        return [w.shape for w in self.state]

    @property
    def settings(self) -> dict[str, Any]:
        """The part of a request that is not arrays."""
        networks = {"networks": self.networks} if self.networks else {}
        return {"dtype": self.dtype, "layers": self.case.layers, **self.given, **networks}

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The arrays of a request, as nested lists; made once, since they may be large."""
        weights = [w.tolist() for w in self.state]
        return {"X": self.X.tolist(), "y": self.y.tolist(), "weights": weights}

    def body(self, *keys: str) -> dict[str, Any]:
        """The settings, and these arrays."""
        return self.settings | {key: self.arrays[key] for key in keys}
