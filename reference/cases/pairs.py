"""Pair cases: small networks that need two capabilities, and nothing but these and what they imply.

A port that lists only a and b is asked the case of a and b, so a mistake that shows only where both
meet is found in it. TABLE says what each capability contributes, and every pair is composed of two
entries. `make golden` writes the case files.
"""

import itertools
import json
import random
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from reference.cases.capabilities import CAPABILITIES, NEEDS, lacking
from reference.cases.checks import problems
from reference.cases.tables import File, table_of
from reference.files import write_atomically

PREFIX = "pair-"  # of their ids
SOURCE = "reference/cases/pairs.py"
ITERATIONS = 3  # the third update begins the second epoch of batches of 3 of 5 samples


# Where the capability is not about an update. The free run is compared after each of them anyway.
NO_STEPS: dict[str, Any] = {"steps": []}


class Way(NamedTuple):
    """One way to use a capability.

    `settings` go to [network] and [training], `layers` are the sizes where they matter, and `more`
    are other tables. `name` is empty, or part of the ids of a second way's cases.
    """

    settings: dict[str, Any] = {}
    layers: list[int] | None = None
    more: dict[str, dict[str, Any]] = {}
    name: str = ""


class Entry(NamedTuple):
    """What a capability contributes: one way or several, and what shows nothing without it.

    Each way makes a case of its own with each way of the partner. Of the capabilities that it
    `brings` or needs, the partner's ways or the first ways that fit are taken.
    """

    ways: tuple[Way, ...]
    brings: tuple[str, ...] = ()


# No number is one that makes two mistakes alike: no 0.5 or 1, no 0 among initial weights, those of
# bias units included. Of 5 samples in batches of 3, the last batch is smaller, and normalisation
# always has a variance. Both shuffles move every sample, and each dropout leaves out some units of
# each update and keeps some: a test holds that.
TABLE: dict[str, Entry] = {
    "alpha": Entry((Way({"alpha": 0.7}),)),
    "layers": Entry((Way(layers=[2, 3, 2, 2]),)),
    "bias": Entry((Way({"bias": True}),)),
    "mini-batch": Entry(
        (
            Way({"batch_size": 3}),
            # Only where the partner brings philox: elsewhere it is the case of philox.
            Way({"batch_size": 3, "shuffle": True, "philox_seed": 20150712000180}, name="shuffled"),
        )
    ),
    # Where two want the layers, the first gets the hidden ones and the second the last.
    "tanh": Entry((Way({"activation": "tanh", "output": "tanh"}),)),
    "relu": Entry((Way({"activation": "relu", "output": "relu"}),)),
    "cross-entropy": Entry((Way({"loss": "cross-entropy", "output": "sigmoid"}),)),
    # Of one class, it is always 1.
    "softmax": Entry((Way({"output": "softmax"}),), brings=("layers",)),
    # A norm below the limit, which is above 1; and one above the limit, which is below 1.
    "delta-trimming": Entry(
        (
            Way({"trim_value": 0.3, "trim_norm": 5.0}),
            Way({"trim_norm": 0.4}, more={"trace": NO_STEPS}, name="norm"),
        )
    ),
    "l1": Entry((Way({"l1": 0.03}),)),
    "l2": Entry((Way({"l2": 0.07}),)),
    "momentum": Entry(
        (
            Way({"momentum": 0.8}),
            Way({"momentum": 0.8, "nesterov": True}, more={"trace": NO_STEPS}, name="nesterov"),
        )
    ),
    "adam": Entry((Way({"adam": True, "beta1": 0.8, "beta2": 0.9, "adam_epsilon": 0.3}),)),
    "batch-norm": Entry((Way({"batch_norm": True, "norm_epsilon": 0.1, "norm_rate": 0.3}),)),
    "dropout": Entry((Way({"dropout": 0.4, "philox_seed": 20150712000180}),)),
    # Its words are drawn for dropout or for shuffling: for the former, that is dropout's entry.
    "philox": Entry((Way(),)),
    "numpy-seed": Entry((Way(more={"init": {"drawn_by_port": [20251]}, "trace": NO_STEPS}),)),
    "predict": Entry(
        (
            Way(
                more={
                    "predict": {
                        "X": [[0.85, -1.3], [-0.45, 0.7], [1.6, 0.25], [-1.1, -0.6]],
                        "checkpoints": [1, ITERATIONS],
                    },
                    "trace": NO_STEPS,
                }
            ),
        )
    ),
    "ensemble": Entry((Way(more={"init": {"numpy_seed": 5, "networks": 2}, "trace": NO_STEPS}),)),
}
SMALLEST = [2, 3, 1]
X = [[1.9, -2.4], [-0.75, 2.7], [2.25, 1.35], [-2.6, -1.8], [1.45, 0.55]]
Y = [[2.4, -0.7], [-1.2, 1.4], [0.7, 2.1], [2.2, -1.3], [0.6, 0.4]]


def closure(*names: str) -> set[str]:
    """The capabilities and what they need; philox alone is for shuffling."""
    found = {*names, *(other for name in names for other in TABLE[name].brings)}
    while needy := lacking(found):
        found |= {NEEDS[name][-1] for name in needy}
    return found


def update(folder: Path, *, check: bool = False) -> list[str]:
    """Write the case file of each pair that can occur, and delete the others.

    With `check`, nothing is written. Returns the names of the files that were not as they must be
    and, with `check`, are not.
    """
    wanted = files()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.toml")}
    outdated = sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )
    if check:
        return outdated
    for name in outdated:
        if name in wanted:
            write_atomically(folder / name, wanted[name])
        else:
            (folder / name).unlink()
    return []


def files() -> dict[str, str]:
    """The text of each case file, by its name."""
    pairs = itertools.combinations(sorted(CAPABILITIES), 2)
    return {f"{name}.toml": text for a, b in pairs for name, text in cases(a, b)}


def cases(a: str, b: str) -> Iterator[tuple[str, str]]:
    """The ids and texts of the cases of a pair: each way of one with each of the other."""
    needs = closure(a, b)
    implied = [name for name in CAPABILITIES if name in needs - {a, b}]
    for of_a, of_b in itertools.product(TABLE[a].ways, TABLE[b].ways):
        for others in itertools.product(*(TABLE[name].ways for name in implied)):
            ways = dict(zip([a, b, *implied], [of_a, of_b, *others], strict=True))
            identifier = "-".join(filter(None, [f"{PREFIX}{a}-{b}", of_a.name, of_b.name]))
            text = composed(identifier, f"{a} and {b}", ways)
            if refusal(text) is None:
                yield identifier, text
                break


def refusal(text: str) -> str | None:
    """Why a text is no case, or None."""
    try:
        tables = File.model_validate(tomllib.loads(text))
    except ValidationError as error:
        return str(error)
    return next(iter(problems(tables)), None)


def composed(identifier: str, of: str, ways: dict[str, Way]) -> str:
    """A case with these ways of these capabilities. It need not be one that the rules allow."""
    in_order = [(name, ways[name]) for name in TABLE if name in ways]
    settings: dict[str, Any] = {}
    layers, more = SMALLEST, dict[str, dict[str, Any]]()
    for _, way in in_order:
        layers = way.layers or layers
        settings = settings | way.settings | {"activation": _first(settings, way)}
        more |= {table: more.get(table, {}) | keys for table, keys in way.more.items()}
    settings = {key: value for key, value in settings.items() if value is not None}
    tables: dict[str, dict[str, Any]] = {
        "network": {"layers": layers},
        "training": {"iterations": ITERATIONS},
        "init": {} if "networks" in more.get("init", {}) else {"weights": None},
        "data": {"X": X, "y": [row[: layers[-1]] for row in Y]},
        "trace": {"checkpoints": [*range(ITERATIONS + 1)], "steps": [*range(ITERATIONS)]},
    }
    for key, value in settings.items():
        tables[table_of(key)][key] = value
    if "weights" in tables["init"]:
        tables["init"]["weights"] = weights(layers, bias=settings.get("bias", False))
    for table, keys in more.items():
        tables[table] = tables.get(table, {}) | keys
    needs = json.dumps([name for name, _ in in_order])
    head = f"""\
# Written by `make golden` from {SOURCE}.
format = 1
id = "{identifier}"
title = "Pair: {of}"
purpose = "A port that lists only these two, and what they imply, must have them right together."
needs = {needs}
"""
    return head + "".join(f"\n[{name}]\n{_lines(keys)}" for name, keys in tables.items())


def _first(settings: dict[str, Any], way: Way) -> str | None:
    return settings.get("activation") or way.settings.get("activation")


def weights(layers: list[int], *, bias: bool) -> list[list[list[float]]]:
    """Initial weights of both signs, those of bias units too."""
    rng = random.Random(0)
    shapes = [(a + bias, b) for a, b in itertools.pairwise(layers)]
    return [
        [[round(rng.uniform(-1.5, 1.5), 2) for _ in range(b)] for _ in range(a)] for a, b in shapes
    ]


def _lines(keys: dict[str, Any]) -> str:
    """Lines of a table. Values and lists of numbers are the same in JSON as in TOML."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
