"""The arrays that a case file describes: weights and samples, from its tables or other files."""

from pathlib import Path

import numpy as np

from reference.algorithm.initial import draw
from reference.array import Array
from reference.cases.tables import Tables
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
            f"data.file {path.name!r} has {table.shape[1]} columns, but network.layers needs "
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


def weights(tables: Tables) -> list[Array]:
    """The weights that the run starts from, in float64; networks of an ensemble along an axis."""
    init, layers, bias = tables.init, tables.network.layers, tables.settings.bias
    if init.weights is not None:
        return [np.array(w, dtype=np.float64) for w in init.weights]
    assert init.numpy_seed is not None  # `checks` demands one of the two
    if init.networks is None:
        return draw(init.numpy_seed, layers, bias)
    each = [draw(init.numpy_seed + i, layers, bias) for i in range(init.networks)]
    return [np.stack(matrices) for matrices in zip(*each, strict=True)]


def samples(tables: Tables, folder: Path) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """X and y to train with, and X and y held out, in float64; a file of data is in this folder.

    Raises ValueError for a file that does not match the tables.
    """
    data, layers = tables.data, tables.network.layers
    if data.file is None:
        X = np.array(data.X, dtype=np.float64)
        y = np.array(data.y, dtype=np.float64)
        return (X, y), (X[:0], y[:0])
    table = read_table(folder / data.file, layers[0], layers[-1])
    rows = data.rows or len(table)
    if rows > len(table):
        raise ValueError(f"data.rows is {rows}, but {data.file} has {len(table)} rows")
    X, labels = table[:rows, :-1] / data.scale, table[:rows, -1].astype(int)
    y = np.eye(layers[-1])[labels]
    every = data.held_out or rows + 1
    if data.held_out and every > rows:
        raise ValueError(f"data.held_out is {every}, but there are only {rows} rows")
    test = np.arange(rows) % every == every - 1
    return (X[~test], y[~test]), (X[test], y[test])
