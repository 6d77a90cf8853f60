"""Reads and writes files of results; a failure is one sentence."""

import errno
import os
import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from conformance.verdict.verdict import Model
from reference.errors import UserError, reading, unwritable
from reference.files import MAX_JSON_BYTES, is_special, read_bounded, write_atomically

M = TypeVar("M", bound=Model)


class ResultsError(UserError):
    """A results file that cannot be written or read; the message is one sentence."""


def read(path: Path, model: type[M], what: str) -> M:
    """Read a file of this model; `what` says in words what it should be. Raises ResultsError."""
    with reading(path, ResultsError, what):
        return model.model_validate_json(read_bounded(path, MAX_JSON_BYTES))


def check_writable(path: Path) -> None:
    """Raise ResultsError if `write` would not work, before any work is lost."""
    what_to_do = "make its folder writable, or name another file"
    if path.is_dir():
        raise ResultsError(f"{path}: cannot be written: it is a folder")
    try:
        if path.exists() and is_special(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ResultsError(f"{unwritable(path, error)}; {what_to_do}") from error


def write(path: Path, file: BaseModel) -> None:
    """Write a results file, or another one, whole or not at all. Raises ResultsError."""
    write_data(path, file.model_dump_json(indent=1) + "\n")


def write_data(path: Path, data: str | bytes) -> None:
    """Write text or bytes, whole or not at all. Raises ResultsError."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ResultsError(unwritable(path, error)) from error
