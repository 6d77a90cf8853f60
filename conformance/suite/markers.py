"""Finds lines of source by markers in comments, so that the page shows the code that runs.

Lines are between `[NAME]` and `[/NAME]`, each alone in a comment on its own line; or one
line ends in a comment with its marker:

    // [forward]
    ...
    x = l[k] @ syn[k]  # [l]
    // [/forward]

A name may mark several pieces, in several files; pieces may overlap, and may nest.
"""

import re
import textwrap
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

COMMENT = r"(?://|#|!|--|;|/\*)\s*\[(/?)([a-z][\w-]*)\]\s*(?:\*/)?\s*"
ALONE = re.compile(rf"\s*{COMMENT}")
BEHIND = re.compile(rf"(.*\S)\s+{COMMENT}")


class MarkerError(ValueError):
    """A marker without its other end; the message is one sentence that names the place."""


@dataclass(frozen=True)
class Excerpt:
    """Adjoining lines of a file, without markers; `line` is the first one's number."""

    file: Path
    line: int
    text: str


def excerpts(file: Path, names: Collection[str]) -> list[tuple[str, Excerpt]]:
    """The pieces of a file with these names, in the order of their ends. Raises MarkerError."""
    lines = file.read_text(encoding="utf-8").splitlines()
    begun: dict[str, int] = {}
    found = []
    for number, line in enumerate(lines, start=1):
        if match := ALONE.fullmatch(line):
            ends, name = match.groups()
        elif (match := BEHIND.fullmatch(line)) and match[3] in names:
            found.append((match[3], Excerpt(file, number, match[1].strip())))
            continue
        else:
            continue
        if name not in names:
            continue
        if bool(ends) != (name in begun):
            other = f"[{name}]" if ends else f"[/{name}]"
            raise MarkerError(f"{file}:{number}: {line.strip()} without {other} before it")
        if not ends:
            begun[name] = number
            continue
        first = begun.pop(name) + 1
        kept = [n for n in range(first, number) if not ALONE.fullmatch(lines[n - 1])]
        if not kept:
            raise MarkerError(f"{file}:{number}: there are no lines in [{name}]")
        shown = (BEHIND.sub(r"\1", lines[n - 1]) for n in kept)
        text = textwrap.dedent("\n".join(shown)).expandtabs(4)
        found.append((name, Excerpt(file, kept[0], text.strip("\n"))))
    for name, number in begun.items():
        raise MarkerError(f"{file}:{number}: [{name}] has no [/{name}] after it")
    return found
