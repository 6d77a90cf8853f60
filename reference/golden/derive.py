"""Golden traces: exact values, certified, with the tolerance that a port is judged by.

Two independent derivations meet here. The values come from ball arithmetic and are the
doubles nearest to the exact trajectory, the same on every machine. The tolerances come from
running the same algorithm in the port's own dtype under randomised rounding: `noise` is the
farthest that any of REPLICAS such runs, or the plain NumPy run, strays from the exact value,
and `tolerance` is FACTOR times that.
"""

import functools
import hashlib
import itertools
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from reference.algorithm import network
from reference.arithmetic.ball import BALLS
from reference.arithmetic.base import UndecidedError
from reference.arithmetic.float import FLOAT
from reference.arithmetic.randomised import Randomised
from reference.array import Array
from reference.cases.case import Case, CaseError
from reference.cases.tables import DType
from reference.files import write_atomically
from reference.golden import accuracy
from reference.golden.checks import KEYS, KINDS, Check, RunCheck
from reference.golden.start import Start
from reference.golden.tensors import Tensors

FORMAT = 1
DTYPES: tuple[DType, ...] = ("float64", "float32")
REPLICAS = 64
# A correct port may differ from every replica: another exp, other sums. Twice the noise #
# was enough for all that we tried, so 16 leaves a margin of 8; `make teeth` measures it.
FACTOR = 16
SEED = 2015
SOURCES = ("array.py", "algorithm/*.py", "arithmetic/*.py", "cases/*.py", "golden/*.py")

Certified = list[tuple[str, Array, float]]  # name, nearest doubles, radius


def derive(case: Case, dtype: DType) -> dict[str, Any]:
    """The golden data of one case for one dtype, as in the file.

    Raises CaseError if the highest precision cannot settle a rounding, or if a run in the
    dtype overflows.
    """
    run = RunCheck(Start(case, dtype), RunCheck.points_of(case))
    exact, bits = certified(run)
    too_large = CaseError(f"{case.path}: its numbers are too large to be computed in {dtype}")
    with np.errstate(over="ignore"):
        states = {n: [v.astype(dtype) for _, v, _ in tensors[:-1]] for n, tensors in exact}
    if not all(np.isfinite(w).all() for state in states.values() for w in state):
        raise too_large
    random = np.random.Generator(np.random.SFC64([SEED, DTYPES.index(dtype)]))
    randomised = Randomised(REPLICAS, random)
    entries = {str(RunCheck.key): _entries(run, exact, randomised)}
    for kind in KINDS:
        if kind.key and not kind.whole_run:
            checks = kind.all_of(case, dtype, states.__getitem__)
            found = [_entries(check, certified(check)[0], randomised) for check in checks]
            entries[kind.key] = list(itertools.chain(*found))
    noises = [t["noise"] for kind in entries.values() for e in kind for t in e["tensors"]]
    if not np.isfinite(noises).all():
        raise too_large
    return {
        "precision_bits": bits,
        "radius": max(r for _, tensors in exact for _, _, r in tensors),
        "correct": accuracy.expected(case, dtype) if case.accuracy else None,
        **entries,
    }


def certified(check: Check) -> tuple[list[tuple[int, Certified]], int]:
    """The right values, in ball arithmetic, at each point of a check, and the bits that they took.

    Raises CaseError if the highest precision cannot settle a rounding.
    """
    try:
        return BALLS.certified(
            lambda: [(n, _certify(found)) for n, found in check.computed(network, BALLS)]
        )
    except UndecidedError as error:
        raise uncertified(check.case, error) from error


def uncertified(case: Case, error: UndecidedError) -> CaseError:
    """The error for a case whose values no precision settles."""
    advice = "change a weight, an input or a setting a little"
    return CaseError(f"{case.path}: cannot be certified: {error}: {advice}")


def _certify(tensors: Tensors) -> Certified:
    """Name, nearest doubles and radius of each tensor of balls."""
    return [(name, BALLS.doubles(value), BALLS.radius(value)) for name, value in tensors]


def _entries(
    check: Check, exact: list[tuple[int, Certified]], randomised: Randomised
) -> list[dict[str, Any]]:
    """The entries of a golden file for one check: values, noise and tolerance at each point."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        runs = zip(
            exact, check.computed(network, FLOAT), check.computed(network, randomised), strict=True
        )
        return [
            {"iteration": n, "tensors": _tensors(values, plain, many, check.dtype)}
            for (n, values), (_, plain), (_, many) in runs
        ]


def _tensors(
    exact: Certified, plain: Tensors, randomised: Tensors, dtype: DType
) -> list[dict[str, Any]]:
    tensors = []
    for (name, value, _), (_, one), (_, many) in zip(exact, plain, randomised, strict=True):
        runs = np.concatenate([one[np.newaxis], many.view(np.ndarray)]).astype(np.float64)
        noise = float(np.abs(runs - value).max())
        tensors.append(
            {
                "name": name,
                "value": value.tolist(),
                "noise": noise,
                "tolerance": tolerance(noise, dtype),
            }
        )
    return tensors


def tolerance(noise: float, dtype: DType) -> float:
    """How far a port may stray. Below the smallest normal number, machines may flush to zero."""
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
            for kind in KEYS
        }
        | {"correct": golden[dtype]["correct"]}
        for dtype in DTYPES
    }
    return json.dumps([golden["case"], golden["made_from"]["case_sha256"], kept]).encode()


def write(path: Path, golden: dict[str, Any]) -> None:
    """Write a golden file, whole or not at all."""
    write_atomically(path, rendered(golden))


def rendered(golden: dict[str, Any]) -> str:
    """The text of a golden file."""
    return _render(golden) + "\n"


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
