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
from reference.arithmetic import ball
from reference.arithmetic.randomised import RandomisedArray
from reference.array import Array
from reference.cases.case import Case, CaseError
from reference.cases.tables import DType
from reference.files import write_atomically
from reference.golden import accuracy
from reference.golden.checks import Tensors, checkpoint_tensors, step_tensors

FORMAT = 1
DTYPES: tuple[DType, ...] = ("float64", "float32")
REPLICAS = 64
# A correct port may differ from every replica: another exp, other sums. Twice the noise
# would hold for all that were tried, so 16 leaves a margin of 8; `make teeth` measures it.
FACTOR = 16
SEED = 2015
SOURCES = ("array.py", "algorithm/*.py", "arithmetic/*.py", "cases/*.py", "golden/*.py")

Certified = list[tuple[str, Array, float]]  # name, nearest doubles, radius
Result = TypeVar("Result")


def derive(case: Case, dtype: DType) -> dict[str, Any]:
    """The golden data of one case for one dtype, as it stands in the file.

    Raises CaseError if the highest precision cannot settle a rounding, or if a run in the
    dtype overflows.
    """
    X, y, syn = case.arrays(dtype)
    settings = case.settings_for(dtype)
    checkpoints = case.trace.checkpoints

    def run(convert: Callable[[Array], Array]) -> Iterator[tuple[int, Tensors]]:
        start = [convert(w) for w in syn]
        for n, error, weights in network.train(*data(convert), start, checkpoints, **settings):
            yield n, checkpoint_tensors(case, weights, error)

    def step(n: int, convert: Callable[[Array], Array]) -> Tensors:
        start = [convert(w) for w in states[n]]
        return step_tensors(case, network.step(*data(convert), start, iteration=n, **settings))

    def predict(n: int, convert: Callable[[Array], Array]) -> Tensors:
        start = [convert(w) for w in states[n]]
        inputs = np.array(case.predict.X if case.predict else [], dtype=dtype)
        inputs = convert(inputs) if convert is ball.balls else inputs
        return [(f"l{len(case.layers) - 1}", network.predict(inputs, start, **settings))]

    def data(convert: Callable[[Array], Array]) -> tuple[Array, Array]:
        # The replicas share the data, which is exact; balls must convert it.
        return (X, y) if convert is not ball.balls else (convert(X), convert(y))

    exact, bits = exact_run(case, dtype)
    states = {n: [v.astype(dtype) for _, v, _ in t[:-1]] for n, t in exact}
    # What is checked from golden states: a function of iteration and arithmetic, and where.
    single = {
        "steps": (step, case.trace.steps),
        "predictions": (predict, case.predict.checkpoints if case.predict else []),
    }

    random = np.random.Generator(np.random.SFC64([SEED, DTYPES.index(dtype)]))
    replicate = functools.partial(RandomisedArray.replicate, replicas=REPLICAS, random=random)
    entries: dict[str, list[dict[str, Any]]] = {}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        noisy_runs = zip(run(np.array), run(replicate), strict=True)
        entries["checkpoints"] = [
            {"iteration": n, "tensors": _entries(values, plain, randomised, dtype)}
            for (n, values), ((_, plain), (_, randomised)) in zip(exact, noisy_runs, strict=True)
        ]
        for kind, (check, iterations) in single.items():
            entries[kind] = []
            for n in iterations:
                values, _ = _certified(case, lambda: _certify(check(n, ball.balls)))  # noqa: B023
                noisy = _entries(values, check(n, np.array), check(n, replicate), dtype)
                entries[kind].append({"iteration": n, "tensors": noisy})
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
    X, y, syn = case.arrays(dtype)

    def run() -> list[tuple[int, Certified]]:
        start = [ball.balls(w) for w in syn]
        trained = network.train(
            ball.balls(X), ball.balls(y), start, case.trace.checkpoints, **case.settings_for(dtype)
        )
        return [(n, _certify(checkpoint_tensors(case, w, error))) for n, error, w in trained]

    return _certified(case, run)


def _certified(case: Case, run: Callable[[], Result]) -> tuple[Result, int]:
    try:
        return ball.certified(run)
    except ball.UndecidedError as error:
        advice = "change a weight, an input or a setting a little"
        raise CaseError(f"{case.path}: cannot be certified: {error}: {advice}") from error


def _certify(tensors: Tensors) -> Certified:
    """Name, nearest doubles and radius of each tensor of balls."""
    return [(name, ball.nearest(value), ball.radius(np.asarray(value))) for name, value in tensors]


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
