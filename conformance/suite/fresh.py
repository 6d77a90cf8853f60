"""Draws a random case, so that a port that only replays golden answers is found out."""

import itertools
import json
import random
from collections.abc import Collection
from typing import Any

from conformance.ground.places import BUILD, writing_build
from reference.algorithm.layers import HIDDEN
from reference.algorithm.settings import Settings
from reference.cases.capabilities import implied_needs
from reference.cases.case import Case, load
from reference.files import write_atomically

FOLDER = BUILD / "fresh"
SEEDS = 10**6


def draw(seed: int, capabilities: Collection[str]) -> Case:
    """The random case of this seed, using only these capabilities, as a file under build/."""
    path = FOLDER / f"fresh-{seed}.toml"
    with writing_build():
        write_atomically(path, text(seed, capabilities))
    return load(path)


def is_fresh(case: Case) -> bool:
    """True of a case that `draw` has drawn."""
    return case.path.parent == FOLDER


def text(seed: int, capabilities: Collection[str]) -> str:
    """The case as TOML: sizes, data, weights and settings are drawn; a few tens of iterations."""
    rng = random.Random(seed)
    layers = [rng.randint(1, 6) for _ in range(rng.choice([2, 3, 3, 4]))]
    if "layers" not in capabilities:
        layers = [rng.randint(1, 6), rng.randint(1, 6), 1]
    samples, iterations = rng.randint(1, 6), rng.randint(20, 60)
    # Settings that make a descent or a variance exactly 0 are not drawn: a bias before batch
    # normalisation, a batch of one sample with it, one softmax output. They cannot be certified,
    # or only at great cost.
    drawn = {name for name in sorted(capabilities) if rng.random() < 0.5}
    network = network_settings(rng, drawn, layers, samples)
    training = training_settings(rng, drawn, network, len(layers), samples)
    more = int(network.get("bias", False))
    needs = implied_needs(layers, Settings(**network, **training))
    predicts = "predict" in capabilities and rng.random() < 0.5
    draws = "numpy-seed" in capabilities and rng.random() < 0.5
    needs += ["predict"] * predicts + ["numpy-seed"] * draws

    def matrix(rows: int, columns: int, low: float, high: float) -> list[list[float]]:
        return [[round(rng.uniform(low, high), 4) for _ in range(columns)] for _ in range(rows)]

    weights = [matrix(a + more, b, -1, 1) for a, b in itertools.pairwise(layers)]
    y = matrix(samples, layers[-1], 0, 1)
    if network.get("output") == "softmax":  # its targets are classes
        classes = [rng.randrange(layers[-1]) for _ in range(samples)]
        y = [[float(n == c) for n in range(layers[-1])] for c in classes]
    # Values and lists of numbers are the same in JSON as in TOML.
    inputs = matrix(rng.randint(1, 6), layers[0], -2, 2)
    predict = f"\n[predict]\nX = {json.dumps(inputs)}\ncheckpoints = [10]\n" if predicts else ""
    return f"""\
format = 1
id = "fresh-{seed}"
title = "A random case, drawn from seed {seed}"
purpose = "A port that fails here and nowhere else has the other cases built in."
needs = {json.dumps(needs)}

[network]
layers = {layers}
{table(network)}
[training]
iterations = {iterations}
{table(training)}
[init]
weights = {json.dumps(weights)}
drawn_by_port = {json.dumps([rng.randrange(2**32)] * draws)}

[data]
X = {json.dumps(matrix(samples, layers[0], -2, 2))}
y = {json.dumps(y)}

[trace]
checkpoints = [0, 1, 2, 10, {iterations}]
steps = [0, 1, 10]
{predict}"""


def network_settings(
    rng: random.Random, drawn: Collection[str], layers: list[int], samples: int
) -> dict[str, Any]:
    """The table [network], except its layers."""
    network: dict[str, Any] = {}
    if "batch-norm" in drawn and len(layers) > 2 and samples > 1:
        network |= {"batch_norm": True, "norm_epsilon": 0.01, "norm_rate": 0.1}
    elif "bias" in drawn:
        network["bias"] = True
    hidden = [name for name in HIDDEN if name in drawn]
    if hidden:
        network["activation"] = rng.choice(hidden)
    if {"softmax", "cross-entropy"} <= set(drawn) and layers[-1] > 1:
        network["output"] = "softmax"
    return network


def training_settings(
    rng: random.Random, drawn: Collection[str], network: dict[str, Any], layers: int, samples: int
) -> dict[str, Any]:
    """The table [training], except its iterations."""
    training: dict[str, Any] = {}
    if "cross-entropy" in drawn:
        training["loss"] = "cross-entropy"
    if "mini-batch" in drawn and "batch_norm" not in network:
        training["batch_size"] = rng.randint(1, samples)
        training["shuffle"] = "philox" in drawn and rng.random() < 0.5
    if {"dropout", "philox"} <= set(drawn) and layers > 2:
        training["dropout"] = round(rng.uniform(0.1, 0.6), 2)
    if training.get("shuffle") or training.get("dropout"):
        training["philox_seed"] = rng.randrange(1, 2**63)
    if "delta-trimming" in drawn:
        training[rng.choice(["trim_value", "trim_norm"])] = round(rng.uniform(0.05, 0.5), 3)
    for name, low, high in (("alpha", 0.05, 2), ("l1", 1e-4, 0.01), ("l2", 1e-4, 0.01)):
        if name in drawn:
            training[name] = round(rng.uniform(low, high), 5)
    if {"adam", "alpha"} <= set(drawn):
        training |= {"adam": True, "beta1": 0.9, "beta2": 0.99, "adam_epsilon": 0.01}
        training["alpha"] /= 20
    elif "momentum" in drawn:
        training["momentum"] = round(rng.uniform(0.1, 0.9), 2)
        training["nesterov"] = rng.random() < 0.5
    return training


def table(entries: dict[str, Any]) -> str:
    """Lines of a TOML table."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in entries.items())
