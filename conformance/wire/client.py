"""Questions and answers of the wire protocol: JSON lines in, named arrays out.

An answer is taken only if it has the right id, keys, lengths and shapes, and holds numbers;
else it is GARBAGE. Numbers that are not finite are let through: they FAIL by comparison.
conformance/contract/PORTING.md describes the protocol.
"""

import json
import math
import reprlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from conformance.process.channel import Channel, Trouble, printable
from reference.algorithm.network import Step
from reference.array import Array
from reference.cases.case import Case
from reference.cases.tables import DType
from reference.golden.derive import Tensors, checkpoint_tensors, predict_tensors, step_tensors

FORMAT = 1
# What an answer may be long, so that no flood fills the memory.
BYTES_PER_NUMBER = 64
BYTES_BESIDES = 2**16
LONGEST_INTEGER = 400  # digits; no double has more

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 3


class Unsupported(Exception):
    """The port says that it does not do this; the message is its reason."""


class Failure(Exception):
    """The port says that it failed; the message is its reason."""


class Client:
    """Asks one port. All methods raise what `Channel.ask` raises, and Unsupported or Failure."""

    def __init__(self, channel: Channel, limit_s: float) -> None:
        self._channel = channel
        self._limit_s = limit_s
        self._id = 0

    def hello(self) -> str:
        """Greet the port; returns the name of the device that it runs on."""
        answer = self.ask({"op": "hello", "format": FORMAT}, ("format", "device"))
        if not _is_integer(answer["format"], FORMAT):
            raise _garbage(f"speaks format {_short(answer['format'])} of the protocol, not 1")
        if not isinstance(answer["device"], str):
            raise _garbage(f"device is {_short(answer['device'])}, not a name")
        return printable(answer["device"])

    def train(self, question: "Question", checkpoints: list[int]) -> list[tuple[int, Tensors]]:
        """The free run: (iteration, tensors) at each checkpoint."""
        request = {"op": "train", **question.body, "checkpoints": checkpoints}
        shape = (question.networks,) if question.networks else ()
        numbers = len(checkpoints) * (math.prod(shape) + _numbers_in(question.state_shapes))
        answer = self.ask(request, ("checkpoints",), numbers)
        result = []
        for n, entry in entries(answer, checkpoints):
            where = f"checkpoint {n}"
            error = _array(f"error at {where}", entry["error"], shape)
            state = _arrays(f"weights at {where}", entry["weights"], question.state_shapes)
            result.append((n, checkpoint_tensors(question.case, state, error)))
        return result

    def step(self, question: "Question") -> Tensors:
        """One update from the question's weights, with every intermediate."""
        shapes = question.layer_shapes
        numbers = 3 * _numbers_in(shapes) + _numbers_in(question.state_shapes)
        keys = ("l", "error", "delta", "weights")
        answer = self.ask({"op": "step", **question.step_body}, keys, numbers)
        step = Step(
            l=_arrays("l", answer["l"], shapes),
            error=_arrays("error", answer["error"], shapes),
            delta=_arrays("delta", answer["delta"], shapes),
            state=_arrays("weights", answer["weights"], question.state_shapes),
        )
        return step_tensors(question.case, step)

    def predict(self, question: "Question", X: Array) -> Tensors:
        """Inference on X with the question's weights."""
        body = question.without("y")
        shape = (len(X), question.case.layers[-1])
        answer = self.ask({"op": "predict", **body, "X": X.tolist()}, ("output",), math.prod(shape))
        return predict_tensors(question.case, _array("output", answer["output"], shape))

    def initial(self, question: "Question", numpy_seed: int) -> Tensors:
        """The initial state, with weights that the port draws from a seed."""
        body = question.without("X", "y", "weights")
        shapes = question.state_shapes
        request = {"op": "initial", "numpy_seed": numpy_seed, "shapes": shapes, **body}
        answer = self.ask(request, ("weights",), _numbers_in(shapes))
        state = _arrays("weights", answer["weights"], shapes)
        return list(zip(question.case.state_names, state, strict=True))

    def device_seconds(self) -> list[float] | None:
        """What the last answer took by a device's own clock, if there is one: see backprop.h.

        The harness's own worker is asked, which speaks for a port of any kind but process.
        """
        seconds = self.ask({"op": "device_seconds"}, ("seconds",))["seconds"]
        if seconds is None:
            return None
        found = _array("device_seconds", seconds, (3,))
        if not np.isfinite(found).all():
            raise _garbage(f"device_seconds is not finite: {_short(seconds)}")
        return [float(part) for part in found]

    def ask(
        self, request: dict[str, Any], keys: tuple[str, ...], numbers: int = 0
    ) -> dict[str, Any]:
        """The answer to a request: an object with just these keys and the right id."""
        request = {"id": self._id, **request}
        self._id += 1
        max_bytes = BYTES_PER_NUMBER * numbers + BYTES_BESIDES
        line = self._channel.ask(json.dumps(request).encode() + b"\n", self._limit_s, max_bytes)
        answer = _parse(line)
        if not isinstance(answer, dict) or "id" not in answer:
            raise _garbage(f"answer is not an object with an id: {_short(answer)}")
        if not _is_integer(answer["id"], request["id"]):
            raise _garbage(f"answer has id {_short(answer['id'])}, not {request['id']}")
        for key, kind in (("unsupported", Unsupported), ("failure", Failure)):
            if set(answer) == {"id", key} and isinstance(answer[key], str):
                raise kind(printable(answer[key]))
        _keys("answer", answer, ("id", *keys))
        return answer


class Question:
    """What a port is told: the case's settings and data, and a state to start from.

    Everything is rounded to the dtype. There is nothing in it of what is expected. For a
    single step, `iteration` says which update it is; `state` is then that before it. Of an
    ensemble, there are as many networks as `state` has, or as the case says.
    """

    def __init__(
        self,
        case: Case,
        dtype: DType,
        state: list[Array] | None = None,
        iteration: int = 0,
    ) -> None:
        self.case = case
        X, y, initial = case.arrays(dtype)
        state = initial if state is None else state
        self.state_shapes = [w.shape for w in state]
        rows = case.batch_rows(iteration)
        self.layer_shapes = [(rows, units) for units in case.layers[1:]]
        self.dtype = dtype
        self.iteration = iteration
        self.arrays = X, y, state
        self.networks = len(state[0]) if case.init.networks else None
        ensemble = {"networks": self.networks} if self.networks else {}
        self.settings = {
            "dtype": dtype,
            "layers": case.layers,
            **case.settings_for(dtype),
            **ensemble,
        }

    @cached_property
    def body(self) -> dict[str, Any]:
        """All of it, as it goes into a request."""
        X, y, state = self.arrays
        weights = [w.tolist() for w in state]
        return {**self.settings, "X": X.tolist(), "y": y.tolist(), "weights": weights}

    @property
    def step_body(self) -> dict[str, Any]:
        """The body of a request for a step, with the update's number where that matters."""
        settings = self.case.settings
        if settings.batch_size or settings.dropout or settings.adam:
            return {**self.body, "iteration": self.iteration}
        return self.body

    def without(self, *keys: str) -> dict[str, Any]:
        """The body of a request that has no use for these keys."""
        return {key: value for key, value in self.body.items() if key not in keys}


def entries(answer: dict[str, Any], checkpoints: list[int]) -> list[tuple[int, dict[str, Any]]]:
    """The answer to a free run: an object for each checkpoint, in order, with the right keys."""
    found = _list("checkpoints", answer["checkpoints"], len(checkpoints))
    for n, entry in zip(checkpoints, found, strict=True):
        _keys(f"checkpoint {n}", entry, ("iteration", "error", "weights"))
        if not _is_integer(entry["iteration"], n):
            raise _garbage(
                f"an entry has iteration {_short(entry['iteration'])} where the checkpoint "
                f"{n} was asked for"
            )
    return list(zip(checkpoints, found, strict=True))


def _parse(line: bytes) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise _garbage(f"a key stands twice in one object: {_short([k for k, _ in pairs])}")
        return dict(pairs)

    try:
        return json.loads(line.decode(), object_pairs_hook=unique, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        # UnicodeDecodeError and JSONDecodeError are ValueErrors.
        raise _garbage(
            f"answer is not JSON: {_short(line)} ({error}); only answers may go to stdout"
        ) from error


def _keys(where: str, value: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise _garbage(f"{where} is not an object: {_short(value)}")
    for key in keys:
        if key not in value:
            raise _garbage(f"{where} lacks {key!r}")
    for key in value:
        if key not in keys:
            raise _garbage(f"{where} has an unknown key {_short(key)}")


def _list(where: str, value: Any, length: int) -> list[Any]:
    if not isinstance(value, list):
        raise _garbage(f"{where} is not a list: {_short(value)}")
    if len(value) != length:
        raise _garbage(f"{where} has {len(value)} entries, not {length}")
    return value


def _arrays(where: str, value: Any, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    entries = _list(where, value, len(shapes))
    return [
        _array(f"{where}[{k}]", entry, shape)
        for k, (entry, shape) in enumerate(zip(entries, shapes, strict=True))
    ]


def _array(where: str, value: Any, shape: tuple[int, ...]) -> Array:
    """A float64 array of exactly this shape, from nested lists of numbers.

    null counts as NaN: it is what JSON.stringify makes of one.
    """
    flat = [value]
    for dimension, length in enumerate(shape):
        for part in flat:
            if not isinstance(part, list) or len(part) != length:
                found = f"{len(part)} entries" if isinstance(part, list) else _short(part)
                shown = " x ".join(map(str, shape))
                raise _garbage(f"{where} is not {shown}: dimension {dimension} has {found}")
        flat = [item for part in flat for item in part]
    if set(map(type, flat)) != {float}:  # else nothing is to be converted, or could be wrong
        try:
            flat = [float("nan") if item is None else _number(item) for item in flat]
        except TypeError as error:
            raise _garbage(f"{where} holds {error}, which is not a number") from None
    return np.array(flat, dtype=np.float64).reshape(shape)


def _number(item: Any) -> float:
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise TypeError(_short(item))
    try:
        return float(item)
    except OverflowError:  # an integer beyond the largest double
        return float("inf") if item > 0 else float("-inf")


def _integer(digits: str) -> int | float:
    """Python refuses integers of thousands of digits; as a number, one is infinite."""
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


def _is_integer(value: Any, expected: int) -> bool:
    """Is it this number? `True == 1`, but true is not a number in JSON."""
    return not isinstance(value, bool) and bool(value == expected)


def _numbers_in(shapes: Sequence[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes)


def _garbage(reason: str) -> Trouble:
    return Trouble("GARBAGE", reason)


def _short(value: Any) -> str:
    """A short repr, however large or deep the value is."""
    text = _SHORT.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
