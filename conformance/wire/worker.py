"""The process that runs a `c-abi` or `python` port and speaks the wire protocol for it.

    python -m conformance.wire.worker c-abi LIBRARY
    python -m conformance.wire.worker python MODULE.py

A port's crash ends this process and no other. What a port prints goes to stderr, so that it
cannot be taken for an answer. conformance/contract/PORTING.md describes the protocol.

Beside it, this worker knows a bulk form of `train`, for networks whose data would be many megabytes
of JSON: it has "bulk", a folder, in place of X, y and weights. They are X.npy, y.npy and
state-K.npy in that folder, in the dtype of the request. X and y are read once. The answer has file
names in place of weights, and of the errors of an ensemble: those of .npy files in the folder's
subfolder "answer". And "device_seconds", which asks for what backprop.h says of that
function, and "fill", which has a "byte" for conformance/process/memory.py.
"""

import functools
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from conformance.process import memory
from conformance.wire.c_library import CLibrary
from conformance.wire.requests import FORMAT, SETTINGS, Failure, Message, Unsupported
from reference.array import Array


class Adapter(Protocol):
    """A loaded port, whatever its kind."""

    def device(self) -> str:
        """The name of the device that the port computes on."""

    def device_seconds(self) -> list[float] | None:
        """What the last call took by the device's own clock, if it has one: see backprop.h."""

    def train(self, X: Array, y: Array, state: list[Array], request: Message) -> Message:
        """The answer to a free run."""

    def step(self, X: Array, y: Array, state: list[Array], request: Message) -> Message:
        """The answer to one update."""

    def predict(self, X: Array, state: list[Array], request: Message) -> Message:
        """The answer to inference."""

    def initial(self, request: Message) -> Message:
        """The answer to drawing initial weights."""


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

    def device_seconds(self) -> list[float] | None:
        """See Adapter."""
        clock = getattr(self.module, "device_seconds", lambda: None)
        seconds = clock()
        return None if seconds is None else [float(part) for part in seconds]

    def train(self, X: Array, y: Array, state: list[Array], request: Message) -> Message:
        """See Adapter."""
        run = self._call("train", request, X, y, state, list(request["checkpoints"]))
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

    def step(self, X: Array, y: Array, state: list[Array], request: Message) -> Message:
        """See Adapter."""
        lists = self._call("step", request, X, y, state)
        keys = ("l", "error", "delta", "weights")
        return {key: [_numbers(a) for a in arrays] for key, arrays in zip(keys, lists, strict=True)}

    def predict(self, X: Array, state: list[Array], request: Message) -> Message:
        """See Adapter."""
        return {"output": _numbers(self._call("predict", request, X, state))}

    def initial(self, request: Message) -> Message:
        """See Adapter."""
        layers, seed, dtype = (request[key] for key in ("layers", "numpy_seed", "dtype"))
        weights = self._call("initial", request, layers, seed, dtype=dtype)
        return {"weights": [_numbers(w) for w in weights]}

    def _call(self, name: str, request: Message, *arguments: Any, **more: Any) -> Any:
        before = _content(arguments)
        # How many networks there are, a module sees from the shapes.
        settings = {key: request[key] for key in SETTINGS & request.keys() - {"networks"}}
        result = getattr(self.module, name)(*arguments, **more, **settings)
        if name == "train":
            # A generator has computed nothing yet; copies, since it may reuse its arrays.
            result = [
                (n, np.array(error), [np.array(w) for w in weights]) for n, error, weights in result
            ]
        if _content(arguments) != before:
            raise Failure("changed its inputs")
        return result


def _content(arguments: Any) -> Any:
    """The content of arrays, in lists or alone; anything else is handed over as a copy."""
    if isinstance(arguments, list | tuple):
        return [_content(item) for item in arguments]
    return arguments.tobytes() if isinstance(arguments, np.ndarray) else None


def _numbers(value: Any) -> Array:
    """A float64 array from an array of numbers, and of nothing else."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise Failure(f"returned {array.dtype} where numbers are due")
    return array.astype(np.float64)


def answer(adapter: Adapter, request: Message) -> Message:
    """What the port says to one request, whatever happens in it short of a crash."""
    try:
        if request["op"] == "hello":
            return {"format": FORMAT, "device": adapter.device()}
        if request["op"] == "device_seconds":
            return {"seconds": adapter.device_seconds()}
        if request["op"] == "fill":
            memory.fill_with(request["byte"])
            return {"byte": request["byte"]}
        if request["op"] == "initial":
            return adapter.initial(request)
        if "bulk" in request:
            return _train_in_bulk(adapter, request)
        dtype = request["dtype"]
        X = np.array(request["X"], dtype=dtype)
        state = [np.array(w, dtype=dtype) for w in request["weights"]]
        if request["op"] == "predict":
            return adapter.predict(X, state, request)
        y = np.array(request["y"], dtype=dtype)
        method = adapter.train if request["op"] == "train" else adapter.step
        return method(X, y, state, request)
    except (Unsupported, NotImplementedError) as error:
        return {"unsupported": str(error)}
    except Failure as error:
        return {"failure": str(error)}
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {error}"}


def encoded(found: Message) -> str:
    """An answer as JSON, with nested lists for arrays."""
    return json.dumps(found, default=np.ndarray.tolist)


def _train_in_bulk(adapter: Adapter, request: Message) -> Message:
    """The answer to a free run, with files for matrices."""
    folder = Path(request["bulk"])
    X, y, state = _loaded(folder)
    found = adapter.train(X, y, state, {**request, "X": X})
    for entry in found["checkpoints"]:
        names = [f"{entry['iteration']}-{k}.npy" for k in range(len(entry["weights"]))]
        for name, matrix in zip(names, entry["weights"], strict=True):
            np.save(folder / "answer" / name, matrix)
        entry["weights"] = names
        if "networks" in request:
            np.save(folder / "answer" / f"{entry['iteration']}-error.npy", entry["error"])
            entry["error"] = f"{entry['iteration']}-error.npy"
    return found


def _loaded(folder: Path) -> tuple[Array, Array, list[Array]]:
    """X, y and the state in a folder of a bulk request."""
    matrices = len(list(folder.glob("state-*.npy")))
    state = [np.load(folder / f"state-{k}.npy") for k in range(matrices)]
    X, y = (_data(folder / name, (folder / name).stat().st_mtime_ns) for name in ("X.npy", "y.npy"))
    return X, y, state


@functools.lru_cache(maxsize=2)
def _data(file: Path, written_ns: int) -> Array:
    """The array in a file, read once if it is not written again."""
    found: Array = np.load(file)
    return found


def main() -> int:
    """Message requests until stdin ends."""
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
        reason = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        print(f"cannot load {path}: {reason}", file=sys.stderr)
        return 1
    for line in requests:
        request = json.loads(line)
        answers.write(encoded({"id": request["id"], **answer(adapter, request)}) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
