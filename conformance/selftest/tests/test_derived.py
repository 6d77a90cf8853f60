"""Golden data of cases without golden files: derived once, and of fresh ones never in a file."""

import json
import shutil
from pathlib import Path

import pytest

from conformance.ground.places import FRESH
from conformance.selftest.tests.conftest import CASES
from conformance.suite import derived, fresh
from reference.cases.case import Case, load
from reference.golden import derive

GOLDEN = CASES.parent / "golden"


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """Two small cases, and an empty cache."""
    monkeypatch.setattr(derived, "CACHE", tmp_path / "cache")
    for name in ("smallest", "one-step"):
        shutil.copy(CASES / f"{name}.toml", tmp_path)
    return [load(tmp_path / f"{name}.toml") for name in ("smallest", "one-step")]


def never(*_: object) -> None:
    raise AssertionError("derived again")


def test_what_is_derived_is_what_the_golden_file_has_and_is_kept(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for case in cases:
        assert derived.known(case) is None
        data = derived.data(case)
        assert case.id in capsys.readouterr().err
        committed = json.loads((GOLDEN / f"{case.id}.json").read_text())
        assert derive.values_only(json.loads(data)) == derive.values_only(committed)
        assert derived.place(case).read_bytes() == derived.known(case) == data
        assert derived.place(case).parent == derived.CACHE
    monkeypatch.setattr(derive, "derive", never)
    assert [json.loads(derived.data(case))["case"] for case in cases] == ["smallest", "one-step"]


def test_several_are_derived_at_once_and_no_more_than_are_missing(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    derived.all_at_once(cases)
    for case in cases:
        assert json.loads(derived.known(case) or b"")["case"] == case.id
    monkeypatch.setattr(derive, "derive", never)
    derived.all_at_once(cases)


def test_another_case_or_source_has_another_place(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, case = cases
    before = derived.place(case)
    case.path.write_text(case.path.read_text() + "\n")
    edited = derived.place(load(case.path))
    monkeypatch.setattr(derive, "source_sha256", lambda: "")
    assert len({before, edited, derived.place(case)}) == 3
    assert before.name.startswith("one-step-")


def test_what_is_derived_of_a_fresh_case_is_in_no_file(
    cases: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    case = fresh.case(4321, 1, set())
    assert derived.is_fresh(case)
    assert case.path.parent == FRESH
    assert not any(map(derived.is_fresh, cases))
    assert derived.known(case) is None
    data = derived.data(case)
    assert capsys.readouterr().err == ""
    assert derived.data(case) == derived.known(case) == data
    assert not derived.place(case).exists()
    case.path.unlink()
