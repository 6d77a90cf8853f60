"""The verdicts as the page shows them: a matrix of cells, and the details behind each."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.record.results import PortInfo, Result, Results
from conformance.record.tables import SEVERITY
from conformance.targets.manifest import WRONG, Status


@dataclass(frozen=True)
class Cell:
    """One target on one case: the worst status of its dtypes, and the worst margin."""

    id: str
    case: str
    status: Status
    margin: float | None
    results: list[Result]

    def alike(self) -> list[list[Result]]:
        """The results, those of dtypes with the same status and reason together."""
        groups = itertools.groupby(self.results, lambda r: (r.status, r.reason))
        return [list(group) for _, group in groups]


@dataclass(frozen=True)
class Row:
    """One target: what is known of it, its cells by case, and how fast it is."""

    name: str
    id: str
    info: PortInfo
    cells: dict[str, Cell]

    @property
    def counts(self) -> Counter[str]:
        """How many of its cases have each status."""
        return Counter(cell.status for cell in self.cells.values())

    @property
    def wrong(self) -> int:
        """How many of its cases are wrong in some way."""
        return sum(self.counts[status] for status in WRONG)

    @property
    def margin(self) -> float | None:
        """The worst margin of all that ran."""
        return _worst([c.margin for c in self.cells.values() if c.status != "SKIP"])

    @property
    def is_rung(self) -> bool:
        """True of a faster version of a port."""
        return ":" in self.name

    @property
    def verdict(self) -> str:
        """In a word: "PASS" only where something passed and nothing is wrong."""
        worst = [status for status in SEVERITY if self.counts[status]]
        if worst and worst[-1] in WRONG:
            return worst[-1]
        return "PASS" if self.counts["PASS"] else worst[-1] if worst else "SKIP"


def rows(results: Results) -> list[Row]:
    """A row for each target that was judged, in the order of the run."""
    found: dict[str, dict[str, list[Result]]] = {}
    for r in results.results:
        found.setdefault(r.port, {}).setdefault(r.case, []).append(r)
    infos = {info.port: info for info in results.ports}
    return [
        Row(
            name,
            f"target-{slug(name)}",
            infos[name],
            {case: _cell(name, case, group) for case, group in by_case.items()},
        )
        for name, by_case in found.items()
    ]


def badge(label: str, shown: Sequence[Row], complete: bool) -> dict[str, str]:
    """What a badge says of these targets; green where all ran, some passed and nothing is wrong."""
    total = sum((row.counts for row in shown), Counter[str]())
    wrong = sum(row.wrong for row in shown)
    if wrong:
        return {"label": label, "says": f"{wrong} wrong, {total['PASS']} pass", "colour": "#b3261e"}
    if not complete:
        return {"label": label, "says": "interrupted", "colour": "#5f6368"}
    known = f"{total['XFAIL']} known to fail"
    if not total["PASS"]:
        return {"label": label, "says": known if total["XFAIL"] else "not run", "colour": "#5f6368"}
    says = f"{total['PASS']} pass" + (f", {known}" if total["XFAIL"] else "")
    return {"label": label, "says": says, "colour": "#1a7037"}


def slug(name: str) -> str:
    """A name as part of an id or a file's name: "cuda (host emulation)" is cuda-host-emulation."""
    return re.sub(r"[^\w.]+", "-", name).strip("-")


def _cell(target: str, case: str, group: Sequence[Result]) -> Cell:
    status = max((r.status for r in group), key=SEVERITY.index)
    margin = _worst([r.margin for r in group if r.status == status])
    return Cell(f"{slug(target)}--{slug(case)}", case, status, margin, list(group))


def _worst(margins: Sequence[float | None]) -> float | None:
    """The largest; None, as of an infinite one, if one is None: nothing finite is worse."""
    finite = [margin for margin in margins if margin is not None]
    return max(finite, default=None) if len(finite) == len(margins) else None
