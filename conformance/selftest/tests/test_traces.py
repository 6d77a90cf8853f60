"""What a port is judged by: read from a golden file that is whole and fits its case, or derived."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.process import readable
from conformance.selftest.tests.conftest import CASES
from conformance.suite import derived, traces
from reference.algorithm import network
from reference.arithmetic.float import FLOAT
from reference.cases.case import Case, CaseError, load
from reference.golden import checksums, derive
from reference.golden.checks import DrawnCheck

DTYPES = derive.DTYPES


@pytest.fixture
def one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A copy of the case one-step and its golden file, and an empty cache."""
    return copied("one-step", tmp_path, monkeypatch)


def copied(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    for file in (f"cases/{name}.toml", f"golden/{name}.json", "golden/SHA256SUMS"):
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(CASES.parent / file, folder / file)
    monkeypatch.setattr(derived, "CACHE", folder / "cache")
    return load(folder / "cases" / f"{name}.toml")


def golden_of(case: Case) -> Path:
    return case.path.parents[1] / "golden" / f"{case.id}.json"


def spoil(case: Case, change: Callable[[Any], object]) -> Path:
    """Change a golden file, and vouch for it."""
    path = golden_of(case)
    file = json.loads(path.read_text())
    change(file)
    path.write_text(json.dumps(file))
    checksums.record(path.parent, [path])
    return path


def in_each_dtype(change: Callable[[Any], object]) -> list[Callable[[Any], object]]:
    return [lambda file: change(file["float64"]), lambda file: change(file["float32"])]


UNFIT: list[Callable[[Any], object]] = [
    lambda file: file.update(case="two-step"),
    *in_each_dtype(lambda part: part.update(correct=3)),
    *in_each_dtype(lambda part: part["checkpoints"].pop()),
    *in_each_dtype(lambda part: part["checkpoints"].clear()),
    *in_each_dtype(lambda part: part["steps"].pop()),
    *in_each_dtype(lambda part: part["steps"].reverse()),
    *in_each_dtype(lambda part: part["predictions"].append(part["steps"][0])),
    *in_each_dtype(lambda part: part["steps"][1].update(iteration=2)),
    *in_each_dtype(lambda part: part["steps"][0]["tensors"].pop()),
    *in_each_dtype(lambda part: part["steps"][0]["tensors"].clear()),
    *in_each_dtype(lambda part: part["steps"][0]["tensors"][0].update(name="l3")),
    *in_each_dtype(lambda part: part["steps"][0]["tensors"][0].update(value=1.0)),
    *in_each_dtype(lambda part: part["checkpoints"][1]["tensors"][0]["value"].pop()),
]


@pytest.mark.parametrize("change", UNFIT)
def test_a_file_with_other_tensors_than_its_cases_is_refused(
    change: Callable[[Any], object], one_step: Case
) -> None:
    path = spoil(one_step, change)
    with pytest.raises(CaseError) as caught:
        traces.load(one_step)
    assert str(caught.value).startswith(f"{path}: does not have the tensors of one-step.toml: run ")


def test_a_case_with_an_accuracy_needs_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = load(CASES / "digits-accuracy.toml")
    assert case.accuracy is not None
    path = tmp_path / "digits.json"
    whole = json.loads(golden_of(case).read_text())
    whole["float32"]["correct"] = None
    path.write_text(json.dumps(whole))
    monkeypatch.setattr(traces, "_committed", lambda _: path)
    with pytest.raises(CaseError, match="does not have the tensors of digits-accuracy"):
        traces.load(case)


MALFORMED: list[tuple[Callable[[Any], object], str]] = [
    (lambda file: file.update(format=2), "has format 2, but 1 is needed"),
    (lambda file: file.update(more=1), "more"),
    (lambda file: file["float64"]["steps"][0]["tensors"][0].update(tolerance=0.0), "tolerance"),
    (lambda file: file["float64"]["steps"][0]["tensors"][0].update(tolerance=1e999), "tolerance"),
    (lambda file: file["made_from"].update(case_sha256="0" * 64), "another version of one-step"),
]


@pytest.mark.parametrize(("change", "word"), MALFORMED)
def test_a_file_that_is_malformed_or_of_another_case_is_refused(
    change: Callable[[Any], object], word: str, one_step: Case
) -> None:
    path = spoil(one_step, change)
    with pytest.raises(CaseError, match=word) as caught:
        traces.load(one_step)
    assert str(path) in str(caught.value)


def test_a_file_that_was_edited_is_refused(one_step: Case) -> None:
    path = golden_of(one_step)
    path.write_text(path.read_text() + "\n")
    with pytest.raises(CaseError, match="is not the file that SHA256SUMS has: run "):
        traces.load(one_step)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_what_is_no_golden_file_is_refused(text: str, one_step: Case) -> None:
    golden_of(one_step).write_text(text)
    with pytest.raises(CaseError, match=r"one-step\.json"):
        traces.load(one_step)


def test_ports_cannot_read_the_file_that_they_are_judged_by(one_step: Case) -> None:
    traces.load(one_step)
    assert str(golden_of(one_step).parent.resolve()) in readable._golden


def test_a_case_without_a_file_is_judged_by_what_is_derived(one_step: Case) -> None:
    filed = traces.load(one_step)
    golden_of(one_step).unlink()
    for found in (traces.load(one_step), traces.load_all([one_step])["one-step"]):
        assert found.keys() == filed.keys()
        for dtype, trace in found.items():
            assert points(trace) == points(filed[dtype])
    assert traces.golden_sha256(one_step) == hashed(derived.data(one_step))


def points(trace: traces.Trace) -> list[Any]:
    """What a trace expects; not the noise, which depends on the machine's exp."""
    return [
        (due.check.kind, n, [(e.name, e.value.tolist()) for e in expected])
        for due in trace.due
        for n, expected in due.expected
    ]


def test_only_cases_without_a_file_are_derived_ahead(
    one_step: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = one_step.path.read_text().replace('"one-step"', '"again"')
    (one_step.path.parent / "again.toml").write_text(text)
    again = load(one_step.path.parent / "again.toml")
    asked: list[Case] = []
    monkeypatch.setattr(derived, "all_at_once", asked.extend)
    assert [*traces.load_all([again, one_step])] == ["again", "one-step"]
    assert asked == [again]


def hashed(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_hashes_are_of_the_case_and_of_its_golden_data(one_step: Case) -> None:
    data = golden_of(one_step).read_bytes()
    assert traces.golden_sha256(one_step) == hashed(data)
    assert traces.sha256(one_step) == hashed(one_step.sha256.encode() + data)
    golden_of(one_step).unlink()
    assert traces.sha256(one_step) == hashed(one_step.sha256.encode())


def test_a_trace_has_all_that_the_file_says(one_step: Case) -> None:
    file = json.loads(golden_of(one_step).read_text())
    for dtype, trace in traces.load(one_step).items():
        assert (trace.case, trace.dtype, trace.correct, trace.diagnosed) == (
            one_step,
            dtype,
            None,
            True,
        )
        assert [(due.check.kind, due.check.points) for due in trace.due] == [
            ("step", (0,)),
            ("step", (1,)),
            ("run", (0, 1)),
        ]
        told = [
            {
                "name": e.name,
                "value": e.value.tolist(),
                "noise": e.noise,
                "tolerance": e.tolerance,
            }
            for due in trace.due
            for _, expected in due.expected
            for e in expected
        ]
        entries = file[dtype]["steps"] + file[dtype]["checkpoints"]
        assert told == [tensor for entry in entries for tensor in entry["tensors"]]


def test_a_step_starts_from_the_golden_state_in_the_dtype(one_step: Case) -> None:
    for dtype, trace in traces.load(one_step).items():
        _, after = trace.due[:2]
        [_, (_, last)] = trace.run.expected
        state = traces.golden_state(last, dtype)
        assert [w.dtype for w in state] == [np.dtype(dtype)] * 2
        for here, there, tensor in zip(after.check.start.state, state, last, strict=False):
            assert np.array_equal(here, there)
            assert np.array_equal(there, tensor.value.astype(dtype))
        assert last[-1].name == "error"


def test_a_trace_can_be_cut(one_step: Case) -> None:
    trace = replace(traces.load(one_step)["float64"], diagnosed=False)
    assert trace.last == 1
    cut = trace.upto(0)
    assert cut.last == 0
    assert cut.run.check.points == (0,)
    assert cut.run.expected == trace.run.expected[:1]
    assert [due.check.kind for due in cut.due] == ["step", "step", "run"]
    assert cut.due[0].expected == trace.due[0].expected
    assert (cut.case, cut.dtype, cut.diagnosed) == (one_step, "float64", False)
    assert [due.check.kind for due in trace.upto(-1).due] == ["step", "step"]
    assert points(trace.upto(1)) == points(trace)


def test_drawn_weights_are_computed_in_the_dtype_and_exact() -> None:
    case = load(CASES / "numpy-seed-small.toml")
    for dtype, trace in traces.load(case).items():
        drawn = [due for due in trace.due if isinstance(due.check, DrawnCheck)]
        assert [n for due in drawn for n, _ in due.expected] == case.drawn_by_port
        for due in drawn:
            [(seed, expected)] = due.expected
            right = network.initial(case.layers, seed, dtype=dtype)
            assert [e.name for e in expected] == ["syn0", "syn1"]
            for e, values in zip(expected, right, strict=True):
                assert e.value.dtype == np.float64
                assert np.array_equal(e.value, FLOAT.doubles(values))
                assert (e.tolerance, e.noise) == (0, 0)
