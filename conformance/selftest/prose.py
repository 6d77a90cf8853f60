"""Plain English: find what prose.toml lists in the text of a file that people read.

A file's text is what is left when comment marks are gone and string literals that follow each
other are joined, so that a sentence is found over the ends of lines. Code stays: the rules are
words that no code has.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

RULES = Path(__file__).parent / "prose.toml"
# The end of a clause: punctuation, a closing quotation mark, or ¶: a paragraph or comment ends.
END = r"(?=[\"'`]|\s*(?:[.,;:!?)\]|<¶]|\*/|\Z))"
MARK = re.compile(r"^\s*(?:#+|//+!?|/\*+|\*+/?|!|%|<!--)(?: |$)")
BEHIND = re.compile(r"(?<=\S) +(?:#+|//+!?<?|/\*|!) .*$")
BULLET = re.compile(r"^\s*(?:[*-]|\d+\.) ")
LITERALS = re.compile(r"[\"'] *\n\s*[rf]*[\"']")
CODE = re.compile(r"(`+)(?!`)[^`\n]+\1")


@dataclass(frozen=True)
class Rule:
    """What not to write, and what instead."""

    find: re.Pattern[str]
    write: str
    bad: tuple[str, ...]
    good: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """Words that a rule found."""

    line: int  # from 1
    words: str
    write: str


@cache
def rules() -> tuple[Rule, ...]:
    """The rules of prose.toml."""
    return tuple(_rule(entry) for entry in tomllib.loads(RULES.read_text())["rule"])


def _rule(entry: dict[str, Any]) -> Rule:
    pattern = entry["find"].replace(" ", r"\s+").replace("{end}", END)
    found = re.compile(pattern, re.IGNORECASE)
    return Rule(found, entry["write"], tuple(entry["bad"]), tuple(entry["good"]))


def findings(name: str, text: str) -> Iterator[Finding]:
    """What is found in a file, by its name and text."""
    plain = prose(name, text)
    for rule in rules():
        for match in rule.find.finditer(plain):
            line = plain.count("\n", 0, match.start()) + 1
            yield Finding(line, " ".join(match[0].split()), rule.write)


def prose(name: str, text: str) -> str:
    """The text with ¶ where a paragraph or comment ends, and as many lines as before."""
    document = name.endswith(".md")
    lines, marked = [], False
    for line in text.splitlines():
        was, marked = marked, not document and bool(MARK.match(line))
        if marked:
            line = MARK.sub("", line)
        elif not document:
            line = BEHIND.sub(lambda found: f" ¶{found[0]} ¶", line)
        new = was != marked or not line.strip() or (document and bool(BULLET.match(line)))
        lines.append(f"¶ {line}" if new else line)
    joined = "\n".join(lines)
    return CODE.sub(" `` ", joined) if document else LITERALS.sub(" \n", joined)
