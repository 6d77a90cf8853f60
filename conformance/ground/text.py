"""Text from outside (ports, manifests, files of others), made so that showing it does nothing.

`plain` is for records, `for_terminal` for what is printed, `inline` and `fenced` for Markdown. HTML
is escaped by Jinja. A character that would do something is shown as `?`.
"""

import re
from typing import Any

from reference.errors import visible

LONGEST = 1000  # characters of a text of one line
LONGEST_STORY = 20_000  # and of one that has several
LONGEST_BLOCK = 5000  # in Markdown, since GitHub shows no summary above 1 MiB
INDENT = " " * 4
# GitHub Actions takes these for commands: `::` where a line begins, and `##[` anywhere.
COMMAND = re.compile(r"^(\s*):(?=:|\Z)|#(?=#\[)", re.M)
BLANK = re.compile(r"\r?\n|\t")


class Markdown(str):
    """Markdown that is meant to be Markdown."""


def plain(text: str, most: int = LONGEST) -> str:
    """A text as one line of visible characters, at most so many."""
    return cut(visible(BLANK.sub(" ", cut(text, most))), most)


def story(text: str, most: int = LONGEST_STORY) -> str:
    """A text of several lines, of visible characters, at most so many."""
    return cut(visible(cut(text, most).replace("\r\n", "\n"), "\n\t"), most)


def reason(text: str) -> str:
    """A story whose further lines are indented."""
    return story(hanging(text.replace("\r\n", "\n")))


def hanging(text: str) -> str:
    """A text whose lines after the first are indented: none looks like one of the harness's own."""
    first, *rest = text.split("\n")
    return "\n".join(
        [first, *(line if line.startswith(INDENT) or not line else INDENT + line for line in rest)]
    )


def cut(text: str, most: int) -> str:
    """A text with what is beyond `most` characters replaced by a note of how much that is."""
    if len(text) <= most:
        return text
    note = f" ... (cut: it has {len(text):,} characters)"
    return text[: most - len(note)] + note


def for_terminal(text: str) -> str:
    """Lines for a terminal or the log of GitHub Actions, of the same width."""
    return COMMAND.sub(r"\1?", visible(text.replace("\r\n", "\n"), "\n\t"))


def inline(text: str) -> Markdown:
    """A text as a code span, in which Markdown does nothing: also in a cell of a table."""
    found = plain(text)
    if not found:
        return Markdown()
    # A bar ends a cell unless the backslashes before it are of an odd number.
    found = re.sub(r"\\*\|", lambda m: m[0] if len(m[0]) % 2 == 0 else f"\\{m[0]}", found)
    ticks = "`" * (_longest_run(found) + 1)
    space = " " if "`" in (found[0], found[-1]) else ""
    return Markdown(f"{ticks}{space}{found}{space}{ticks}")


def fenced(text: str) -> Markdown:
    """A text as a block of code, in a fence that is longer than any in it."""
    found = story(text, LONGEST_BLOCK)
    fence = "`" * max(3, _longest_run(found) + 1)
    return Markdown(f"{fence}text\n{found}\n{fence}")


def for_markdown(value: Any) -> Any:
    """What a template may show: all text is inert that is not meant to be Markdown."""
    return inline(value) if isinstance(value, str) and not isinstance(value, Markdown) else value


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
