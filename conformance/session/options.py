"""What a run can be asked for: the options of `check` and of `pytest conformance`.

An option is a field of Options and a line in `add`; the Makefile passes it on.
"""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from conformance.ground import places
from conformance.ground.places import BUILD, from_here
from conformance.ground.terminal import names, path, text

LONGEST = 40  # of a value that is repeated to the user


@dataclass(frozen=True, eq=False)  # each equals itself alone, as plugins of pytest must
class Options:
    """What the user asked for; conformance/README.md says what each means."""

    ports: list[str]  # each value may name several; empty: all of ports/
    cases: str | None  # None: all of this suite
    require: list[str]
    results: Path
    seed: int | Literal["none"] | None  # None: a new one where whole folders are judged
    shard: tuple[int, int] | None  # the i-th of n parts, from 1 on
    resume: bool
    timed: bool
    verbose: bool  # all tables besides the one screen
    bundle: Path | None  # where to write what a report about a verdict needs
    strict: bool = False  # other bits the second time are a failure
    fresh: int | None = None  # how many random cases for each port; None: the usual number

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "Options":
        """The options that were parsed, by argparse or by pytest."""
        given = {field.name: getattr(arguments, field.name) for field in fields(cls)}
        # pytest counts the one, from -1 on, and leaves the other None.
        return cls(**given | {"verbose": arguments.verbose > 0, "strict": bool(arguments.strict)})

    def narrowing(self) -> list[str]:
        """The options that leave something out of the run, as they were given."""
        shard = "{}/{}".format(*self.shard) if self.shard else None
        parts = [("cases", self.cases), ("shard", shard)]
        return [places.option(name, _word(value)) for name, value in parts if value]


def _word(value: str) -> str:
    """A value as one word of a command, cut if it is long."""
    cut = value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
    return f'"{cut}"' if " " in cut else cut


def add(option: Callable[..., object]) -> None:
    """Add all but the ports, with what a parser of argparse or a group of pytest has for that."""
    option("--cases", type=text, help="ids, capabilities, files, or a folder; default: this suite")
    option(
        "--require",
        action="extend",
        type=names,
        default=[],
        metavar="PORTS",
        help='where a SKIP is a failure; "all": everywhere; "isolation": ports must be shut in',
    )
    option(
        "--results",
        type=path,
        default=from_here(BUILD / "results.json"),
        metavar="FILE",
        help="where the results go; default: %(default)s",
    )
    option(
        "--bundle",
        type=zip_file,
        metavar="FILE.zip",
        help="what to send if a verdict seems wrong: requests, answers, versions",
    )
    option("--seed", type=seed, help='of the random cases; "none" leaves them out')
    option("--fresh", type=count, metavar="N", help="how many random cases; default: 5")
    option("--shard", type=shard, metavar="i/n", help="only every n-th case, from the i-th on")
    option("--resume", action="store_true", help="what passed in the results file stands")
    option("--no-timing", action="store_false", dest="timed", help="judge only")


def add_strict(option: Callable[..., object]) -> None:
    """Add the one that pytest has itself: what it means there, it means here."""
    option("--strict", action="store_true", help="other bits the second time are a failure")


def zip_file(value: str) -> Path:
    """Where a zip goes: issues on GitHub take a file by its suffix."""
    if not (found := path(value)).name.lower().endswith(".zip"):
        raise argparse.ArgumentTypeError(f"{value} does not end in .zip")
    return found


def seed(value: str) -> int | Literal["none"]:
    """A number that a random case is drawn from, or "none"."""
    from conformance.suite import fresh  # here, since few runs are given one

    if value == "none":
        return "none"
    if not re.fullmatch(r"\d{1,18}", value, re.ASCII) or int(value) >= fresh.SEEDS:
        raise argparse.ArgumentTypeError(
            f"{places.option('seed', value)} is not a whole number below {fresh.SEEDS}, "
            'and not "none"'
        )
    return int(value)


def count(value: str) -> int:
    """How many random cases."""
    from conformance.suite import fresh  # here, since few runs are given one

    if not re.fullmatch(r"\d{1,18}", value, re.ASCII) or int(value) > fresh.MOST:
        raise argparse.ArgumentTypeError(
            f"{places.option('fresh', value)} is not a whole number up to {fresh.MOST}"
        )
    return int(value)


def shard(value: str) -> tuple[int, int]:
    """A part of a run and how many there are, as in 1/3, 2/3 and 3/3."""
    match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", value, re.ASCII)
    if match is None or int(match[1]) > int(match[2]):
        raise argparse.ArgumentTypeError(
            f"{places.option('shard', value)} is not of the form i/n, as in 1/3, 2/3 and 3/3"
        )
    return int(match[1]), int(match[2])
