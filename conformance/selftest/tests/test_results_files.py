"""Results files: what fits together in one, how it is read, and where it can be written."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from conformance.process.sandbox import Reach
from conformance.record import store
from conformance.record.models import Results, Timing, port_info
from conformance.record.store import ResultsError
from conformance.selftest.tests.conftest import CASES, ROOT
from conformance.selftest.tests.test_parsers import RESULT
from conformance.suite import traces
from conformance.targets import manifest
from conformance.targets.build import NotReady, Ready, files_sha256
from conformance.verdict.judge import Judge
from reference.cases.case import load as load_case

VERDICT: dict[str, Any] = RESULT["results"][0]  # type: ignore[index]
PORT: dict[str, Any] = RESULT["ports"][0]  # type: ignore[index]
NAMED = {"port": "c", "case": "one-step", "dtype": "float64"}
TIMES = dict.fromkeys(("ns_per_iteration", "ns_low", "ns_high", "fixed_ms"), 5.0)
TIMING: dict[str, Any] = {**NAMED, **TIMES, "ratio_to_numpy": None}
ABLE = {"port": "c", "capability": "bias", "listed": True, "passed": 2, "cases": 2}
DRIFT = VERDICT["drift"]


def changed(**parts: Any) -> dict[str, Any]:
    return copy.deepcopy({**RESULT, **parts})


def with_verdict(**fields: Any) -> dict[str, Any]:
    return changed(results=[{**VERDICT, **fields}])


KILL: dict[str, Any] = {
    "case": "x",
    "dtype": "float64",
    "check": "step",
    "iteration": 0,
    "tensor": "l",
}
KILL |= {"margin": 0.0}
VARIANT: dict[str, Any] = {
    "id": "v",
    "status": "PASS",
    "reason": "",
    "case": "x",
    "dtype": "float32",
}
TEETH: dict[str, Any] = {
    "mutants": [{"id": "m", "killed_by": KILL, "named": ["m"]}],
    "variants": [VARIANT | {"margin": 0.0}],
    "lines": [{"line": "l", "dtype": "float64", "least": 0.5, "case": "x", "tensor": "l"}],
}


def teeth(**killed_by: Any) -> dict[str, Any]:
    mutant = {"id": "m", "killed_by": {**KILL, **killed_by}, "named": []}
    return changed(teeth={**TEETH, "mutants": [mutant]})


@pytest.mark.parametrize(
    "good",
    [
        changed(),
        changed(timings=[TIMING], capabilities=[ABLE]),
        changed(teeth=TEETH, fresh={"seed": 1, "number": 2}),
        changed(teeth={"mutants": [], "variants": []}),
        teeth(margin=None, iteration=2**64 - 1),
        changed(capabilities=[ABLE, ABLE | {"capability": "alpha"}]),
        changed(results=[VERDICT, VERDICT | {"dtype": "float32"}]),
        changed(timings=[TIMING | {"ns_low": 4.0, "ns_high": 6.0}]),
        changed(timings=[TIMING | {"fixed_ms": -1e18}]),
        with_verdict(status="FAIL", margin=None, numbers_compared=0),
        with_verdict(margin=0.0),
        with_verdict(drift=[*DRIFT, DRIFT[0] | {"tensor": "error"}]),
    ],
)
def test_a_file_whose_parts_fit_is_read(good: dict[str, Any]) -> None:
    found = Results.model_validate(good)
    assert Results.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (changed(format=1), "format"),
        (teeth(iteration=-1), "iteration"),
        (teeth(iteration=2**64), "iteration"),
        (teeth(margin=-1.0), "margin"),
        (changed(teeth={**TEETH, "variants": [VARIANT | {"margin": -1.0}]}), "margin"),
        (changed(results=[VERDICT] * 2), "there are two verdicts for c, one-step, float64"),
        (changed(ports=[PORT] * 2), "there are two entries for c"),
        (changed(cases=[RESULT["cases"][0]] * 2), "there are two entries for one-step"),  # type: ignore[index]
        (changed(capabilities=[ABLE] * 2), "there are two capabilities for c, bias"),
        (changed(timings=[TIMING] * 2), "there are two timings for c, one-step, float64"),
        (
            with_verdict(port="d"),
            "a verdict for d, one-step, float64, but no entry of that port or case",
        ),
        (with_verdict(case="d"), "a verdict for c, d, float64, but no entry"),
        (changed(timings=[TIMING | {"port": "d"}]), "a timing for d, one-step, float64, but no"),
        (changed(timings=[TIMING | {"case": "d"}]), "a timing for c, d, float64, but no entry"),
        (changed(capabilities=[ABLE | {"port": "d"}]), "a capability of d, but no entry of that"),
        (changed(capabilities=[ABLE | {"cases": 1}]), "2 of 1 cases cannot have passed"),
        (with_verdict(margin=None), "c, one-step, float64 is a PASS, and nothing was compared"),
        (with_verdict(numbers_compared=0), "is a PASS, and nothing was compared"),
        (with_verdict(drift=DRIFT * 2), "there are two drifts of c on one-step for syn0"),
        (changed(timings=[TIMING | {"ns_low": 5.5}]), "5 is not in its interval, from 5.5 to 5"),
        (changed(timings=[TIMING | {"ns_high": 4.5}]), "5 is not in its interval, from 5 to 4.5"),
        (changed(timings=[TIMING | {"fixed_ms": 2e18}]), "less than or equal to 10000"),
        (changed(timings=[TIMING | {"fixed_ms": -2e18}]), "greater than or equal to -10000"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(bad: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Results.model_validate(bad)
    assert says in str(refused.value)


def test_what_a_file_may_leave_out() -> None:
    found = Results.model_validate(changed())
    assert Results.model_validate({k: v for k, v in RESULT.items() if k != "format"}) == found
    assert (found.fresh, found.teeth, found.ports[0].within_reach) == (None, None, None)
    assert Timing.model_validate(TIMING).ratio_to_numpy is None


def test_the_entry_of_a_port_is_what_is_known_after_the_run() -> None:
    port = manifest.load(ROOT / "ports" / "numpy")
    target = manifest.Target(port)
    judge = Judge(Ready(target, ["x"], {}, "NumPy 9", ["cc a", "cc b"], "a driver"))
    assert port_info(judge).within_reach is None
    judge.device, judge.within_reach = "a chip", frozenset([Reach.NETWORK])
    assert port_info(judge).model_dump() == {
        "port": "numpy",
        "sha256": files_sha256(port.folder, documents=False),
        "language": port.manifest.language,
        "toolchain": "NumPy 9",
        "build": ["cc a", "cc b"],
        "device": "a chip",
        "driver": "a driver",
        "within_reach": [Reach.NETWORK],
    }
    absent = port_info(Judge(NotReady(target, "is not installed", "packages")))
    assert (absent.port, absent.toolchain, absent.build, absent.driver) == ("numpy", None, [], None)


CASE = load_case(CASES / "one-step.toml")
HASH = traces.sha256(CASE)


def drifting(folder: Path, sha256: str = HASH, case: str = "one-step", **drift: Any) -> Path:
    """A file with one verdict, whose second drift is this."""
    first = {"tensor": "error", "iterations": [0, 1], "deviations": [0.0, None]}
    content = with_verdict(case=case, drift=[first, {**DRIFT[0], **drift}])
    content["results"] = [{**VERDICT, "case": "not-here"}, *content["results"]]
    content["cases"] = [{"case": case, "sha256": sha256}, {"case": "not-here", "sha256": "0"}]
    path = folder / "r.json"
    path.write_text(json.dumps(content))
    return path


def test_drift_is_of_the_case_where_it_is_the_one_of_this_clone(tmp_path: Path) -> None:
    assert store.read_results(drifting(tmp_path), "results").complete
    for wrong, says in (
        ({"tensor": "syn7"}, "one-step has no tensor syn7"),
        ({"iterations": [7], "deviations": [0.0]}, "one-step has no checkpoint 7"),
        ({"iterations": [0, 8, 9], "deviations": [0.0] * 3}, "one-step has no checkpoint 8"),
    ):
        path = drifting(tmp_path, **wrong)
        with pytest.raises(ResultsError) as refused:
            store.read_results(path, "results")
        assert str(refused.value) == f"{path}: results[1].drift[1]: {says}"
        for other in ({"sha256": "another"}, {"case": "no-such-case"}, {"case": "../one-step"}):
            assert store.read_results(drifting(tmp_path, **other, **wrong), "results")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    for content, says in ((None, "cannot be read: No such file"), ("{}", "is not a thing: ")):
        if content:
            path.write_text(content)
        with pytest.raises(ResultsError, match=says):
            store.read(path, Results, "a thing")
    with path.open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(ResultsError, match="is larger than 64 MiB"):
        store.read(path, Results, "a thing")


def test_what_can_be_written_is_told_before_and_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "new" / "folder" / "r.json"
    store.check_writable(below)
    assert [*below.parent.iterdir()] == []
    store.check_writable(below)
    below.write_text("as it was")
    store.check_writable(below)
    assert below.read_text() == "as it was"
    monkeypatch.setattr("tempfile.TemporaryFile", open)  # it takes other arguments
    store.check_writable(Path(os.devnull))  # nothing is put beside it


def test_what_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    what_to_do = "; make its folder writable, or name another file"
    for path, says in (
        (tmp_path, "cannot be written: it is a folder"),
        (file / "r.json", f"cannot be written: {file} is a file and not a folder{what_to_do}"),
    ):
        with pytest.raises(ResultsError) as refused:
            store.check_writable(path)
        assert str(refused.value) == f"{path}: {says}"
    with pytest.raises(ResultsError) as refused:
        store.write_data(file / "r.json", "text")
    assert str(refused.value).startswith(f"{file}/r.json: cannot be written: {file} is a file")
    monkeypatch.setattr(os, "access", lambda path, how: not (how & os.W_OK))
    with pytest.raises(ResultsError) as refused:
        store.check_writable(Path(os.devnull))
    assert str(refused.value) == f"/dev/null: cannot be written: Permission denied{what_to_do}"


def test_a_file_is_written_as_lines_of_json(tmp_path: Path) -> None:
    found = Results.model_validate(changed())
    path = tmp_path / "r.json"
    store.write(path, found)
    text = path.read_text()
    assert text.startswith('{\n "format": 2,\n')
    assert text.endswith("\n}\n")
    assert store.read(path, Results, "results") == found
    store.write_data(path, b"\x00")
    assert path.read_bytes() == b"\x00"
