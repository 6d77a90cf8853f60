"""Results files that somebody has made or broken: each is used, or refused in one sentence.

Nothing is written of one that is refused, and no command ends in a traceback.
"""

import argparse
import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import command_line
from conformance.bench import command as bench_command
from conformance.ground.terminal import console
from conformance.page import article
from conformance.page import command as report
from conformance.record import merge, store
from conformance.record.models import Results
from conformance.selftest.tests.conftest import CASES
from conformance.selftest.tests.outside import TEXT, assert_harmless_on_a_terminal, filled
from conformance.selftest.tests.test_curves import CPU
from conformance.suite import traces
from reference.cases.case import load
from reference.errors import UserError

pytestmark = pytest.mark.xdist_group("report")


def whole() -> dict[str, Any]:
    """A valid results file of the article's case, with its drift in every tensor and dtype."""
    base = filled(Results, lambda name: "0.5" if name == "got" else name)
    case = load(CASES / f"{article.CASE}.toml")
    [port], [verdict], [timing] = base["ports"], base["results"], base["timings"]
    [entry], [info] = base["capabilities"], base["cases"]
    checkpoints = case.trace.checkpoints
    drift = [
        {"tensor": name, "iterations": checkpoints, "deviations": [1e-15 for _ in checkpoints]}
        for name in (*case.state_names, "error")
    ]
    verdict |= {"case": case.id, "drift": drift}
    passed = {**verdict, "status": "PASS", "divergence": None, "reason": "", "explanation": ""}
    base |= {
        "machine": base["machine"] | {"commit": "0", "processor": "CPU"},
        "ports": [{**port, "port": name} for name in ("a", "b")],
        "cases": [{**info, "case": case.id, "sha256": traces.sha256(case)}],
        "results": [
            {**passed, "port": "a", "dtype": "float64"},
            {**passed, "port": "a", "dtype": "float32"},
            {**verdict, "port": "b", "dtype": "float64"},
        ],
        "timings": [{**timing, "port": "a", "case": case.id}],
        "capabilities": [{**entry, "port": name} for name in ("a", "b")],
    }
    copied: dict[str, Any] = json.loads(json.dumps(base))
    return copied


WHOLE, BENCH = whole(), json.loads(CPU.model_dump_json())


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """The one sentence of a command that refuses what it is given."""
    monkeypatch.setattr("sys.argv", ["conformance", *words])
    assert command_line.main() == 2
    said = capsys.readouterr()
    assert not said.out
    line = [one for one in said.err.splitlines() if not one.startswith("running the article")]
    assert len(line) == 1, said.err
    assert line[0].startswith("error: ")
    assert_harmless_on_a_terminal(line[0])
    assert len(line[0]) < 1000
    return line[0]


def changed(where: str, value: Any) -> bytes:
    """The valid file with another value at this place, such as "results.0.margin"."""
    data = copy.deepcopy(WHOLE)
    *way, last = where.split(".")
    at: Any = data
    for key in way:
        at = at[int(key)] if key.isdigit() else at[key]
    if last == "+":  # once more
        at.append(at[value])
    else:
        at[int(last) if last.isdigit() else last] = value
    return json.dumps(data).encode()


DRIFT = "results.0.drift.0"
BROKEN = {
    "empty": (b"", "Invalid JSON"),
    "not-utf-8": (b'{"format": "\xff"}', "Invalid JSON"),
    "half": (json.dumps(WHOLE).encode()[:-40], "Invalid JSON"),
    "deep": (b"[" * 100_000, "Invalid JSON"),
    "a-list": (b"[]", "input should be an object"),
    "a-number": (b"1e999", ""),
    "nan": (changed("results.0.margin", float("nan")), "results[0].margin: "),
    "infinite": (changed("timings.0.fixed_ms", float("inf")), "timings[0].fixed_ms: "),
    "large": (b" " * (2**26 + 1), "is larger than 64 MiB"),
    "half-a-pair": (b'{"format": "\\ud800"}', "Invalid JSON"),
    "another-key": (changed("results.0.more", 1), "unknown key 'results[0].more'"),
    "another-format": (changed("format", 3), "format: "),
    "fewer-deviations": (changed(f"{DRIFT}.deviations", [0.0]), "results[0].drift[0]: there are"),
    "unsorted": (changed(f"{DRIFT}.iterations.1", 0), "results[0].drift[0]: its iterations do not"),
    "unknown-iteration": (changed(f"{DRIFT}.iterations.3", 4), "has no checkpoint 4"),
    "negative-iteration": (changed(f"{DRIFT}.iterations.0", -1), "drift[0].iterations[0]: "),
    "negative-deviation": (changed(f"{DRIFT}.deviations.0", -1e308), "drift[0].deviations[0]: "),
    "unknown-tensor": (changed(f"{DRIFT}.tensor", "syn9"), "three-layer has no tensor syn9"),
    "two-drifts": (changed("results.0.drift.+", 0), "there are two drifts of a on three-layer"),
    "two-verdicts": (changed("results.+", 0), "there are two verdicts for a, three-layer, float64"),
    "two-timings": (changed("timings.+", 0), "there are two timings for a, three-layer, float64"),
    "two-ports": (changed("ports.+", 0), "there are two entries for a"),
    "two-cases": (changed("cases.+", 0), "there are two entries for three-layer"),
    "two-capabilities": (changed("capabilities.+", 0), "there are two capabilities for a"),
    "no-such-port": (changed("results.0.port", "z"), "a verdict for z, three-layer, float64"),
    "nobodys-timing": (changed("timings.0.port", "z"), "a timing for z, three-layer, float64"),
    "nobodys-capability": (changed("capabilities.0.port", "z"), "a capability of z"),
    "unknown-status": (changed("results.0.status", "OK"), "results[0].status: "),
    "unknown-dtype": (changed("results.0.dtype", "float16"), "results[0].dtype: "),
    "nothing-compared": (changed("results.0.numbers_compared", 0), "is a PASS, and nothing was"),
    "more-than-all": (changed("capabilities.0.passed", 2), "capabilities[0]: 2 of 1 cases cannot"),
    "too-many-numbers": (changed("results.0.numbers_compared", 10**30), "results[0].numbers_com"),
    "fewer-than-none": (changed("results.0.numbers_compared", -1), "results[0].numbers_compared: "),
    "accuracy": (changed("results.0.accuracy", 1.5), "results[0].accuracy: "),
    "not-a-number": (changed("results.2.divergence.got", "x"), "results[2].divergence.got: "),
    "outside": (changed("timings.0.ns_low", 9), "timings[0]: 0.5 is not in its interval"),
    "endless": (changed("timings.0.ns_high", 1e308), "timings[0].ns_high: "),
    "year": (changed("machine.date", "9999-12-31T23:59:59-14:00"), "machine.date: "),
    "year-1": (changed("machine.date", "0001-01-01T00:00:00+14:00"), "machine.date: "),
    "cores": (changed("machine.cores", 10**40), "machine.cores: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, says = BROKEN[name]
    file = tmp_path / f"{name}.json"
    file.write_bytes(data)
    commands = {
        "report": ["report", str(file), "--folder", str(tmp_path / "page")],
        "merge": ["merge", str(file), "--json", str(tmp_path / "merged.json")],
    }
    for words in commands.values():
        said = run(capsys, monkeypatch, *words)
        assert f"{file}: " in said
        assert says.lower() in said.lower()
    with pytest.raises(UserError):  # as a run to be resumed reads it
        store.read_results(file, "a results file to resume")
    assert [*tmp_path.iterdir()] == [file]
    assert file.read_bytes() == data


@pytest.mark.parametrize("name", ["two-verdicts", "deep"])
def test_a_run_that_cannot_be_resumed_judges_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "results.json"
    file.write_bytes(BROKEN[name][0])
    words = ["check", "numpy", "--cases", "one-step", "--resume", "--results", str(file)]
    assert f"{file}: is not a results file to resume: " in run(capsys, monkeypatch, *words)
    assert file.read_bytes() == BROKEN[name][0]


def bench(where: str, value: Any) -> bytes:
    """A valid bench file with another value at this place."""
    data = copy.deepcopy(BENCH)
    *way, last = where.split(".")
    at: Any = data
    for key in way:
        at = at[int(key)] if key.isdigit() else at[key]
    at[int(last) if last.isdigit() else last] = value
    return json.dumps(data).encode()


BROKEN_BENCHES = {
    "deep": (b"[" * 100_000, "Invalid JSON"),
    "a-results-file": (json.dumps(WHOLE).encode(), "unknown key"),
    "no-setting": (bench("rows.0.workload", "x"), "a row for c, x, float64, but no entry"),
    "no-port": (bench("ports", []), "a row for c, 3-4-1, float64, but no entry"),
    "twice": (bench("rows.1", BENCH["rows"][0]), "there are two rows for c, 3-4-1, float64"),
    "no-networks": (bench("settings.0.networks", 0), "settings[0].networks: "),
    "no-work": (bench("settings.0.gflop", 0), "settings[0].gflop: "),
    "outside": (bench("rows.0.timed.ns_per_iteration.low", 41), "not in its interval"),
    "endless": (bench("rows.0.timed.ns_per_iteration.high", 1e308), "ns_per_iteration.high: "),
    "no-runs": (
        bench("latencies", [{"port": "c", "workload": "3-4-1", "limit_ns": 1.0, "runs": []}]),
        "latencies[0].runs: ",
    ),
}


@pytest.mark.parametrize("name", BROKEN_BENCHES)
def test_a_broken_bench_file_is_refused_in_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, says = BROKEN_BENCHES[name]
    file, results = tmp_path / f"{name}.json", tmp_path / "results.json"
    file.write_bytes(data)
    results.write_text(json.dumps(WHOLE))
    page = ["report", str(results), "--bench", str(file), "--folder", str(tmp_path / "page")]
    for words in (page, ["curves", str(file), "--plot", str(tmp_path / "plot.svg")]):
        said = run(capsys, monkeypatch, *words)
        assert f"{file}: " in said
        assert says.lower() in said.lower()
    assert {*tmp_path.iterdir()} == {file, results}


VALUES: list[Any] = [
    *(None, True, "", "0", [], {}, [[]], {"a": 1}, TEXT, "x" * 100_000, "PASS", "float32", "b"),
    *(0, 1, -1, 2**63, -(2**70), 10**15, 0.5, 1e308, -1e308, 5e-324, 1e300, 1e18, 1e-18),
    *(float("nan"), float("inf")),
]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a file."""
    if way:
        yield way
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from places(item, (*way, key))


def mutated(whole: Any, chance: random.Random) -> Any:
    """A file with one part gone, replaced, there twice, or in another's place."""
    data = copy.deepcopy(whole)
    *way, last = chance.choice([*places(data)])
    at = data
    for key in way:
        at = at[key]
    others = [*at] if isinstance(at, dict) else [*range(len(at))]
    match chance.randrange(6):
        case 0:
            del at[last]
        case 1 if isinstance(at, list):
            at.insert(chance.randrange(len(at) + 1), copy.deepcopy(at[last]))
        case 2:
            other = chance.choice(others)
            at[last], at[other] = at[other], at[last]
        case 3 if isinstance(at[last], list):
            at[last] = at[last][: chance.randrange(len(at[last]) + 1)]
        case _:
            at[last] = chance.choice(VALUES)
    return data


def refusal(use: Callable[[], object]) -> str | None:
    """The sentence that refuses a file, or None where it is used; nothing else may be raised."""
    try:
        use()
    except UserError as error:
        return str(error)
    return None


@settings(max_examples=150)
@given(st.randoms(use_true_random=False))
def test_any_change_of_a_results_file_is_merged_or_refused(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random
) -> None:
    file = tmp_path_factory.getbasetemp() / "mutated.json"
    file.write_text(json.dumps(mutated(WHOLE, chance)))
    said = refusal(lambda: merge.show(console(), *merge.join({file: merge.read(file)})))
    assert said is None or said.startswith(f"{file}: ")


@settings(max_examples=15)
@given(st.randoms(use_true_random=False))
def test_any_change_of_a_file_is_reported_or_refused(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random
) -> None:
    """Of results and bench files; to draw a page takes a second, so there are few."""
    folder = tmp_path_factory.getbasetemp()
    file, other = folder / "results.json", folder / "bench.json"
    of_results = chance.random() < 0.6
    file.write_text(json.dumps(mutated(WHOLE, chance) if of_results else WHOLE))
    other.write_text(json.dumps(BENCH if of_results else mutated(BENCH, chance)))
    given = argparse.Namespace(results=file, bench=[other], folder=folder / "page")
    said = refusal(lambda: report.main(given))
    assert said is None or said.startswith((f"{file}: ", f"{other}: "))


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_any_change_of_a_bench_file_is_drawn_or_refused(
    tmp_path_factory: pytest.TempPathFactory, chance: random.Random
) -> None:
    folder = tmp_path_factory.getbasetemp()
    file = folder / "bench.json"
    file.write_text(json.dumps(mutated(BENCH, chance)))
    given = argparse.Namespace(files=[file], plot=folder / "plot.svg")
    said = refusal(lambda: bench_command.compare(given))
    assert said is None or said.startswith((f"{file}: ", "these files do not have two points"))


def test_the_files_that_are_changed_are_valid(tmp_path: Path) -> None:
    (tmp_path / "whole.json").write_text(json.dumps(WHOLE))
    found = merge.read(tmp_path / "whole.json")
    assert article.judged_here(found)
    assert len(found.results[0].drift) == 3


@pytest.mark.parametrize("value", [1e308, 5e-324, 1.0, None])
def test_deviations_of_any_size_are_drawn(value: float | None) -> None:
    data = copy.deepcopy(WHOLE)
    for result in data["results"]:
        result["margin"] = 1e308
        for drift in result["drift"]:
            drift["deviations"] = [value for _ in drift["deviations"]]
    assert "<svg" in report.render(Results.model_validate(data), [])[report.PAGE]
