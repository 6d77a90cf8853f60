"""Files: read up to a size, written whole or not at all, and a standard output that cannot fail."""

import io
import os
import sys
import tempfile
from pathlib import Path

MAX_JSON_BYTES = 2**27


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of a file, at most `most`. Raises ValueError if the file has more."""
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"is larger than {most // 2**20} MiB")
    return data


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write text or bytes to a temporary file beside `path`, then rename it.

    A link, a pipe or a device is written to in place, since renaming a file would replace it.
    Raises OSError, which names `path`, if that is not possible; `path` is then unchanged.
    """
    try:
        _write(path, data.encode() if isinstance(data, str) else data)
    except OSError as error:  # if the disk is full, the error itself does not say where
        raise OSError(error.errno, error.strerror, str(path)) from error


def is_special(path: Path) -> bool:
    """True of a link, a pipe, a device or a folder: of all but a plain file."""
    return path.is_symlink() or not path.is_file()


def _write(path: Path, data: bytes) -> None:
    if path.exists() and is_special(path):
        with open(path, "wb") as special:
            special.write(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink()
        raise


def replace_unprintable() -> None:
    """Print `?` for characters that the terminal's encoding lacks; stderr already escapes them."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
