"""Asks the harness's own worker for runs whose matrices go through files, and not through JSON."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from conformance.process.channel import Channel, Trouble, printable
from conformance.wire.client import Client, Question, entries
from reference.array import Array
from reference.golden.derive import Tensors, checkpoint_tensors


class BulkClient(Client):
    """A Client that trains in the bulk form of conformance/wire/worker.py.

    `folder` holds the files; clients of one run share it, since they ask one after the other.
    """

    def __init__(self, channel: Channel, limit_s: float, folder: Path) -> None:
        super().__init__(channel, limit_s)
        self._folder = folder

    def train(self, question: Question, checkpoints: list[int]) -> list[tuple[int, Tensors]]:
        """See Client."""
        networks = question.networks or 1
        folder = self._folder / f"{question.case.id}-{networks}-{question.dtype}"
        if not folder.exists():
            _save(folder, question)
        # An answer of before cannot be taken for one.
        shutil.rmtree(folder / "answer", ignore_errors=True)
        (folder / "answer").mkdir()
        request = {
            "op": "train",
            "bulk": str(folder),
            **question.settings,
            "checkpoints": checkpoints,
        }
        answer = self.ask(request, ("checkpoints",), len(checkpoints))
        shapes, result = question.state_shapes, []
        for n, entry in entries(answer, checkpoints):
            where, names = f"at checkpoint {n}", entry["weights"]
            if not isinstance(names, list) or len(names) != len(shapes):
                raise Trouble("GARBAGE", f"weights {where}: not {len(shapes)} of them")
            files = zip(names, shapes, strict=True)
            state = [_loaded(folder, name, shape) for name, shape in files]
            error: Any = entry["error"]
            if question.networks:
                error = _loaded(folder, error, (networks,))
            elif not isinstance(error, float):
                raise Trouble("GARBAGE", f"error {where}: not a number")
            result.append((n, checkpoint_tensors(question.case, state, np.float64(error))))
        return result


def _save(folder: Path, question: Question) -> None:
    X, y, state = question.arrays
    folder.mkdir(parents=True)
    named: dict[str, Any] = {"X": X, "y": y} | {f"state-{k}": w for k, w in enumerate(state)}
    for name, array in named.items():
        np.save(folder / f"{name}.npy", array)


def _loaded(folder: Path, name: Any, shape: tuple[int, ...]) -> Array:
    """What a port made; what is not due is GARBAGE, as in JSON."""
    try:
        array: Array = np.load(folder / "answer" / str(name))
    except (OSError, ValueError, EOFError) as error:  # the port's code runs where it is written
        raise Trouble("GARBAGE", f"no array in a file: {printable(str(error))}") from error
    if array.shape != shape or array.dtype.kind != "f":
        found = f"{array.shape} of {array.dtype}"
        raise Trouble("GARBAGE", f"{Path(name).stem} is {found}, not {shape} of floating point")
    return array
