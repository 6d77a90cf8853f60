"""Reads a case file, and rounds its numbers to a dtype."""

import csv
import struct
import tomllib
from pathlib import Path
from typing import Any

from conformance.selftest.oracle.numbers import Matrix, Number, Numbers
from conformance.selftest.oracle.random_numbers import initial_weights


def rounded(x: float, dtype: str) -> float:
    """A double, rounded to the dtype."""
    if dtype == "float64":
        return float(x)
    single: float = struct.unpack("<f", struct.pack("<f", x))[0]
    return single


class Case:
    """A case in one dtype: what it trains, with what, and from where."""

    def __init__(self, path: Path, dtype: str, numbers: Numbers) -> None:
        self.dtype = dtype
        self.numbers = numbers
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        network, training = table["network"], table["training"]
        self.layers: list[int] = network["layers"]
        self.bias: bool = network.get("bias", False)
        self.activation: str = network.get("activation", "sigmoid")
        self.output: str = network.get("output", "sigmoid")
        self.batch_norm: bool = network.get("batch_norm", False)

        self.cross_entropy: bool = training.get("loss") == "cross-entropy"
        self.shuffle: bool = training.get("shuffle", False)
        self.philox_seed: int = training.get("philox_seed", 0)
        self.nesterov: bool = training.get("nesterov", False)
        self.adam: bool = training.get("adam", False)
        self.dropout: float = rounded(training.get("dropout", 0), dtype)
        # Settings that are numbers, rounded like everything else. A missing setting is
        # None.
        self.alpha: Number = self._number(training.get("alpha", 1))
        names = ("trim_value", "trim_norm", "l1", "l2", "momentum", "beta1", "beta2")
        self.settings: dict[str, Number] = {
            name: None if value is None else self._number(value)
            for name, value in [(name, training.get(name)) for name in (*names, "adam_epsilon")]
            + [(name, network.get(name)) for name in ("norm_epsilon", "norm_rate")]
        }

        X, y = self._samples(table["data"], path.parent)
        self.X, self.y = self.matrix(X), self.matrix(y)
        self.batch_size: int = training.get("batch_size", len(X))
        self.predict_X = self.matrix(table.get("predict", {}).get("X", []))
        self.init: dict[str, Any] = table["init"]
        self.networks: int | None = self.init.get("networks")

    def _number(self, x: float) -> Number:
        return self.numbers.number(rounded(x, self.dtype))

    def matrix(self, rows: list[list[float]]) -> Matrix:
        """Rows of doubles, rounded to the dtype."""
        return [[self._number(x) for x in row] for row in rows]

    def _samples(
        self, data: dict[str, Any], folder: Path
    ) -> tuple[list[list[float]], list[list[float]]]:
        if "file" not in data:
            return data["X"], data["y"]
        with (folder / data["file"]).open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))[1:]
        lines = lines[: data.get("rows")]
        if every := data.get("held_out"):
            lines = [line for i, line in enumerate(lines) if i % every != every - 1]
        X = [[float(x) / data.get("scale", 1) for x in line[:-1]] for line in lines]
        y = [[float(int(line[-1]) == j) for j in range(self.layers[-1])] for line in lines]
        return X, y

    @property
    def hidden(self) -> range:
        """The hidden layers."""
        return range(1, len(self.layers) - 1)

    @property
    def parameters(self) -> list[str]:
        """The matrices that are learned."""
        names = [f"syn{k}" for k in range(len(self.layers) - 1)]
        if self.batch_norm:
            names += [f"{name}{k}" for name in ("gamma", "beta") for k in self.hidden]
        return names

    def initial_state(self, network: int = 0) -> dict[str, Matrix]:
        """The matrices of the state before the first update, by name."""
        if "weights" in self.init:
            weights = self.init["weights"]
        else:
            weights = initial_weights(self.init["numpy_seed"] + network, self.layers, self.bias)
        state = {f"syn{k}": self.matrix(syn) for k, syn in enumerate(weights)}
        if self.batch_norm:
            starts = {"gamma": 1.0, "beta": 0.0, "mean": 0.0, "variance": 1.0}
            for k in self.hidden:
                for name, start in starts.items():
                    state[f"{name}{k}"] = self.matrix([[start] * self.layers[k]])
        memory = ("m", "v") if self.adam else ("velocity",) if self.settings["momentum"] else ()
        for name in self.parameters:
            for suffix in memory:
                state[f"{name}_{suffix}"] = self.matrix([[0.0] * len(row) for row in state[name]])
        return state
