"""What a port claims is held against it: accuracy on held-out samples, and each capability."""

from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import MANIFEST, Conformance, Done, MakePort

# Eight samples in the corners of two squares; every fourth is held out.
CORNERS = [(x, y) for x in (0, 1) for y in (0, 1)] * 2
CASE = """
format = 1
id = "two-classes"
title = "Learn the first input"
purpose = "What counts are the samples that it never saw."
needs = ["alpha", "layers", "predict"]
[network]
layers = [2, 3, 2]
[training]
iterations = 40
alpha = 2.0
[init]
numpy_seed = 3
[data]
file = "corners.csv"
held_out = 4
[accuracy]
at_least = 0.9
[trace]
checkpoints = [0, 40]
"""
CLAIMING = MANIFEST.replace('"layers"]', '"layers", "predict"]')
# The classes are the other way round.
SWAPPED = "if op == 'predict':\n    answer['output'] = [row[::-1] for row in answer['output']]"
NEVER_ASKED = "if op == 'predict':\n    answer = {'id': answer['id'], 'failure': 'was asked'}"


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """A case with two held-out samples."""
    lines = ["x,y,class", *(f"{x},{y},{x}" for x, y in CORNERS)]
    (tmp_path / "corners.csv").write_text("\n".join(lines) + "\n")
    path = tmp_path / "two-classes.toml"
    path.write_text(CASE)
    return path


def only(done: Done, port: str) -> dict[str, object]:
    [verdict] = done.verdicts(port)
    return verdict


def test_a_port_that_classifies_the_held_out_samples_otherwise_fails(
    conformance: Conformance, make_port: MakePort, two_classes: Path
) -> None:
    right = make_port("right", manifest=CLAIMING)
    swapped = make_port("swapped", SWAPPED, manifest=CLAIMING)
    done = conformance(right, swapped, cases=two_classes)
    assert done.returncode == 1, done.stderr
    assert (only(done, "right")["status"], only(done, "right")["accuracy"]) == ("PASS", 1.0)
    assert only(done, "swapped")["status"] == "FAIL"
    assert only(done, "swapped")["reason"] == (
        "classifies 0 of 2 held-out samples correctly after the whole run, not 2"
    )
    assert only(done, "swapped")["accuracy"] is None


def test_held_out_samples_are_asked_with_the_ports_own_weights(
    conformance: Conformance, make_port: MakePort, two_classes: Path
) -> None:
    # Right at the checkpoints that are compared, and without weights where only the last is asked.
    lazy = (
        "if op == 'train' and request['checkpoints'] == [40]:\n"
        "    weights = answer['checkpoints'][0]['weights']\n"
        "    answer['checkpoints'][0]['weights'] = [[[0] * len(r) for r in w] for w in weights]"
    )
    asked = make_port("asked", NEVER_ASKED, manifest=CLAIMING)
    done = conformance(make_port("lazy", lazy, manifest=CLAIMING), asked, cases=two_classes)
    assert only(done, "lazy")["status"] == "FAIL"
    assert "held-out samples correctly" in str(only(done, "lazy")["reason"])
    assert only(done, "asked")["reason"] == "the port says: was asked"


def folder(tmp_path: Path, *needs: str) -> Path:
    """A folder of two cases, of which the second needs more, which its network does not use."""
    (tmp_path / "mine").mkdir()
    text = CASE.replace('"two-classes"', '"plain"').replace(', "predict"', "")
    text = text.replace("[accuracy]\nat_least = 0.9\n", "").replace("held_out = 4\n", "")
    text = text.replace('file = "corners.csv"', "X = [[1, 0], [0, 1]]\ny = [[1, 0], [0, 1]]")
    (tmp_path / "mine" / "plain.toml").write_text(text)
    listed = ", ".join(f'"{name}"' for name in ("alpha", "layers", *needs))
    more = text.replace('"plain"', '"biased"').replace('"alpha", "layers"', listed)
    (tmp_path / "mine" / "biased.toml").write_text(
        more.replace("layers = [2, 3, 2]", "layers = [2, 3, 2]\nbias = true")
    )
    return tmp_path / "mine"


def test_a_claim_that_no_case_shows_is_told(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    """A port whose manifest predicts that it fails each case of a capability has shown nothing."""
    cases = folder(tmp_path, "bias")
    known = (
        MANIFEST.replace('"layers"]', '"layers", "bias"]')
        + '[[known_failure]]\ncase = "biased"\nstatus = "FAIL"\nmessage = "no bias yet"\n'
        'reason = "bias units come next year"\n'
    )
    refuses = "if request.get('bias'):\n    answer = {'id': answer['id'], 'failure': 'no bias yet'}"
    claims = make_port("claims", refuses, manifest=known)
    done = conformance(claims, make_port("modest"), cases=cases)
    assert done.returncode == 1
    assert [v["status"] for v in done.verdicts("claims")] == ["XFAIL", "PASS"]
    said = "error: claims lists the capability bias, and passes no case for it"
    assert said in done.stdout
    assert "modest lists" not in done.stdout
    assert done.results is not None
    told = {(c["port"], c["capability"]): c for c in done.results["capabilities"]}
    assert told["claims", "bias"] == {
        "port": "claims",
        "capability": "bias",
        "listed": True,
        "passed": 0,
        "cases": 1,
    }
    assert told["modest", "bias"]["listed"] is False
    assert (told["modest", "alpha"]["passed"], told["modest", "alpha"]["cases"]) == (1, 1)
    # Who names cases may leave out those that would have shown it.
    some = conformance(claims, cases=f"{cases / 'plain.toml'} {cases / 'biased.toml'}")
    assert some.returncode == 0
    assert "passes no case" not in some.stdout


def test_a_claim_is_not_told_twice_nor_where_only_some_cases_ran(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    cases = folder(tmp_path, "bias")
    wrong = make_port("wrong", manifest=MANIFEST.replace('"layers"]', '"layers", "bias"]'))
    done = conformance(wrong, cases=cases)  # bias units are missing: each answer is refused
    assert done.returncode == 1
    assert "passes no case" not in done.stdout
    assert done.results is not None
    [bias] = [c for c in done.results["capabilities"] if c["capability"] == "bias"]
    assert (bias["listed"], bias["passed"]) == (True, 0)
    some = conformance(wrong, cases=cases / "plain.toml")
    assert some.returncode == 0
    assert "passes no case" not in some.stdout
