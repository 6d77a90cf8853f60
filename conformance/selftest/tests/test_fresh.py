"""The random cases of each run: valid, affordable, everywhere, repeatable, and they find cheats."""

import itertools
import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.ground.places import BUILD, FRESH
from conformance.selftest.tests.conftest import CASES, ROOT, Conformance, Done, MakePort
from conformance.selftest.tests.test_run import refused
from conformance.suite import derived, fitness, fresh, known_bugs, traces
from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import Case, CaseError, load

ALL = set(CAPABILITIES)
SEEDS = range(200)
capabilities = st.sets(st.sampled_from(sorted(ALL)))
# What SPEC.md lets nothing do without (sections 2 and 4), and what goes with nothing.
TOGETHER = {
    "softmax": [{"softmax", "cross-entropy"}],
    "dropout": [{"dropout", "philox"}],
    "philox": [{"dropout", "philox"}, {"mini-batch", "philox"}],
}
NEVER = [{"momentum", "adam"}, {"ensemble", "predict"}, {"ensemble", "numpy-seed"}]
MULTIPLY_ADDS = 250_000  # of one dtype: about 0.3 s
SIZES = ({1}, {*range(2, 7)}, {17}, {100}, {257})


@pytest.fixture(scope="module")
def drawn() -> list[Case]:
    """The cases of 200 runs for a port that lists everything."""
    return [
        fresh.case(seed, number, fresh.used(seed, number, ALL))
        for seed in SEEDS
        for number in range(1, fresh.NUMBER + 1)
    ]


@given(st.integers(0, fresh.SEEDS - 1), st.integers(1, 10**6 - 1), capabilities)
def test_a_case_needs_only_what_is_listed_and_its_id_says_all(
    seed: int, number: int, listed: set[str]
) -> None:
    case = fresh.case(seed, number, fresh.used(seed, number, listed))
    assert set(case.needs) <= listed
    assert re.fullmatch(rf"fresh-{seed}-{number}(-[0-9a-f]+)?", case.id)
    text = case.path.read_text()
    case.path.unlink()
    again = fresh.named(case.id)
    assert again is not None
    assert again.path.read_text() == text


def test_seed_and_number_decide_the_data() -> None:
    places = [(seed, number) for seed in (1, 2, 3) for number in (1, 2, 3)]
    first = {fresh.case(*place, {"alpha"}).X[0, 0].item() for place in places}
    assert len(first) == 9


def test_an_id_that_no_case_has_names_none() -> None:
    assert fresh.named("fresh-77-1") is not None
    # Softmax alone, a bit that is no capability's, a second name of one case.
    whole = fresh.used(77, 1, ALL)
    same = sum(1 << i for i, name in enumerate(CAPABILITIES) if name in whole)
    alone = 1 << CAPABILITIES.index("softmax")
    for word in (f"77-1-{alone:x}", "77-1-8000000", f"77-1-{same:x}", "077-1", "77-0", "1000000-1"):
        assert fresh.named(f"fresh-{word}") is None


def test_each_capability_is_alone_in_a_case_and_each_pair_in_one(drawn: list[Case]) -> None:
    needs = [set(case.needs) for case in drawn]
    for name in CAPABILITIES:
        assert any(found in needs for found in TOGETHER.get(name, [{name}])), name
    for pair in map(set, itertools.combinations(CAPABILITIES, 2)):
        assert any(pair <= found for found in needs) == (pair not in NEVER), pair
    assert set() in needs
    assert max(map(len, needs)) >= 14


def batch_rows(case: Case) -> list[int]:
    return [case.batch_rows(n) for n in range(case.iterations)]


def has_samples(some: set[int], case: Case) -> bool:
    return len(case.X) in some


# Where a case can be, seen in its numbers.
PLACES: dict[str, Callable[[Case], object]] = {
    "an input of 0": lambda case: (case.X == 0).any() and (case.X != 0).any(),
    "a sample of zeros": lambda case: (case.X == 0).all(axis=1).any(),
    "a weight of 0": lambda case: any((w == 0).any() for w in case.weights),
    "targets that are all 0 or 1": lambda case: np.isin(case.y, (0, 1)).all(),
    "targets in between": lambda case: not np.isin(case.y, (0, 1)).any(),
    "relu at its kink": lambda case: (
        case.settings.activation == "relu" and at_kink(case).any() and not case.settings.batch_norm
    ),
    "saturated": lambda case: (abs(case.X @ case.weights[0][..., : len(case.X[0]), :]) > 40).any(),
    "no delta is trimmed": lambda case: 1000.0 in limits(case),
    "each delta is trimmed": lambda case: 1e-5 in limits(case),
    "half is dropped": lambda case: case.settings.dropout == 0.5,
    "batches of one": lambda case: {*batch_rows(case)} == {1} and len(case.X) > 1,
    "a batch beyond the samples": lambda case: case.settings.batch_size > len(case.X),
    "a smaller last batch": lambda case: len({*batch_rows(case)}) == 2,
    "tiny steps": lambda case: case.settings.alpha <= 1e-5,
    "large steps": lambda case: case.settings.alpha == 8,
    "wide layers": lambda case: max(case.layers) >= 35,
    "six layers": lambda case: len(case.layers) == 6,
    "two layers": lambda case: len(case.layers) == 2,
    "one output of softmax": lambda case: (
        case.settings.output == "softmax" and case.layers[-1] == 1
    ),
    **{f"{min(some)} samples": partial(has_samples, some) for some in SIZES},
}


def limits(case: Case) -> tuple[float, float]:
    return case.settings.trim_value, case.settings.trim_norm


def at_kink(case: Case) -> np.ndarray:
    X, bias = case.X, case.settings.bias
    inputs = np.hstack([X, np.ones((len(X), 1))]) if bias else X
    return inputs @ case.weights[0] == 0


@pytest.mark.parametrize("place", PLACES)
def test_cases_go_to_each_boundary(drawn: list[Case], place: str) -> None:
    found = sum(bool(PLACES[place](case)) for case in drawn)
    assert 5 <= found < len(drawn) * 0.9, found


def test_no_case_costs_more_than_a_moment(drawn: list[Case]) -> None:
    for case in drawn:
        networks = case.networks or 1
        weights = sum(a * b for a, b in itertools.pairwise(case.layers)) * networks
        products = 3 * weights * sum(batch_rows(case))
        assert products <= MULTIPLY_ADDS, case.id
        assert case.iterations <= 60


def test_ports_that_list_different_capabilities_share_cases() -> None:
    few, most = {"alpha", "layers"}, ALL - {"ensemble"}
    found = fresh.cases(5, 2, [ALL, few, most, ALL])
    for listed in (ALL, few, most):
        mine = [case for case in found if set(case.needs) <= listed]
        assert len(mine) >= 2
        assert {case.id for case in fresh.cases(5, 2, [listed])} <= {case.id for case in mine}
    assert len(found) == len({case.id for case in found}) <= 6


def test_a_case_that_cannot_be_certified_gives_way_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [case.id for case in fresh.cases(6, 3, [set()])]
    unfit = fresh.case(6, int(before[1].split("-")[2]), set())
    real = traces.load

    def loaded(case: Case) -> object:
        if case.id == unfit.id:
            raise CaseError("cannot be certified")
        return real(case)

    monkeypatch.setattr(traces, "load", loaded)  # the workers are forks of this process
    after = [case.id for case in fresh.cases(6, 3, [set()])]
    assert [after[0], after[1]] == [before[0], before[2]]
    assert len({*after}) == 3


KINK = """
format = 1
id = "kink"
title = "Rounding decides whether a relu unit is above 0"
purpose = "A correct port can be on either side."
needs = ["relu"]
[network]
layers = [2, 1, 1]
activation = "relu"
[training]
iterations = 2
[init]
weights = [[[0.5], [BESIDE]], [[0.5]]]
[data]
X = [[1.0, 1.0]]
y = [[1.0]]
[trace]
checkpoints = [0, 1, 2]
"""


def never_fit(case: Case) -> None:
    """Of no case is there data."""


def test_a_seed_without_fit_cases_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitness, "data_if_fit", never_fit)
    with pytest.raises(CaseError, match="SEED=6: too few of its cases can be certified"):
        fresh.cases(6, 1, [["alpha"]])


def test_the_data_of_a_drawn_case_are_at_hand() -> None:
    [drawn] = fresh.cases(5, 1, [["alpha"]])
    assert derived.known(drawn) is not None


def test_a_case_that_rounding_decides_is_not_fit(tmp_path: Path) -> None:
    told = {}
    for beside in (-0.25, -0.5 + 2.0**-24 * 6):
        path = tmp_path / "kink.toml"
        path.write_text(KINK.replace("BESIDE", repr(beside)))
        told[beside] = fitness.data_if_fit(load(path)) is not None
    assert list(told.values()) == [True, False]


CHAOS = """
format = 1
id = "chaos"
title = "Steps so large that the run is chaotic"
purpose = "After 60 updates, its tolerance allows any number."
needs = ["alpha", "tanh"]
[network]
layers = [1, 1, 1]
activation = "tanh"
output = "tanh"
[training]
iterations = 60
alpha = ALPHA
[init]
weights = [[[0.5]], [[0.25]]]
[data]
X = [[1.0], [0.25]]
y = [[0.5], [-0.5]]
[trace]
checkpoints = [0, 60]
"""


def test_a_case_that_tells_nothing_is_not_fit(tmp_path: Path) -> None:
    told = {}
    for alpha in (4.0, 8.0):
        path = tmp_path / "chaos.toml"
        path.write_text(CHAOS.replace("ALPHA", repr(alpha)))
        told[alpha] = fitness.data_if_fit(load(path)) is not None
    assert told == {4.0: True, 8.0: False}


# A port that says what it is asked about, unless that is one-step.
SEEN = """
if 'X' in request and request['X'] != [[1, 0], [0, 1], [1, 1]]:
    answer = {'id': answer['id'], 'failure': f"saw {request['X'][0][0]!r}"}
"""


def only_one_step(folder: Path) -> Path:
    for file in ("cases/one-step.toml", "golden/one-step.json", "golden/SHA256SUMS"):
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(CASES.parent / file, folder / file)
    return folder / "cases"


def fresh_ids(done: Done) -> list[str]:
    assert done.results is not None
    return [info["case"] for info in done.results["cases"] if info["case"] != "one-step"]


def test_each_run_draws_others_and_its_seed_repeats_them(
    conformance: Conformance, tmp_path: Path
) -> None:
    cases = only_one_step(tmp_path)
    first, other = (conformance("c", cases=cases, seed=None) for _ in range(2))
    assert first.returncode == other.returncode == 0, first.stdout
    assert first.results is not None
    assert other.results is not None
    ids = fresh_ids(first)
    assert len(ids) == 5
    assert first.results["fresh"]["number"] == 5
    assert first.results["fresh"]["seed"] != other.results["fresh"]["seed"]
    assert not {*ids} & {*fresh_ids(other)}
    for done in (first, other):  # and the data are others, not only the names
        assert all(v["numbers_compared"] > 0 for v in done.verdicts("c"))
    bodies = [(FRESH / f"{i}.toml").read_text() for i in ids + fresh_ids(other)]
    assert len({text.split("[data]")[1] for text in bodies}) == 10
    # What is expected of them is in no file, where a port might find it.
    assert [*(BUILD / "golden").glob("fresh-*")] == []
    seed = str(first.results["fresh"]["seed"])
    assert f"5 fresh cases: SEED={seed} repeats them" in first.stderr
    again = conformance("c", cases=cases, seed=seed)
    assert again.results is not None
    assert json.dumps(again.results["results"]) == json.dumps(first.results["results"])
    assert again.results["cases"] == first.results["cases"]


def test_the_cases_reach_the_port(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    port = make_port("seeing", SEEN)
    options = ("--no-timing", "--fresh", "3")
    done = conformance(port, cases=only_one_step(tmp_path), seed="8", options=options)
    assert done.returncode == 1
    found = {v["case"]: v for v in done.verdicts("seeing")}
    assert found.pop("one-step")["status"] == "PASS"
    assert len(found) == 3
    for name, verdict in found.items():
        case = fresh.named(name)
        assert case is not None
        assert verdict["reason"] == f"the port says: saw {case.X[0, 0].item()!r}"


def test_a_port_that_declines_all_of_them_fails(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    """It looks answers up, and finds none for these."""
    unknown = "if op != 'hello' and request['X'][0] != [1, 0]:\n"
    decline = "    answer = {'id': request['id'], 'unsupported': 'not on disk'}"
    port, options = make_port("p", unknown + decline), ("--no-timing", "--fresh", "2")
    done = conformance(port, cases=only_one_step(tmp_path), seed="8", options=options)
    assert done.statuses("p") == {"PASS", "SKIP"}
    assert done.returncode == 1
    assert "p passes published cases, and declines all random ones" in done.stdout


def test_a_failure_says_how_to_repeat_it_anywhere(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    port = make_port("seeing", SEEN)
    options = ("--no-timing", "--fresh", "1")
    done = conformance(port, cases=only_one_step(tmp_path), seed="88", options=options)
    [name] = fresh_ids(done)
    assert f"make conformance PORT={port} CASES={name}\n" in done.stdout
    (FRESH / f"{name}.toml").unlink()  # as on a machine that never saw it
    again = conformance(port, cases=name)
    assert [v["case"] for v in again.verdicts("seeing")] == [name]
    assert again.verdicts("seeing") == [v for v in done.verdicts("seeing") if v["case"] == name]


REPLAY = """
file = BUILT_IN
if op == 'train':
    named = lambda entry: {t['name']: t['value'] for t in entry['tensors']}
    tensors = [named(c) for c in file['checkpoints']]
    tensors = tensors[:len(request['checkpoints'])]
    answer['checkpoints'] = [
        {'iteration': n, 'error': t['error'], 'weights': [t['syn0'], t['syn1']]}
        for n, t in zip(request['checkpoints'], tensors)]
if op == 'step':
    initial = file['checkpoints'][0]['tensors'][0]['value'] == request['weights'][0]
    entry = file['steps'][0 if initial else 1]
    t = {t['name']: t['value'] for t in entry['tensors']}
    answer = {'id': answer['id'], 'l': [t['l1'], t['l2']],
        'error': [t['l1_error'], t['l2_error']],
        'delta': [t['l1_delta'], t['l2_delta']], 'weights': [t['syn0'], t['syn1']]}
"""


def test_a_port_that_replays_golden_answers_is_found_out(
    conformance: Conformance, make_port: MakePort
) -> None:
    golden = ROOT / "conformance" / "suite" / "golden" / "one-step.json"
    built_in = json.loads(golden.read_text())["float64"]  # no port can read them while it runs
    port = make_port("replay", REPLAY.strip().replace("BUILT_IN", repr(built_in)))
    done = conformance(port, "c", seed="4")
    assert done.returncode == 1
    found = {v["case"]: v["status"] for v in done.verdicts("replay") if v["dtype"] == "float64"}
    assert found.pop("one-step") == "PASS"
    told = [status for status in found.values() if status != "SKIP"]
    assert len(told) >= 5
    assert {*told} <= {"FAIL", "GARBAGE"}
    assert done.statuses("c") == {"PASS"}


BUGS = ("no-slope-at-hidden", "delta-subtracted", "adam-counts-from-two")


def test_the_reference_passes_and_known_bugs_fail(conformance: Conformance, tmp_path: Path) -> None:
    manifest = (ROOT / "ports" / "numpy" / "port.toml").read_text()
    module = "../../reference/algorithm/network.py"
    assert manifest.count(module) == 1
    for name in BUGS:
        (tmp_path / name).mkdir()
        bug, _ = known_bugs.catalogue()[name]
        (tmp_path / name / "port.toml").write_text(manifest.replace(module, "port.py"))
        (tmp_path / name / "port.py").write_text(known_bugs.source(bug))
    ports = [tmp_path / name for name in BUGS]
    options = ("--no-timing", "--fresh", "10")
    done = conformance("numpy", *ports, cases=only_one_step(tmp_path), seed="3", options=options)
    assert done.statuses("numpy") == {"PASS"}
    needs = {name: set(load(FRESH / f"{name}.toml").needs) for name in fresh_ids(done)}
    failed = {
        name: {v["case"] for v in done.verdicts(name) if v["status"] == "FAIL"} & {*needs}
        for name in BUGS
    }
    assert failed["adam-counts-from-two"] == {c for c, listed in needs.items() if "adam" in listed}
    assert failed["adam-counts-from-two"]
    assert len(failed["delta-subtracted"]) >= 8
    assert len(failed["no-slope-at-hidden"]) >= 5  # dead units and saturated ones hide it


def test_how_many_is_an_option(conformance: Conformance) -> None:
    for number in ("0", "2"):
        options = ("--no-timing", "--fresh", number)
        done = conformance("c", seed=None, options=options)
        assert len(fresh_ids(done)) == int(number)
        assert done.statuses("c") == {"PASS"}
        assert ("FRESH=2 repeats them" in done.stderr) == (number == "2")
    assert fresh_ids(conformance("c", seed=None)) == []  # who names cases means those


def test_none_and_some_at_once_are_refused(conformance: Conformance) -> None:
    done = conformance("c", seed="none", options=("--fresh", "3"))
    refused(done, "SEED=none asks for no random case, and FRESH=3 for some: leave one of the two")


def test_a_resumed_run_keeps_what_passed(conformance: Conformance) -> None:
    options = ("--no-timing", "--fresh", "2")
    first = conformance("c", seed="5", options=options)
    again = conformance("c", seed="5", options=(*options, "--resume"))
    assert "resumed: 6 verdicts" in again.stderr
    assert again.verdicts("c") == first.verdicts("c")


def test_shards_have_them_between_them(conformance: Conformance, tmp_path: Path) -> None:
    found = []
    for part in ("1/2", "2/2"):
        options = ("--no-timing", "--fresh", "3", "--shard", part)
        found += fresh_ids(conformance("c", seed="5", options=options))
    whole = fresh_ids(conformance("c", seed="5", options=("--no-timing", "--fresh", "3")))
    assert sorted(found) == sorted(whole)


def test_a_case_can_be_asked_by_its_name(conformance: Conformance) -> None:
    done = conformance("c", cases="fresh-77-2")
    assert done.returncode == 0
    assert fresh_ids(done) == ["fresh-77-2"]
