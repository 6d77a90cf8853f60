"""How one target did on one case, or on all pair cases: what tables and the page show in a cell."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from conformance.ground.statuses import Status, worst
from conformance.ground.units import ulps
from conformance.verdict.verdict import NOT_REPRODUCIBLE, Verdict
from reference.cases.pairs import PREFIX

V = TypeVar("V", bound=Verdict)


@dataclass(frozen=True)
class Cell(Generic[V]):
    """The worst status, the verdicts that have it, all, and how many cases the row is of."""

    status: Status
    alike: list[V]
    verdicts: list[V]
    cases: int = 1

    @property
    def margin(self) -> float | None:
        """The worst margin of those alike: infinite if one is; None where nothing was compared."""
        return worst_margin(self.alike)

    @property
    def part(self) -> int | None:
        """On how many cases the target did so, where these are not all."""
        alike = len({v.case for v in self.alike})
        return alike if alike < self.cases else None


def labels(results: Iterable[Verdict]) -> dict[str, str]:
    """The row of each case: its own, but one for all pair cases that no target has trouble with."""
    found: dict[str, list[Status]] = {}
    for verdict in results:
        found.setdefault(verdict.case, []).append(verdict.status)
    shared = [
        case
        for case, statuses in found.items()
        if case.startswith(PREFIX) and {*statuses} <= {Status.PASS, Status.SKIP}
    ]
    together = shared if len(shared) > 1 else []
    return {case: case for case in found} | dict.fromkeys(together, f"pairs {len(together)}")


def cell(verdicts: Sequence[V], cases: int = 1) -> Cell[V]:
    """The cell of these verdicts, of which there must be one, in a row of so many cases.

    Of several cases, a SKIP gives way to a PASS: many ports skip some pairs.
    """
    told = [v for v in verdicts if v.status != Status.SKIP] if cases > 1 else []
    status = worst(v.status for v in told or verdicts)
    return Cell(status, [v for v in verdicts if v.status == status], list(verdicts), cases)


def worst_margin(verdicts: Sequence[Verdict]) -> float | None:
    """The largest margin: infinite if one is; None where nothing was compared."""
    return max((m for v in verdicts if (m := v.compared) is not None), default=None)


def not_reproducible(verdicts: Sequence[Verdict]) -> str:
    """How far apart two right answers to one request are, as a note; empty if they are the same."""
    found = [v.repeat.ulps for v in verdicts if v.repeat and v.status == Status.PASS]
    apart = max(filter(None, found), default=None)
    return "" if apart is None else NOT_REPRODUCIBLE + ulps(apart)
