"""Rungs: faster versions of a port, judged like it on the networks that are theirs."""

from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import PYTHON_MANIFEST, Conformance

# A port whose rung has a module of its own.
MODULE = """
import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def step(X, y, state, *, alpha, iteration=0):
    if len(X) != ROWS:
        raise NotImplementedError("for as many samples only")
    syn0, syn1 = state
    l1 = sigmoid(X @ syn0)
    l2 = sigmoid(l1 @ syn1)
    l2_error = y - l2
    l2_delta = l2_error * l2 * (1 - l2)
    l1_error = l2_delta @ syn1.T
    l1_delta = l1_error * l1 * (1 - l1)
    state = [syn0 + alpha * X.T @ l1_delta, syn1 + alpha * l1.T @ l2_delta]
    return [l1, l2], [l1_error, l2_error], [l1_delta, l2_delta], state

def train(X, y, state, checkpoints, *, alpha):
    done = 0
    for n in checkpoints:
        while done < n:
            state, done = step(X, y, state, alpha=alpha)[3], done + 1
        yield n, np.abs(step(X, y, state, alpha=alpha)[1][-1]).mean(), state
"""
PORT = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha"]').replace("port.py", "plain.py")
PORT += """
[[rung]]
name = "right"
dtypes = ["float64"]
module = "right.py"
[[rung]]
name = "wrong"
dtypes = ["float64"]
module = "wrong.py"
"""


@pytest.fixture
def with_rungs(tmp_path: Path) -> Path:
    """A port with a right and a wrong rung; the right one is for three samples, as in one-step."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "port.toml").write_text(PORT)
    module = MODULE.replace("*, alpha", "*, alpha, bias=False, batch_size=0")
    (folder / "plain.py").write_text(module.replace("ROWS", "len(X)"))
    (folder / "right.py").write_text(module.replace("ROWS", "3"))
    (folder / "wrong.py").write_text(module.replace("ROWS", "len(X)").replace("l2 * (1", "(1"))
    return folder


def test_a_rung_is_judged_for_itself(conformance: Conformance, with_rungs: Path) -> None:
    named = (with_rungs, f"{with_rungs}:right", f"{with_rungs}:wrong")
    done = conformance(*named, cases="one-step batch-norm-step")
    assert done.returncode == 1
    assert done.statuses("mine") == {"PASS", "SKIP"}  # it lists no batch normalisation
    assert done.statuses("mine:right") == {"PASS"}
    assert "│ batch-norm" in done.stdout
    assert done.statuses("mine:wrong") == {"FAIL"}
    assert "FAIL: mine:wrong on one-step, float64: first divergence: l2_delta" in done.stdout
    assert f"reproduce: make conformance PORT={with_rungs}:wrong CASES=one-step" in done.stdout
    alone = conformance(with_rungs)
    assert alone.results is not None
    assert [port["port"] for port in alone.results["ports"]] == ["mine"]


def test_what_a_rung_declines_is_no_lack(conformance: Conformance, with_rungs: Path) -> None:
    rung = f"{with_rungs}:right"
    options = ("--no-timing", "--require", "mine:right")
    done = conformance(rung, cases="one-step saturated layers", options=options)
    assert done.returncode == 0, done.stdout + done.stderr
    # It lists no capability, so that cases that need one are not shown at all.
    assert {r["case"]: r["status"] for r in done.verdicts("mine:right")} == {
        "one-step": "PASS",
        "saturated": "SKIP",
    }


def test_a_rung_with_a_device_of_its_own(conformance: Conformance, with_rungs: Path) -> None:
    with (with_rungs / "port.toml").open("a") as manifest:
        manifest.write('device = { detect = ["sh", "-c", "echo no card >&2; exit 1"] }\n')
    ports = with_rungs, f"{with_rungs}:wrong"
    done = conformance(*ports, options=("--no-timing", "--require", "all"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.statuses("mine") == {"PASS"}
    [skipped] = done.verdicts("mine:wrong")
    assert (skipped["status"], skipped["reason"]) == ("SKIP", "no card")
    named = conformance(*ports, options=("--no-timing", "--require", "all mine:wrong"))
    assert named.statuses("mine:wrong") == {"FAIL"}


def test_a_rung_that_is_not_there_is_one_sentence(
    conformance: Conformance, with_rungs: Path
) -> None:
    done = conformance("c:nosuch")
    assert done.returncode == 2
    assert "error: PORT=c:nosuch: there is no such rung; its rungs are fixed, simd" in done.stderr
    done = conformance(f"{with_rungs}:right", f"{with_rungs}:right")
    assert done.returncode == 2
    assert "the port mine:right is named twice" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "wrong"', 'name = "right"', "two rungs are named 'right'"),
        ('module = "wrong.py"', "", "rung 'wrong' of kind 'python' needs just module"),
        ('"wrong.py"', '"wrong.py"\nlibrary = "x.so"', "needs just module"),
        ('name = "wrong"', 'name = "a b"', "rung[1].name: "),
    ],
)
def test_a_mistake_in_a_rung_is_one_sentence(
    conformance: Conformance, with_rungs: Path, old: str, new: str, message: str
) -> None:
    (with_rungs / "port.toml").write_text(PORT.replace(old, new))
    done = conformance(with_rungs)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
