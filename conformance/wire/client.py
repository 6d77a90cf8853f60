"""Questions and answers of the wire protocol: JSON lines in, named arrays out.

An answer is taken only if it has the right id, keys, lengths and shapes, and holds numbers;
else it is GARBAGE. Numbers that are not finite are let through: they FAIL by comparison.
conformance/contract/PORTING.md describes the protocol.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from conformance.ground.statuses import Status
from conformance.process.channel import Trouble
from conformance.process.words import printable
from conformance.wire.excerpt import excerpt
from conformance.wire.requests import FORMAT, HELLO, Failure, Message, Unsupported, line
from reference.array import Array
from reference.golden.checks import Check
from reference.golden.start import At, Shape, Spec
from reference.golden.tensors import Points

# The longest answer that is read, so that a flood cannot fill memory.
BYTES_PER_NUMBER = 64
BYTES_BESIDES = 2**16
# So long may a port do nothing before it greets back; to load a large library is to do something.
HELLO_S = 10.0
MOST_SECONDS = 1e6  # that a device may say it took
LONGEST_INTEGER = 400  # digits; no double has more

# What is no list of whole numbers: in a text, as the value of a key, or with many digits.
DECIMAL_COMMA = re.compile(rb'(?<=[":])\s*-?\d+,\d+|-?\d+,\d{3,}')


class Pipe(Protocol):
    """Carries a line to a port and its answer back. A Channel does, and a Recorder keeps both."""

    def ask(
        self, request: bytes, limit_s: float, max_bytes: int, idle_s: float | None = None
    ) -> bytes:
        """See Channel.ask."""


class Client:
    """Asks one port. All methods raise what `Channel.ask` raises, and Unsupported or Failure."""

    def __init__(self, channel: Pipe, limit_s: float) -> None:
        self._channel = channel
        self._limit_s = limit_s
        self._id = 0
        self._said = b""  # the last answer
        self.asked: Message = {}  # the last request

    def hello(self) -> str:
        """Greet the port; returns the name of the device that it runs on."""
        answer = self.ask(HELLO, ("format", "device"), idle_s=HELLO_S)
        if not _is_integer(answer["format"], FORMAT):
            raise _garbage(f"speaks format {excerpt(answer['format'])} of the protocol, not 1")
        if not isinstance(answer["device"], str):
            raise _garbage(f"device is {excerpt(answer['device'])}, not a name")
        return printable(answer["device"])

    def answer_to(self, check: Check) -> Points:
        """What the port gives for a check, by iteration or seed."""
        shape = check.answer()
        answer = self.ask(self.request(check), tuple(shape), check.numbers)
        with _told_of_decimal_commas(self._said):
            parts = {key: self._read(key, answer[key], spec) for key, spec in shape.items()}
        return check.tensors(parts)

    def prepare(self, check: Check) -> None:
        """Make ready what the request of a check needs, before a clock runs."""
        _ = check.start.arrays

    def request(self, check: Check) -> dict[str, Any]:
        """The request that asks a check; BulkClient asks in another form."""
        return check.request()

    def array(self, where: str, value: Any, shape: Shape) -> Array:
        """An array of an answer, which must have this shape; BulkClient reads it from a file."""
        return _array(where, value, shape)

    def device_seconds(self) -> list[float] | None:
        """What the last answer took by a device's own clock, if there is one: see backprop.h.

        The harness's own worker is asked, which speaks for a port of any kind but process.
        """
        seconds = self.ask({"op": "device_seconds"}, ("seconds",))["seconds"]
        if seconds is None:
            return None
        found = _array("device_seconds", seconds, (3,))
        if not np.isfinite(found).all():
            raise _garbage(f"device_seconds is not finite: {excerpt(seconds)}")
        if np.abs(found).max() > MOST_SECONDS:
            raise _garbage(f"device_seconds is longer than any run: {excerpt(seconds)}")
        return [float(part) for part in found]

    def fill(self, byte: int) -> None:
        """Have the harness's worker get its memory filled: see conformance/process/memory.py."""
        self.ask({"op": "fill", "byte": byte}, ("byte",))

    def ask(
        self,
        request: dict[str, Any],
        keys: tuple[str, ...],
        numbers: int = 0,
        idle_s: float | None = None,
    ) -> dict[str, Any]:
        """The answer to a request: an object with just these keys and the right id."""
        number = self._id
        self._id += 1
        max_bytes = BYTES_PER_NUMBER * numbers + BYTES_BESIDES
        self.asked = request
        self._said = self._channel.ask(line(number, request), self._limit_s, max_bytes, idle_s)
        with _told_of_decimal_commas(self._said):
            answer = _parse(self._said, f"the answer to {excerpt(request['op'])}")
        if not isinstance(answer, dict) or "id" not in answer:
            raise _garbage(f"answer is not an object with an id: {excerpt(answer)}")
        if not _is_integer(answer["id"], number):
            raise _garbage(f"answer has id {excerpt(answer['id'])}, not {number}")
        for key, kind in (("unsupported", Unsupported), ("failure", Failure)):
            if set(answer) == {"id", key}:
                if not isinstance(answer[key], str):
                    raise _garbage(f'"{key}" must be a sentence, not {excerpt(answer[key])}')
                raise kind(printable(answer[key]))
        if set(answer) != {"id", *keys}:
            decline = json.dumps({"id": number, "unsupported": "why"})
            _keys(
                f"the answer to {excerpt(request['op'])}",
                answer,
                ("id", *keys),
                f"; to decline a request, answer {decline}",
            )
        return answer

    def _read(self, where: str, value: Any, spec: Spec) -> Any:
        """The arrays of a part of an answer, which must look like `spec`."""
        if isinstance(spec, At):
            return self._entry(value, spec)
        if isinstance(spec, tuple):
            return self.array(where, value, spec)
        parts = zip(_list(where, value, len(spec)), spec, strict=True)
        return [self._read(f"{where}[{k}]", part, one) for k, (part, one) in enumerate(parts)]

    def _entry(self, value: Any, spec: At) -> dict[str, Any]:
        n = spec.iteration
        where = f"checkpoint {n}"
        _keys(where, value, ("iteration", *spec.fields))
        if not _is_integer(value["iteration"], n):
            raise _garbage(
                f"an entry has iteration {excerpt(value['iteration'])} where the checkpoint "
                f"{n} was asked for"
            )
        fields = spec.fields.items()
        return {key: self._read(f"{key} at {where}", value[key], part) for key, part in fields}


@contextlib.contextmanager
def _told_of_decimal_commas(line: bytes) -> Iterator[None]:
    """Around reading an answer: if it cannot be read, decimal commas in it may be why."""
    try:
        yield
    except Trouble as trouble:
        if b"." in line or (found := DECIMAL_COMMA.search(line)) is None:
            raise
        number = found[0].strip().decode()
        hint = f"it writes {number} with a decimal comma, and JSON has decimal points"
        raise _garbage(f"{trouble.reason}; {hint}: is that the locale?") from trouble


def _parse(line: bytes, where: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise _garbage(f"a key stands twice in one object: {excerpt([k for k, _ in pairs])}")
        return dict(pairs)

    try:
        return json.loads(line.decode(), object_pairs_hook=unique, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        # UnicodeDecodeError and JSONDecodeError are ValueErrors.
        if isinstance(error, json.JSONDecodeError) and line.lstrip().startswith(b"{"):
            text = error.doc[error.pos :]
            what = f"go on with {excerpt(text)}" if text else "end there"
            reason = f"{where} is not JSON: after {error.pos} characters, it cannot {what}"
            raise _garbage(reason) from error
        raise _garbage(
            f"this line on stdout is not JSON: {excerpt(line)}; "
            "only answers may go to stdout, print other text to stderr"
        ) from error


def _keys(where: str, value: Any, keys: tuple[str, ...], otherwise: str = "") -> None:
    """Raises Trouble where these are not its keys; `otherwise` says what else may be answered."""
    if not isinstance(value, dict):
        raise _garbage(f"{where} is not an object: {excerpt(value)}")
    for key in keys:
        if key not in value:
            raise _garbage(f'{where} has no "{key}"; it was {excerpt(value)}{otherwise}')
    for key in value:
        if key not in keys:
            raise _garbage(f"{where} has an unknown key {excerpt(key)}")


def _list(where: str, value: Any, length: int) -> list[Any]:
    if not isinstance(value, list):
        raise _garbage(f"{where} is not a list: {excerpt(value)}")
    if len(value) != length:
        raise _garbage(f"{where} has {_entries(value)}, not {length}")
    return value


def _entries(found: list[Any]) -> str:
    return "1 entry" if len(found) == 1 else f"{len(found)} entries"


def _array(where: str, value: Any, shape: Shape) -> Array:
    """A float64 array of exactly this shape, from nested lists of numbers.

    null counts as NaN: it is what JSON.stringify makes of one.
    """
    flat = [value]
    for dimension, length in enumerate(shape):
        for part in flat:
            if not isinstance(part, list) or len(part) != length:
                found = _entries(part) if isinstance(part, list) else excerpt(part)
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
        raise TypeError(excerpt(item))
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


def _garbage(reason: str) -> Trouble:
    return Trouble(Status.GARBAGE, reason)
