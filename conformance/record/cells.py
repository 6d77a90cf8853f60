"""How one target did on one case, over its dtypes: what tables and the page show in a cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from conformance.ground.statuses import Status, worst
from conformance.verdict.verdict import Verdict

V = TypeVar("V", bound=Verdict)


@dataclass(frozen=True)
class Cell(Generic[V]):
    """The worst status, the verdicts that have it, and all."""

    status: Status
    alike: list[V]
    verdicts: list[V]

    @property
    def margin(self) -> float | None:
        """The worst margin of those alike: infinite if one is; None where nothing was compared."""
        return worst_margin(self.alike)


def cell(verdicts: Sequence[V]) -> Cell[V]:
    """The cell of these verdicts, of which there must be one."""
    status = worst(v.status for v in verdicts)
    return Cell(status, [v for v in verdicts if v.status == status], list(verdicts))


def worst_margin(verdicts: Sequence[Verdict]) -> float | None:
    """The largest margin: infinite if one is; None where nothing was compared."""
    return max((m for v in verdicts if (m := v.compared) is not None), default=None)


def most_ulps(verdicts: Sequence[Verdict]) -> float | None:
    """The largest difference of a second answer where both are right; None where there is none."""
    found = [v.repeat.ulps for v in verdicts if v.repeat and v.status == Status.PASS]
    return max(filter(None, found), default=None)
