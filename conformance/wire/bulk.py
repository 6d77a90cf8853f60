"""Asks the harness's own worker for runs whose matrices go through files, and not through JSON."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from conformance.process.channel import Channel, Trouble
from conformance.statuses import Status
from conformance.wire.client import Client
from reference.array import Array
from reference.golden.checks import Check, Points
from reference.golden.start import Shape, Start


class BulkClient(Client):
    """A Client that asks for free runs in the bulk form of conformance/wire/worker.py.

    `folder` holds the files; clients of one run share it, since they ask one after the other.
    """

    def __init__(self, channel: Channel, limit_s: float, folder: Path) -> None:
        super().__init__(channel, limit_s)
        self._folder = folder

    def answer_to(self, check: Check) -> Points:
        """See Client."""
        if not check.whole_run:
            return super().answer_to(check)
        start = check.start
        folder = self._folder / f"{check.case.id}-{start.networks or 1}-{check.dtype}"
        if not folder.exists():
            _save(folder, start)
        # An answer of before cannot be taken for one.
        shutil.rmtree(folder / "answer", ignore_errors=True)
        (folder / "answer").mkdir()
        asked = {"bulk": str(folder), **start.settings, "checkpoints": list(check.points)}
        answer = self.ask({"op": "train", **asked}, ("checkpoints",), len(check.points))
        entries = []
        for entry in answer["checkpoints"]:
            names = zip(entry["weights"], start.state, strict=True)
            weights = [_loaded(folder / "answer" / name, like.shape) for name, like in names]
            error: Any = entry["error"]
            if start.networks:
                error = _loaded(folder / "answer" / error, (start.networks,))
            entries.append({"weights": weights, "error": np.float64(error)})
        return check.tensors({"checkpoints": entries})


def _save(folder: Path, start: Start) -> None:
    folder.mkdir(parents=True)
    state = {f"state-{k}": w for k, w in enumerate(start.state)}
    for name, array in {"X": start.X, "y": start.y, **state}.items():
        np.save(folder / f"{name}.npy", array)


def _loaded(path: Path, shape: Shape) -> Array:
    """What a port made; a shape that is not due is GARBAGE, as in JSON."""
    array: Array = np.load(path)
    if array.shape != shape:
        raise Trouble(Status.GARBAGE, f"{path.stem} is {array.shape}, not {shape}")
    return array
