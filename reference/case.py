"""Cases: TOML files that say what to train, checked into typed objects.

`load` reads one file. Every mistake in it becomes a `CaseError`: one sentence that names
the file, the key and what to do.
"""

import hashlib
import itertools
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from reference.array import Array
from reference.batches import batch_slice
from reference.case_checks import check_range, problems
from reference.rules import Rules
from reference.sentences import first_error

FORMAT = 1
MAX_FILE_BYTES = 16 * 2**20

Capability = Literal[
    "alpha",
    "layers",
    "bias",
    "mini-batch",
    "tanh",
    "relu",
    "softmax",
    "cross-entropy",
    "delta-trimming",
    "l1",
    "l2",
    "momentum",
]
DType = Literal["float64", "float32"]
Size = Annotated[int, Field(ge=1, le=65536)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Matrix = Annotated[list[Annotated[list[Finite], Field(min_length=1)]], Field(min_length=1)]
Iteration = Annotated[int, Field(ge=0, le=10_000_000)]


_DEFAULTS = Rules()._asdict()


class CaseError(ValueError):
    """A case file that cannot be used; the message is one sentence for its author."""


class Strict(BaseModel):
    """Unknown keys and loosely typed values are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Network(Strict):
    """Layer sizes, inputs first, and the functions that hidden and output units apply."""

    layers: list[Size] = Field(min_length=2, max_length=64)
    bias: bool = False
    activation: Literal["sigmoid", "tanh", "relu"] = "sigmoid"
    output: Literal["sigmoid", "tanh", "relu", "softmax"] = "sigmoid"


class Training(Strict):
    """How long and how; conformance/SPEC.md says what each does."""

    iterations: Annotated[int, Field(ge=1, le=10_000_000)]
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    loss: Literal["squared", "cross-entropy"] = "squared"
    batch_size: Annotated[int, Field(ge=0)] = 0
    trim_value: NotNegative = 0.0
    trim_norm: NotNegative = 0.0
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False


class Init(Strict):
    """Initial weights: drawn as the article does, or given."""

    numpy_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    weights: list[Matrix] | None = None


class Data(Strict):
    """Training data: inline, or the first rows of a CSV file of numbers and a class label."""

    X: Matrix | None = None
    y: Matrix | None = None
    file: str | None = None
    rows: Size | None = None
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Trace(Strict):
    """Where the free run is compared, and from which of those states single steps are."""

    checkpoints: list[Iteration] = Field(min_length=1)
    # By default, one step from the first checkpoint.
    steps: list[Iteration] = Field(default_factory=lambda data: data.get("checkpoints", [])[:1])


class Timing(Strict):
    """Iteration counts to time; they are checkpoints, so that a timed answer is checked too."""

    iterations: list[Iteration] = Field(min_length=2)


class Case(Strict):
    """One case. Arrays come from the methods, in the dtype that is asked for."""

    format: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    title: str = Field(min_length=1)
    purpose: str = Field(min_length=1)
    needs: list[Capability] = []
    network: Network
    training: Training
    init: Init
    data: Data
    trace: Trace
    timing: Timing | None = None
    _path: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for problem in problems(self):
            raise ValueError(problem)
        return self

    @property
    def path(self) -> Path:
        """The file that the case came from."""
        return self._path

    @property
    def layers(self) -> list[int]:
        """Layer sizes, inputs first."""
        return self.network.layers

    def settings(self, dtype: DType) -> dict[str, Any]:
        """The fields of `rules.Rules` as a port gets them: rounded to the dtype that it runs in.

        Besides alpha, only those that the case uses: a port need not know the others.
        """
        used = {name: value for name, value in self._rules().items() if value != _DEFAULTS[name]}
        used["alpha"] = self.training.alpha
        to_dtype = np.dtype(dtype).type
        return {k: float(to_dtype(v)) if isinstance(v, float) else v for k, v in used.items()}

    def _rules(self) -> dict[str, Any]:
        rules = {**self.network.model_dump(), **self.training.model_dump()}
        return {name: rules[name] for name in Rules._fields}

    def arrays(self, dtype: DType) -> tuple[Array, Array, list[Array]]:
        """X (samples, n_0), y (samples, n_K) and the initial state, each rounded to `dtype`."""
        X, y = self._data
        state = [w.astype(dtype) for w in self._weights]
        if self.training.momentum:
            state += [np.zeros_like(w) for w in state]
        return X.astype(dtype), y.astype(dtype), state

    @property
    def weight_shapes(self) -> list[tuple[int, int]]:
        """The shapes of syn[0] ... syn[K-1]."""
        more = int(self.network.bias)
        return [(a + more, b) for a, b in itertools.pairwise(self.layers)]

    def batch_rows(self, iteration: int) -> int:
        """How many samples an update learns from."""
        batch = batch_slice(len(self._data[0]), self.training.batch_size, iteration)
        return batch.stop - batch.start

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the case file, followed by the data file if it names one."""
        digest = hashlib.sha256(self._path.read_bytes())
        if self.data.file is not None:
            digest.update((self._path.parent / self.data.file).read_bytes())
        return digest.hexdigest()

    @cached_property
    def _weights(self) -> list[Array]:
        if self.init.weights is not None:
            return [np.array(w, dtype=np.float64) for w in self.init.weights]
        random = np.random.RandomState(self.init.numpy_seed)
        weights = [2 * random.random_sample(shape) - 1 for shape in itertools.pairwise(self.layers)]
        if self.network.bias:
            weights = [np.concatenate([w, np.zeros_like(w[:1])]) for w in weights]
        return weights

    @cached_property
    def _data(self) -> tuple[Array, Array]:
        if self.data.file is None:
            return np.array(self.data.X, dtype=np.float64), np.array(self.data.y, dtype=np.float64)
        table = _read_table(self._path.parent / self.data.file, self.layers[0], self.layers[-1])
        rows = self.data.rows or len(table)
        if rows > len(table):
            raise ValueError(f"data.rows is {rows}, but {self.data.file} has {len(table)} rows")
        labels = table[:rows, -1].astype(int)
        return table[:rows, :-1] / self.data.scale, np.eye(self.layers[-1])[labels]


def _read_table(path: Path, inputs: int, classes: int) -> Array:
    """The CSV file as (rows, inputs + 1): the inputs, then a class label from 0."""
    try:
        rows = read_limited(path).splitlines()[1:]  # the first names the columns
        table = np.loadtxt(rows, delimiter=",", ndmin=2) if rows else np.empty((0, 0))
    except OSError as error:
        raise ValueError(f"data.file {path.name!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"data.file {path.name!r} is not a table of numbers: {error}") from error
    if not len(table):
        raise ValueError(f"data.file {path.name!r} has no rows")
    if table.shape[1] != inputs + 1:
        raise ValueError(
            f"data.file {path.name!r} has {table.shape[1]} columns, but network.layers asks for "
            f"{inputs} inputs and one label"
        )
    if not np.isfinite(table).all():
        raise ValueError(f"data.file {path.name!r} holds a number that is not finite")
    if not np.isin(table[:, -1], np.arange(classes)).all():
        raise ValueError(
            f"data.file {path.name!r} has a label that is not a whole number from 0 to "
            f"{classes - 1}, the last of network.layers less one"
        )
    return table


def load(path: Path) -> Case:
    """Read one case file.

    Raises CaseError if the file cannot be read, is not TOML or does not describe a case.
    """
    try:
        text = read_limited(path)
        case = Case.model_validate(tomllib.loads(text))
        case._path = path
        check_range(case)
    except OSError as error:
        raise CaseError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        raise CaseError(f"{path}: {first_error(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise CaseError(f"{path}: is not TOML: {error}") from error
    except (ValueError, RecursionError) as error:
        raise CaseError(f"{path}: {error}") from error
    return case


def read_limited(path: Path) -> str:
    """The text of a small UTF-8 file; ValueError if it is too large or is not UTF-8."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES // 2**20} MiB")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text (byte {error.start})") from error


def load_all(where: Path) -> list[Case]:
    """All cases of a folder (or the one in a file), by file name.

    Raises CaseError as `load` does, and where there is no case or two of one id.
    """
    if where.is_dir():
        paths = sorted(where.glob("*.toml"))
    elif where.exists():
        paths = [where]
    else:
        raise CaseError(f"{where}: there is no such folder or file; CASES names either")
    if not paths:
        raise CaseError(f"{where}: no cases found; a case is a file that ends in .toml")
    cases: dict[str, Case] = {}
    for path in paths:
        case = load(path)
        if case.id in cases:
            raise CaseError(f"{path}: id {case.id!r} is taken by {cases[case.id].path}")
        cases[case.id] = case
    return list(cases.values())
