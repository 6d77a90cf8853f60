"""The kinds of check: what a port is asked, what its answer holds, and what is right.

A check is one question about a case in one dtype. Everything that differs between kinds is in their
classes: code that derives, asks, judges or explains just loops over checks. A new kind is one class
in KINDS, the function of the contract that answers it, and its list in golden files if it has one.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from reference.algorithm.network import Step
from reference.arithmetic.base import Arithmetic
from reference.array import Array
from reference.cases.case import Case
from reference.cases.tables import DType
from reference.golden.start import At, Shape, Spec, Start
from reference.golden.tensors import Points, Tensors, checkpoint_tensors, step_tensors


class Check(ABC):
    """One question. `points` are its iterations, or its seeds."""

    kind: ClassVar[str]
    key: ClassVar[str | None] = None  # of golden files that hold what is expected
    where: ClassVar[str]  # in a line; {n} is the point
    story: ClassVar[str]  # in a sentence
    whole_run: ClassVar[bool] = False  # later points build on earlier ones

    def __init__(self, start: Start, points: Sequence[int]) -> None:
        self.start, self.points = start, tuple(points)
        self.case, self.dtype = start.case, start.dtype

    @classmethod
    @abstractmethod
    def points_of(cls, case: Case) -> list[int]:
        """The iterations, or seeds, at which a case has checks of this kind."""

    @classmethod
    def all_of(cls, case: Case, dtype: DType, golden: Callable[[int], list[Array]]) -> list[Self]:
        """A case's checks of this kind; `golden` is the state at an iteration."""
        return [cls(Start(case, dtype, golden(n)), [n]) for n in cls.points_of(case)]

    @abstractmethod
    def request(self) -> dict[str, Any]:
        """What a port is asked: "op" names the function of the contract."""

    @abstractmethod
    def answer(self) -> dict[str, Spec]:
        """What an answer holds."""

    @abstractmethod
    def tensors(self, answer: dict[str, Any]) -> Points:
        """What is compared, from an answer whose parts are arrays."""

    @abstractmethod
    def computed(self, algorithm: Any, arithmetic: Arithmetic) -> Iterator[tuple[int, Tensors]]:
        """What `algorithm` answers: reference.algorithm.network, or a module with a known bug."""

    def upto(self, most: int | None) -> Self | None:
        """The same question on at most this many iterations; None if nothing is left.

        A single step is one iteration, whatever its number: it is not cut.
        """
        return self

    def source(self, tensor: str) -> str | None:
        """The marker in the reference at the line that computes a tensor, if it is one line."""
        return None

    @cached_property
    def shapes(self) -> list[tuple[int, list[tuple[str, Shape]]]]:
        """The names and shapes of what is compared."""
        blank = {key: _blank(spec) for key, spec in self.answer().items()}
        return [(n, [(t, np.shape(a)) for t, a in found]) for n, found in self.tensors(blank)]

    @cached_property
    def numbers(self) -> int:
        """How many numbers an answer has."""
        return sum(math.prod(shape) for _, found in self.shapes for _, shape in found)


class DrawnCheck(Check):
    """The initial state with weights that a port draws from a seed, equal to the last bit."""

    kind = "drawn"
    where = "drawn from seed {n}"
    story = "in the initial state drawn from seed {n}"

    @classmethod
    def points_of(cls, case: Case) -> list[int]:
        """See Check."""
        return case.drawn_by_port

    @classmethod
    def all_of(cls, case: Case, dtype: DType, golden: Callable[[int], list[Array]]) -> list[Self]:
        """See Check; nothing starts from a golden state."""
        return [cls(Start(case, dtype), [seed]) for seed in cls.points_of(case)]

    def request(self) -> dict[str, Any]:
        """See Check."""
        [seed] = self.points
        body = {"numpy_seed": seed, "shapes": self.start.state_shapes, **self.start.settings}
        return {"op": "initial", **body}

    def answer(self) -> dict[str, Spec]:
        """See Check."""
        return {"weights": self.start.state_shapes}

    def tensors(self, answer: dict[str, Any]) -> Points:
        """See Check."""
        return [(self.points[0], list(zip(self.case.state_names, answer["weights"], strict=True)))]

    def computed(self, algorithm: Any, arithmetic: Arithmetic) -> Iterator[tuple[int, Tensors]]:
        """See Check; what is drawn is rounded to the dtype, whatever the arithmetic."""
        [seed] = self.points
        given = self.start.given
        state = algorithm.initial(self.case.layers, seed, dtype=self.dtype, **given)
        yield from self.tensors({"weights": state})


class StepCheck(Check):
    """One update from a golden state, with every intermediate."""

    kind, key = "step", "steps"
    where = "in one step from iteration {n}"
    story = "in one step from the golden weights of iteration {n}"

    @classmethod
    def points_of(cls, case: Case) -> list[int]:
        """See Check."""
        return case.trace.steps

    @classmethod
    def all_of(cls, case: Case, dtype: DType, golden: Callable[[int], list[Array]]) -> list[Self]:
        """See Check; an update beyond the run starts from the state at the last checkpoint."""
        last = case.trace.checkpoints[-1]
        return [
            cls(Start(case, dtype, golden(n if n <= case.iterations else last)), [n])
            for n in cls.points_of(case)
        ]

    def request(self) -> dict[str, Any]:
        """See Check; it includes the number of the update if that matters."""
        settings, [n] = self.case.settings, self.points
        numbered = settings.batch_size or settings.dropout or settings.adam
        body = self.start.body("X", "y", "weights")
        return {"op": "step", **body, **({"iteration": n} if numbered else {})}

    def answer(self) -> dict[str, Spec]:
        """See Check."""
        rows = self.case.batch_rows(self.points[0])
        layers: list[Spec] = [(rows, units) for units in self.case.layers[1:]]
        return {"l": layers, "error": layers, "delta": layers, "weights": self.start.state_shapes}

    def tensors(self, answer: dict[str, Any]) -> Points:
        """See Check."""
        step = Step(answer["l"], answer["error"], answer["delta"], answer["weights"])
        return [(self.points[0], step_tensors(self.case, step))]

    def computed(self, algorithm: Any, arithmetic: Arithmetic) -> Iterator[tuple[int, Tensors]]:
        """See Check."""
        [n], start = self.points, self.start
        X, y = arithmetic.share(start.X), arithmetic.share(start.y)
        state = [arithmetic.convert(w) for w in start.state]
        step = algorithm.step(X, y, state, iteration=n, **start.given)
        yield n, step_tensors(self.case, step)

    def source(self, tensor: str) -> str | None:
        """See Check."""
        name, _, kind = tensor.partition("_")
        name = name.rstrip("0123456789")
        if kind in ("velocity", "m", "v"):
            return kind
        if kind == "error" and tensor == f"l{len(self.case.layers) - 1}_error":
            return "output-error"
        return f"{name}_{kind}" if kind else name


class PredictCheck(Check):
    """Inference with a golden state, on the case's inputs for it or on others, (samples, n_0)."""

    kind, key = "predict", "predictions"
    where = "in inference at iteration {n}"
    story = "in inference with the golden weights of iteration {n}"

    def __init__(self, start: Start, points: Sequence[int], X: Array | None = None) -> None:
        super().__init__(start, points)
        own = self.case.predict.X if self.case.predict else []
        self.X = np.array(own, dtype=self.dtype) if X is None else X

    @classmethod
    def points_of(cls, case: Case) -> list[int]:
        """See Check."""
        return case.predict.checkpoints if case.predict else []

    def request(self) -> dict[str, Any]:
        """See Check."""
        return {"op": "predict", **self.start.body("weights"), "X": self.X.tolist()}

    def answer(self) -> dict[str, Spec]:
        """See Check."""
        return {"output": (len(self.X), self.case.layers[-1])}

    def tensors(self, answer: dict[str, Any]) -> Points:
        """See Check."""
        return [(self.points[0], [(f"l{len(self.case.layers) - 1}", answer["output"])])]

    def computed(self, algorithm: Any, arithmetic: Arithmetic) -> Iterator[tuple[int, Tensors]]:
        """See Check."""
        state = [arithmetic.convert(w) for w in self.start.state]
        output = algorithm.predict(arithmetic.share(self.X), state, **self.start.given)
        yield from self.tensors({"output": output})


class RunCheck(Check):
    """The free run from the initial state, at its checkpoints."""

    kind, key = "run", "checkpoints"
    where = "in the run at iteration {n}"
    story = "in the free run, after {n} updates"
    whole_run = True

    @classmethod
    def points_of(cls, case: Case) -> list[int]:
        """See Check."""
        return case.trace.checkpoints

    @classmethod
    def all_of(cls, case: Case, dtype: DType, golden: Callable[[int], list[Array]]) -> list[Self]:
        """See Check; it is one run, whatever its checkpoints."""
        return [cls(Start(case, dtype), cls.points_of(case))]

    def request(self) -> dict[str, Any]:
        """See Check."""
        body = self.start.body("X", "y", "weights")
        return {"op": "train", **body, "checkpoints": list(self.points)}

    def answer(self) -> dict[str, Spec]:
        """See Check."""
        error = (self.start.networks,) if self.start.networks else ()
        fields: dict[str, Spec] = {"error": error, "weights": self.start.state_shapes}
        return {"checkpoints": [At(n, fields) for n in self.points]}

    def tensors(self, answer: dict[str, Any]) -> Points:
        """See Check."""
        return [
            (n, checkpoint_tensors(self.case, entry["weights"], entry["error"]))
            for n, entry in zip(self.points, answer["checkpoints"], strict=True)
        ]

    def computed(self, algorithm: Any, arithmetic: Arithmetic) -> Iterator[tuple[int, Tensors]]:
        """See Check."""
        start = self.start
        X, y = arithmetic.share(start.X), arithmetic.share(start.y)
        state = [arithmetic.convert(w) for w in start.state]
        for n, error, new in algorithm.train(X, y, state, self.points, **start.given):
            yield n, checkpoint_tensors(self.case, new, error)

    def upto(self, most: int | None) -> Self | None:
        """See Check."""
        points = [n for n in self.points if most is None or n <= most]
        return self.at(points) if points else None

    def at(self, points: Sequence[int]) -> Self:
        """The same run with other checkpoints."""
        return type(self)(self.start, points)


# In the order in which they are asked: what starts from golden states first, the run last.
KINDS: tuple[type[Check], ...] = (DrawnCheck, StepCheck, PredictCheck, RunCheck)
# What golden files hold, for each dtype.
KEYS = [kind.key for kind in KINDS if kind.key]


def _blank(spec: Spec) -> Any:
    """Zeros of these shapes, without the memory for them."""
    if isinstance(spec, At):
        return {key: _blank(part) for key, part in spec.fields.items()}
    if isinstance(spec, list):
        return [_blank(part) for part in spec]
    return np.broadcast_to(0.0, spec)
