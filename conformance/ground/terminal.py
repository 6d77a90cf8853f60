"""What a person types and sees: types of options, lines on stderr, tables on stdout.

The types serve argparse and pytest alike. Each raises ArgumentTypeError for what it cannot be. None
takes an empty text for an option that is not given.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.ground.live import LIVE
from conformance.ground.text import for_terminal
from reference import errors
from reference.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


def progress(text: str) -> None:
    """A line about long work, on stderr so that stdout stays for results."""
    LIVE.say(text)


def say(text: str) -> None:
    """A line of a result, on stdout."""
    sys.stdout.write(for_terminal(text) + "\n")


def console() -> "Console":
    """Standard output; colour only on a terminal, and never under NO_COLOR."""
    from conformance.ground.screen import Screen  # here, since not all that is run prints tables

    found = Screen()
    return found if found.is_terminal else Screen(width=100)


class OptionError(UserError):
    """An option that fits its type and cannot be met; the message names it as it is typed."""


class Parser(errors.Parser):
    """A parser that answers a mistake with one sentence on stderr and status 2.

    A command's parser has `fill`, which adds its options when it is used: so each command
    loads only what it needs itself.
    """

    def __init__(self, fill: Callable[["Parser"], None] | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._fill = fill

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See argparse."""
        if (fill := self._fill) is not None:
            self._fill = None
            fill(self)
        return super().parse_known_args(args, namespace)


class Joined(argparse.Action):
    """Joins the lists that several values were parsed into."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Keep them."""
        setattr(namespace, self.dest, [item for value in values or [] for item in value])


def text(value: str) -> str:
    """Any text that is not blank."""
    if not value.strip():
        raise argparse.ArgumentTypeError("is empty; leave the option out, or give it a value")
    return value


def names(value: str) -> list[str]:
    """One or several names, with spaces between."""
    return text(value).split()


def path(value: str) -> Path:
    """One file or folder, there or not; `~` is the home folder, also where no shell says so."""
    return at(text(value))


def paths(value: str) -> list[Path]:
    """One or several files or folders, with spaces between."""
    return [at(word) for word in words(text(value), there)]


def whole(least: int, most: int | None = None, why: str = "") -> Callable[[str], int]:
    """The type of whole numbers from `least` on, and to `most`; `why` ends the message."""

    def number(value: str) -> int:
        if not re.fullmatch(r"\d{1,18}", value, re.ASCII) or int(value) < least:
            raise argparse.ArgumentTypeError(f"{value} is not a whole number of {least} or more")
        if most is not None and int(value) > most:
            raise argparse.ArgumentTypeError(f"{value} is more than {most}{why}")
        return int(value)

    return number


def words(value: str, is_one: Callable[[str], bool]) -> list[str]:
    """The names in a value: each is a word, or the most words in a row of which `is_one` is true.

    So the path of a folder that is there may have spaces in it.
    """
    pieces = re.findall(r"\S+\s*", value)
    found = []
    while pieces:
        joined = ["".join(pieces[:count]).strip() for count in range(len(pieces), 0, -1)]
        name = next((name for name in joined[:-1] if is_one(name)), joined[-1])
        found.append(name)
        del pieces[: len(pieces) - joined.index(name)]
    return found


def at(value: str) -> Path:
    """The path that a user wrote, with a home folder for `~`."""
    try:
        return Path(value).expanduser()
    except RuntimeError:  # nobody has that home folder
        return Path(value)


def there(value: str) -> bool:
    """True of the path of a file or folder that is there."""
    try:
        return at(value).exists()
    except OSError:  # many words are too long for the name of a file
        return False
