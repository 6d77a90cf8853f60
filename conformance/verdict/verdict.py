"""The verdict on one target, case and dtype: one record from the judge to the results file."""

import itertools
import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from conformance.ground.statuses import Status
from conformance.ground.text import plain, reason, story
from conformance.suite.compare import Deviation
from reference.cases.tables import DType
from reference.golden.checks import KINDS, Check

if TYPE_CHECKING:
    CheckKind = str
else:
    CheckKind = Literal[tuple(kind.kind for kind in KINDS)]


MOST = 10**15  # of whatever is counted
NOT_REPRODUCIBLE = "not reproducible: "  # begins what a Repeat says
Count = Annotated[int, Field(ge=0, le=MOST)]
# Text of several lines; in a reason, those after the first are indented. All other text of a
# record is one line.
Story = Annotated[str, story]
Reason = Annotated[str, reason]


class Model(BaseModel):
    """A part of a file: it has only these keys, only finite numbers, and never changes.

    Its texts come from outside: from ports, manifests, and whoever wrote the file. They are made
    harmless when they enter a record, so they are harmless wherever the record is shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _harmless(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        clean = _cleaners(cls)
        return {name: _shown(value, clean.get(name)) for name, value in given.items()}


@cache
def _cleaners(model: type[Model]) -> dict[str, Callable[[str], str] | None]:
    """What makes the texts of each field harmless; None where models inside do it."""
    return {
        name: None
        if _has_models(field.annotation)
        else next((one for one in (story, reason) if one in field.metadata), plain)
        for name, field in model.model_fields.items()
    }


def _has_models(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return True
    return any(map(_has_models, get_args(annotation)))


def _shown(value: Any, clean: Callable[[str], str] | None) -> Any:
    """A value of a field with its texts made harmless, also those in lists and tables."""
    if clean is None:
        return value
    if type(value) is str:  # not a Status
        return clean(value)
    if type(value) is list:
        return [_shown(item, clean) for item in value]
    if type(value) is dict:
        return {_shown(key, clean): _shown(item, clean) for key, item in value.items()}
    return value


def _number(text: str) -> str:
    float(text)  # raises ValueError
    return text


class Divergence(Model):
    """The first wrong number; `got` is text, since it may be NaN or infinite."""

    check: CheckKind
    iteration: Annotated[int, Field(ge=0, lt=2**64)]  # of a drawn state: its seed
    tensor: str
    index: list[Count]
    got: Annotated[str, AfterValidator(_number)]
    got_hex: str
    expected: float
    expected_hex: str
    tolerance: Annotated[float, Field(ge=0)]
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
    iterations: list[Count]
    deviations: list[Annotated[float, Field(ge=0)] | None]

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len(self.iterations) != len(self.deviations):
            raise ValueError(
                f"there are {len(self.iterations)} iterations and {len(self.deviations)} deviations"
            )
        if any(b <= a for a, b in itertools.pairwise(self.iterations)):
            raise ValueError("its iterations do not ascend")
        return self


class Repeat(Model):
    """What was different when the same was asked again.

    `ulps` is the largest difference in units in the last place, if the order of a sum can be why:
    if both answers are right, or as close to each other as right ones.
    """

    says: str
    ulps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class Verdict(Model):
    """The result of one target on one case, in one dtype.

    `margin` is the worst deviation as a multiple of its tolerance; null if nothing was
    compared, or if it is not finite. Correct runs stray from `numbers_inexact` of the numbers, by
    rounding. `explanation` is the full diagnosis of a failure, for a person to read. `accuracy` is
    the part of the held-out samples that is classified correctly, if a case has any, and `drift` is
    given for cases that are timed. `repeat` is given if a second answer to the same request was
    different; `reason` says it too.
    """

    port: str
    case: str
    dtype: DType
    status: Status
    margin: Annotated[float, Field(ge=0)] | None
    reason: Reason
    explanation: Story = ""
    numbers_compared: Count
    numbers_inexact: Count = 0
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    divergence: Divergence | None = None
    drift: list[Drift] = []
    repeat: Repeat | None = None

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
