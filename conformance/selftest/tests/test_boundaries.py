"""The table of functions and boundaries is full, and its cases are where it says that they are."""

import re

import pytest

from conformance.selftest import teeth
from conformance.selftest.boundaries import BOUNDARIES, DTYPES, Entry, Function, holds, table
from conformance.selftest.tests.conftest import CASES, ROOT
from conformance.suite import known_bugs
from reference.algorithm.layers import ACTIVATIONS
from reference.algorithm.settings import Settings
from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import Case, load, load_all

ROWS = table().function
SPEC = " ".join((ROOT / "conformance/contract/SPEC.md").read_text().split())
ALL = [
    (f"{name}-{boundary}-{number}", name, entry)
    for name, row in ROWS.items()
    for number, (boundary, entry) in enumerate(row.entries())
]
ENTRIES = [pytest.param(name, entry, id=where) for where, name, entry in ALL]
WITH_BUGS = [pytest.param(entry, id=where) for where, _, entry in ALL if entry.bugs]
CELLS = [
    pytest.param(row, boundary, id=f"{name}-{boundary}")
    for name, row in ROWS.items()
    for boundary in BOUNDARIES
]


def test_each_activation_setting_and_capability_is_in_a_row() -> None:
    """A new one without a row fails here; and a row has every boundary, or is no row at all."""
    assert {*ACTIVATIONS} <= {*ROWS}
    assert {name for row in ROWS.values() for name in row.settings} == {*Settings._fields}
    inside = {name for row in ROWS.values() for name in row.needs}
    outside = {*table().nothing_of_its_own}
    assert inside | outside == {*CAPABILITIES}


def test_a_row_without_a_boundary_is_an_error() -> None:
    whole = ROWS["relu"].model_dump(exclude_none=True)
    assert Function.model_validate(whole) == ROWS["relu"]
    for boundary in BOUNDARIES:
        with pytest.raises(ValueError, match=boundary):
            Function.model_validate({k: v for k, v in whole.items() if k != boundary})


@pytest.mark.parametrize("name", ROWS)
def test_the_specification_says_what_a_row_quotes(name: str) -> None:
    assert ROWS[name].spec in SPEC


def test_the_specification_demands_it_of_every_function() -> None:
    assert "No function on this page may fail for a finite x, or overflow to a wrong value." in SPEC


@pytest.mark.parametrize(("row", "boundary"), CELLS)
def test_a_cell_is_a_reason_or_has_a_case_for_ports_that_list_little(
    row: Function, boundary: str
) -> None:
    cell = getattr(row, boundary)
    if isinstance(cell, str):
        assert re.match(r"cannot (occur|show): .{9,}\.$", cell)
        return
    needed = [{*load(CASES / f"{case}.toml").needs} for entry in cell for case in entry.cases]
    assert any(needs <= {*row.needs} for needs in needed)
    # What overflows or cancels is a formula, and a formula is a known bug.
    assert boundary not in ("overflow", "cancels") or any(entry.bugs for entry in cell)


@pytest.mark.parametrize(("name", "entry"), ENTRIES)
def test_the_cases_are_on_the_boundary_and_an_ordinary_case_is_not(name: str, entry: Entry) -> None:
    ordinary = load(CASES / f"{entry.ordinary or ROWS[name].ordinary}.toml")
    for dtype in entry.dtypes:
        for case in entry.cases:
            assert any(holds(entry.at, name, load(CASES / f"{case}.toml"), dtype)), (case, dtype)
        elsewhere = holds(entry.at, name, ordinary, dtype)
        assert elsewhere
        assert not any(elsewhere)


@pytest.mark.parametrize("entry", WITH_BUGS)
def test_the_known_bugs_of_an_entry_are_caught_by_its_cases(entry: Entry) -> None:
    for identifier in entry.bugs:
        cases = [load(CASES / f"{case}.toml") for case in entry.cases]
        _, capability = known_bugs.catalogue()[identifier]
        concerned = [case for case in cases if known_bugs.concerns(capability, case)]
        margin = teeth.bug_margin(identifier, concerned).killed_by.margin
        assert margin is None or margin >= teeth.MIN_MARGIN


# Numbers of which a function takes the square: SPEC.md promises that the dtype holds it.
SQUARES = {
    "trim-norm": "squares < largest",
    "adam-root": "(d * d < largest).all()",
    "batch-statistics": "((x - mean) * (x - mean) < largest).all()",
}
SHORT = [case for case in load_all(CASES) if case.iterations <= 10 and not case.networks]


@pytest.mark.parametrize("case", SHORT, ids=[case.id for case in SHORT])
def test_the_dtype_holds_every_square(case: Case) -> None:
    for dtype in DTYPES:
        assert all(all(holds(at, name, case, dtype)) for name, at in SQUARES.items())


def test_the_squares_are_looked_at() -> None:
    for name, at in SQUARES.items():
        [case, *_] = [case for case in SHORT if holds(at, name, case, "float32")]
        assert not any(holds(at.replace("largest", "0"), name, case, "float32"))
