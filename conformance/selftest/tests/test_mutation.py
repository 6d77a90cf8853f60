"""Mutants of the ports are told apart, and the list of equivalent ones fits the ports."""

from pathlib import Path

import pytest

from conformance.ground.places import PORTS, ROOT
from conformance.selftest.mutation import harness, mutants, trial
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


def test_each_module_of_the_harness_is_changed_or_left_out_for_a_reason() -> None:
    table = harness.table()
    modules = {
        str(path.relative_to(ROOT))
        for place in ("conformance", "reference")
        for path in (ROOT / place).rglob("*.py")
        if path.name != "__init__.py" and not {"selftest", "starters"} & {*path.parts}
    }
    listed = [*table.tests(), *(file for entry in table.left_out for file in entry.files)]
    assert len(listed) == len(set(listed)), "listed twice"
    assert modules - set(listed) == set(), "not in harness.toml: which tests belong to them?"
    assert set(listed) - modules == set(), "in harness.toml, and not there"


def test_the_tests_that_belong_to_modules_are_there() -> None:
    table = harness.table()
    for tests in (*table.tests().values(), [fault.test for fault in table.planted]):
        for test in tests:
            name, _, function = test.partition("[")[0].partition("::")
            text = (ROOT / trial.TESTS / name).read_text()
            assert f"def {function or 'test_'}" in text, test


def test_planted_faults_fit_the_harness() -> None:
    for fault in harness.table().planted:
        assert harness.fingerprint(fault.text) not in (
            None,
            harness.fingerprint(harness.original(fault.file).text),
        )


def test_the_list_of_equivalent_mutants_fits_the_harness() -> None:
    for entry in equivalents(harness.EQUIVALENT):
        assert entry.port == harness.NAME
        files = harness.table().tests() if entry.file == "*" else [entry.file]
        lines = {
            line.strip() for file in files for line in harness.original(file).text.splitlines()
        }
        for old, new in entry.pairs:
            assert old in lines
            assert old != new


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("x += x", "x -= x", False),
        ("def f(x)", "def f(x: int) -> int", True),
        ("Twice x.", "Thrice x.", True),
        ('"""Twice x."""', "pass", True),
        ("x += x", "assert x; x += x", True),
        ("x += x", "pass", False),
        ("range(2)", "range(len('ab'))", False),
    ],
)
def test_sentences_and_types_of_arguments_are_not_changed(old: str, new: str, same: bool) -> None:
    assert old in FUNCTION
    assert (
        harness.fingerprint(FUNCTION.replace(old, new)) == harness.fingerprint(FUNCTION)
    ) is same


MODULE = "conformance/small.py"
SMALL_TESTS = """
import subprocess, sys, time
import conformance.small as small

def test_twice():
    assert small.twice(3) == 6

def test_twice_in_a_program():
    code = "import conformance.small as small, sys; sys.exit(small.twice(2) != 4)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
"""
TWICE = "def twice(x):\n    return 2 * x\n"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    ("new", "status", "test"),
    [
        (TWICE, "PASS", "test_twice_in_a_program"),
        (TWICE.replace("2 *", "3 *"), "FAIL", "test_twice"),
        (TWICE.replace("2 * x", "6 if x == 3 else 5"), "FAIL", "test_twice_in_a_program"),
        ("def twice(x:", "CRASH", ""),
        (TWICE.replace("return 2", "while True: pass #"), "TIMEOUT", "test_twice"),
        (TWICE.replace("return 2 * x", "import os; os._exit(0)"), "CRASH", "test_twice"),
        (TWICE.replace("return 2 * x", "raise SystemExit"), "FAIL", "test_twice"),
    ],
)
def test_a_changed_module_is_tried(new: str, status: str, test: str, tmp_path: Path) -> None:
    """Also in programs that a test starts; and afterwards the module is as it was."""
    tests = tmp_path / trial.TESTS
    tests.mkdir(parents=True)
    (tests / "test_small.py").write_text(SMALL_TESTS)
    (tmp_path / MODULE).write_text(TWICE)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    ran = trial.attempt(tmp_path, MODULE, new, ["test_small.py"], {}, 5.0)
    assert (ran.status, ran.test.rpartition("::")[2]) == (status, test)
    assert (tmp_path / MODULE).read_text() == TWICE


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_tests_run_in_the_order_of_their_rank(tmp_path: Path) -> None:
    tests = tmp_path / trial.TESTS
    tests.mkdir(parents=True)
    (tests / "test_small.py").write_text(SMALL_TESTS)
    (tmp_path / MODULE).write_text(TWICE)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    file = f"{trial.TESTS}/test_small.py"
    rank = {f"{file}::test_twice_in_a_program": 0.0, f"{file}::test_twice": 1.0}
    ran = trial.attempt(tmp_path, MODULE, TWICE.replace("2", "3"), ["test_small.py"], rank, 5.0)
    assert ran.test == f"{file}::test_twice_in_a_program"


def test_what_caught_a_mutant_counts_while_it_is_the_same() -> None:
    here = f"{trial.TESTS}/test_mutation.py"
    one = harness.digest(f"{here}::test_a_port_itself_passes")
    assert one
    assert one == harness.digest(f"{here}::test_a_port_itself_passes[with-parameters]")
    assert one != harness.digest(f"{here}::test_what_is_no_python_has_no_fingerprint")
    assert harness.digest(f"{here}::test_that_is_gone") == ""
    assert harness.digest("") == ""
