"""Cases: TOML files that say what to train, checked into typed objects.

`load` reads one file. Every mistake in it becomes a `CaseError`: one sentence that names
the file, the key and what to do.
"""

import hashlib
import itertools
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self, TypedDict

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from reference.array import Array
from reference.sentences import first_error

FORMAT = 1
MAX_FILE_BYTES = 16 * 2**20
MAX_WEIGHTS = 10_000_000

Capability = Literal["alpha", "layers"]
DType = Literal["float64", "float32"]
Size = Annotated[int, Field(ge=1, le=65536)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Matrix = Annotated[list[Annotated[list[Finite], Field(min_length=1)]], Field(min_length=1)]
Iteration = Annotated[int, Field(ge=0, le=10_000_000)]


class CaseError(ValueError):
    """A case file that cannot be used; the message is one sentence for its author."""


class Strict(BaseModel):
    """Unknown keys and loosely typed values are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Network(Strict):
    """Layer sizes, inputs first, and the function that each unit applies to its sum."""

    layers: list[Size] = Field(min_length=2, max_length=64)
    activation: Literal["sigmoid"] = "sigmoid"


class Training(Strict):
    """How long and how fast."""

    iterations: Annotated[int, Field(ge=1, le=10_000_000)]
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


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


class Settings(TypedDict):
    """The keyword arguments of `network.train` and `network.step`."""

    alpha: float


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
        for problem in _problems(self):
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

    def settings(self, dtype: DType) -> Settings:
        """The training settings as a port gets them: rounded to the dtype that it runs in."""
        return {"alpha": float(np.dtype(dtype).type(self.training.alpha))}

    def arrays(self, dtype: DType) -> tuple[Array, Array, list[Array]]:
        """X (m, n_0), y (m, n_K) and the initial weights, each rounded to `dtype`."""
        X, y = self._data
        return X.astype(dtype), y.astype(dtype), [w.astype(dtype) for w in self._weights]

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
        shapes = itertools.pairwise(self.layers)
        return [2 * random.random_sample(shape) - 1 for shape in shapes]

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


def _problems(case: Case) -> list[str]:
    """What is wrong between keys that are each fine alone."""
    return [
        *_size_problems(case),
        *_data_problems(case),
        *_weight_problems(case),
        *_trace_problems(case),
        *_need_problems(case),
    ]


def _size_problems(case: Case) -> list[str]:
    weights = sum(a * b for a, b in itertools.pairwise(case.layers))
    if weights > MAX_WEIGHTS:
        return [f"network.layers makes {weights} weights, and {MAX_WEIGHTS} is the limit"]
    return []


def _check_range(case: Case) -> None:
    """Raise ValueError for inputs that float32 cannot hold."""
    with np.errstate(over="ignore"):
        X, y, syn = case.arrays("float32")
        alpha = np.float32(case.training.alpha)
    if not all(np.isfinite(a).all() for a in (X, y, *syn)):
        raise ValueError("data or init has a number that is too large for float32")
    if not (np.isfinite(alpha) and alpha > 0):
        raise ValueError(f"training.alpha is {case.training.alpha:g}, which float32 cannot hold")


def _data_problems(case: Case) -> list[str]:
    data, layers = case.data, case.layers
    if data.file is not None:
        inline = [key for key in ("X", "y") if getattr(data, key) is not None]
        return [f"data.{key}: give either data.file or data.X and data.y" for key in inline]
    if data.X is None or data.y is None:
        missing = "data.X" if data.X is None else "data.y"
        return [f"{missing} is missing: give data.X and data.y, or data.file"]
    problems = [
        *_shape_problem("data.X", data.X, None, layers[0], "the first of network.layers"),
        *_shape_problem("data.y", data.y, len(data.X), layers[-1], "the last of network.layers"),
    ]
    if data.rows is not None or data.scale != 1.0:
        problems.append("data.rows and data.scale go with data.file")
    return problems


def _weight_problems(case: Case) -> list[str]:
    weights, layers = case.init.weights, case.layers
    if (weights is None) == (case.init.numpy_seed is None):
        return ["init needs either init.numpy_seed or init.weights"]
    if weights is None:
        return []
    if len(weights) != len(layers) - 1:
        return [
            f"init.weights has {len(weights)} matrices, "
            f"but network.layers asks for {len(layers) - 1}"
        ]
    problems = []
    for k, matrix in enumerate(weights):
        name, why = f"init.weights[{k}]", f"network.layers[{k}] x network.layers[{k + 1}]"
        problems += _shape_problem(name, matrix, layers[k], layers[k + 1], why)
    return problems


def _shape_problem(
    name: str, matrix: list[list[float]], rows: int | None, columns: int, why: str
) -> list[str]:
    if rows is not None and len(matrix) != rows:
        return [f"{name} has {len(matrix)} rows, but {rows} are needed"]
    for i, row in enumerate(matrix):
        if len(row) != columns:
            return [f"{name}[{i}] has {len(row)} numbers, but {columns} are needed ({why})"]
    return []


def _trace_problems(case: Case) -> list[str]:
    trace, last = case.trace, case.training.iterations
    timed = case.timing.iterations if case.timing else []
    problems = []
    for key, values in (
        ("trace.checkpoints", trace.checkpoints),
        ("trace.steps", trace.steps),
        ("timing.iterations", timed),
    ):
        if values != sorted(set(values)):
            problems.append(f"{key} must rise, without repeats")
        if values and values[-1] > last:
            problems.append(f"{key} has {values[-1]}, beyond training.iterations = {last}")
    for key, values in (("trace.steps", trace.steps), ("timing.iterations", timed)):
        for n in values:
            if n not in trace.checkpoints:
                problems.append(f"{key} has {n}, which is not in trace.checkpoints")
    return problems


def _need_problems(case: Case) -> list[str]:
    implied: dict[Capability, bool] = {
        "alpha": case.training.alpha != 1.0,
        "layers": len(case.layers) != 3 or case.layers[-1] != 1,
    }
    problems = []
    for capability, used in implied.items():
        if used and capability not in case.needs:
            problems.append(f"needs must list {capability!r}, which this case uses")
        if not used and capability in case.needs:
            problems.append(f"needs lists {capability!r}, which this case does not use")
    return problems


def load(path: Path) -> Case:
    """Read one case file.

    Raises CaseError if the file cannot be read, is not TOML or does not describe a case.
    """
    try:
        text = read_limited(path)
        case = Case.model_validate(tomllib.loads(text))
        case._path = path
        _check_range(case)
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
