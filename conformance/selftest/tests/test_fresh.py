"""The random case of each run: valid, repeatable, and fatal for ports that replay answers."""

import json
import shutil
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from conformance.selftest.tests.conftest import CASES, ROOT, Conformance, MakePort
from conformance.suite import fresh
from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import load

ALL = set(CAPABILITIES)
capabilities = st.sets(st.sampled_from(sorted(ALL)))


@given(st.integers(0, fresh.SEEDS - 1), capabilities)
def test_every_seed_gives_a_case_within_the_capabilities(seed: int, allowed: set[str]) -> None:
    case = fresh.draw(seed, allowed)
    assert set(case.needs) <= allowed
    assert case.id == f"fresh-{seed}"
    assert fresh.text(seed, allowed) == case.path.read_text()


def test_different_seeds_give_different_cases() -> None:
    bodies = {fresh.text(seed, ALL).split("[network]")[1] for seed in range(50)}
    assert len(bodies) == 50


def test_a_port_that_replays_golden_answers_is_found_out(
    conformance: Conformance, make_port: MakePort
) -> None:
    golden = ROOT / "conformance" / "suite" / "golden" / "one-step.json"
    built_in = json.loads(golden.read_text())["float64"]  # no port can read them while it runs
    replay = (
        f"file = {built_in!r}\n"
        "if op == 'train':\n"
        "    named = lambda entry: {t['name']: t['value'] for t in entry['tensors']}\n"
        "    tensors = [named(c) for c in file['checkpoints']]\n"
        "    tensors = tensors[:len(request['checkpoints'])]\n"
        "    answer['checkpoints'] = [\n"
        "        {'iteration': n, 'error': t['error'], 'weights': [t['syn0'], t['syn1']]}\n"
        "        for n, t in zip(request['checkpoints'], tensors)]\n"
        "if op == 'step':\n"
        "    initial = file['checkpoints'][0]['tensors'][0]['value'] == request['weights'][0]\n"
        "    entry = file['steps'][0 if initial else 1]\n"
        "    t = {t['name']: t['value'] for t in entry['tensors']}\n"
        "    answer = {'id': answer['id'], 'l': [t['l1'], t['l2']],\n"
        "        'error': [t['l1_error'], t['l2_error']],\n"
        "        'delta': [t['l1_delta'], t['l2_delta']], 'weights': [t['syn0'], t['syn1']]}"
    )
    done = conformance(make_port("replay", replay), "c", seed="4")
    assert done.returncode == 1
    found = {v["case"]: v["status"] for v in done.verdicts("replay") if v["dtype"] == "float64"}
    assert found["one-step"] == "PASS"
    assert found["fresh-4"] in ("FAIL", "GARBAGE")
    assert done.statuses("c") == {"PASS"}


def test_a_run_draws_a_case_and_its_seed_repeats_it(
    conformance: Conformance, tmp_path: Path
) -> None:
    for file in ("cases/one-step.toml", "golden/one-step.json", "golden/SHA256SUMS"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(CASES.parent / file, tmp_path / file)
    cases = tmp_path / "cases"
    first = conformance("c", cases=cases, seed=None)
    assert first.returncode == 0
    assert first.results is not None
    [name] = {r["case"] for r in first.results["results"]} - {"one-step"}
    seed = name.removeprefix("fresh-")
    assert f"SEED={seed} repeats it" in first.stderr
    text = (fresh.FOLDER / f"{name}.toml").read_text()
    again = conformance("c", cases=cases, seed=seed)
    assert again.results is not None
    assert json.dumps(again.results["results"]) == json.dumps(first.results["results"])
    assert (fresh.FOLDER / f"{name}.toml").read_text() == text
    # What is expected of it is in no file, where a port might find it.
    assert [*(fresh.FOLDER.parent / "golden").glob(f"{name}*")] == []


def test_a_run_of_a_single_case_draws_none(conformance: Conformance) -> None:
    done = conformance("c", seed=None)
    assert {v["case"] for v in done.verdicts("c")} == {"one-step"}


def test_a_fresh_case_can_be_given_as_a_case(conformance: Conformance, tmp_path: Path) -> None:
    path = tmp_path / "fresh-77.toml"
    path.write_text(fresh.text(77, {"alpha", "layers"}))
    assert load(path).id == "fresh-77"
    assert conformance("c", cases=path).returncode == 0
    assert CASES.is_dir()
