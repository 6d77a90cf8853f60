"""Loads golden traces; derives and caches those of cases that come without."""

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from conformance.places import BUILD, writing_build
from conformance.suite.compare import Expected
from conformance.terminal import progress
from reference.algorithm.network import Step
from reference.array import Array
from reference.cases.case import Case, CaseError
from reference.cases.tables import DType, Finite, Matrix, Strict
from reference.errors import first_error
from reference.files import MAX_JSON_BYTES, read_bounded
from reference.golden import checksums, derive
from reference.golden.derive import checkpoint_tensors, predict_tensors, step_tensors
from reference.golden.parallel import in_parallel

CACHE = BUILD / "golden"


class _Tensor(Strict):
    name: str
    # A number, a matrix, or one of them for each network of an ensemble.
    value: Finite | Matrix | list[Finite] | list[Matrix]
    noise: Finite
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Entry(Strict):
    iteration: int
    tensors: list[_Tensor] = Field(min_length=1)


class _Part(Strict):
    precision_bits: int
    radius: Finite
    correct: int | None
    checkpoints: list[_Entry] = Field(min_length=1)
    steps: list[_Entry]
    predictions: list[_Entry]


class _MadeFrom(Strict):
    case_sha256: str
    source_sha256: str
    python_flint: str
    numpy: str
    replicas: int
    factor: float
    seed: int


class _File(Strict):
    format: int
    case: str
    made_from: _MadeFrom
    float64: _Part
    float32: _Part


@dataclass(frozen=True)
class Trace:
    """What is expected of one case in one dtype: (iteration, tensors) in order.

    `drawn` has seeds for iterations; `correct` is how many held-out samples are learned. What is
    wrong is compared with the known bugs if it is to be `diagnosed`, which takes a run of each.
    """

    dtype: DType
    checkpoints: list[tuple[int, list[Expected]]]
    steps: list[tuple[int, list[Expected]]]
    predictions: list[tuple[int, list[Expected]]] = field(default_factory=list)
    drawn: list[tuple[int, list[Expected]]] = field(default_factory=list)
    correct: int | None = None
    diagnosed: bool = True

    def state(self, iteration: int) -> list[Array]:
        """The golden state at a checkpoint, rounded to the dtype: where a step starts."""
        tensors = dict(self.checkpoints)[iteration]
        return [t.value.astype(self.dtype) for t in tensors if t.name != "error"]


def load_all(cases: list[Case]) -> dict[str, dict[DType, Trace]]:
    """The golden traces of cases by id; where several must be derived, on all cores.

    Raises what `load` raises.
    """
    missing = [case for case in cases if _found(case) is None]
    if len(missing) > 1:
        for _ in in_parallel([partial(_derived, case) for case in missing]):
            pass
    return {case.id: load(case) for case in cases}


def load(case: Case) -> dict[DType, Trace]:
    """The golden traces of a case: its golden file, or else the cache, or derived now.

    The golden file of cases/ID.toml is golden/ID.json, beside the folder of the cases. Raises
    CaseError if it was made from another version of the case, is not well-formed or is not what
    SHA256SUMS beside it says, or if the case cannot be certified.
    """
    committed = _committed(case)
    if not committed.exists():
        return _traces(case, _read(_derived(case)))
    file = _read(committed)
    if file.made_from.case_sha256 != case.sha256:
        raise CaseError(
            f"{committed}: was made from another version of {case.path.name}: "
            f"run make golden CASES={case.path}"
        )
    _check(file, case, committed)
    if (problem := checksums.problem(committed)) is not None:
        raise CaseError(f"{committed}: {problem}: run make golden CASES={case.path}")
    return _traces(case, file)


def sha256(case: Case) -> str:
    """SHA-256 of what a port is judged by: the case with its data, and its golden data if any."""
    digest = hashlib.sha256(case.sha256.encode())
    if golden_file := _found(case):
        digest.update(golden_file.read_bytes())
    return digest.hexdigest()


def shapes_at_checkpoint(case: Case) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of what is compared at a checkpoint."""
    state = case.arrays("float64")[2]
    error = np.zeros(case.init.networks or ())
    return [(name, np.shape(value)) for name, value in checkpoint_tensors(case, state, error)]


def shapes_in_step(case: Case, iteration: int) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of what is compared in the step that is update `iteration` + 1."""
    rows = case.batch_rows(iteration)
    layers = [np.empty((rows, units)) for units in case.layers[1:]]
    tensors = step_tensors(case, Step(layers, layers, layers, case.arrays("float64")[2]))
    return [(name, np.shape(value)) for name, value in tensors]


def _shapes_in_prediction(case: Case) -> list[tuple[str, tuple[int, ...]]]:
    rows = len(case.predict.X) if case.predict else 0
    outputs = np.empty((rows, case.layers[-1]))
    return [(name, np.shape(value)) for name, value in predict_tensors(case, outputs)]


def _check(file: _File, case: Case, path: Path) -> None:
    """Raise CaseError where the file has not what the case asks for, or more."""
    wanted = [
        *((n, shapes_at_checkpoint(case)) for n in case.trace.checkpoints),
        *((n, shapes_in_step(case, n)) for n in case.trace.steps),
        *(
            (n, _shapes_in_prediction(case))
            for n in (case.predict.checkpoints if case.predict else [])
        ),
    ]
    for part in (file.float64, file.float32):
        found = [
            (
                e.iteration,
                [(t.name, np.shape(np.asarray(t.value, dtype=object))) for t in e.tensors],
            )
            for e in part.checkpoints + part.steps + part.predictions
        ]
        if (
            file.case != case.id
            or found != wanted
            or (part.correct is None) != (case.accuracy is None)
        ):
            raise CaseError(
                f"{path}: does not have the tensors of {case.path.name}: "
                f"run make golden CASES={case.path}"
            )


def _committed(case: Case) -> Path:
    return case.path.resolve().parent.parent / "golden" / f"{case.id}.json"


def _found(case: Case) -> Path | None:
    """The golden file of a case that is there: the committed one, or that of the cache."""
    return next((path for path in (_committed(case), _cached(case)) if path.exists()), None)


def _cached(case: Case) -> Path:
    key = hashlib.sha256(f"{case.sha256} {derive.source_sha256()}".encode()).hexdigest()
    return CACHE / f"{case.id}-{key[:16]}.json"


def _derived(case: Case) -> Path:
    """The case's golden file under build/, made now if it is not there."""
    path = _cached(case)
    if not path.exists():
        progress(f"deriving certified golden data for {case.id} ...")
        parts = {dtype: derive.derive(case, dtype) for dtype in derive.DTYPES}
        with writing_build():
            derive.write(path, derive.assemble(case, parts))
    return path


def _read(path: Path) -> _File:
    try:
        file = _File.model_validate_json(read_bounded(path, MAX_JSON_BYTES))
    except OSError as error:
        raise CaseError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise CaseError(f"{path}: is not a golden file: {first_error(error)}") from error
    except ValueError as error:
        raise CaseError(f"{path}: {error}") from error
    if file.format != derive.FORMAT:
        raise CaseError(f"{path}: has format {file.format}, but {derive.FORMAT} is needed")
    return file


def _traces(case: Case, file: _File) -> dict[DType, Trace]:
    parts: dict[DType, _Part] = {"float64": file.float64, "float32": file.float32}
    return {
        dtype: Trace(
            dtype,
            checkpoints=_entries(part.checkpoints),
            steps=_entries(part.steps),
            predictions=_entries(part.predictions),
            drawn=[(seed, _drawn(case, seed, dtype)) for seed in case.init.drawn_by_port],
            correct=part.correct,
        )
        for dtype, part in parts.items()
    }


def _entries(entries: list[_Entry]) -> list[tuple[int, list[Expected]]]:
    return [
        (
            e.iteration,
            [
                Expected(t.name, np.asarray(t.value, np.float64), t.tolerance, t.noise)
                for t in e.tensors
            ],
        )
        for e in entries
    ]


def _drawn(case: Case, seed: int, dtype: DType) -> list[Expected]:
    """What NumPy draws, to be equalled to the last bit."""
    state = case.drawn(seed, dtype)
    return [
        Expected(name, value.astype(np.float64), 0.0)
        for name, value in zip(case.state_names, state, strict=True)
    ]
