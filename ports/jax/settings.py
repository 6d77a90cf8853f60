"""The settings of a network, as an argument of compiled functions.

A static setting is a part of the program: JAX compiles each of its values separately. A number
is an input of the program; but None, for a number that is not used, is also static. So all
networks of one shape that use the same capabilities share one compilation, and what they do not
use costs nothing.
"""

import dataclasses

import jax
import numpy as np

REAL = (
    "alpha", "dropout", "norm_epsilon", "norm_rate", "trim_value", "trim_norm", "l1", "l2",
    "momentum", "beta1", "beta2", "adam_epsilon",
)  # fmt: skip


def static(default):
    return dataclasses.field(default=default, metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Settings:
    """conformance/contract/SPEC.md says what each does; each default leaves its capability out."""

    alpha: np.floating
    philox_seed: np.uint64  # always there: 0 is a seed like others
    bias: bool = static(False)
    activation: str = static("sigmoid")
    output: str = static("sigmoid")
    loss: str = static("squared")
    batch_size: int = static(0)
    shuffle: bool = static(False)
    dropout: np.floating | None = None
    batch_norm: bool = static(False)
    norm_epsilon: np.floating | None = None
    norm_rate: np.floating | None = None
    trim_value: np.floating | None = None
    trim_norm: np.floating | None = None
    l1: np.floating | None = None
    l2: np.floating | None = None
    momentum: np.floating | None = None
    nesterov: bool = static(False)
    adam: bool = static(False)
    beta1: np.floating | None = None
    beta2: np.floating | None = None
    adam_epsilon: np.floating | None = None

    @classmethod
    def of(cls, dtype, *, philox_seed=0, **settings):
        """With real numbers of the dtype."""
        settings["philox_seed"] = np.uint64(philox_seed)
        numbers = {name: np.dtype(dtype).type(settings[name]) for name in settings if name in REAL}
        return cls(**settings | numbers)
