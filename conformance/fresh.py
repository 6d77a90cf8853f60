"""Draws a random case, so that a port that only replays golden answers is found out."""

import itertools
import json
import random
from collections.abc import Collection

from conformance.ports import ROOT
from reference.case import Case, load
from reference.files import write_atomically

FOLDER = ROOT / "build" / "fresh"
SEEDS = 10**6


def draw(seed: int, capabilities: Collection[str]) -> Case:
    """The random case of this seed, using only these capabilities, as a file under build/."""
    path = FOLDER / f"fresh-{seed}.toml"
    write_atomically(path, text(seed, capabilities))
    return load(path)


def text(seed: int, capabilities: Collection[str]) -> str:
    """The case as TOML: sizes, data, weights and alpha are drawn; a few tens of iterations."""
    rng = random.Random(seed)
    layers = [rng.randint(1, 6) for _ in range(rng.choice([2, 3, 3, 4]))]
    if "layers" not in capabilities:
        layers = [rng.randint(1, 6), rng.randint(1, 6), 1]
    alpha = round(rng.uniform(0.05, 3), 3) if "alpha" in capabilities else 1.0
    samples, iterations = rng.randint(1, 6), rng.randint(20, 60)

    def matrix(rows: int, columns: int, low: float, high: float) -> list[list[float]]:
        return [[round(rng.uniform(low, high), 4) for _ in range(columns)] for _ in range(rows)]

    weights = [matrix(a, b, -1, 1) for a, b in itertools.pairwise(layers)]
    needs = [
        name
        for name, used in (
            ("alpha", alpha != 1.0),
            ("layers", len(layers) != 3 or layers[-1] != 1),
        )
        if used
    ]
    # Lists of numbers are the same in JSON as in TOML.
    return f"""\
format = 1
id = "fresh-{seed}"
title = "A random case, drawn from seed {seed}"
purpose = "A port that fails here and nowhere else has the other cases built in."
needs = {json.dumps(needs)}

[network]
layers = {layers}

[training]
iterations = {iterations}
alpha = {alpha}

[init]
weights = {json.dumps(weights)}

[data]
X = {json.dumps(matrix(samples, layers[0], -2, 2))}
y = {json.dumps(matrix(samples, layers[-1], 0, 1))}

[trace]
checkpoints = [0, 1, 2, 10, {iterations}]
steps = [0, 10]
"""
