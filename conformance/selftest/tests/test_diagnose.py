"""Known bugs, built as real ports, get their names; other breakage gets none."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from conformance.record.models import Kill, TeethMutant, TeethVariant
from conformance.record.store import ResultsError
from conformance.selftest import boundaries, teeth
from conformance.selftest.tests.conftest import CASES, PYTHON_MANIFEST, ROOT, Conformance, MakePort
from conformance.suite import known_bugs
from conformance.suite.compare import Expected
from conformance.suite.known_bugs import KnownBug, PatchError
from conformance.suite.traces import Trace, load
from conformance.verdict.diagnosis import THRESHOLD, Answer, Checked, line_of, probable_bugs
from reference.algorithm import network
from reference.arithmetic.float import FLOAT
from reference.cases import case as cases
from reference.cases.capabilities import CAPABILITIES


@pytest.fixture(scope="module")
def short_cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some cases, cut to 1000 iterations: together they catch every bug."""
    folder = tmp_path_factory.mktemp("cases")
    plain = ("alpha-small", "several-outputs", "deep", "saturated")
    steps = [path.stem for path in CASES.glob("*-step*.toml")]
    others = (
        "ensemble-momentum",
        "everything",
        "everything-else",
        "softmax-large",
        "numpy-seed-small",
        *("late-adam", "late-batches", "late-dropout", "late-shuffle"),
    )
    runs = ("dropout-run", "adam-run", "shuffle-run", "batch-norm-run", "predict-small")
    rows = boundaries.table().function.values()
    entries = [entry for row in rows for _, entry in row.entries() if entry.bugs]
    at_boundaries = {case for entry in entries for case in entry.cases}
    for name in {*plain, *steps, *others, *runs, *at_boundaries}:
        text = (CASES / f"{name}.toml").read_text()
        if name in plain:
            text = re.sub(r"iterations = \d+", "iterations = 1000", text)
            text = re.sub(r"(checkpoints = \[[\d, ]*\b1000\b)[\d, ]*\]", r"\1]", text)
            text = re.sub(r"steps = \[.*\]", "steps = [0, 10, 1000]", text)
        (folder / f"{name}.toml").write_text(text)
    return folder


def test_the_catalogue_is_large_and_every_patch_fits() -> None:
    plain = [m for m, capability in known_bugs.catalogue().values() if capability == "plain"]
    assert len(plain) >= 30
    sources = {known_bugs.source(bug) for bug in plain}
    assert len(sources) == len(plain)


def test_a_patch_that_does_not_fit_is_an_error() -> None:
    for old in ("no such line", "syn"):
        bug = KnownBug(id="x", what="w", shows="s", do="d", patches=[[old, "y"]])
        with pytest.raises(PatchError, match="known bug x"):
            known_bugs.source(bug)


@pytest.mark.parametrize("each", [pytest.param(1, marks=pytest.mark.sweep), 25])
def test_every_known_bug_as_a_real_port_is_caught_and_named(
    conformance: Conformance, tmp_path: Path, short_cases: Path, each: int
) -> None:
    """Every 25th; and all of them, as a sweep."""
    ports, bugs = [], [*known_bugs.catalogue().values()][::each]
    for bug, capability in bugs:
        folder = tmp_path / "ports" / bug.id
        folder.mkdir(parents=True)
        # A bug of every network shows in plain ones; so its port need not do more.
        listed = ["alpha", "layers"] if capability == "plain" else CAPABILITIES
        manifest = PYTHON_MANIFEST.replace("CAPABILITIES", json.dumps(listed))
        (folder / "port.toml").write_text(manifest)
        (folder / "port.py").write_text(known_bugs.source(bug))
        ports.append(folder)
    done = conformance(*ports, cases=short_cases)
    assert done.returncode == 1
    needs = {case.id: case.needs for case in cases.load_all(short_cases)}
    for folder, (_, capability) in zip(ports, bugs, strict=True):
        statuses = done.statuses(folder.name)
        assert statuses & {"FAIL", "CRASH", "GARBAGE"}, f"{folder.name} passes"
        # Bugs of a capability are looked for only in cases that use it.
        found = [
            v
            for v in done.verdicts(folder.name)
            if v["status"] == "FAIL" and capability in ("plain", *needs[v["case"]])
        ]
        for verdict in found:
            where = f"{folder.name} on {verdict['case']} {verdict['dtype']}"
            named = verdict["divergence"]["bugs"]
            assert folder.name in named, f"{where} is taken for {named}"
        names = {name for v in found for name in v["divergence"]["bugs"]}
        # A port that takes another batch answers in another shape, and never gets so far.
        assert names or "GARBAGE" in statuses, f"{folder.name} is not named anywhere"


UNRELATED = {
    "one_weight": "if op == 'step': answer['weights'][0][0][0] += 0.1",
    "noise": "import random\nrandom.seed(1)\nif op == 'step':\n"
    "    answer['l'] = [[[x + random.random() for x in r] for r in a] for a in answer['l']]",
    "shifted_error": "if op == 'train':\n    for c in answer['checkpoints']: c['error'] += 0.01",
    "zeros": "if op == 'step': answer['delta'] = [[[0.0] * len(r) for r in a] for a in "
    "answer['delta']]",
}


def test_unrelated_breakage_is_not_named(conformance: Conformance, make_port: MakePort) -> None:
    ports = [make_port(name, sabotage) for name, sabotage in UNRELATED.items()]
    done = conformance(*ports)
    for name in UNRELATED:
        [verdict] = [v for v in done.verdicts(name) if v["dtype"] == "float64"]
        assert verdict["status"] == "FAIL"
        assert verdict["divergence"]["bugs"] == [], name
    assert "probable bug: none of the known ones" in done.stdout


def answers(trace: Trace, noise: float, seed: int) -> Answer:
    """The golden values, each moved by up to `noise` of its tensor's size, at random."""
    random = np.random.default_rng(seed)

    def moved(expected: list[Expected]) -> list[tuple[str, np.ndarray]]:
        return [
            (e.name, e.value + noise * np.abs(e.value).max() * random.uniform(-1, 1, e.value.shape))
            for e in expected
        ]

    return Answer(
        [
            Checked(due.check, n, moved(expected), expected)
            for due in trace.due
            for n, expected in due.expected
        ]
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [1e-9, 1e-3, 1.0])
def test_random_errors_of_any_size_are_not_named(noise: float, seed: int) -> None:
    case = cases.load(CASES / "one-step.toml")
    assert probable_bugs(case, answers(load(case)["float64"], noise, seed)) == []


def test_a_bug_of_half_the_size_is_not_named() -> None:
    """alpha 0.1 % too small is known; 0.05 % and 0.2 % are other bugs."""
    case = cases.load(CASES / "one-step.toml")
    trace = load(case)["float64"]
    for factor, named in ((0.999, ["alpha-slightly-off"]), (0.9995, []), (0.998, [])):
        wrong = Answer()
        for due in trace.due:
            due.check.start.given["alpha"] = factor
            found = zip(due.check.computed(network, FLOAT), due.expected, strict=True)
            wrong.checked += [Checked(due.check, n, got, wanted) for (n, got), (_, wanted) in found]
            due.check.start.given["alpha"] = 1.0
        assert [bug.id for bug in probable_bugs(case, wrong)] == named
    assert 0 < THRESHOLD < 0.5


@pytest.mark.parametrize(
    ("case_id", "tensor", "source"),
    [
        ("deep", "l1", "x = settings.inputs(l[k]) @ weights"),
        ("deep", "l3", "x = settings.inputs(l[k]) @ weights"),
        ("deep", "l3_error", "l_error = {last: y - l[last]}"),
        ("deep", "l2_error", "l_error[k] = l_delta[k + 1] @ settings.without_bias(syn[k]).mT"),
        ("deep", "l3_delta", "return error * self.slope(self.output)"),
        ("deep", "l1_delta", "return error * self.slope(self.output)"),
        ("deep", "syn0", "descent = [settings.inputs("),
        ("momentum-step", "syn1_velocity", "velocity = [momentum * v + d"),
        ("adam-step", "syn0_m", "m = [b1 * m + (1 - b1) * d"),
        ("adam-step", "syn0_v", "v = [b2 * v + (1 - b2) * (d * d)"),
        ("batch-norm-step", "gamma1", "self.gamma_descent = "),
        ("batch-norm-step", "beta1", "self.beta_descent = "),
        ("batch-norm-step", "mean1", "self.mean = average("),
        ("batch-norm-step", "variance1", "self.variance = average("),
    ],
)
def test_the_line_of_a_tensor_is_quoted(case_id: str, tensor: str, source: str) -> None:
    case = cases.load(CASES / f"{case_id}.toml")
    step = next(due.check for due in load(case)["float64"].due if due.check.kind == "step")
    place, _, line = line_of(str(step.source(tensor))).partition(": ")
    path, number = place.split(":")
    assert line.startswith(source)
    assert (ROOT / path).read_text().splitlines()[int(number) - 1].strip().startswith(line)


def test_every_tensor_of_every_step_has_a_line() -> None:
    for case in cases.load_all(CASES):
        for due in load(case)["float64"].due:
            for _, tensors in due.check.shapes:
                found = [due.check.source(name) for name, _ in tensors]
                assert all(found) if due.check.kind == "step" else not any(found)
                assert all(line_of(marker) for marker in found if marker)


def killed(margin: float | None) -> Kill:
    return Kill(case="c", dtype="float64", check="run", iteration=1, tensor="syn0", margin=margin)


def varies(status: str, margin: float | None) -> TeethVariant:
    return TeethVariant.model_validate(
        {"id": "v", "status": status, "reason": "r", "case": "c", "dtype": "float64"}
        | {"margin": margin}
    )


def test_a_lost_margin_is_reported() -> None:
    assert teeth.lost(TeethMutant(id="m", killed_by=killed(10), named=["m"])) is None
    assert teeth.lost(TeethMutant(id="m", killed_by=killed(None), named=["o", "m"])) is None
    for margin, named in ((9.9, ["m"]), (1e9, []), (1e9, ["other"])):
        assert teeth.lost(TeethMutant(id="m", killed_by=killed(margin), named=named)) is not None
    assert teeth.lost(varies("PASS", 0.5)) is None
    assert teeth.lost(varies("SKIP", None)) is None
    for entry in (
        varies("PASS", 0.51),
        varies("PASS", None),
        varies("FAIL", 2.0),
        varies("CRASH", None),
    ):
        assert teeth.lost(entry) is not None


def test_a_margin_that_shrinks_is_reported() -> None:
    """Below a tenth of the committed one; an infinite one is above all others."""
    before = {"a": 1e6, "b": None, "gone": 5.0}
    assert teeth.shrunk({"a": 1e5, "b": None, "gone": 0.6}, before) == []
    assert teeth.shrunk({"a": None, "b": None, "gone": 1e9}, before) == []
    said = teeth.shrunk({"a": 9.9e4, "b": 1e300, "new": 1e6}, before)
    assert len(said) == 4
    assert said[0].startswith("a is 9.9e+04 times the tolerance now, and was 1e+06 times in ")
    assert said[0].endswith("make teeth UPDATE=1 writes the margins of now")
    assert said[1].startswith("b is 1e+300 times the tolerance now, and was inf times in ")
    assert said[2].startswith("new has no margin in conformance/selftest/margins.json: make teeth")
    assert said[3].startswith("gone has a margin, and is no known bug: make teeth UPDATE=1")
    assert len(teeth.shrunk({"a": float("nan")}, {"a": 1.0})) == 1


def test_committed_margins_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "margins.json"
    assert teeth.committed(file) == {}
    file.write_text(teeth.rendered({"b": 123456.0, "a": None}))
    assert file.read_text() == '{\n "a": null,\n "b": 123000.0\n}\n'
    assert teeth.committed(file) == {"a": None, "b": 123000.0}
    file.write_text('{"a": "wide"}')
    with pytest.raises(ResultsError, match="is not a file of margins"):
        teeth.committed(file)
