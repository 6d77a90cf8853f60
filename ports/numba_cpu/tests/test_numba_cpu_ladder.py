"""The rungs of the Numba port: judged as a user does, and their exp against ball arithmetic."""

import importlib.util
import math
import tomllib
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import flint
import numpy as np
import pytest

from conformance.selftest.tests.conftest import CASES, ROOT, Conformance

LADDER = ROOT / "ports" / "numba_cpu" / "ladder"
RUNGS = ("numba_cpu:fixed", "numba_cpu:latency")


def theirs(case: dict[str, Any]) -> bool:
    """Is it a plain 3-4-1 network with 4 samples, which is what the rungs are for?"""
    plain = case["network"] == {"layers": [3, 4, 1]} and set(case.get("needs", [])) <= {"alpha"}
    return plain and len(case["data"]["X"]) == 4


def test_rungs_pass_their_cases_and_say_why_not_for_others(conformance: Conformance) -> None:
    cases = [tomllib.loads(path.read_text()) for path in sorted(CASES.glob("*.toml"))]
    mine = {case["id"] for case in cases if theirs(case)}
    assert {"three-layer", "seed-2", "seed-3", "alpha-large", "alpha-small", "saturated"} <= mine
    done = conformance(*RUNGS, cases=f"one-step {' '.join(mine)}")
    assert done.returncode == 0, done.stdout + done.stderr
    for rung in RUNGS:
        found = {v["case"]: v for v in done.verdicts(rung)}
        assert {name for name, v in found.items() if v["status"] == "PASS"} == mine
        assert max(found[name]["margin"] for name in mine) <= 0.5
        assert found["one-step"]["status"] == "SKIP"
        assert "Only the plain 3-4-1 network" in found["one-step"]["reason"]


@pytest.mark.parametrize("name", ["fixed", "latency"])
def test_another_dtype_setting_or_batch_is_declined(name: str) -> None:
    make = load(name).Network
    X, y = np.ones((4, 3)), np.ones((4, 1))
    state = [np.ones((3, 4)), np.ones((4, 1))]
    make(X, y, state, 1.0, {})
    sentence = r"^Only the plain 3-4-1 network [^.]*\.$"
    with pytest.raises(NotImplementedError, match=sentence):
        make(X.astype(np.float32), y, state, 1.0, {})
    with pytest.raises(NotImplementedError, match=sentence):
        make(X[:3], y[:3], state, 1.0, {})
    with pytest.raises(NotImplementedError, match=sentence):
        make(X, y, [*state, state[0]], 1.0, {})
    with pytest.raises(NotImplementedError, match=sentence):
        make(X, y, state, 1.0, {"momentum": 0.5})


def test_exp_is_within_1_ulp_over_the_whole_range() -> None:
    exp = load("fixed").exp
    powers = [flint.arb(k) * flint.arb(2).log() / 2 for k in range(-2040, 2045, 2)]
    edges = [float(x.mid()) + 1e-9 * n for x in powers for n in (-1, 0, 1)]
    points = [*spread(-708, 709), *spread(-2, 2), *(x for x in edges if -708 <= x <= 709)]
    assert worst_ulps(exp, points, lambda x: x.exp()) <= 1


def test_the_power_of_2_is_within_1_ulp_over_the_whole_range() -> None:
    plus_power = load("latency").plus_power
    edges = [k + 0.5 + n * 1e-12 for k in range(-1021, 340) for n in (-1, 0, 1)]
    points = [*spread(-1021, 340), *spread(-2, 2), *(z for z in edges if z < 340)]

    def power(z: flint.arb) -> flint.arb:
        return (z * flint.arb(2).log()).exp()

    assert worst_ulps(lambda z: plus_power(0.0, z), points, power) <= 1
    # With 1 added: from 2^53 on, 1 has no digit in one + scale, and half of a digit below.
    below = [z for z in points if z < 52.5]
    assert worst_ulps(lambda z: plus_power(1.0, z), below, lambda z: 1 + power(z)) <= 1
    above = [z for z in points if z >= 52.5]
    assert worst_ulps(lambda z: plus_power(1.0, z), above, lambda z: 1 + power(z)) <= 2


def test_beyond_its_range_a_sigmoid_is_next_to_0_or_1_and_nan_stays() -> None:
    fixed, latency = load("fixed"), load("latency")
    for x in (800.0, 1e5, 1e300):
        assert fixed.sigmoid(x) == 1 / latency.plus_power(1.0, -x) == 1
        assert 0 <= fixed.sigmoid(-x) < 1e-307
        assert 0 <= 1 / latency.plus_power(1.0, x) < 2.0**-339
    assert fixed.sigmoid(math.inf) == 1
    assert 0 <= fixed.sigmoid(-math.inf) < 1e-307
    assert math.isnan(fixed.sigmoid(math.nan))
    for z in (math.nan, math.inf, -math.inf):
        assert math.isnan(latency.plus_power(1.0, z))


def load(name: str) -> ModuleType:
    """A rung as a module; Numba compiles the functions that are called."""
    spec = importlib.util.spec_from_file_location(name, LADDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def spread(low: float, high: float) -> list[float]:
    """Numbers all over an interval."""
    return np.random.default_rng(0).uniform(low, high, 20_000).tolist()


def worst_ulps(
    function: Callable[[float], float],
    points: Iterable[float],
    exact: Callable[[flint.arb], flint.arb],
) -> float:
    """The largest deviation from `exact`, in units in the last place of the exact value."""
    with flint.ctx.workprec(200):
        found = []
        for x in points:
            right = exact(flint.arb(x))
            deviation = abs(float((flint.arb(function(x)) - right).mid()))
            found.append(deviation / math.ulp(float(right.mid())))
    assert all(math.isfinite(ulps) for ulps in found)
    return max(found)
