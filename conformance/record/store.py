"""Reads and writes files of results; a failure is one sentence."""

import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from conformance.verdict.verdict import Model
from reference.errors import UserError, reading
from reference.files import MAX_JSON_BYTES, read_bounded, write_atomically

M = TypeVar("M", bound=Model)


class ResultsError(UserError):
    """A results file that cannot be written or read; the message is one sentence."""


def read(path: Path, model: type[M], what: str) -> M:
    """Read a file of this model; `what` it should be, in words. Raises ResultsError."""
    with reading(path, ResultsError, what):
        return model.model_validate_json(read_bounded(path, MAX_JSON_BYTES))


def check_writable(path: Path) -> None:
    """Raise ResultsError if `write` would not work, before there is anything to lose."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ResultsError(
            f"{path}: cannot be written: {error.strerror or error}; make its folder writable, or "
            "name another file"
        ) from error
    if path.is_dir():
        raise ResultsError(f"{path}: cannot be written: it is a folder")


def write(path: Path, file: BaseModel) -> None:
    """Write a results file, or another one, whole or not at all. Raises ResultsError."""
    write_data(path, file.model_dump_json(indent=1) + "\n")


def write_data(path: Path, data: str | bytes) -> None:
    """Write text or bytes, whole or not at all. Raises ResultsError."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from error
