"""The process that runs a `c-abi` or `python` port and speaks the wire protocol for it.

    python -m conformance.worker c-abi LIBRARY
    python -m conformance.worker python MODULE.py

A port's crash ends this process and no other. What a port prints goes to stderr, so that it
cannot be taken for an answer. conformance/PORTING.md describes the protocol.
"""

import importlib.util
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reference.array import Array
from reference.batches import batch_slice

FORMAT = 1
GUARD = 64  # elements before and after each buffer
# What they hold: it shows in any sum, product, maximum or size of memory that it gets into.
FENCE = {"f": 2.0**99, "i": 2**40}
HEADER = Path(__file__).parent / "backprop.h"
Answer = dict[str, Any]
# What a request may hold beside sizes and data: the fields of `reference.rules.Rules`, which
# is not imported here, and the number of the update in a single step.
SETTINGS = {
    *("alpha", "bias", "activation", "output", "loss", "batch_size", "iteration"),
    *("trim_value", "trim_norm", "l1", "l2", "momentum", "nesterov"),
}
# What the C header calls them.
ENUMS = {"sigmoid": 0, "tanh": 1, "relu": 2, "softmax": 3, "squared": 0, "cross-entropy": 1}


class UnsupportedError(Exception):
    """The port says that it does not do this."""


class FailureError(Exception):
    """The port says that it failed, or breaks the contract."""


class Adapter(Protocol):
    """A loaded port, whatever its kind."""

    def device(self) -> str:
        """The name of the device that the port computes on."""

    def train(self, X: Array, y: Array, state: list[Array], request: Answer) -> Answer:
        """The answer to a free run."""

    def step(self, X: Array, y: Array, state: list[Array], request: Answer) -> Answer:
        """The answer to one update."""


class CLibrary:
    """A shared library behind the C header, called through cffi."""

    def __init__(self, path: str) -> None:
        import cffi

        self.ffi = cffi.FFI()
        self.ffi.cdef(re.sub(r"^#.*$", "", HEADER.read_text(encoding="utf-8"), flags=re.M))
        self.library = self.ffi.dlopen(path)

    def device(self) -> str:
        """See Adapter."""
        try:
            name = self.library.backprop_device()
        except AttributeError:
            return "cpu"
        return bytes(self.ffi.string(name)).decode(errors="replace")

    def train(self, X: Array, y: Array, state: list[Array], request: Answer) -> Answer:
        """See Adapter."""
        checkpoints = np.array(request["checkpoints"], dtype=np.int64)
        states = _unwritten(len(checkpoints), sum(w.size for w in state), like=X)
        error = _unwritten(len(checkpoints), like=X)
        flat = np.concatenate([w.ravel() for w in state])
        inputs = [X, y, flat, checkpoints]
        self._call("train", request, inputs, [states, error])
        return {
            "checkpoints": [
                {"iteration": n, "error": e, "weights": _split(row, [w.shape for w in state])}
                for n, e, row in zip(request["checkpoints"], error.tolist(), states, strict=True)
            ]
        }

    def step(self, X: Array, y: Array, state: list[Array], request: Answer) -> Answer:
        """See Adapter."""
        batch = batch_slice(len(X), request.get("batch_size", 0), request.get("iteration", 0))
        shapes = [(batch.stop - batch.start, units) for units in request["layers"][1:]]
        units = sum(a * b for a, b in shapes)
        l, error, delta = (_unwritten(units, like=X) for _ in range(3))
        flat = np.concatenate([w.ravel() for w in state])
        new = _unwritten(flat.size, like=X)
        self._call("step", request, [X, y, flat], [l, error, delta, new])
        return {
            "l": _split(l, shapes),
            "error": _split(error, shapes),
            "delta": _split(delta, shapes),
            "weights": _split(new, [w.shape for w in state]),
        }

    def _call(self, name: str, request: Answer, inputs: list[Array], outputs: list[Array]) -> None:
        suffix = {"float64": "f64", "float32": "f32"}[request["dtype"]]
        function_name = f"backprop_{name}_{suffix}"
        layers = _fenced(np.array(request["layers"], dtype=np.int64))
        inputs = [layers, *map(_fenced, inputs)]
        settings = self.ffi.new("backprop_settings *")
        settings.layer_count, settings.layers = len(layers), self._pointer(layers)
        settings.samples = len(request["X"])
        for key in SETTINGS & request.keys():
            setattr(settings, key, ENUMS.get(request[key], request[key]))
        arguments = [self._pointer(a) for a in (*inputs[1:], *outputs)]
        if name == "train":
            arguments.insert(3, len(inputs[4]))  # of the checkpoints
        before = [a.tobytes() for a in inputs]
        try:
            function = getattr(self.library, function_name)
        except AttributeError as error:
            raise FailureError(f"the library does not export {function_name}") from error
        status = function(settings, *arguments)
        if [a.tobytes() for a in inputs] != before:
            raise FailureError(f"{function_name} changed its inputs")
        if not all(_guarded(a) for a in (*inputs, *outputs)):
            raise FailureError(f"{function_name} wrote beyond the end of a buffer, or before it")
        if status == self.library.BACKPROP_UNSUPPORTED:
            raise UnsupportedError("the port does not do such a network (BACKPROP_UNSUPPORTED)")
        if status == self.library.BACKPROP_NO_DEVICE:
            raise UnsupportedError("the port's device is not here (BACKPROP_NO_DEVICE)")
        if status != self.library.BACKPROP_OK:
            raise FailureError(f"{function_name} returned status {status}")

    def _pointer(self, array: Array) -> Any:
        kind = {"float64": "double *", "float32": "float *", "int64": "int64_t *"}
        return self.ffi.cast(kind[array.dtype.name], array.ctypes.data)


class PythonModule:
    """A Python module with `train` and `step`."""

    def __init__(self, path: str) -> None:
        sys.path.insert(0, str(Path(path).parent))
        spec = importlib.util.spec_from_file_location(Path(path).stem, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is not a Python file")
        self.module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)

    def device(self) -> str:
        """See Adapter."""
        return str(self.module.device()) if hasattr(self.module, "device") else "cpu"

    def train(self, X: Array, y: Array, state: list[Array], request: Answer) -> Answer:
        """See Adapter."""
        run = self._call("train", X, y, state, request, list(request["checkpoints"]))
        return {
            "checkpoints": [
                {
                    "iteration": int(n),
                    "error": _numbers(error),
                    "weights": [_numbers(w) for w in weights],
                }
                for n, error, weights in run
            ]
        }

    def step(self, X: Array, y: Array, state: list[Array], request: Answer) -> Answer:
        """See Adapter."""
        lists = self._call("step", X, y, state, request)
        keys = ("l", "error", "delta", "weights")
        return {key: [_numbers(a) for a in arrays] for key, arrays in zip(keys, lists, strict=True)}

    def _call(
        self, name: str, X: Array, y: Array, state: list[Array], request: Answer, *rest: Any
    ) -> Any:
        before = [a.tobytes() for a in (X, y, *state)]
        settings = {key: request[key] for key in SETTINGS & request.keys()}
        result = getattr(self.module, name)(X, y, state, *rest, **settings)
        if name == "train":
            # A generator has computed nothing yet; copies, since it may reuse its arrays.
            result = [(n, error, [np.array(w) for w in weights]) for n, error, weights in result]
        if [a.tobytes() for a in (X, y, *state)] != before:
            raise FailureError(f"{name} changed its inputs")
        return result


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


def _numbers(value: Any) -> Any:
    """Nested lists of floats from an array of numbers, and of nothing else."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise FailureError(f"returned {array.dtype} where numbers are due")
    return array.astype(np.float64).tolist()


def _split(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """Cut a flat buffer into nested lists of these shapes."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = np.split(flat, ends[:-1])
    return [part.reshape(shape).tolist() for part, shape in zip(parts, shapes, strict=True)]


def answer(adapter: Adapter, request: Answer) -> Answer:
    """What the port says to one request, whatever happens in it short of a crash."""
    try:
        if request["op"] == "hello":
            return {"format": FORMAT, "device": adapter.device()}
        dtype = request["dtype"]
        X, y = (np.array(request[key], dtype=dtype) for key in ("X", "y"))
        state = [np.array(w, dtype=dtype) for w in request["weights"]]
        method = adapter.train if request["op"] == "train" else adapter.step
        return method(X, y, state, request)
    except (UnsupportedError, NotImplementedError) as error:
        return {"unsupported": str(error)}
    except FailureError as error:
        return {"failure": str(error)}
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {error}"}


def main() -> int:
    """Answer requests until stdin ends."""
    kind, path = sys.argv[1:]
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    np.seterr(over="ignore")  # exp of a saturated unit's sum is inf, and 1 / inf is right
    try:
        adapter: Adapter = CLibrary(path) if kind == "c-abi" else PythonModule(path)
    except Exception as error:
        print(f"cannot load {path}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    for line in requests:
        request = json.loads(line)
        answers.write(json.dumps({"id": request["id"], **answer(adapter, request)}) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
