"""Cases: what to train, from what, for how long, and what is compared.

`load` makes one from a TOML file. Every mistake in that becomes a `CaseError`: one sentence that
names the file, the key and what to do.
"""

import hashlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reference.algorithm.batches import batch_slice
from reference.algorithm.initial import initial_state
from reference.algorithm.settings import Settings
from reference.algorithm.state import names
from reference.array import Array
from reference.cases.arrays import read_limited, samples, weights
from reference.cases.checks import problems
from reference.cases.tables import Accuracy, DType, File, Predict, Tables, Timing, Trace, table_of
from reference.errors import UserError, reading

_DEFAULTS = Settings()._asdict()


class CaseError(UserError):
    """A case file, or its golden data, that cannot be used."""


@dataclass(frozen=True)
class CaseFile:
    """The file that a case was read from."""

    path: Path
    sha256: str  # of the file, followed by the data file if it names one
    title: str
    purpose: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One case, of arrays in float64. The methods give them in the dtype that is asked for.

    It is either read from a file, all checked, or built in code from arrays: then it has no
    file and no golden data.
    """

    id: str
    needs: list[str]
    layers: list[int]  # sizes, inputs first
    settings: Settings  # unrounded
    iterations: int
    X: Array  # (samples, n_0)
    y: Array  # (samples, n_K)
    weights: list[Array]  # syn[0] ... syn[K-1]; in an ensemble, with its networks as first axis
    trace: Trace
    networks: int | None = None  # of an ensemble
    drawn_by_port: list[int] = field(default_factory=list)
    predict: Predict | None = None
    accuracy: Accuracy | None = None
    held_out_samples: tuple[Array, Array] | None = None
    timing: Timing | None = None
    file: CaseFile | None = None

    @property
    def path(self) -> Path:
        """Where the case's file is."""
        return self._file.path

    @property
    def sha256(self) -> str:
        """SHA-256 of the case's file and of its data file."""
        return self._file.sha256

    @property
    def _file(self) -> CaseFile:
        assert self.file is not None, f"the case {self.id} was not read from a file"
        return self.file

    def settings_for(self, dtype: DType) -> dict[str, Any]:
        """The settings as a port gets them: rounded to the dtype that it runs in.

        Only alpha and those that the case uses: a port need not know the others.
        """
        given = self.settings._asdict()
        used = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
        used["alpha"] = self.settings.alpha
        to_dtype = np.dtype(dtype).type
        return {k: float(to_dtype(v)) if isinstance(v, float) else v for k, v in used.items()}

    def arrays(self, dtype: DType) -> tuple[Array, Array, list[Array]]:
        """X, y and the initial state, each rounded to `dtype`.

        In an ensemble, each matrix of the state has the networks as one axis more, its first.
        """
        rounded = [w.astype(dtype) for w in self.weights]
        return self.X.astype(dtype), self.y.astype(dtype), initial_state(rounded, self.settings)

    def held_out(self, dtype: DType) -> tuple[Array, Array]:
        """X and y of the samples that are kept for the test of accuracy."""
        X, y = self.held_out_samples or (self.X[:0], self.y[:0])
        return X.astype(dtype), y.astype(dtype)

    @property
    def state_names(self) -> list[str]:
        """What the matrices of a state are called."""
        return names(len(self.layers) - 1, self.settings.memories, self.settings.batch_norm)

    def batch_rows(self, iteration: int) -> int:
        """How many samples an update learns from."""
        batch = batch_slice(len(self.X), self.settings.batch_size, iteration)
        return batch.stop - batch.start


def load(path: Path) -> Case:
    """Read one case file.

    Raises CaseError if the file cannot be read, is not TOML or does not describe a case.
    """
    with reading(path, CaseError):
        tables = File.model_validate(tomllib.loads(read_limited(path)))
        for problem in problems(tables):
            raise ValueError(problem)
        case = _case(tables, path)
        _check_range(case)
    return case


def _case(tables: Tables, path: Path) -> Case:
    (X, y), held_out = samples(tables, path.parent)
    return Case(
        id=tables.id,
        needs=tables.needs,
        layers=tables.network.layers,
        settings=tables.settings,
        iterations=tables.training.iterations,
        X=X,
        y=y,
        weights=weights(tables),
        trace=tables.trace,
        networks=tables.init.networks,
        drawn_by_port=tables.init.drawn_by_port,
        predict=tables.predict,
        accuracy=tables.accuracy,
        held_out_samples=held_out,
        timing=tables.timing,
        file=CaseFile(path, _sha256(tables, path), tables.title, tables.purpose),
    )


def _sha256(tables: Tables, path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes())
    if tables.data.file is not None:
        digest.update((path.parent / tables.data.file).read_bytes())
    return digest.hexdigest()


def _check_range(case: Case) -> None:
    """Raise ValueError for inputs that float32 cannot hold."""
    with np.errstate(over="ignore"):
        X, y, syn = case.arrays("float32")
        settings = case.settings_for("float32")
    if not all(np.isfinite(a).all() for a in (X, y, *syn)):
        raise ValueError("data or init has a number that is too large for float32")
    for name, value in settings.items():
        if isinstance(value, float) and not 0 < value < np.inf:
            given = getattr(case.settings, name)
            raise ValueError(f"{table_of(name)}.{name} is {given:g}, which float32 cannot hold")


def load_all(where: Path) -> list[Case]:
    """All cases of a folder (or the one in a file), by file name.

    Raises CaseError as `load` does, and if there is no case, or two with the same id.
    """
    if where.is_dir():
        paths = sorted(where.glob("*.toml"))
    elif where.exists():
        paths = [where]
    else:
        raise CaseError(f"{where}: there is no such folder or file of cases")
    if not paths:
        raise CaseError(f"{where}: no cases found; a case is a file that ends in .toml")
    cases: dict[str, Case] = {}
    for path in paths:
        case = load(path)
        if case.id in cases:
            raise CaseError(f"{path}: id {case.id!r} is taken by {cases[case.id].path}")
        cases[case.id] = case
    return list(cases.values())
