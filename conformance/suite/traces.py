"""Loads golden traces, and keeps their files from ports; those of some cases are derived."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from conformance.ground.places import golden
from conformance.process import readable
from conformance.suite import derived
from conformance.suite.compare import Expected
from reference.algorithm import network
from reference.arithmetic.float import FLOAT
from reference.array import Array
from reference.cases.case import Case, CaseError
from reference.cases.tables import DType, Finite, Matrix, Strict
from reference.errors import reading
from reference.files import MAX_JSON_BYTES, read_bounded
from reference.golden import checksums
from reference.golden.checks import KINDS, Check, RunCheck

FORMAT = 1  # of golden files that can be read: reference/golden/derive.py writes it


class _Tensor(Strict):
    name: str
    # A number or a matrix, or one for each network of an ensemble.
    value: Finite | Matrix | list[Finite] | list[Matrix]
    noise: Finite
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Entry(Strict):
    iteration: int
    tensors: list[_Tensor]


class _Part(Strict):
    precision_bits: int
    radius: Finite
    correct: int | None
    checkpoints: list[_Entry]
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
class Due:
    """A check, and what is expected at each of its points."""

    check: Check
    expected: list[tuple[int, list[Expected]]]

    def upto(self, most: int | None) -> "Due | None":
        """The same on at most this many iterations; None if nothing is left."""
        check = self.check.upto(most)
        if check is None:
            return None
        return Due(check, [entry for entry in self.expected if entry[0] in check.points])


@dataclass(frozen=True)
class Trace:
    """What is expected of one case in one dtype: checks in the order of asking.

    `correct` is how many held-out samples are learned. If `diagnosed`, a wrong answer is
    compared with the known bugs, which takes a run of each.
    """

    case: Case
    dtype: DType
    due: list[Due]
    correct: int | None = None
    diagnosed: bool = True

    @property
    def run(self) -> Due:
        """The free run."""
        [run] = [due for due in self.due if due.check.whole_run]
        return run

    def upto(self, most: int) -> "Trace":
        """The same on at most so many iterations."""
        return replace(self, due=[cut for due in self.due if (cut := due.upto(most)) is not None])

    @property
    def last(self) -> int:
        """The last checkpoint."""
        return max(self.run.check.points)


def golden_state(checkpoint: list[Expected], dtype: DType) -> list[Array]:
    """The state at a checkpoint, rounded to the dtype: where a step starts."""
    return [tensor.value.astype(dtype) for tensor in checkpoint if tensor.name != "error"]


def load_all(cases: list[Case]) -> dict[str, dict[DType, Trace]]:
    """The golden traces of cases by id; several are derived on all cores.

    Raises what `load` raises.
    """
    derived.all_at_once([case for case in cases if not _committed(case).exists()])
    return {case.id: load(case) for case in cases}


def load(case: Case) -> dict[DType, Trace]:
    """The golden traces of a case: from its golden file, from the cache, or derived now.

    The golden file of cases/ID.toml is golden/ID.json, beside the folder of the cases. Raises
    CaseError if it was made from another version of the case, is not well-formed or is not what
    SHA256SUMS beside it says, or if the case cannot be certified.
    """
    committed = _committed(case)
    readable.hide(committed.parent)
    if not committed.exists():
        return _traces(case, _parsed(derived.place(case), derived.data(case)))
    file = _read(committed)
    if file.made_from.case_sha256 != case.sha256:
        raise CaseError(
            f"{committed}: was made from another version of {case.path.name}: "
            f"run {golden(case.path)}"
        )
    _check(file, case, committed)
    if (problem := checksums.problem(committed)) is not None:
        raise CaseError(f"{committed}: {problem}: run {golden(case.path)}")
    return _traces(case, file)


def sha256(case: Case) -> str:
    """SHA-256 of what a port is judged by: the case with its data, and its golden data if any."""
    return hashlib.sha256(case.sha256.encode() + (_golden(case) or b"")).hexdigest()


def golden_sha256(case: Case) -> str:
    """SHA-256 of a case's golden data, committed or derived, which `load` has found or made."""
    data = _golden(case)
    assert data is not None
    return hashlib.sha256(data).hexdigest()


def _check(file: _File, case: Case, path: Path) -> None:
    """Raise CaseError if the file has less or more than the case needs."""
    initial = case.arrays("float64")[2]  # every state has these shapes
    wanted = {
        kind.key: [
            shapes
            for check in kind.all_of(case, "float64", lambda _: initial)
            for shapes in check.shapes
        ]
        for kind in KINDS
        if kind.key
    }
    fits = file.case == case.id and all(
        _shapes(part) == wanted and (part.correct is None) == (case.accuracy is None)
        for part in (file.float64, file.float32)
    )
    if not fits:
        raise CaseError(
            f"{path}: does not have the tensors of {case.path.name}: run {golden(case.path)}"
        )


def _shapes(part: _Part) -> dict[str, list[tuple[int, list[tuple[str, tuple[int, ...]]]]]]:
    """The names and shapes of a file's tensors, as Check.shapes has them."""
    return {
        key: [
            (
                e.iteration,
                [(t.name, np.shape(np.asarray(t.value, dtype=object))) for t in e.tensors],
            )
            for e in entries
        ]
        for key, entries in _by_key(part).items()
    }


def _committed(case: Case) -> Path:
    return case.path.resolve().parent.parent / "golden" / f"{case.id}.json"


def _golden(case: Case) -> bytes | None:
    """The golden data of a case that exists: the committed file, or what was derived before."""
    if (committed := _committed(case)).exists():
        return committed.read_bytes()
    return derived.known(case)


def _read(path: Path) -> _File:
    with reading(path, CaseError, "a golden file"):
        data = read_bounded(path, MAX_JSON_BYTES)
    return _parsed(path, data)


def _parsed(path: Path, data: bytes | str) -> _File:
    """The content of a golden file, which is at this path, or would be."""
    with reading(path, CaseError, "a golden file"):
        file = _File.model_validate_json(data)
    if file.format != FORMAT:
        raise CaseError(f"{path}: has format {file.format}, but {FORMAT} is needed")
    return file


def _by_key(part: _Part) -> dict[str, list[_Entry]]:
    """The entries of each kind of check that golden files hold."""
    return {kind.key: getattr(part, kind.key) for kind in KINDS if kind.key}


def _traces(case: Case, file: _File) -> dict[DType, Trace]:
    parts: dict[DType, _Part] = {"float64": file.float64, "float32": file.float32}
    return {dtype: _trace(case, dtype, part) for dtype, part in parts.items()}


def _trace(case: Case, dtype: DType, part: _Part) -> Trace:
    by_key = {
        key: {e.iteration: [_expected(t) for t in e.tensors] for e in entries}
        for key, entries in _by_key(part).items()
    }
    run = by_key[str(RunCheck.key)]
    due = [
        Due(
            check,
            [(n, by_key[kind.key][n]) for n in check.points] if kind.key else _computed(check),
        )
        for kind in KINDS
        for check in kind.all_of(case, dtype, lambda n: golden_state(run[n], dtype))
    ]
    return Trace(case, dtype, due, part.correct)


def _expected(tensor: _Tensor) -> Expected:
    value = np.asarray(tensor.value, np.float64)
    return Expected(tensor.name, value, tensor.tolerance, tensor.noise)


def _computed(check: Check) -> list[tuple[int, list[Expected]]]:
    """Values that golden files do not hold must be equal to the last bit."""
    return [
        (n, [Expected(name, value.astype(np.float64), 0.0) for name, value in tensors])
        for n, tensors in check.computed(network, FLOAT)
    ]
