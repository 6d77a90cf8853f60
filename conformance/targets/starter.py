"""Writes a port to begin with: it starts, and its answers are zeros."""

import re
import shutil
import string
import tempfile
from pathlib import Path
from typing import get_args

from conformance.places import CONTRACT, IN_CLONE, command
from conformance.targets.manifest import Kind, PortError

STARTERS = Path(__file__).parent / "starters"
KINDS = get_args(Kind)
FIRST_CASE = "one-step"


def write(folder: Path, kind: str) -> str:
    """Make the folder of a new port, and return what its author should read next.

    Raises PortError for a name, a place or a kind that cannot be.
    """
    folder = folder.resolve()
    if kind not in KINDS:
        raise PortError(f"KIND={kind}: there is no such kind; it is {', '.join(KINDS)}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", folder.name):
        raise PortError(
            f"NAME={folder.name}: is not a name for a port: letters, digits and _ . + -, please"
        )
    if folder.exists():
        raise PortError(f"{folder}: is there already, and stays as it is; take another name")
    try:
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for path in [STARTERS / "README.md", *sorted((STARTERS / kind).iterdir())]:
                text = string.Template(path.read_text(encoding="utf-8"))
                (unfinished / path.name).write_text(
                    text.safe_substitute(name=folder.name), encoding="utf-8"
                )
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise PortError(f"{folder}: cannot be written: {error.strerror or error}") from error
    guide = "conformance/contract/PORTING.md" if IN_CLONE else str(CONTRACT / "PORTING.md")
    return (
        f"{folder} is a port of kind {kind} that starts; its answers are zeros.\n"
        f"next: {command(folder, FIRST_CASE)}\n"
        f"It names the first number that is wrong. {guide} tells the rest."
    )
