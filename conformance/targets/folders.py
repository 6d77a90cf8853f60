"""Which folder a port's name means: one of ports/, or any other folder."""

from pathlib import Path

from conformance.ground.places import PORTS
from conformance.ground.terminal import at, words


def is_path(name: str) -> bool:
    """True if it can only be a path; a bare name is a folder of ports/ or of this folder."""
    return "/" in name or name in (".", "..")


def find(name: str) -> tuple[Path, str | None] | None:
    """The existing folder for NAME or NAME:RUNG, and the rung, if one is named."""
    bare, colon, rung = name.rpartition(":")
    if (folder := _folder(name)).is_dir():
        return folder, None
    if colon and (folder := _folder(bare)).is_dir():
        return folder, rung
    return None


def split(value: str) -> list[str]:
    """The names in a value, with spaces between; the name of an existing folder may have spaces."""
    return words(value, _is_there)


def _folder(name: str) -> Path:
    bundled = PORTS / name
    return bundled if not is_path(name) and bundled.is_dir() else at(name).resolve()


def _is_there(name: str) -> bool:
    try:
        return find(name) is not None
    except OSError:  # many words are too long for the name of a folder
        return False
