"""Files: read up to a size, written whole or not at all, and a standard output that cannot fail."""

import io
import os
import sys
import tempfile
from pathlib import Path

MAX_JSON_BYTES = 2**27


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of a file. Raises ValueError if there are more; no more than that are read."""
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"is larger than {most // 2**20} MiB")
    return data


def write_atomically(path: Path, data: str | bytes) -> None:
    """Write text or bytes to a temporary file beside `path`, then rename it.

    Raises OSError, which names `path`, if that is not possible; `path` is then as it was.
    """
    try:
        _write(path, data.encode() if isinstance(data, str) else data)
    except OSError as error:  # of a full disk, the error itself does not say where
        raise OSError(error.errno, error.strerror, str(path)) from error


def _write(path: Path, data: bytes) -> None:
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
    """Have a `?` printed for what the terminal's encoding lacks; stderr escapes it by itself."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
