"""The capabilities that a case may need of a port, each with how to tell that it does."""

from collections.abc import Callable, Sequence, Set
from functools import partial
from typing import Any

from reference.algorithm.layers import ACTIVATIONS
from reference.algorithm.settings import Settings


def _applies(name: str, layers: Sequence[int], settings: Settings) -> bool:
    """Whether a layer has this activation."""
    return settings.output == name or (len(layers) > 2 and settings.activation == name)


# True, or what counts as true, for layer sizes and settings that use the capability.
USES: dict[str, Callable[[Sequence[int], Settings], Any]] = {
    "alpha": lambda _, settings: settings.alpha != 1.0,
    "layers": lambda layers, _: len(layers) != 3 or layers[-1] != 1,
    "bias": lambda _, settings: settings.bias,
    "mini-batch": lambda _, settings: settings.batch_size,
    # Every port has sigmoid units.
    **{name: partial(_applies, name) for name in ACTIVATIONS if name != "sigmoid"},
    "cross-entropy": lambda _, settings: settings.loss == "cross-entropy",
    "delta-trimming": lambda _, settings: settings.trim_value or settings.trim_norm,
    "l1": lambda _, settings: settings.l1,
    "l2": lambda _, settings: settings.l2,
    "momentum": lambda _, settings: settings.momentum,
    "adam": lambda _, settings: settings.adam,
    "batch-norm": lambda _, settings: settings.batch_norm,
    "dropout": lambda _, settings: settings.dropout,
    "philox": lambda _, settings: settings.dropout or settings.shuffle,
}
# The case's other tables, and not its settings, show these: see `checks`.
NUMPY_SEED, PREDICT, ENSEMBLE = "numpy-seed", "predict", "ensemble"
CAPABILITIES = (*USES, NUMPY_SEED, PREDICT, ENSEMBLE)

# A case that uses the first uses at least one of the others.
NEEDS = {
    "softmax": ("cross-entropy",),
    "dropout": ("philox",),
    "philox": ("dropout", "mini-batch"),
}
# Pairs that no case can have, and why. A test holds that the rules for cases refuse each of them.
EXCLUSIVE = {
    frozenset({"momentum", "adam"}): "Adam has averages of its own in the place of momentum",
    frozenset({NUMPY_SEED, ENSEMBLE}): "drawn weights are asked of one network",
    frozenset({PREDICT, ENSEMBLE}): "inference is asked of one network",
}


def lacking(names: Set[str]) -> list[str]:
    """Those of these capabilities that need another one, which is not among them."""
    return [name for name, others in NEEDS.items() if name in names and not names & {*others}]


def implied_needs(layers: Sequence[int], settings: Settings) -> list[str]:
    """The capabilities that these settings use."""
    return [name for name, uses in USES.items() if uses(layers, settings)]
