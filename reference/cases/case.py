"""Cases: TOML files that say what to train, checked into typed objects.

`load` reads one file. Every mistake in it becomes a `CaseError`: one sentence that names
the file, the key and what to do.
"""

import hashlib
import itertools
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr, ValidationError, model_validator

from reference.algorithm.batches import batch_slice
from reference.algorithm.initial import draw, initial_state
from reference.algorithm.network import initial
from reference.algorithm.settings import Settings
from reference.algorithm.state import names
from reference.array import Array
from reference.cases.arrays import read_limited, read_table
from reference.cases.checks import check_range, problems
from reference.cases.tables import (
    Accuracy,
    Capability,
    Data,
    DType,
    Init,
    Network,
    Predict,
    Strict,
    Timing,
    Trace,
    Training,
)
from reference.errors import UserError, first_error

FORMAT = 1

_DEFAULTS = Settings()._asdict()


class CaseError(UserError):
    """A case file that cannot be used; the message is one sentence for its author."""


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
    predict: Predict | None = None
    accuracy: Accuracy | None = None
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

    def settings_for(self, dtype: DType) -> dict[str, Any]:
        """The settings as a port gets them: rounded to the dtype that it runs in.

        Besides alpha, only those that the case uses: a port need not know the others.
        """
        given = self.settings._asdict()
        used = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
        used["alpha"] = self.training.alpha
        to_dtype = np.dtype(dtype).type
        return {k: float(to_dtype(v)) if isinstance(v, float) else v for k, v in used.items()}

    @cached_property
    def settings(self) -> Settings:
        """The settings, unrounded."""
        given = {**self.network.model_dump(), **self.training.model_dump()}
        return Settings(**{name: given[name] for name in Settings._fields})

    def arrays(self, dtype: DType) -> tuple[Array, Array, list[Array]]:
        """X (samples, n_0), y (samples, n_K) and the initial state, each rounded to `dtype`.

        In an ensemble, each matrix of the state has the networks as one axis more, its first.
        """
        X, y = self._data[0]
        weights = [w.astype(dtype) for w in self._weights]
        return X.astype(dtype), y.astype(dtype), initial_state(weights, self.settings)

    def drawn(self, seed: int, dtype: DType) -> list[Array]:
        """The initial state with weights drawn from this seed, rounded to `dtype`."""
        return initial(self.layers, seed, dtype=dtype, **self.settings_for(dtype))

    def held_out(self, dtype: DType) -> tuple[Array, Array]:
        """X and y of the samples that are kept for the test of accuracy."""
        X, y = self._data[1]
        return X.astype(dtype), y.astype(dtype)

    @property
    def state_names(self) -> list[str]:
        """What the matrices of a state are called."""
        return names(len(self.layers) - 1, self.settings.memories, self.network.batch_norm)

    @property
    def weight_shapes(self) -> list[tuple[int, int]]:
        """The shapes of syn[0] ... syn[K-1]."""
        more = int(self.network.bias)
        return [(a + more, b) for a, b in itertools.pairwise(self.layers)]

    def batch_rows(self, iteration: int) -> int:
        """How many samples an update learns from."""
        batch = batch_slice(len(self._data[0][0]), self.training.batch_size, iteration)
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
        assert self.init.numpy_seed is not None  # _consistent demands one of the two
        first, networks = self.init.numpy_seed, self.init.networks
        if networks is None:
            return draw(first, self.layers, self.network.bias)
        each = [draw(first + i, self.layers, self.network.bias) for i in range(networks)]
        return [np.stack(matrices) for matrices in zip(*each, strict=True)]

    @cached_property
    def _data(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """X and y to train with, and X and y held out."""
        if self.data.file is None:
            X = np.array(self.data.X, dtype=np.float64)
            y = np.array(self.data.y, dtype=np.float64)
            return (X, y), (X[:0], y[:0])
        table = read_table(self._path.parent / self.data.file, self.layers[0], self.layers[-1])
        rows = self.data.rows or len(table)
        if rows > len(table):
            raise ValueError(f"data.rows is {rows}, but {self.data.file} has {len(table)} rows")
        X, labels = table[:rows, :-1] / self.data.scale, table[:rows, -1].astype(int)
        y = np.eye(self.layers[-1])[labels]
        every = self.data.held_out or rows + 1
        if self.data.held_out and every > rows:
            raise ValueError(f"data.held_out is {every}, but there are only {rows} rows")
        test = np.arange(rows) % every == every - 1
        return (X[~test], y[~test]), (X[test], y[test])


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
