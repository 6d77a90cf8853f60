"""Whether a random case can be judged: correct ports must pass it, and wrong ones can fail.

Cases of the suite are chosen with care, and `make teeth` measures them. A random one may ask a
question that rounding decides: whether a relu unit is above 0, which sign a weight has. Then a
correct port can land on the side that no replica of the golden run was on. Or the run is chaotic,
and its tolerance is so wide that it tells nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from conformance.suite import derived, traces
from conformance.suite.traces import Trace
from reference.algorithm import network
from reference.arithmetic.float import Float
from reference.array import Array
from reference.cases.case import Case, CaseError

RUNS = 16
ULPS = 4  # a quarter of what tolerances allow; correct ports were never seen to need an eighth
TELLING = 0.01  # the widest tolerance, over the largest number of a tensor or 1
SEED = 2017


def data_if_fit(case: Case) -> bytes | None:
    """The golden data of a case that has any, is telling, and steady in both dtypes; or None."""
    try:
        found = traces.load(case)
    except CaseError:
        return None
    fit = all(telling(trace) and steady(trace) for trace in found.values())
    return derived.data(case) if fit else None


def telling(trace: Trace) -> bool:
    """False if a tolerance of the free run is so wide that it allows almost any number."""
    return all(
        tensor.tolerance <= TELLING * max(1.0, float(np.abs(tensor.value).max()))
        for _, expected in trace.run.expected
        for tensor in expected
    )


def steady(trace: Trace) -> bool:
    """Whether runs that are rougher than any correct port still pass.

    Where all is smooth, they stray as much farther as they are rougher. Where rounding decides,
    they jump.
    """
    rough = _Rough(np.random.Generator(np.random.SFC64(SEED)))
    with np.errstate(all="ignore"):
        for due in trace.due:
            if due.check.key is None:  # what is drawn has no roundings
                continue
            computed = due.check.computed(rough, rough)
            for (_, got), (_, expected) in zip(computed, due.expected, strict=True):
                for (_, runs), tensor in zip(got, expected, strict=True):
                    # What has no noise is not computed: it comes back as it was sent.
                    if tensor.noise and not _within(runs, tensor.value, tensor.tolerance):
                        return False
    return True


def _within(runs: Array, value: Array, tolerance: float) -> bool:
    return bool((np.abs(runs - value) <= tolerance).all())


class _Rough(Float):
    """Several runs side by side, whose states are shaken before each update."""

    step, predict = staticmethod(network.step), staticmethod(network.predict)

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random

    def convert(self, values: Array) -> Array:
        """See Arithmetic."""
        return self.shaken(np.repeat(values[np.newaxis], RUNS, axis=0))

    def shaken(self, values: Array) -> Array:
        """Each number, up to ULPS units in the last place away."""
        z = self.random.random(values.shape, dtype=values.dtype.type) * 2 - 1
        return values + values * z * (ULPS * np.finfo(values.dtype).eps)

    def train(
        self, X: Array, y: Array, state: Sequence[Array], points: Collection[int], **given: Any
    ) -> Iterator[tuple[int, Array, list[Array]]]:
        """As network.train, shaken in between."""
        for n in range(max(points) + 1):
            if n in points:
                [(_, error, now)] = network.train(X, y, state, [0], **given)
                yield n, error, now
            after = network.step(X, y, state, iteration=n, **given).state
            state = [self.shaken(matrix) for matrix in after]
