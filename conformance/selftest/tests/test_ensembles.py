"""Ensembles through the public face: a right port passes, and every kind of wrong one is named."""

import json
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import (
    CASES,
    MANIFEST,
    PYTHON_MANIFEST,
    PYTHON_MODULE,
    Conformance,
)

CASE = "ensemble-momentum"
NEEDS = '["alpha", "layers", "bias", "mini-batch", "momentum", "ensemble"]'

PORT = PYTHON_MANIFEST.replace("CAPABILITIES", '["ensemble"]')
GOLDEN = json.loads((CASES.with_name("golden") / f"{CASE}.json").read_text())
REPLAY = f"""
import json, sys
entries = [
    {{
        "iteration": c["iteration"],
        "error": c["tensors"][-1]["value"],
        "weights": [t["value"] for t in c["tensors"][:-1]],
    }}
    for c in {GOLDEN["float64"]["checkpoints"]!r}
]
entry = entries[0]
SABOTAGE
for line in sys.stdin:
    request = json.loads(line)
    hello = {{"format": 1, "device": "cpu"}}
    answer = hello if request["op"] == "hello" else {{"checkpoints": entries}}
    print(json.dumps({{"id": request["id"], **answer}}), flush=True)
"""


def port(folder: Path, sabotage: str = "pass") -> Path:
    """A port that trains networks side by side, with a bug."""
    folder.mkdir()
    (folder / "port.toml").write_text(PORT)
    (folder / "port.py").write_text(PYTHON_MODULE.replace("SABOTAGE", sabotage))
    return folder


def test_an_ensemble_that_is_right_passes(conformance: Conformance, tmp_path: Path) -> None:
    done = conformance(port(tmp_path / "mine"), cases="three-layer one-step ensemble-thousand")
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = {v["case"]: v["numbers_compared"] for v in done.verdicts("mine")}
    # Four checkpoints of a thousand networks, each of 16 weights and an error.
    assert numbers["ensemble-thousand"] == 4 * 1000 * 17
    assert done.statuses("mine") == {"PASS"}


def test_a_port_may_use_one_array_for_the_errors_of_all_checkpoints(
    conformance: Conformance, tmp_path: Path
) -> None:
    reuses = (
        "errors = np.empty(len(state[0]))\n"
        "    for n in checkpoints:\n"
        "        for _ in range(done, n):\n"
        "            state = step(X, y, state, alpha=alpha)[3]\n"
        "        done = n\n"
        "        errors[:] = np.abs(y - forward(X, state)[1]).mean(axis=(-2, -1))\n"
        "        yield n, errors, state\n"
        "    return"
    )
    done = conformance(port(tmp_path / "mine", reuses), cases="ensemble-thousand")
    assert done.statuses("mine") == {"PASS"}, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("sabotage", "says", "named"),
    [
        (
            "state = [np.repeat(w[:1], len(w), axis=0) for w in state]",
            "syn0[",
            "ensemble-of-the-first",
        ),
        ("state = [np.roll(w, -1, axis=0) for w in state]", "syn0[", "ensemble-off-by-one"),
        (
            "checkpoints = [n for n in checkpoints]; whole = [w[992:].copy() for w in state]\n"
            "    for n in checkpoints:\n"
            "        for _ in range(done, n):\n"
            "            state = step(X, y, state, alpha=alpha)[3]\n"
            "            for w, old in zip(state, whole): w[992:] = old\n"
            "        done = n\n"
            "        yield n, np.abs(y - forward(X, state)[1]).mean(axis=(-2, -1)), state\n"
            "    return",
            "syn0[99",
            "ensemble-last-block",
        ),
    ],
)
def test_a_wrong_ensemble_fails_and_its_bug_is_named(
    conformance: Conformance, tmp_path: Path, sabotage: str, says: str, named: str
) -> None:
    done = conformance(port(tmp_path / "mine", sabotage), cases="ensemble-thousand")
    assert done.returncode == 1
    [verdict] = done.verdicts("mine")
    assert verdict["status"] == "FAIL"
    assert says in verdict["reason"]
    assert verdict["divergence"]["bugs"] == [named]


@pytest.mark.parametrize(
    ("sabotage", "status", "says"),
    [
        (
            "entry['error'] = entry['error'][0]",
            "GARBAGE",
            "error at checkpoint 0 is not 5: dimension 0 has ",
        ),
        ("entry['error'] = entry['error'][1:]", "GARBAGE", "dimension 0 has 4 entries"),
        (
            "entry['weights'] = [w[0] for w in entry['weights']]",
            "GARBAGE",
            "weights at checkpoint 0[0] is not 5 x 3 x 3: dimension 0 has 3 entries",
        ),
        ("entry['error'][4] = None", "FAIL", "error[4] in the run at iteration 0: got nan"),
    ],
)
def test_an_answer_of_another_shape_is_garbage(
    conformance: Conformance, tmp_path: Path, sabotage: str, status: str, says: str
) -> None:
    """Of a port that replays golden answers, except for a change to the first entry."""
    for name, change in (("right", "pass"), ("wrong", sabotage)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "port.toml").write_text(MANIFEST.replace('["alpha", "layers"]', NEEDS))
        (folder / "port.py").write_text(REPLAY.replace("SABOTAGE", change))
    assert conformance(tmp_path / "right", cases=CASE).statuses("right") == {"PASS"}
    [verdict] = conformance(tmp_path / "wrong", cases=CASE).verdicts("wrong")
    assert verdict["status"] == status
    assert says in verdict["reason"]
