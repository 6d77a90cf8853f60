"""What is compared, in dataflow order: so the first that is wrong is near the mistake."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.algorithm.network import Step
from reference.array import Array
from reference.cases.case import Case

Tensors = list[tuple[str, Array]]
Points = list[tuple[int, Tensors]]  # the same at several iterations


def checkpoint_tensors(case: Case, state: Sequence[Any], error: Any) -> Tensors:
    """What is compared at a checkpoint, in dataflow order."""
    return [*zip(case.state_names, state, strict=True), ("error", np.asarray(error))]


def step_tensors(case: Case, step: Step) -> Tensors:
    """What is compared in a single step, in dataflow order."""
    state = dict(zip(case.state_names, step.state, strict=True))
    last = len(step.l)
    tensors: Tensors = []
    for k in range(last):
        averages = f"mean{k + 1}", f"variance{k + 1}"
        tensors += [(name, state.pop(name)) for name in averages if name in state]
        tensors.append((f"l{k + 1}", step.l[k]))
    for k in reversed(range(last)):
        tensors += [(f"l{k + 1}_error", step.error[k]), (f"l{k + 1}_delta", step.delta[k])]
    # What the optimiser remembers is computed first, and the parameters from it.
    memory = [(name, value) for name, value in state.items() if "_" in name]
    return tensors + memory + [(name, value) for name, value in state.items() if "_" not in name]
