"""Which folder a port's name means: one of ports/, or any other folder."""

import re
from pathlib import Path

from conformance.ground.places import PORTS
from conformance.ground.terminal import at, words
from reference.errors import UserError, visible

ALL = "all"  # in REQUIRE, all ports
LONGEST = 60  # characters of a name


def check(folder: Path) -> None:
    """Raise UserError for a folder that cannot be a port's because of its name.

    The name is the port's. It must not be one that another target has or that means something
    else, and it must be fit to be shown.
    """
    name = folder.name
    if name == ALL:
        why = "it means all ports"
    elif len(name) > LONGEST:
        why = f"it has more than {LONGEST} characters"
    elif visible(name) != name:
        why = "it has a character that is not seen"
    elif ":" in name:
        why = "what follows a colon is the name of a rung"
    elif re.search(r"\s\(", name):
        why = "a bracket after a space begins the name of an emulation"
    elif not re.match(r"[^\W_]", name) or name != name.strip():
        why = "it must begin with a letter or digit, and not end with a space"
    else:
        return
    raise UserError(f"{name}: is not a name for a port: {why}; give {folder} another name")


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
