"""Calls a `c-abi` port: a shared library behind the contract of backprop.h, through cffi.

Each buffer that the port writes to is full of NaN before; all lie between guard zones.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conformance.wire.requests import SETTINGS, Failure, Message, Unsupported, function_of
from reference.algorithm.batches import batch_slice
from reference.array import Array

GUARD = 64  # elements before and after each buffer
# What they hold: it shows in any sum, product, maximum or size of memory that it gets into.
FENCE = {"f": 2.0**99, "i": 2**40}
HEADER = Path(__file__).parents[1] / "contract" / "backprop.h"


class CLibrary:
    """A shared library behind the C header, called through cffi.

    Raises OSError if it cannot be loaded.
    """

    def __init__(self, path: str | None) -> None:
        import cffi

        self.ffi = cffi.FFI()
        self.ffi.cdef(re.sub(r"^#.*$", "", HEADER.read_text(encoding="utf-8"), flags=re.M))
        self._name = Path(path).name if path else "this process"
        try:
            self.library = self.ffi.dlopen(path)
        except OSError as error:
            raise OSError(_reason(str(error), path)) from error

    def device(self) -> str:
        """See Adapter."""
        return self._text("backprop_device") or "cpu"

    def device_seconds(self) -> list[float] | None:
        """See Adapter."""
        try:
            seconds = self.library.backprop_device_seconds()
        except AttributeError:
            return None
        return [seconds[i] for i in range(3)] if seconds else None

    def train(self, X: Array, y: Array, state: list[Array], request: Message) -> Message:
        """See Adapter."""
        checkpoints = np.array(request["checkpoints"], dtype=np.int64)
        networks = request.get("networks", 1)
        size = sum(w.size for w in state) // networks
        states = _unwritten(networks, len(checkpoints), size, like=X)
        errors = _unwritten(networks, len(checkpoints), like=X)
        inputs = [X, y, _flat(state, networks), checkpoints]
        self._call(request, inputs, [states, errors])
        shapes = [w.shape for w in state]
        return {
            "checkpoints": [
                {
                    "iteration": n,
                    "error": errors[:, c] if "networks" in request else errors[0, c].item(),
                    "weights": _split(states[:, c], shapes),
                }
                for c, n in enumerate(request["checkpoints"])
            ]
        }

    def step(self, X: Array, y: Array, state: list[Array], request: Message) -> Message:
        """See Adapter."""
        batch = batch_slice(len(X), request.get("batch_size", 0), request.get("iteration", 0))
        shapes = [(batch.stop - batch.start, units) for units in request["layers"][1:]]
        units = sum(a * b for a, b in shapes)
        l, error, delta = (_unwritten(units, like=X) for _ in range(3))
        flat = _flat(state)
        new = _unwritten(flat.size, like=X)
        self._call(request, [X, y, flat], [l, error, delta, new])
        return {
            "l": _split(l, shapes),
            "error": _split(error, shapes),
            "delta": _split(delta, shapes),
            "weights": _split(new, [w.shape for w in state]),
        }

    def predict(self, X: Array, state: list[Array], request: Message) -> Message:
        """See Adapter."""
        output = _unwritten(len(X), request["layers"][-1], like=X)
        self._call(request, [X, _flat(state)], [output])
        return {"output": output}

    def initial(self, request: Message) -> Message:
        """See Adapter."""
        shapes = [tuple(shape) for shape in request["shapes"]]
        state = _unwritten(sum(map(math.prod, shapes)), like=np.empty(0, request["dtype"]))
        self._call(request, [], [state])
        return {"weights": _split(state, shapes)}

    def _call(self, request: Message, inputs: list[Array], outputs: list[Array]) -> None:
        name, function_name = request["op"], function_of(request)
        layers = _fenced(np.array(request["layers"], dtype=np.int64))
        inputs = [layers, *map(_fenced, inputs)]
        settings = self.ffi.new("backprop_settings *")
        settings.layer_count, settings.layers = len(layers), self._pointer(layers)
        settings.samples = len(request.get("X", []))
        for key in SETTINGS & request.keys():
            setattr(settings, key, self._value(request[key]))
        arguments: list[Array | int] = [*inputs[1:], *outputs]
        if name == "train":
            arguments.insert(3, len(inputs[4]))  # of the checkpoints
        if name == "initial":
            arguments.insert(0, request["numpy_seed"])
        before = [a.tobytes() for a in inputs]
        status = self._invoke(function_name, settings, arguments)
        if [a.tobytes() for a in inputs] != before:
            raise Failure(f"{function_name} changed its inputs")
        if not all(_guarded(a) for a in (*inputs, *outputs)):
            raise Failure(f"{function_name} wrote beyond the end of a buffer, or before it")
        if status == self.library.BACKPROP_OK:
            return
        reason = self._text("backprop_reason")
        if status == self.library.BACKPROP_UNSUPPORTED:
            said = reason or "the port does not do such a network"
            raise Unsupported(f"{said} (BACKPROP_UNSUPPORTED)")
        if status == self.library.BACKPROP_NO_DEVICE:
            said = reason or "the port's device is missing"
            raise Unsupported(f"{said} (BACKPROP_NO_DEVICE)")
        said = f": {reason}" if reason else ""
        known = self.ffi.typeof("enum backprop_status").elements
        name = known.get(status, "which backprop.h does not have")
        raise Failure(f"{function_name} returned {status} ({name}){said}")

    def _value(self, setting: Any) -> Any:
        """A setting as C has it: for a name, the number that the header gives it."""
        if not isinstance(setting, str):
            return setting
        return getattr(self.library, f"BACKPROP_{setting.upper().replace('-', '_')}")

    def _invoke(self, function_name: str, settings: Any, arguments: list[Array | int]) -> int:
        """The status that a function returns."""
        try:
            function = getattr(self.library, function_name)
        except AttributeError as error:
            raise Failure(f"{self._name} does not export {function_name}") from error
        pointers = (a if isinstance(a, int) else self._pointer(a) for a in arguments)
        return int(function(settings, *pointers))

    def _text(self, function_name: str) -> str | None:
        """What an optional function says, or None if the port does not have it."""
        try:
            text = getattr(self.library, function_name)()
        except AttributeError:
            return None
        return bytes(self.ffi.string(text)).decode(errors="replace") if text else None

    def _pointer(self, array: Array) -> Any:
        kind = {"float64": "double *", "float32": "float *", "int64": "int64_t *"}
        return self.ffi.cast(kind[array.dtype.name], array.ctypes.data)


def _reason(said: str, path: str | None) -> str:
    """Why a library cannot be loaded, without its path, and without where else cffi looked."""
    said, _, _ = said.partition(".  Additionally, ")
    return said.removeprefix(f"cannot load library '{path}': ").removeprefix(f"{path}: ")


def _unwritten(*shape: int, like: Array) -> Array:
    """A buffer for results, full of NaN: what a port does not write cannot pass."""
    return _fenced(np.full(shape, np.nan, dtype=like.dtype))


def _fenced(content: Array) -> Array:
    """A copy that lies within a larger array, whose other elements must stay as they are."""
    whole = np.full(content.size + 2 * GUARD, FENCE[content.dtype.kind], dtype=content.dtype)
    whole[GUARD:-GUARD] = content.ravel()
    return whole[GUARD:-GUARD].reshape(content.shape)


def _guarded(buffer: Array) -> bool:
    """True as long as nothing is written around this buffer."""
    whole = buffer.base
    assert whole is not None
    fence = FENCE[whole.dtype.kind]
    return bool((whole[:GUARD] == fence).all() and (whole[-GUARD:] == fence).all())


def _flat(matrices: Sequence[Array], networks: int = 1) -> Array:
    """All of them in one buffer, network by network; `_split` is the way back."""
    return np.concatenate([m.reshape(networks, -1) for m in matrices], axis=1).ravel()


def _split(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Cut a flat buffer, or one that has a row for each network, into arrays of these shapes."""
    networks = math.prod(flat.shape[:-1])
    ends = np.cumsum([math.prod(shape) // networks for shape in shapes])
    parts = np.split(flat, ends[:-1], axis=-1)
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
