"""The verdicts as the page shows them: a matrix of cells, and the details behind each."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from conformance.ground.statuses import Status, worst
from conformance.record.cells import Cell, cell, labels, not_reproducible, worst_margin
from conformance.record.models import PortInfo, Results
from conformance.verdict.verdict import Verdict

ALL = "all"  # the badge of all ports
LONGEST = 60  # characters of a slug, which may be four bytes each


@dataclass(frozen=True)
class Row:
    """One target: what it is, and its cells: by case, and by row of the matrix."""

    name: str
    slug: str
    info: PortInfo
    cells: dict[str, Cell[Verdict]]
    shown: dict[str, Cell[Verdict]]

    @property
    def counts(self) -> Counter[Status]:
        """How many of its cases have each status."""
        return Counter(cell.status for cell in self.cells.values())

    @property
    def wrong(self) -> int:
        """How many of its cases are wrong in some way."""
        return sum(count for status, count in self.counts.items() if status.wrong)

    @property
    def margin(self) -> float | None:
        """The worst margin of everything that ran."""
        return worst_margin([v for cell in self.cells.values() for v in cell.verdicts])

    @property
    def note(self) -> str:
        """That answers were not the same twice; or empty."""
        return not_reproducible([v for cell in self.cells.values() for v in cell.verdicts])

    @property
    def is_rung(self) -> bool:
        """True of a faster version of a port."""
        return ":" in self.name

    @property
    def verdict(self) -> Status:
        """In a word: PASS only if something passed and nothing is wrong."""
        found = worst(self.counts)
        return found if found.wrong or not self.counts[Status.PASS] else Status.PASS

    @property
    def id(self) -> str:
        """The id of its details."""
        return f"target-{self.slug}"

    def id_of(self, label: str) -> str:
        """The id of the details of a row of the matrix."""
        return f"{self.slug}--{self._slugs[label]}"

    @cached_property
    def _slugs(self) -> dict[str, str]:
        return slugs_of(self.shown)


def rows(results: Results) -> list[Row]:
    """A row for each target that was judged, in the order of the run."""
    found: dict[str, dict[str, list[Verdict]]] = {}
    for r in results.results:
        found.setdefault(r.port, {}).setdefault(r.case, []).append(r)
    infos = {info.port: info for info in results.ports}
    slugs = slugs_of(found, taken=[ALL])
    label = labels(results.results)
    return [
        Row(
            name,
            slugs[name],
            infos[name],
            {case: cell(group) for case, group in by_case.items()},
            _shown(by_case, label),
        )
        for name, by_case in found.items()
    ]


def _shown(
    by_case: Mapping[str, list[Verdict]], label: Mapping[str, str]
) -> dict[str, Cell[Verdict]]:
    """A target's cells by row of the matrix."""
    found: dict[str, list[Verdict]] = {}
    for case, verdicts in by_case.items():
        found.setdefault(label[case], []).extend(verdicts)
    sizes = Counter(label.values())
    return {row: cell(verdicts, sizes[row]) for row, verdicts in found.items()}


def badge(label: str, shown: Sequence[Row], complete: bool) -> dict[str, str]:
    """A badge's text for these targets; green if all ran, some passed and nothing is wrong."""
    total = sum((row.counts for row in shown), Counter[Status]())
    wrong = sum(row.wrong for row in shown)
    if wrong:
        return {
            "label": label,
            "says": f"{wrong} wrong, {total[Status.PASS]} pass",
            "colour": "#b3261e",
        }
    if not complete:
        return {"label": label, "says": "interrupted", "colour": "#5f6368"}
    known = f"{total[Status.XFAIL]} known to fail"
    if not total[Status.PASS]:
        return {
            "label": label,
            "says": known if total[Status.XFAIL] else "not run",
            "colour": "#5f6368",
        }
    says = f"{total[Status.PASS]} pass" + (f", {known}" if total[Status.XFAIL] else "")
    return {"label": label, "says": says, "colour": "#1a7037"}


def slugs_of(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Names as parts of ids and of files' names: "cuda (host emulation)" is cuda-host-emulation.

    No two are the same, nor one that is taken, also where capital letters are no others.
    """
    found: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    for name in names:
        short = re.sub(r"[^\w.]+", "-", name).strip("-.")[:LONGEST] or "port"
        tries = (short, *(f"{short}-{number}" for number in range(2, len(used) + 3)))
        found[name] = next(one for one in tries if one.casefold() not in used)
        used.add(found[name].casefold())
    return found


def alike(cell: Cell[Verdict]) -> list[list[Verdict]]:
    """The verdicts of a cell, those with the same status and reason together."""
    found: dict[tuple[Status, str], list[Verdict]] = {}
    for v in cell.verdicts:
        found.setdefault((v.status, v.reason), []).append(v)
    return [*found.values()]


def margins(group: Sequence[Verdict]) -> dict[str, float | None]:
    """The worst margin of each dtype."""
    dtypes = dict.fromkeys(v.dtype for v in group)
    return {d: worst_margin([v for v in group if v.dtype == d]) for d in dtypes}
