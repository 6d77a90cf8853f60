"""Golden traces: exact values, certified, with the tolerance that a port is judged by.

Two independent derivations meet here. The values come from ball arithmetic and are the
doubles nearest to the exact trajectory, the same on every machine. The tolerances come from
running the same algorithm in the port's own dtype under randomised rounding: `noise` is the
farthest that any of REPLICAS such runs, or the plain NumPy run, strays from the exact value,
and `tolerance` is FACTOR times that.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reference.algorithm import network
from reference.arithmetic.ball import BALLS
from reference.arithmetic.base import Arithmetic, UndecidedError
from reference.arithmetic.float import FLOAT
from reference.arithmetic.randomised import Randomised
from reference.array import Array
from reference.cases.case import Case, CaseError
from reference.cases.tables import DType
from reference.files import write_atomically
from reference.golden import accuracy

FORMAT = 1
DTYPES: tuple[DType, ...] = ("float64", "float32")
REPLICAS = 64
# A correct port may differ from every replica: another exp, other sums. Twice the noise
# would hold for all that were tried, so 16 leaves a margin of 8; `make teeth` measures it.
FACTOR = 16
SEED = 2015
SOURCES = ("array.py", "algorithm/*.py", "arithmetic/*.py", "cases/*.py", "golden/*.py")

Tensors = list[tuple[str, Array]]
Certified = list[tuple[str, Array, float]]  # name, nearest doubles, radius
Result = TypeVar("Result")


def checkpoint_tensors(case: Case, state: list[Any], error: Any) -> Tensors:
    """What is compared at a checkpoint, in dataflow order."""
    return [*zip(case.state_names, state, strict=True), ("error", np.asarray(error))]


def step_tensors(case: Case, step: network.Step) -> Tensors:
    """What is compared in a single step, in dataflow order."""
    state = dict(zip(case.state_names, step.state, strict=True))
    last = len(step.l)
    tensors: Tensors = []
    for k in range(last):
        averages = f"mean{k + 1}", f"variance{k + 1}"
        tensors += [(name, state.pop(name)) for name in averages if name in state]
        tensors.append((f"l{k + 1}", step.l[k]))
    for k in reversed(range(last)):
        tensors += [(f"l{k + 1}_error", step.error[k]), (f"l{k + 1}_delta", step.delta[k])]
    # What the optimiser remembers is computed first, and the parameters from it.
    memory = [(name, value) for name, value in state.items() if "_" in name]
    return tensors + memory + [(name, value) for name, value in state.items() if "_" not in name]


def predict_tensors(case: Case, output: Any) -> Tensors:
    """What is compared in inference."""
    return [(f"l{len(case.layers) - 1}", output)]


def free_run(case: Case, dtype: DType, arithmetic: Arithmetic) -> Iterator[tuple[int, Tensors]]:
    """The run from the case's inputs in this dtype: (iteration, tensors) at each checkpoint."""
    X, y, state = case.arrays(dtype)
    start = [arithmetic.convert(w) for w in state]
    data = arithmetic.share(X), arithmetic.share(y)
    run = network.train(*data, start, case.trace.checkpoints, **case.settings_for(dtype))
    for n, error, weights in run:
        yield n, checkpoint_tensors(case, weights, error)


def derive(case: Case, dtype: DType) -> dict[str, Any]:
    """The golden data of one case for one dtype, as it stands in the file.

    Raises CaseError if the highest precision cannot settle a rounding, or if a run in the
    dtype overflows.
    """
    X, y, _ = case.arrays(dtype)
    settings = case.settings_for(dtype)

    def step(n: int, arithmetic: Arithmetic) -> Tensors:
        start = [arithmetic.convert(w) for w in states[n]]
        data = arithmetic.share(X), arithmetic.share(y)
        return step_tensors(case, network.step(*data, start, iteration=n, **settings))

    def predict(n: int, arithmetic: Arithmetic) -> Tensors:
        start = [arithmetic.convert(w) for w in states[n]]
        inputs = np.array(case.predict.X if case.predict else [], dtype=dtype)
        return predict_tensors(case, network.predict(arithmetic.share(inputs), start, **settings))

    exact, bits = exact_run(case, dtype)
    states = {n: [v.astype(dtype) for _, v, _ in t[:-1]] for n, t in exact}
    # What is checked from golden states: a function of iteration and arithmetic, and where.
    single = {
        "steps": (step, case.trace.steps),
        "predictions": (predict, case.predict.checkpoints if case.predict else []),
    }

    random = np.random.Generator(np.random.SFC64([SEED, DTYPES.index(dtype)]))
    randomised = Randomised(REPLICAS, random)
    entries: dict[str, list[dict[str, Any]]] = {}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        runs = zip(
            exact, free_run(case, dtype, FLOAT), free_run(case, dtype, randomised), strict=True
        )
        entries["checkpoints"] = [
            {"iteration": n, "tensors": _entries(values, plain, noisy, dtype)}
            for (n, values), (_, plain), (_, noisy) in runs
        ]
        for kind, (check, iterations) in single.items():
            entries[kind] = []
            for n in iterations:
                values, _ = _certified(case, lambda: _certify(check(n, BALLS)))  # noqa: B023
                tensors = _entries(values, check(n, FLOAT), check(n, randomised), dtype)
                entries[kind].append({"iteration": n, "tensors": tensors})
    noises = [t["noise"] for kind in entries.values() for e in kind for t in e["tensors"]]
    if not np.isfinite(noises).all():
        raise CaseError(f"{case.path}: its numbers are too large to be computed in {dtype}")
    return {
        "precision_bits": bits,
        "radius": max(r for _, tensors in exact for _, _, r in tensors),
        "correct": accuracy.expected(case, dtype) if case.accuracy else None,
        **entries,
    }


def exact_run(case: Case, dtype: DType) -> tuple[list[tuple[int, Certified]], int]:
    """The free run from inputs of this dtype in ball arithmetic, and the bits that it took.

    Raises CaseError if the highest precision cannot settle a rounding.
    """
    return _certified(case, lambda: [(n, _certify(t)) for n, t in free_run(case, dtype, BALLS)])


def _certified(case: Case, run: Callable[[], Result]) -> tuple[Result, int]:
    try:
        return BALLS.certified(run)
    except UndecidedError as error:
        raise uncertified(case, error) from error


def uncertified(case: Case, error: UndecidedError) -> CaseError:
    """What the author of a case is told whose values no precision settles."""
    advice = "change a weight, an input or a setting a little"
    return CaseError(f"{case.path}: cannot be certified: {error}: {advice}")


def _certify(tensors: Tensors) -> Certified:
    """Name, nearest doubles and radius of each tensor of balls."""
    return [(name, BALLS.doubles(value), BALLS.radius(value)) for name, value in tensors]


def _entries(
    exact: Certified, plain: Tensors, randomised: Tensors, dtype: DType
) -> list[dict[str, Any]]:
    entries = []
    for (name, value, _), (_, one), (_, many) in zip(exact, plain, randomised, strict=True):
        runs = np.concatenate([one[np.newaxis], many.view(np.ndarray)]).astype(np.float64)
        noise = float(np.abs(runs - value).max())
        entries.append(
            {
                "name": name,
                "value": value.tolist(),
                "noise": noise,
                "tolerance": tolerance(noise, dtype),
            }
        )
    return entries


def tolerance(noise: float, dtype: DType) -> float:
    """What a port may stray. Below the smallest normal number, machines may flush to zero."""
    return FACTOR * max(noise, float(np.finfo(dtype).tiny))


def assemble(case: Case, derived: dict[DType, dict[str, Any]]) -> dict[str, Any]:
    """The whole golden file: provenance, then each dtype's data."""
    made_from = {
        "case_sha256": case.sha256,
        "source_sha256": source_sha256(),
        "python_flint": version("python-flint"),
        "numpy": version("numpy"),
        "replicas": REPLICAS,
        "factor": FACTOR,
        "seed": SEED,
    }
    head = {"format": FORMAT, "case": case.id, "made_from": made_from}
    return head | {dtype: derived[dtype] for dtype in DTYPES}


@functools.cache
def source_sha256() -> str:
    """SHA-256 of the source files that golden data depends on, in this order."""
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    for pattern in SOURCES:
        for path in sorted(root.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def values_only(golden: dict[str, Any]) -> bytes:
    """The part of a golden file that is the same on every machine, as bytes."""
    kept = {
        dtype: {
            kind: [
                {
                    "iteration": entry["iteration"],
                    "tensors": [[t["name"], t["value"]] for t in entry["tensors"]],
                }
                for entry in golden[dtype][kind]
            ]
            for kind in ("checkpoints", "steps", "predictions")
        }
        | {"correct": golden[dtype]["correct"]}
        for dtype in DTYPES
    }
    return json.dumps([golden["case"], golden["made_from"]["case_sha256"], kept]).encode()


def write(path: Path, golden: dict[str, Any]) -> None:
    """Write a golden file, whole or not at all."""
    write_atomically(path, _render(golden) + "\n")


def _render(value: Any, indent: str = "") -> str:
    """JSON that shows its structure line by line, with each tensor on one line."""
    inner = indent + " "
    if isinstance(value, dict) and "name" not in value:
        body = [f"{inner}{json.dumps(key)}: {_render(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(body) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        body = [inner + _render(item, inner) for item in value]
        return "[\n" + ",\n".join(body) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)
