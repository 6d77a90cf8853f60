"""Recomputes a golden file within a budget, and compares every number with it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.selftest.oracle import training
from conformance.selftest.oracle.case import Case
from conformance.selftest.oracle.network import Network, State
from conformance.selftest.oracle.numbers import Numbers, to_double

DTYPES = ("float64", "float32")
KINDS = ("checkpoints", "steps", "predictions")
# Multiplications for the free run of a case in one dtype: some seconds in MPFR's numbers.
BUDGET = 3e6
# What a function such as exp costs, in multiplications.
FUNCTION = 20


@dataclass
class Report:
    """The result: numbers in the golden file, recomputed numbers, and those that differ.

    `cancelled` counts recomputed numbers that are 0 in the golden file, and here the remainder
    of terms that cancel.
    """

    arithmetic: Numbers
    numbers: int = 0
    recomputed: int = 0
    cancelled: int = 0
    differing: list[str] = field(default_factory=list)

    def compare(self, where: str, golden: Any, got: Any) -> None:
        """Demand equality of each number of a nested list, and the same shape."""
        if isinstance(golden, list):
            if not isinstance(got, list) or len(golden) != len(got):
                raise ValueError(f"{where}: another shape")
            for i, (one, other) in enumerate(zip(golden, got, strict=True)):
                self.compare(f"{where}[{i}]", one, other)
            return
        self.recomputed += 1
        double = to_double(got)
        if golden == 0 != double and self.arithmetic.is_zero(got):
            self.cancelled += 1
        elif golden != double:
            self.differing.append(f"{where}: golden {golden!r}, here {double!r}")


def count(value: Any) -> int:
    """How many numbers nested lists have."""
    return sum(map(count, value)) if isinstance(value, list) else 1


def numbers_in(golden: dict[str, Any]) -> int:
    """How many numbers a golden file has."""
    kinds = [golden[dtype][kind] for dtype in DTYPES for kind in KINDS]
    tensors = [tensor for kind in kinds for entry in kind for tensor in entry["tensors"]]
    return sum(count(tensor["value"]) for tensor in tensors)


def values(entry: dict[str, Any]) -> dict[str, Any]:
    """The golden values of a checkpoint, step or prediction, by name."""
    return {tensor["name"]: tensor["value"] for tensor in entry["tensors"]}


def recompute(case_file: Path, golden: dict[str, Any], numbers: Numbers, budget: float) -> Report:
    """Compare a golden file with this oracle's values, as far as the budget goes."""
    report = Report(numbers, numbers_in(golden))
    for dtype in DTYPES:
        case = Case(case_file, dtype, numbers)
        single_steps(case, golden[dtype], report)
        predictions(case, golden[dtype], report)
        free_run(case, golden[dtype], report, budget)
    return report


def golden_state(case: Case, golden: dict[str, Any], n: int) -> State:
    """The golden state at checkpoint n, rounded to the dtype."""
    entry = next(entry for entry in golden["checkpoints"] if entry["iteration"] == n)
    return {name: case.matrix(value) for name, value in values(entry).items() if name != "error"}


def single_steps(case: Case, golden: dict[str, Any], report: Report) -> None:
    """All single steps."""
    for entry in golden["steps"]:
        n = entry["iteration"]
        # An update beyond the run starts from the last checkpoint.
        start = min(n, golden["checkpoints"][-1]["iteration"])
        answer, _ = training.step(case, golden_state(case, golden, start), n)
        compare_all(case, f"step {n}", values(entry), answer, report)


def predictions(case: Case, golden: dict[str, Any], report: Report) -> None:
    """All predictions."""
    network = Network(case)
    for entry in golden["predictions"]:
        n = entry["iteration"]
        passed = network.forward(golden_state(case, golden, n), case.predict_X)
        answer: training.Answer = {f"l{network.last}": passed.l[network.last]}
        compare_all(case, f"prediction {n}", values(entry), answer, report)


def compare_all(
    case: Case, where: str, golden: dict[str, Any], got: training.Answer, report: Report
) -> None:
    """Compare tensors by name; none may be missing, and none may be extra."""
    if golden.keys() != got.keys():
        raise ValueError(f"{where}: {sorted(golden)} and {sorted(got)} are not the same tensors")
    for name, value in golden.items():
        report.compare(f"{case.dtype}, {where}, {name}", value, got[name])


def costs(case: Case) -> tuple[int, int]:
    """About how many multiplications an update and the error at a checkpoint take."""
    rows = [size + case.bias for size in case.layers]
    weights = sum(a * b for a, b in zip(rows, case.layers[1:], strict=False))
    functions = FUNCTION * sum(case.layers[1:])
    update = min(case.batch_size, len(case.X)) * (3 * weights + functions)
    return update, len(case.X) * (weights + functions)


def free_run(case: Case, golden: dict[str, Any], report: Report, budget: float) -> None:
    """The run from the initial weights, checkpoint after checkpoint."""
    update, error = costs(case)
    networks = case.networks or 1
    for i in range(networks):
        state, n, spent = case.initial_state(i), 0, 0
        for entry in golden["checkpoints"]:
            spent += update * (entry["iteration"] - n) + error
            # Always compute the first checkpoint after 0, whatever it costs.
            if n > 0 and spent > budget / networks:
                break
            while n < entry["iteration"]:
                _, state = training.step(case, state, n)
                n += 1
            answer: training.Answer = {**state, "error": training.mean_error(case, state)}
            wanted = values(entry)
            if case.networks:
                wanted = {name: value[i] for name, value in wanted.items()}
            compare_all(case, f"network {i}, checkpoint {n}", wanted, answer, report)


def load_golden(case_file: Path) -> dict[str, Any]:
    """The golden file of a case."""
    file = case_file.parents[1] / "golden" / f"{case_file.stem}.json"
    golden: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return golden
