"""Where things are: in a clone, or where pip has installed the harness without the ports."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from reference.errors import UserError

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parent
CONTRACT = HERE / "contract"
CASES = HERE / "suite" / "cases"
PORTS = ROOT / "ports"
IN_CLONE = (ROOT / "Makefile").exists() and PORTS.is_dir()
NAME = "backprop-conformance"  # of the command that pip installs
# What is built, derived and reported. Nothing is written beside installed packages.
BUILD = ROOT / "build" if IN_CLONE else user_cache_path(NAME)


def from_here(path: Path) -> Path:
    """A path as people like to read it: relative, if it is inside the working folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@contextmanager
def writing_build() -> Iterator[None]:
    """Wraps code that writes below BUILD: if that fails, one sentence says what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or BUILD}: cannot be written: {error.strerror or error}; the harness "
            f"builds and derives in {BUILD}: make that folder writable and not full, or delete it"
        ) from error


def command(port: Path, cases: str, rung: str | None = None) -> str:
    """What to type to run the port in this folder, or one of its rungs, on these cases."""
    name = port.name if port.parent == PORTS else str(port)
    word = f"{name}:{rung}" if rung else name
    if not IN_CLONE:
        return f"{NAME} check {shlex.quote(word)} --cases {shlex.quote(cases)}"
    # make treats $ as its own.
    word, cases = (shlex.quote(text.replace("$", "$$")) for text in (word, cases))
    return f"make conformance PORT={word} CASES={cases}"
