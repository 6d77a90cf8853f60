"""A port whose counter is full after 65,535 updates is caught, however it goes on."""

from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import CASES, PYTHON_MANIFEST, Conformance
from conformance.suite import traces
from reference.cases.case import load

LATE = CASES / "late-updates.toml"

# The article's network with three units, in plain numbers: NumPy would take many times as long.
PORT = """
import math
import numpy as np

MOST = 65535

def s(x):
    return 1 / (1 + math.exp(-x))

def numbers(X, y, syn):
    return float(X[0, 0]), float(y[0, 0]), float(syn[0][0, 0]), float(syn[1][0, 0])

def back(x, y, a, b):
    l1 = s(x * a)
    l2 = s(l1 * b)
    e2 = y - l2
    d2 = e2 * l2 * (1 - l2)
    e1 = d2 * b
    d1 = e1 * l1 * (1 - l1)
    return l1, l2, e1, e2, d1, d2, a + x * d1, b + l1 * d2

def step(X, y, syn, alpha):
    found = [np.array([[v]]) for v in back(*numbers(X, y, syn))]
    return found[:2], found[2:4], found[4:6], found[6:]

def train(X, y, syn, checkpoints, alpha):
    x, target, a, b = start = numbers(X, y, syn)
    kept = {}
    wanted = {COUNTED: n for n in checkpoints}
    for n in range(max(wanted) + 1):
        if n in wanted:
            kept[n] = abs(target - s(s(x * a) * b)), [np.array([[a]]), np.array([[b]])]
        a, b = back(x, target, a, b)[-2:]
        UPDATED
    for n in checkpoints:
        yield n, *kept[COUNTED]
"""

# What a checkpoint counts as, and what else an update does. The first is right.
COUNTERS = {
    "right": ("n", ""),
    "wraps": ("n % (MOST + 1)", ""),
    "stops": ("min(n, MOST)", ""),
    "starts-again": ("n", "if n == MOST: a, b = start[2:]"),
    "skips-one": ("n", "if n == MOST: a, b = previous"),
}


@pytest.mark.parametrize("counter", COUNTERS)
def test_a_counter_of_16_bits_is_caught(
    counter: str, conformance: Conformance, tmp_path: Path
) -> None:
    counted, updated = COUNTERS[counter]
    folder = tmp_path / counter
    folder.mkdir()
    source = PORT.replace("COUNTED", counted).replace("UPDATED", updated or "pass")
    if "previous" in updated:
        source = source.replace(
            "        a, b = back", "        previous = a, b\n        a, b = back"
        )
    (folder / "port.toml").write_text(PYTHON_MANIFEST.replace("CAPABILITIES", "[]"))
    (folder / "port.py").write_text(source)
    done = conformance(folder, cases=LATE)
    assert done.statuses(counter) == ({"PASS"} if counter == "right" else {"FAIL"})
    if counter != "right":
        [verdict] = done.verdicts(counter)
        assert verdict["divergence"]["iteration"] == 65536


def test_each_late_update_shows() -> None:
    """Two states that are one update apart differ by far more than the tolerance."""
    run = dict(traces.load(load(LATE))["float64"].run.expected)
    for n in (65535, 65536):
        for one, other in zip(run[n], run[n + 1], strict=True):
            assert abs(one.value - other.value).min() > 1000 * one.tolerance
