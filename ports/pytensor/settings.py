"""The settings of a network. A part of them shapes the program; the others are numbers in it."""

from typing import Any, NamedTuple

import numpy as np

# Shared variables of a program. trim_value is not: PyTensor wants that number when it builds.
NUMBERS = (
    "alpha", "norm_epsilon", "norm_rate", "trim_norm", "l1", "l2", "momentum", "beta1", "beta2",
    "adam_epsilon",
)  # fmt: skip


class Settings(NamedTuple):
    """conformance/contract/SPEC.md says what each does; each default leaves its capability out.

    Each number is of the dtype, or, for a program's formulas, a shared variable.
    """

    alpha: Any
    bias: bool = False
    activation: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "squared"
    batch_size: int = 0
    shuffle: bool = False
    dropout: Any = None
    philox_seed: int = 0
    batch_norm: bool = False
    norm_epsilon: Any = None
    norm_rate: Any = None
    trim_value: Any = None
    trim_norm: Any = None
    l1: Any = None
    l2: Any = None
    momentum: Any = None
    nesterov: bool = False
    adam: bool = False
    beta1: Any = None
    beta2: Any = None
    adam_epsilon: Any = None

    @classmethod
    def of(cls, dtype, **settings):
        """With real numbers of the dtype."""
        real = np.dtype(dtype).type
        reals = (*NUMBERS, "trim_value", "dropout")
        return cls(**settings | {name: real(settings[name]) for name in settings if name in reals})

    def numbers(self):
        """Those that a program can be loaded with, by name."""
        return {name: n for name in NUMBERS if (n := getattr(self, name)) is not None}

    def program(self):
        """What shapes the program: the same for all settings that can share one."""
        used = dict.fromkeys(self.numbers(), True)
        apart = {"batch_size": 0, "shuffle": False, "philox_seed": 0}
        dropout = None if self.dropout is None else True
        return self._replace(**used, **apart, dropout=dropout)
