"""What the title of a case says about sizes, numbers and updates is what its file has."""

import re

import pytest

from conformance.selftest.tests.conftest import CASES
from reference.cases.case import Case, load_all

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ALL = load_all(CASES)


def count(word: str) -> int:
    """A number as a word or in digits."""
    return WORDS.index(word.lower()) if word.lower() in WORDS else int(word.replace(",", ""))


def untrue(case: Case, title: str) -> list[str]:
    """The parts of a title that are not so; what a number is about or below is left out."""
    numbers = [v for v in case.settings if isinstance(v, float)]
    found = [
        said
        for said in re.findall(r"(?<!about )(?<!below )\b(?:\d+\.\d+(?:e-?\d+)?|\d+e-\d+)", title)
        if float(said) not in numbers
    ]
    found += [
        said
        for said in re.findall(r"\d+(?:-\d+)+", title)
        if [*map(int, said.split("-"))] != case.layers
    ]
    many = "|".join(WORDS)
    return found + [
        f"{word} {what}"
        for word, what in re.findall(
            rf"(?i)(?<!after )\b({many}|[\d,]+) (updates?|iterations)\b", title
        )
        if count(word) != case.iterations
    ]


@pytest.mark.parametrize("case", ALL, ids=[case.id for case in ALL])
def test_a_title_says_what_the_case_has(case: Case) -> None:
    assert case.file is not None
    assert untrue(case, case.file.title) == []


def test_a_title_that_says_something_else_is_seen() -> None:
    [case] = [case for case in ALL if case.id == "trim-norm-step"]
    for wrong in ("limited to 0.1", "2-3-2", "Four updates", "5,000 iterations"):
        assert len(untrue(case, f"{wrong} with a limit of 0.02")) == 1
    assert untrue(case, "Three updates with the norm limited to 0.02: 2-3-1") == []
