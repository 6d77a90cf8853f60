"""The verdict on one target, case and dtype: one record from the judge to the results file."""

import math
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from conformance.ground.statuses import Status
from conformance.suite.compare import Deviation
from reference.cases.tables import DType
from reference.golden.checks import KINDS, Check

if TYPE_CHECKING:
    CheckKind = str
else:
    CheckKind = Literal[tuple(kind.kind for kind in KINDS)]


class Model(BaseModel):
    """A part of a file: it has only these keys, and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Divergence(Model):
    """The first wrong number; `got` is text, since it may be NaN or infinite."""

    check: CheckKind
    iteration: int  # of a drawn state: its seed
    tensor: str
    index: list[int]
    got: str
    got_hex: str
    expected: float
    expected_hex: str
    tolerance: float
    line: str | None  # of the reference that computes it, in a single step
    bugs: list[str]  # known bugs that explain the answer

    @classmethod
    def of(
        cls, check: type[Check], n: int, deviation: Deviation, line: str | None, bugs: list[str]
    ) -> Self:
        """The deviation as a file stores it."""
        return cls(
            check=check.kind,
            iteration=n,
            tensor=deviation.tensor,
            index=list(deviation.index),
            got=repr(deviation.got),
            got_hex=deviation.got.hex(),
            expected=deviation.expected,
            expected_hex=deviation.expected.hex(),
            tolerance=deviation.tolerance,
            line=line,
            bugs=bugs,
        )

    def deviation(self, dtype: DType) -> Deviation:
        """The deviation that this was made from."""
        index, got = tuple(self.index), float(self.got)
        return Deviation(self.tensor, index, got, self.expected, self.tolerance, dtype)


class Drift(Model):
    """How far one tensor is from the exact trajectory at checkpoints of the free run.

    A deviation is the largest of the tensor's elements', or null if it is not finite.
    """

    tensor: str
    iterations: list[int]
    deviations: list[float | None]


class Verdict(Model):
    """The result of one target on one case, in one dtype.

    `margin` is the worst deviation as a multiple of its tolerance; null if nothing was
    compared, or if it is not finite. Correct runs stray from `numbers_inexact` of the numbers, by
    rounding. `explanation` is the full diagnosis of a failure, for a person to read. `accuracy` is
    the part of the held-out samples that is classified correctly, if a case has any, and `drift` is
    given for cases that are timed.
    """

    port: str
    case: str
    dtype: DType
    status: Status
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    reason: str
    explanation: str = ""
    numbers_compared: int
    numbers_inexact: int = 0
    accuracy: float | None = None
    divergence: Divergence | None = None
    drift: list[Drift] = []

    @classmethod
    def without_numbers(
        cls, port: str, case: str, dtype: DType, status: Status, reason: str = ""
    ) -> Self:
        """A verdict for which nothing was compared."""
        return cls(
            port=port,
            case=case,
            dtype=dtype,
            status=status,
            margin=None,
            reason=reason,
            numbers_compared=0,
        )

    def but(self, **changes: object) -> Self:
        """The same verdict with some fields changed."""
        return self.model_validate({**dict(self), **changes})

    @property
    def key(self) -> tuple[str, str, DType]:
        """What it is about."""
        return self.port, self.case, self.dtype

    @property
    def compared(self) -> float | None:
        """The margin, infinite if it is not finite; None only if nothing was compared."""
        return math.inf if self.margin is None and self.numbers_compared else self.margin


def finite(number: float) -> float | None:
    """The number as files have it: JSON knows no infinity."""
    return number if math.isfinite(number) else None
