"""Where things are: in a clone, or where pip has installed the harness without the ports."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from reference.errors import UserError

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parent
CONTRACT = HERE / "contract"
CASES = HERE / "suite" / "cases"
PAIRS = HERE / "suite" / "pairs" / "cases"  # written by `make golden`: see reference/cases/pairs.py
PORTS = ROOT / "ports"
IN_CLONE = (ROOT / "Makefile").exists() and PORTS.is_dir()
NAME = "backprop-conformance"  # of the command that pip installs
# What is built, derived and reported. Nothing is written beside installed packages.
BUILD = ROOT / "build" if IN_CLONE else user_cache_path(NAME)
FRESH = BUILD / "fresh"  # random cases


def case_files() -> dict[str, Path]:
    """The case files of this suite by the ids of their cases; those of pairs come last."""
    return {path.stem: path for folder in (CASES, PAIRS) for path in sorted(folder.glob("*.toml"))}


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


def option(name: str, value: object = None) -> str:
    """An option as a user types it: `CASES=bias` in a clone, `--cases bias` elsewhere.

    An option without a value is a switch. Ports and names are arguments elsewhere: only the value.
    """
    if IN_CLONE:
        return f"{name.upper()}={1 if value is None else value}"
    if name in ("port", "name"):
        return str(value)
    return f"--{name}" if value is None else f"--{name} {value}"


def typed(command: str, **options: str) -> str:
    """A command and its options as a user types them, with quotes where a shell needs them."""
    if IN_CLONE:
        # make takes $ for its own.
        options = {name: value.replace("$", "$$") for name, value in options.items()}
        start = f"make {'conformance' if command == 'check' else command}"
    else:
        start = f"{NAME} {command}"
    return " ".join([start, *(option(n, shlex.quote(value)) for n, value in options.items())])


def command(port: Path, cases: str, rung: str | None = None, *, strict: bool = False) -> str:
    """What to type to run the port in this folder, or one of its rungs, on these cases."""
    name = port.name if port.parent == PORTS else str(port)
    typed_in = typed("check", port=f"{name}:{rung}" if rung else name, cases=cases)
    return f"{typed_in} {option('strict')}" if strict else typed_in


def golden(path: Path) -> str:
    """What to type to derive golden data again, of a case's file."""
    if IN_CLONE:
        return typed("golden", cases=str(path))
    return f"{shlex.quote(sys.executable)} -m reference golden {shlex.quote(str(path))}"
