"""Tolerances: how far correct runs stray, times 16, in the file and as a port is judged by it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.suite import traces
from reference.algorithm import network
from reference.arithmetic.float import FLOAT
from reference.arithmetic.randomised import Randomised
from reference.cases.case import Case, load
from reference.cases.tables import DType
from reference.golden import derive
from reference.golden.checks import RunCheck
from reference.golden.start import Start

SUITE = Path(__file__).parents[4] / "conformance" / "suite"
SMALLEST_NORMAL = {"float64": 2.0**-1022, "float32": 2.0**-126}
TIMES = 16  # as README.md and SPEC.md have it


@pytest.mark.parametrize("dtype", derive.DTYPES)
def test_a_tolerance_is_16_times_the_noise_or_what_may_be_flushed_to_zero(dtype: DType) -> None:
    assert derive.tolerance(1e-3, dtype) == TIMES * 1e-3
    assert derive.tolerance(0.0, dtype) == TIMES * SMALLEST_NORMAL[dtype]


def test_each_golden_file_has_tolerances_of_16_times_its_noise() -> None:
    compared = 0
    for path in (SUITE / "golden").glob("*.json"):
        file = json.loads(path.read_text())
        for dtype in derive.DTYPES:
            for kind in ("checkpoints", "steps", "predictions"):
                for tensor in (t for entry in file[dtype][kind] for t in entry["tensors"]):
                    least = TIMES * max(tensor["noise"], SMALLEST_NORMAL[dtype])
                    assert tensor["tolerance"] == least, (path.name, tensor["name"])
                    compared += 1
    assert compared > 5000


@pytest.mark.parametrize(
    "name", ["one-step", "predict-small", "momentum-step", "ensemble-momentum"]
)
def test_a_port_is_judged_by_the_tolerances_of_the_file(name: str) -> None:
    file = json.loads((SUITE / "golden" / f"{name}.json").read_text())
    for dtype, trace in traces.load(load(SUITE / "cases" / f"{name}.toml")).items():
        found = {
            due.check.key: [(n, [told(e) for e in expected]) for n, expected in due.expected]
            for due in trace.due
            if due.check.whole_run
        }
        for due in trace.due:
            if not due.check.whole_run:
                more = [(n, [told(e) for e in expected]) for n, expected in due.expected]
                found.setdefault(due.check.key, []).extend(more)
        for key in ("checkpoints", "steps", "predictions"):
            wanted = [
                (e["iteration"], [(t["name"], t["value"], t["tolerance"]) for t in e["tensors"]])
                for e in file[dtype][key]
            ]
            assert found.get(key, []) == wanted


def told(expected: Any) -> tuple[str, Any, float]:
    return expected.name, expected.value.tolist(), expected.tolerance


def farthest(case: Case, dtype: DType, seed: int) -> list[float]:
    """How far other runs stray from the golden values, for each tensor of the free run."""
    file = json.loads((SUITE / "golden" / f"{case.id}.json").read_text())
    golden = [np.array(t["value"]) for e in file[dtype]["checkpoints"] for t in e["tensors"]]
    run = RunCheck(Start(case, dtype), RunCheck.points_of(case))
    strayed = np.zeros(len(golden))
    for arithmetic in (FLOAT, Randomised(64, np.random.Generator(np.random.PCG64(seed)))):
        found = [value for _, tensors in run.computed(network, arithmetic) for _, value in tensors]
        far = [
            float(np.abs(np.asarray(value, np.float64) - right).max())
            for value, right in zip(found, golden, strict=True)
        ]
        strayed = np.maximum(strayed, far)
    return [float(number) for number in strayed]


@pytest.mark.parametrize("dtype", derive.DTYPES)
@pytest.mark.parametrize("name", ["one-step", "two-layer", "bias-step"])
def test_noise_is_as_far_as_other_runs_stray(name: str, dtype: DType) -> None:
    case = load(SUITE / "cases" / f"{name}.toml")
    entries = derive.derive(case, dtype)["checkpoints"]
    noise = [t["noise"] for entry in entries for t in entry["tensors"]]
    others = farthest(case, dtype, seed=7)
    assert sum(n > 0 for n in noise) > 3
    for here, there in zip(noise, others, strict=True):
        assert (here == 0) == (there == 0)
        assert there / 4 <= here <= there * 4
