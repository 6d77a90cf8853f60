"""The lines of each port that do one step of the algorithm, found by markers in its source.

A step lies between `[NAME]` and `[/NAME]`, each alone in a comment on a line of its own:

    // [forward]
    ...
    // [/forward]

A step may be in several pieces and files, steps may overlap, and lines of one may be those of
another, too. Since the lines are read from the source, they are what runs.
"""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from conformance.places import PORTS, ROOT
from conformance.suite import known_bugs

STEPS = ("forward", "output-delta", "hidden-delta", "update", "checkpoint")
MARKER = re.compile(rf"\s*(?://|#|!|--|;|/\*)\s*\[(/?)({'|'.join(STEPS)})\]\s*(?:\*/)?\s*")
LADDER = "ladder"
DOCUMENTS = {".md", ".toml", ".txt", ".json"}


class MarkerError(ValueError):
    """A marker without its other end; the message is one sentence that names the place."""


@dataclass(frozen=True)
class Excerpt:
    """Adjoining lines of a file, without markers; `line` is the first one's number."""

    file: Path
    line: int
    text: str


@dataclass(frozen=True)
class Program:
    """A source to look at: a port, one file of its ladder, or the article's program."""

    name: str
    language: str
    steps: dict[str, list[Excerpt]]


def programs(ports: Iterable[tuple[str, str]]) -> list[Program]:
    """Those of these ports (name, language), the article's own and the reference first.

    Raises MarkerError.
    """
    article = [ROOT / "reference" / "article" / "three_layer.py"]
    algorithm = [Path(str(module.__file__)) for module in known_bugs.ALGORITHM]
    found = [
        Program("article", "Python (NumPy)", _steps(article)),
        Program("numpy", "Python (NumPy)", _steps(algorithm)),
    ]
    for name, language in ports:
        folder = PORTS / name
        own = _steps(sorted(file for file in folder.glob("*") if _is_source(file)))
        found += [Program(name, language, own)] if own else []
        for file in sorted((folder / LADDER).glob("*")):
            if _is_source(file) and (steps := _steps([file])):
                found.append(Program(f"{name}/{LADDER}/{file.name}", language, steps))
    return found


def _is_source(file: Path) -> bool:
    return file.is_file() and file.suffix not in DOCUMENTS


def _steps(files: list[Path]) -> dict[str, list[Excerpt]]:
    """The pieces of each step that is marked, in the order of the files and lines."""
    found: dict[str, list[Excerpt]] = {}
    for file in files:
        for step, excerpt in excerpts(file):
            found.setdefault(step, []).append(excerpt)
    return {step: found[step] for step in STEPS if step in found}


def excerpts(file: Path) -> list[tuple[str, Excerpt]]:
    """The pieces of a file, each with its step. Raises MarkerError."""
    lines = file.read_text(encoding="utf-8").splitlines()
    begun: dict[str, int] = {}
    found = []
    for number, line in enumerate(lines, start=1):
        if (match := MARKER.fullmatch(line)) is None:
            continue
        ends, step = match.groups()
        if bool(ends) != (step in begun):
            other = f"[{step}]" if ends else f"[/{step}]"
            raise MarkerError(f"{file}:{number}: {line.strip()} without {other} before it")
        if not ends:
            begun[step] = number
            continue
        first = begun.pop(step) + 1
        kept = [n for n in range(first, number) if not MARKER.fullmatch(lines[n - 1])]
        if not kept:
            raise MarkerError(f"{file}:{number}: nothing stands in [{step}]")
        text = textwrap.dedent("\n".join(lines[n - 1] for n in kept)).expandtabs(4)
        found.append((step, Excerpt(file, kept[0], text.strip("\n"))))
    for step, number in begun.items():
        raise MarkerError(f"{file}:{number}: [{step}] has no [/{step}] after it")
    return found
