"""The statuses of a verdict: what each means, whether it is wrong, and how it is shown.

From harmless to worst: of several verdicts, the worst is shown. A new status is one line
here, and the code that assigns it.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Self


class Look(StrEnum):
    """How a status is shown: a style of rich in the terminal, a class of style.css on the page."""

    GOOD = "green"
    FAINT = "dim"
    KNOWN = "yellow"
    WRONG = "bold red"


class Status(StrEnum):
    """The result of a port on a case. Its value is its name, as in results files."""

    PASS = "PASS", "every number was compared and is within tolerance", Look.GOOD
    SKIP = "SKIP", "not run: the reason says what is missing or not supported", Look.FAINT
    XFAIL = "XFAIL", "failed as the manifest's `known_failure` predicts", Look.KNOWN
    GARBAGE = "GARBAGE", "the answer is not JSON, or has another id, shape or length", Look.WRONG
    TIMEOUT = "TIMEOUT", "it did not answer in time", Look.WRONG
    CRASH = "CRASH", "it ended without an answer, or used too much memory", Look.WRONG
    FAIL = "FAIL", "a number is not within tolerance, or it broke the contract", Look.WRONG

    meaning: str
    look: Look

    def __new__(cls, name: str, meaning: str, look: Look) -> Self:
        """A member of this name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning, member.look = meaning, look
        return member

    @property
    def wrong(self) -> bool:
        """True of what fails a run."""
        return self.look is Look.WRONG

    @property
    def severity(self) -> int:
        """The place in the order from harmless to worst."""
        return list(Status).index(self)


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of these, at least one."""
    return max(statuses, key=lambda status: status.severity)
