"""Whatever is in a file that a user hands over: it is read, or refused in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.bench.files import Bench
from conformance.record import store
from conformance.record.merge import Merged
from conformance.record.models import Results
from conformance.record.store import ResultsError
from conformance.selftest.tests.conftest import CASES, ROOT
from conformance.selftest.tests.test_curves import CPU
from conformance.suite import traces
from conformance.targets import manifest
from reference.cases import case
from reference.cases.case import CaseError
from reference.errors import UserError
from reference.files import MAX_JSON_BYTES

LONGEST_SENTENCE = 1000
CASE = (CASES / "everything.toml").read_text()
MANIFEST = (ROOT / "ports" / "cuda" / "port.toml").read_text()
GOLDEN = json.loads((CASES.parent / "golden" / "predict-small.json").read_text())
MACHINE = CPU.machine.model_dump(mode="json")
RESULT = {
    "format": 2,
    "complete": True,
    "machine": MACHINE,
    "ports": [{"port": "c", "sha256": "0", "language": "C", "toolchain": None, "build": ["cc"]}],
    "cases": [{"case": "one-step", "sha256": "0"}],
    "results": [
        {
            "port": "c",
            "case": "one-step",
            "dtype": "float64",
            "status": "PASS",
            "margin": 0.5,
            "reason": "",
            "numbers_compared": 3,
            "drift": [{"tensor": "syn0", "iterations": [0], "deviations": [None]}],
        }
    ],
    "capabilities": [],
    "timings": [],
}
RESULT["ports"][0] |= {"device": None, "driver": None}  # type: ignore[index]
SOURCE = {"mark": "A", "file": "a.json", "complete": True, "machine": MACHINE, "remarks": []}
CELL = {"source": "A", "device": None, "driver": None, "port_now": "same", "case_now": "same"}
MERGED = {"sources": [SOURCE], "cells": [RESULT["results"][0] | CELL]}  # type: ignore[index]

# In place of a value: what is of no type, out of range, or large.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(2**63) - 1, 1e308, -0.0, 5e-324]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=20),
    st.sampled_from(["x" * 100_000, "\x00", "\u202e", "../../etc/passwd", "1" * 5000]),
    st.lists(st.integers(), max_size=3),
    st.builds(lambda: [[[[[[]]]]]]),  # a new one each time, since it may be changed
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each part of an object."""
    found = [path]
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            found += places(part, (*path, key))
    return found


@st.composite
def spoilt_json(draw: st.DrawFn, good: Any) -> bytes:
    """The text of a good object in which up to three parts are other ones, or not there."""
    value = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(0, 3))):
        way = draw(st.sampled_from(places(value)[1:] or [()]))
        if not way:
            break
        *first, last = way
        at = value
        for key in first:
            at = at[key]
        if draw(st.booleans()):
            at[last] = draw(ODD)
        else:
            del at[last]
    text = json.dumps(value).encode()
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


@st.composite
def spoilt_toml(draw: st.DrawFn, good: str) -> bytes:
    """A good text in which up to three lines are other ones, twice there, or gone."""
    lines = good.splitlines()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.integers(0, 3))
        key = lines[at].partition("=")[0]
        odd = draw(ODD)
        lines[at : at + 1] = {
            0: [],
            1: [lines[at]] * 2,
            2: [f"{key}= {'nan' if odd != odd else json.dumps(odd)}"],
            3: [draw(st.text(max_size=20))],
        }[how]
    return "\n".join(lines).encode(errors="replace")


Reader = Callable[[Path], Any]


def golden_of(path: Path) -> Any:
    """What is read of a golden file, and then held against its case."""
    file = traces._read(path)
    chosen = case.load(CASES / "predict-small.toml")
    traces._check(file, chosen, path)
    return traces._traces(chosen, file)


def of_model(model: Any) -> Reader:
    return lambda path: store.read(path, model, "such a file")


def manifest_of(path: Path) -> Any:
    return manifest.load(path.parent)


Kind = tuple[str, str, Reader, type[UserError], st.SearchStrategy[bytes]]
KINDS: list[Kind] = [
    ("case", "x.toml", case.load, CaseError, spoilt_toml(CASE)),
    ("manifest", "port.toml", manifest_of, manifest.PortError, spoilt_toml(MANIFEST)),
    ("golden", "x.json", golden_of, CaseError, spoilt_json(GOLDEN)),
    ("results", "x.json", of_model(Results), ResultsError, spoilt_json(RESULT)),
    ("merged", "x.json", of_model(Merged), ResultsError, spoilt_json(MERGED)),
    ("bench", "x.json", of_model(Bench), ResultsError, spoilt_json(CPU.model_dump(mode="json"))),
]


of_each_kind = pytest.mark.parametrize("kind", KINDS, ids=[kind[0] for kind in KINDS])


@of_each_kind
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_spoilt_file_is_read_or_refused_in_one_sentence(
    data: st.DataObject, kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> None:
    what, name, read, error, spoilt = kind
    file = tmp_path_factory.getbasetemp() / what / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data.draw(st.one_of(spoilt, st.binary(max_size=200))))
    said = "read"
    try:
        read(file)
    except error as refusal:
        said = str(refusal)
    assert 0 < len(said) < LONGEST_SENTENCE
    assert len(said.splitlines()) == 1


def test_names_in_a_file_can_make_a_sentence_neither_long_nor_of_two_lines(tmp_path: Path) -> None:
    for name in ("x" * 100_000, "a\nb\u2028c", "\x1b[2J"):
        again = json.loads(json.dumps(RESULT).replace('"c"', json.dumps(name)))
        again["results"] *= 2
        (tmp_path / "x.json").write_text(json.dumps(again))
        with pytest.raises(ResultsError, match="there are two verdicts for ") as refused:
            store.read(tmp_path / "x.json", Results, "such a file")
        assert len(str(refused.value)) < LONGEST_SENTENCE
        assert str(refused.value).isprintable()


@of_each_kind
def test_the_good_files_are_good(kind: Kind, tmp_path: Path) -> None:
    """Else the test above would say nothing."""
    what, name, read, *_ = kind
    good = {"case": CASE, "manifest": MANIFEST, "golden": json.dumps(GOLDEN)}
    good |= {"results": json.dumps(RESULT), "merged": json.dumps(MERGED)}
    good |= {"bench": CPU.model_dump_json()}
    (tmp_path / name).write_text(good[what])
    read(tmp_path / name)


@of_each_kind
@pytest.mark.parametrize(
    "text",
    ["[" * 10**5, '{"a":' * 10**5, f"a = {'[' * 10**5}", "9" * 10**6],
    ids=["lists", "objects", "lists in TOML", "digits"],
)
def test_no_depth_or_length_is_too_much(text: str, kind: Kind, tmp_path: Path) -> None:
    _, name, read, error, _ = kind
    (tmp_path / name).write_text(text)
    with pytest.raises(error) as refused:
        read(tmp_path / name)
    assert len(str(refused.value)) < LONGEST_SENTENCE


@of_each_kind
def test_of_an_endless_file_no_more_is_read_than_can_be_right(kind: Kind, tmp_path: Path) -> None:
    _, name, read, error, _ = kind
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(error, match="is larger than"):
        read(tmp_path / name)
    assert MAX_JSON_BYTES <= 2**28
