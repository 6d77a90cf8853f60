"""Draws one random case: sizes, settings and data, and now and then a boundary."""

import itertools
import json
from collections.abc import Callable
from typing import Any

from conformance.suite import sizes
from conformance.suite.dice import Dice
from conformance.suite.sizes import KINKED, Size
from reference.algorithm.layers import HIDDEN
from reference.cases.capabilities import ENSEMBLE, NUMPY_SEED, PREDICT

Rows = list[list[float]]

# The boundaries that a case can be at, each with the capabilities that allow it.
BOUNDARIES: dict[str, Callable[[set[str]], bool]] = {
    "zero inputs": lambda names: True,
    "zero sample": lambda names: True,
    "zero weights": lambda names: ENSEMBLE not in names,
    "sharp targets": lambda names: True,
    "kink": lambda names: "relu" in names and not names & {ENSEMBLE, "batch-norm"},
    "saturated": lambda names: True,
    "always trimmed": lambda names: "delta-trimming" in names,
    "never trimmed": lambda names: "delta-trimming" in names,
    "half dropped": lambda names: "dropout" in names,
    "batches of one": lambda names: "mini-batch" in names and not names >= KINKED,
    "one batch": lambda names: "mini-batch" in names,
    "tiny steps": lambda names: "alpha" in names,
    "large steps": lambda names: "alpha" in names,
}
AT_ONCE = (0, 0, 1, 1, 2, 3)  # how many of them


def text(name: str, names: set[str]) -> str:
    """The case of this id, which uses exactly these capabilities, as TOML."""
    dice = Dice(name)
    there = [boundary for boundary, can in BOUNDARIES.items() if can(names)]
    at = {*dice.shuffled(there)[: dice.pick(AT_ONCE)]}
    size = sizes.drawn(dice, names, at)
    most = size.most_iterations
    iterations = dice.whole(max(1, most // 3), most)
    checkpoints = sizes.checkpoints(iterations)
    network = network_of(dice, names, at, size)
    tables: dict[str, dict[str, Any]] = {
        "network": {"layers": size.layers, **network},
        "training": {"iterations": iterations, **training_of(dice, names, at, size)},
        "init": {},
        "data": {},
        "trace": {
            "checkpoints": checkpoints,
            "steps": [] if ENSEMBLE in names else sizes.single_steps(iterations),
        },
    }
    X, weights = inputs_of(dice, names, at, size)
    tables["data"] = {"X": X, "y": targets_of(dice, at, size, network.get("output"))}
    if ENSEMBLE in names:
        tables["init"] = {"numpy_seed": dice.whole(0, 2**31), "networks": size.networks}
    else:
        tables["init"]["weights"] = weights
    if NUMPY_SEED in names:
        tables["init"]["drawn_by_port"] = [dice.whole(0, 2**32 - 1)]
    if PREDICT in names:
        inputs = dice.matrix(dice.whole(1, 6), size.layers[0], -2, 2)
        tables["predict"] = {"X": inputs, "checkpoints": [dice.pick(checkpoints)]}
    head = {
        "format": 1,
        "id": name,
        "title": ", ".join(["A random case", *(b for b in BOUNDARIES if b in at)]),
        "purpose": "A port that fails here and nowhere else may have the other answers built in.",
        "needs": sorted(names),
    }
    return "\n".join([lines(head), *(f"[{key}]\n{lines(table)}" for key, table in tables.items())])


def lines(entries: dict[str, Any]) -> str:
    """The keys of a TOML table; values and lists of numbers are the same in JSON as in TOML."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in entries.items())


def network_of(dice: Dice, names: set[str], at: set[str], size: Size) -> dict[str, Any]:
    """The table [network], except its layers."""
    found: dict[str, Any] = {"bias": True} if "bias" in names else {}
    if "batch-norm" in names:
        epsilon, rate = dice.pick((0.001, 0.01, 1.0)), dice.real(0.05, 0.9, 2)
        found |= {"batch_norm": True, "norm_epsilon": epsilon, "norm_rate": rate}
    first, *others = dice.shuffled([name for name in HIDDEN if name in names]) or ["sigmoid"]
    if "kink" in at and first != "relu":
        first, others = "relu", [first]
    if len(size.layers) > 2 and first != "sigmoid":
        found["activation"] = first
    if "softmax" in names:
        found["output"] = "softmax"
    elif others:  # two activations, of which one is the output's
        found["output"] = others[0]
    elif first != "sigmoid" and "cross-entropy" not in names and dice.chance(0.2):
        found["output"] = first
    return found


def training_of(dice: Dice, names: set[str], at: set[str], size: Size) -> dict[str, Any]:
    """The table [training], except its iterations."""
    found: dict[str, Any] = {"loss": "cross-entropy"} if "cross-entropy" in names else {}
    if "mini-batch" in names:
        found["batch_size"] = size.batch_size
        found["shuffle"] = "philox" in names and ("dropout" not in names or dice.chance(0.5))
    if "dropout" in names:
        found["dropout"] = 0.5 if "half dropped" in at else dice.real(0.1, 0.8, 2)
    if "philox" in names:
        found["philox_seed"] = dice.whole(1, 2**53)
    if "delta-trimming" in names:
        found |= trims(dice, at)
    found |= {
        name: dice.real(0.0001, dice.pick((0.01, 0.3)), 4) for name in ("l1", "l2") if name in names
    }
    return found | steps_of(dice, names, at)


def trims(dice: Dice, at: set[str]) -> dict[str, float]:
    """The limits of delta trimming: one or both."""
    fixed = 1000.0 if "never trimmed" in at else 1e-5 if "always trimmed" in at else None
    keys = dice.pick((["trim_value"], ["trim_norm"], ["trim_value", "trim_norm"]))
    return {key: fixed or dice.real(0.02, 0.5, 3) for key in keys}


def steps_of(dice: Dice, names: set[str], at: set[str]) -> dict[str, Any]:
    """The optimiser and its learning rate."""
    found: dict[str, Any] = {}
    if "alpha" in names:
        alpha = 1e-5 if "tiny steps" in at else 8.0 if "large steps" in at else dice.real(0.05, 2)
        found["alpha"] = alpha / 20 if "adam" in names else alpha
    if "adam" in names:
        rates = {"beta1": dice.real(0.5, 0.9, 2), "beta2": dice.real(0.9, 0.99, 2)}
        found |= {"adam": True, **rates, "adam_epsilon": dice.pick((0.1, 0.01, 0.001))}
    if "momentum" in names:
        found |= {"momentum": dice.real(0.1, 0.95, 2), "nesterov": dice.chance(0.5)}
    return found


def targets_of(dice: Dice, at: set[str], size: Size, output: str | None) -> Rows:
    """The targets y: for softmax mostly classes, though any numbers are allowed."""
    outputs = size.layers[-1]
    # One class alone is always right, and nothing would be learned.
    if output == "softmax" and outputs > 1 and dice.chance(0.75):
        classes = [dice.whole(0, outputs - 1) for _ in range(size.samples)]
        return [[float(n == c) for n in range(outputs)] for c in classes]
    y = dice.matrix(size.samples, outputs, 0, 1)
    return [[float(round(value)) for value in row] for row in y] if "sharp targets" in at else y


def inputs_of(dice: Dice, names: set[str], at: set[str], size: Size) -> tuple[Rows, list[Rows]]:
    """The inputs X, and the initial weights."""
    bias = int("bias" in names)
    weights = [dice.matrix(a + bias, b, -1, 1) for a, b in itertools.pairwise(size.layers)]
    X = dice.matrix(size.samples, size.layers[0], -2, 2)
    if "saturated" in at:
        factor = dice.pick((10, 100, 1000))
        X = [[round(value * factor, 1) for value in row] for row in X]
    if "zero inputs" in at:
        X = zeroed(dice, X)
    if "zero weights" in at:
        weights = [zeroed(dice, matrix) for matrix in weights]
    if "kink" in at:
        X, weights[0] = kinked(dice, X, weights[0])
    if "zero sample" in at:
        X[dice.whole(0, size.samples - 1)] = [0.0] * size.layers[0]
    return X, weights


def zeroed(dice: Dice, matrix: Rows) -> Rows:
    """The matrix with some numbers that are exactly 0."""
    return [[0.0 if dice.chance(0.3) else value for value in row] for row in matrix]


def kinked(dice: Dice, X: Rows, syn0: Rows) -> tuple[Rows, Rows]:
    """X and syn[0] with some products that are exactly 0, in any order and with any rounding.

    In every third sample all inputs are equal, and every second unit has weights that add up to 0;
    the weight from a bias unit is among those that are 0.
    """
    inputs = len(X[0])
    equal = [[dice.whole(-4, 4) / 2] * inputs if i % 3 == 0 else row for i, row in enumerate(X)]
    column = ([0.25, -0.25] if inputs > 1 else []) + [0.0] * len(syn0)
    rows = [
        [column[i] if m % 2 == 0 else w for m, w in enumerate(row)] for i, row in enumerate(syn0)
    ]
    return equal, rows
