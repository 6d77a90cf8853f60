"""Asks the harness's own worker for runs whose matrices go through files, and not through JSON."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from conformance.ground.statuses import Status
from conformance.process.channel import Channel, Trouble
from conformance.process.words import printable
from conformance.wire.client import Client
from reference.array import Array
from reference.golden.checks import Check
from reference.golden.start import LARGE, Shape, Start


class BulkClient(Client):
    """A Client that asks for free runs in the bulk form of conformance/wire/worker.py.

    `folder` holds the files; clients of one run share it, since they ask one after the other.
    """

    def __init__(self, channel: Channel, limit_s: float, folder: Path) -> None:
        super().__init__(channel, limit_s)
        self._folder = self._answers = folder
        self._prepared: Check | None = None

    def prepare(self, check: Check) -> None:
        """See Client."""
        if check.whole_run:
            _save(self._of(check), check.start)
            self._prepared = check

    def request(self, check: Check) -> dict[str, Any]:
        """See Client: of a free run, with a folder in place of arrays."""
        if not check.whole_run:
            return super().request(check)
        start = check.start
        folder = self._of(check)
        if self._prepared is not check:
            self.prepare(check)
        self._prepared = None  # another client may write into this folder
        self._answers = folder / "answer"
        # Remove old answers, so that none is read by mistake.
        shutil.rmtree(self._answers, ignore_errors=True)
        self._answers.mkdir()
        asked = {"bulk": str(folder), **start.settings, "checkpoints": list(check.points)}
        return {"op": "train", **asked}

    def _of(self, check: Check) -> Path:
        return self._folder / f"{check.case.id}-{check.start.networks or 1}-{check.dtype}"

    def array(self, where: str, value: Any, shape: Shape) -> Array:
        """See Client: what is not a number is in a file of this name."""
        if not isinstance(value, str):
            return super().array(where, value, shape)
        try:
            array: Array = np.load(self._answers / value)
        except (OSError, ValueError, EOFError) as error:  # the port's code runs where it is written
            said = printable(str(error))
            raise Trouble(Status.GARBAGE, f"{where} is no array in a file: {said}") from error
        if array.shape != shape or array.dtype.kind != "f":
            found = f"{array.shape} of {array.dtype}"
            raise Trouble(Status.GARBAGE, f"{where} is {found}, not {shape} of floating point")
        return array


def _save(folder: Path, start: Start) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for k, w in enumerate(start.state):
        np.save(folder / f"state-{k}.npy", w)
    for name, array in {"X": start.X, "y": start.y}.items():
        if start.X.size <= LARGE or not (folder / f"{name}.npy").exists():
            np.save(folder / f"{name}.npy", array)
