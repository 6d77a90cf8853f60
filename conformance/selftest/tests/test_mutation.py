"""Mutants of the ports are told apart, and the list of equivalent ones fits the ports."""

from pathlib import Path

import pytest

from conformance.ground.places import PORTS
from conformance.selftest.mutation import mutants
from conformance.selftest.mutation.mutants import (
    Mutant,
    difference,
    make,
    original,
    python_fingerprint,
)
from conformance.selftest.mutation.outcomes import Equivalent, equivalents, settle
from conformance.selftest.mutation.screening import PASSED, screened

FUNCTION = '''
def f(x):
    """Twice x."""
    for n in range(2):
        x += x
    return x
'''


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ("a = 1\n  b = 2\nc = 3\n", (2, "b = 3", "b = 2")),
        ("a = 1\n  b = 3\nbreak;\nc = 3\n", (2, "b = 3", "b = 3\nbreak;")),
        ("a = 1\n\nc = 3\n", (2, "b = 3", "")),
        ("a = 1\n  b = 3\nc = 3\nbreak;\n", (3, "c = 3", "c = 3\nbreak;")),
    ],
)
def test_the_changed_line_is_found(after: str, found: tuple[int, str, str]) -> None:
    assert difference("a = 1\n  b = 3\nc = 3\n", after) == found


def test_c_comments_are_left_out_and_lines_stay_where_they_are() -> None:
    for name in mutants.SOURCES["c"]:
        text = (PORTS / "c" / name).read_text()
        without = original("c", name).text
        assert "/*" in text
        assert "*/" not in without
        assert len(without.splitlines()) == len(text.splitlines())


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('"""Twice x."""', "pass", True),
        ("x += x", "x += x; continue", True),
        ("def f", "pass\ndef f", True),
        ("range(2)", "range(3)", False),
        ("x += x", "x -= x", False),
    ],
)
def test_python_that_compiles_to_the_same_is_the_same(old: str, new: str, same: bool) -> None:
    assert old in FUNCTION
    changed = python_fingerprint(FUNCTION.replace(old, new))
    assert (changed == python_fingerprint(FUNCTION)) is same


def test_what_is_no_python_has_no_fingerprint() -> None:
    assert python_fingerprint("def f(:") is None


def test_each_survivor_needs_an_entry_and_each_entry_a_survivor() -> None:
    entry = Equivalent(
        port="c", file="a.c", reason="It is the same number.", pairs=[["a", "b"], ["c", "d"]]
    )
    rule = Equivalent(port="c", reason="It is the same number.", rule=r"(\w) => \1\1")
    once, twice, other = ("c", "a.c", "a", "b"), ("c", "a.c", "c", "d"), ("c", "b.h", "a", "b")
    assert settle([once, twice], [entry]) == ([], [])
    assert settle([once, twice, twice, other], [entry]) == ([twice, other], [])
    assert settle([twice], [entry]) == ([], [once])
    doubled = ("c", "b.h", "a", "aa")
    assert settle([doubled, doubled, other], [rule]) == ([other], [])
    assert settle([("numba_cpu", "b.h", "a", "aa")], [rule])[1] == [("c", "*", rule.rule, "")]


def test_the_list_of_equivalent_mutants_fits_the_ports() -> None:
    for entry in equivalents():
        files = mutants.SOURCES[entry.port] if entry.file == "*" else (entry.file,)
        texts = [original(entry.port, file).text for file in files]
        lines = [line.strip() for text in texts for line in text.splitlines()]
        for old, new in entry.pairs:
            assert old in lines
            assert old != new


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("iteration + 1)", "iteration + 2)", "FAIL"),
        ("network.advance(iteration, n)", "raise SystemExit", "CRASH"),
        ("network.advance(iteration, n)", "while True: pass", "TIMEOUT"),
        ("yield n,", "yield n + 1,", "GARBAGE"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_mutant_is_screened(
    old: str, new: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutants, "FOLDER", tmp_path)
    monkeypatch.setattr("conformance.selftest.mutation.screening.LIMIT_S", 1.0)
    itself = original("numba_cpu", "backprop.py")
    assert old in itself.text
    mutant = Mutant("numba_cpu", "backprop.py", itself.text.replace(old, new))
    assert screened(make(mutant))[0] == status


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_port_itself_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "FOLDER", tmp_path)
    assert screened(make(original("numba_cpu", "backprop.py"))) == PASSED
