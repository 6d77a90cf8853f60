"""Writes a port to start from: it runs, and its answers are zeros."""

import json
import shutil
import string
import tempfile
from pathlib import Path

from conformance.ground.places import CONTRACT, IN_CLONE, command
from conformance.targets import folders
from conformance.targets.manifest import Kind, PortError
from reference.errors import unwritable

STARTERS = Path(__file__).parent / "starters"
FIRST_CASE = "one-step"


def write(folder: Path, kind: Kind) -> str:
    """Make the folder of a new port, and return what its author should read next.

    Raises UserError for a name or a place that is not allowed.
    """
    folder = folder.resolve()
    folders.check(folder)
    if folder.exists():
        raise PortError(f"{folder}: already exists, and is left as it is; choose another name")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for path in [STARTERS / "README.md", *sorted((STARTERS / kind).iterdir())]:
                text = string.Template(path.read_text(encoding="utf-8"))
                name = folder.name
                if path.suffix == ".toml":  # in quotes
                    name = json.dumps(name, ensure_ascii=False)[1:-1]
                (unfinished / path.name).write_text(
                    text.safe_substitute(name=name), encoding="utf-8"
                )
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise PortError(unwritable(folder, error)) from error
    guide = "conformance/contract/PORTING.md" if IN_CLONE else str(CONTRACT / "PORTING.md")
    return (
        f"{folder} is a port of kind {kind} that starts; its answers are zeros.\n"
        f"next: {command(folder, FIRST_CASE)}\n"
        f"It names the first number that is wrong. {guide} tells the rest."
    )
