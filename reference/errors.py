"""A user's mistakes: what they raise, and one sentence for that user."""

import argparse
import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

LONGEST = 500
# Python calls these printable, and no font shows them: fillers, joiners, variation selectors.
HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0]|[\U000e0100-\U000e01ef]"
)


class UserError(ValueError):
    """A mistake in a user's input; the message is one sentence: what, where, what to do.

    Command lines catch it, print it and end with status 2.
    """


@contextmanager
def reading(path: Path, mistake: type[UserError], what: str | None = None) -> Iterator[None]:
    """Wraps the reading of a file: whatever is wrong becomes a `mistake` that names the file.

    If the content does not validate, the sentence first says `what` it should be.
    """
    expected = f"is not {what}: " if what else ""
    try:
        yield
    except OSError as error:
        raise mistake(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise mistake(f"{path}: {expected}{first_error(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise mistake(f"{path}: is not TOML: {error}") from error
    except (ValueError, RecursionError) as error:
        raise mistake(f"{path}: {error}") from error


def unwritable(path: Path, error: OSError) -> str:
    """The sentence for a file or folder that cannot be written."""
    file = next((parent for parent in path.parents if parent.is_file()), None)
    reason = f"{file} is a file and not a folder" if file else error.strerror or str(error)
    return f"{path}: cannot be written: {reason}"


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistake with one sentence on stderr and status 2."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(2, f"error: {visible(message)}\n")


def printable(text: str, most: int) -> str:
    """Somebody else's text, made safe for a terminal and a UTF-8 file, and cut if it is long."""
    return visible(text if len(text) <= most else text[:most] + " ...")


def visible(text: str, kept: str = "") -> str:
    """A text with `?` for each character that is not seen, but may do something, save those `kept`.

    These are control characters, what turns the direction of text around, what has no width, line
    and paragraph separators and halves of surrogate pairs.
    """
    if text.isprintable() and not HIDDEN.search(text):
        return text
    return HIDDEN.sub("?", "".join(c if c.isprintable() or c in kept else "?" for c in text))


def near(word: str, known: Iterable[str]) -> str:
    """The end of a sentence on a name that is unknown: what it may be meant for, if anything."""
    found = " or ".join(difflib.get_close_matches(word, list(known), 2))
    return f"; did you mean {found}?" if found else ""


def first_error(error: ValidationError) -> str:
    """The first thing that is wrong: key, problem, and what was found."""
    return printable(_first_error(error), LONGEST)


def _first_error(error: ValidationError) -> str:
    errors = error.errors(include_url=False)
    # A misspelt key is unknown and leaves another one missing: the misspelt one is the mistake.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    key = ""
    for part in first["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.removeprefix(".")
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}"
    if first["type"] == "missing":
        return f"missing key {key!r}"
    if first["type"] == "value_error":
        return f"{key}: {first['ctx']['error']}" if key else str(first["ctx"]["error"])
    if not key:
        return f"{first['msg'][0].lower()}{first['msg'][1:]}"
    found = repr(first["input"])
    found = found if len(found) <= 60 else found[:57] + "..."
    meant = ""
    if first["type"] == "literal_error" and isinstance(first["input"], str):
        meant = near(first["input"], re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    return f"{key}: {first['msg'][0].lower()}{first['msg'][1:]} (found {found}){meant}"
