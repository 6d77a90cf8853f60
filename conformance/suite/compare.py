"""Compares a port's arrays with golden ones, element by element."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from reference.array import Array
from reference.cases.tables import DType
from reference.golden.tensors import Tensors


@dataclass(frozen=True)
class Expected:
    """One golden tensor: its name, the exact values' nearest doubles, tolerance and noise."""

    name: str
    value: Array
    tolerance: float
    noise: float = 0.0  # of correct runs, from which the tolerance is derived


# A golden tensor that no correct run strays from has a tolerance of so many times the smallest
# normal number, since machines may flush what is smaller to zero.
EXACT = 16


@dataclass(frozen=True)
class Deviation:
    """One element that is not within tolerance."""

    tensor: str
    index: tuple[int, ...]
    got: float
    expected: float
    tolerance: float
    dtype: DType

    @property
    def margin(self) -> float:
        """The deviation as a multiple of the tolerance; infinite if `got` is not finite."""
        deviation = abs(self.got - self.expected)
        if not math.isfinite(deviation) or self.tolerance == 0:  # 0: must be equal to the last bit
            return math.inf
        return deviation / self.tolerance

    @property
    def exact(self) -> bool:
        """True where no correct run strays from the expected value."""
        return self.tolerance <= EXACT * float(np.finfo(self.dtype).tiny)

    @property
    def ulps(self) -> float:
        """The deviation in units in the last place of the expected value, in the dtype."""
        unit = float(np.spacing(np.dtype(self.dtype).type(abs(self.expected))))
        return abs(self.got - self.expected) / unit


@dataclass(frozen=True)
class Comparison:
    """The outcome for a list of tensors; `numbers` counts the elements compared.

    `inexact` are those from which correct runs stray, since floating point does not reach them.
    """

    margin: float
    numbers: int
    inexact: int
    first: Deviation | None


def compare(got: Tensors, expected: list[Expected], dtype: DType) -> Comparison:
    """Compare tensors of equal names and shapes, in order.

    The margin is the worst deviation as a multiple of its tolerance, and `first` the worst
    element of the first tensor with an element out of tolerance. NaN and infinities are
    always out. Raises ValueError if names or shapes differ: that is the caller's mistake.
    """
    if [name for name, _ in got] != [e.name for e in expected]:
        raise ValueError(f"compared {[n for n, _ in got]} with {[e.name for e in expected]}")
    worst, numbers, inexact, first = 0.0, 0, 0, None
    for (name, values), golden in zip(got, expected, strict=True):
        if np.shape(values) != np.shape(golden.value):
            raise ValueError(f"{name} has shape {np.shape(values)}, not {np.shape(golden.value)}")
        margins = _margins(values, golden)
        numbers += margins.size
        inexact += margins.size * (golden.noise > 0)
        worst = max(worst, float(margins.max(initial=0.0)))
        if first is None and not (margins <= 1.0).all():
            index = np.unravel_index(int(np.argmax(margins)), margins.shape)
            first = Deviation(
                tensor=name,
                index=tuple(int(i) for i in index),
                got=float(np.asarray(values)[index]),
                expected=float(np.asarray(golden.value)[index]),
                tolerance=golden.tolerance,
                dtype=dtype,
            )
    return Comparison(worst, numbers, inexact, first)


def farthest(values: Any, exact: Array) -> float:
    """The largest deviation of an element; infinite, or NaN, if one is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.abs(np.asarray(values, dtype=np.float64) - exact).max(initial=0.0))


def _margins(values: Any, golden: Expected) -> Array:
    """Deviations over the tolerance, with infinity for what is not a finite number."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        deviations = np.abs(np.asarray(values, dtype=np.float64) - golden.value)
        margins = np.where(deviations == 0, 0.0, deviations / golden.tolerance)
    return np.where(np.isfinite(values), margins, np.inf)
