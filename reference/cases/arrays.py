"""Reads a case's files: the case itself as text, and tables of data."""

from pathlib import Path

import numpy as np

from reference.array import Array
from reference.files import read_bounded

MAX_FILE_BYTES = 16 * 2**20


def read_limited(path: Path) -> str:
    """The text of a small UTF-8 file; ValueError if it is too large or is not UTF-8."""
    try:
        # Lines end as Python has them, so that a case's SHA-256 is the same wherever it is.
        return read_bounded(path, MAX_FILE_BYTES).decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text (byte {error.start})") from error


def read_table(path: Path, inputs: int, classes: int) -> Array:
    """The CSV file as (rows, inputs + 1): the inputs, then a class label from 0."""
    try:
        rows = read_limited(path).splitlines()[1:]  # the first names the columns
        table = np.loadtxt(rows, delimiter=",", ndmin=2) if rows else np.empty((0, 0))
    except OSError as error:
        raise ValueError(f"data.file {path.name!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"data.file {path.name!r} is not a table of numbers: {error}") from error
    if not len(table):
        raise ValueError(f"data.file {path.name!r} has no rows")
    if table.shape[1] != inputs + 1:
        raise ValueError(
            f"data.file {path.name!r} has {table.shape[1]} columns, but network.layers asks for "
            f"{inputs} inputs and one label"
        )
    if not np.isfinite(table).all():
        raise ValueError(f"data.file {path.name!r} holds a number that is not finite")
    if not np.isin(table[:, -1], np.arange(classes)).all():
        raise ValueError(
            f"data.file {path.name!r} has a label that is not a whole number from 0 to "
            f"{classes - 1}, the last of network.layers less one"
        )
    return table
