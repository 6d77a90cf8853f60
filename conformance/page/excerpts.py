"""The lines of each port that do one step of the algorithm, marked in its source."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from conformance.ground.places import PORTS, ROOT
from conformance.suite import known_bugs
from conformance.suite.markers import Excerpt, excerpts

STEPS = ("forward", "output-delta", "hidden-delta", "update", "checkpoint")
LADDER = "ladder"
DOCUMENTS = {".md", ".toml", ".txt", ".json"}


@dataclass(frozen=True)
class Program:
    """A source to look at: a port, one file of its ladder, or the article's program."""

    name: str
    language: str
    steps: dict[str, list[Excerpt]]


def programs(ports: Iterable[tuple[str, str]]) -> list[Program]:
    """The sources of these ports (name, language), after the article's own and the reference.

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
        for step, excerpt in excerpts(file, STEPS):
            found.setdefault(step, []).append(excerpt)
    return {step: found[step] for step in STEPS if step in found}
