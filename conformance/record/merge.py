"""Joins results files of several machines into one matrix: `python -m conformance merge`.

* A verdict is stale if the port's files, or the case and its golden data, differ from this
* clone's now. It is marked, and says nothing about this clone.
* Verdicts on the same port, case and dtype come from one machine if the system, the
* processor and the port's device are the same. The newest one that is not stale counts,
* otherwise the newest; and of one date, the worst.
* Verdicts of several machines all count. A cell of the table is the worst of them; but a
* SKIP, or a stale verdict, gives way to others. An emulation has a name, and so a column,
* of its own.

Timings are not merged: times of different machines do not belong in one table.
"""

import argparse
import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from rich.console import Console

from conformance.ground.places import IN_CLONE, PORTS, case_files
from conformance.ground.statuses import Status
from conformance.ground.terminal import console
from conformance.record import absent, store, tables
from conformance.record.machine import Machine
from conformance.record.models import CaseInfo, PortInfo, Results
from conformance.record.remarks import remarks
from conformance.record.store import ResultsError, check_writable
from conformance.suite import traces
from conformance.targets.build import files_sha256
from conformance.verdict.verdict import Model, Verdict
from reference.cases.case import load
from reference.errors import UserError

COMMITTED = Path(__file__).parent / "committed"  # results files from other machines
FORMAT = Results.model_fields["format"].default
SIGNS = {"changed": ("*", "changed since"), "absent": ("?", "not in this clone")}

Now = Literal["same", "changed", "absent"]  # the state of a port, or of a case


class Source(Model):
    """One file: where and when its verdicts were made; `mark` is its letter in the table.

    `remarks` are what a reader of its verdicts should also know.
    """

    mark: str
    file: str
    complete: bool
    machine: Machine
    remarks: list[str]

    @property
    def when(self) -> str:
        """Date and commit."""
        date = self.machine.date.astimezone(datetime.UTC)
        incomplete = "" if self.complete else ", not complete"
        return f"{date:%Y-%m-%d %H:%M} UTC, commit {self.machine.commit}{incomplete}"


class SourcedVerdict(Verdict):
    """One verdict, the mark of its source, and whether port and case have changed since."""

    source: str
    device: str | None
    driver: str | None
    port_now: Now
    case_now: Now

    @property
    def ran_on(self) -> str:
        """The device, and its driver if it has one."""
        said = [text for text in (self.device, self.driver) if text] or ["no device"]
        return said[-1] if said[-1].startswith(said[0]) else "; ".join(said)

    @property
    def stale(self) -> bool:
        """Made with files that differ from this clone's."""
        return "changed" in (self.port_now, self.case_now)

    @property
    def mark(self) -> str:
        """Its source, with a sign if the verdict is stale, or if nobody can tell."""
        unknown = "absent" in (self.port_now, self.case_now)
        return self.source + ("*" if self.stale else "?" if unknown else "")


class Merged(Model):
    """The file that `--json` writes."""

    format: Literal[1] = 1
    sources: list[Source]
    cells: list[SourcedVerdict]


def main(arguments: argparse.Namespace) -> int:
    """Write the file, if any, and print the table; 1 if a verdict that is not stale is wrong.

    Raises ResultsError for a user's mistake.
    """
    paths, target = arguments.files or committed(), arguments.json
    if not paths:
        raise ResultsError(f"no results files: name some, since {COMMITTED} has none")
    merged, notes = join({path: read(path) for path in paths})
    if not merged.cells:
        raise ResultsError("none of these files has a verdict")
    if target is not None:
        if target.resolve() in {path.resolve() for path in paths}:
            raise ResultsError(f"{target}: is one of the files to merge, and is not overwritten")
        check_writable(target)
        store.write(target, merged)
    show(console(), merged, notes)
    return int(any(c.status.wrong and not c.stale for c in merged.cells))


def committed() -> list[Path]:
    """The results files that are kept in the clone."""
    return sorted(COMMITTED.glob("*.json"))


def read(path: Path) -> Results:
    """Read a results file. Raises ResultsError if it is not one, or has a different format."""
    return store.read_results(path, f"a results file of format {FORMAT}")


def join(files: dict[Path, Results]) -> tuple[Merged, list[str]]:
    """The verdicts that count, and a sentence on each that differs from one of the same machine."""
    sources: dict[str, Source] = {}
    cells: list[SourcedVerdict] = []
    for number, (path, found) in enumerate(files.items()):
        mark = chr(ord("A") + number % 26) + str(number // 26 or "")
        sources[mark] = Source(
            mark=mark,
            file=str(path),
            complete=found.complete,
            machine=found.machine,
            remarks=[*remarks(found)],
        )
        try:
            cells += _cells(mark, found)
        except OSError as error:
            raise ResultsError(f"{error.filename}: cannot be read: {error.strerror}") from error

    def rank(cell: SourcedVerdict) -> tuple[bool, float, int]:
        date = sources[cell.source].machine.date
        return cell.stale, -date.timestamp(), -cell.status.severity

    standing: dict[tuple[str, ...], dict[str | None, SourcedVerdict]] = {}
    differing: dict[tuple[str, ...], list[SourcedVerdict]] = {}
    for cell in sorted(cells, key=rank):
        machine = sources[cell.source].machine
        key = (machine.system, machine.processor, cell.port, cell.case, cell.dtype)
        by_device = standing.setdefault(key, {})
        before = by_device.get(cell.device)
        if cell.device is None and by_device:  # it did not start: any newer verdict is better
            before = next(iter(by_device.values()))
        if before is None:
            by_device[cell.device] = cell
        elif before.status != cell.status and Status.SKIP not in (before.status, cell.status):
            story = (cell.port, before.status, before.mark, cell.status, cell.mark)
            differing.setdefault(story, []).append(cell)
    kept = [cell for by_device in standing.values() for cell in by_device.values()]
    kept.sort(key=lambda c: (c.port, c.case, c.dtype, c.source))
    notes = [
        f"{port}, {tables.where(members)}: {new} {mark} counts instead of {old} {old_mark}, "
        "which is from the same machine, and is stale or not newer"
        for (port, new, mark, old, old_mark), members in differing.items()
    ]
    return Merged(sources=list(sources.values()), cells=kept), notes


def _cells(mark: str, found: Results) -> list[SourcedVerdict]:
    """The verdicts of one file, compared with this clone."""
    ports = {
        p.port: {**p.model_dump(include={"device", "driver"}), "port_now": _now(p, _port(p.port))}
        for p in found.ports
    }
    cases = {c.case: _now(c, _case(c.case)) for c in found.cases}
    return [
        SourcedVerdict(**dict(r), **ports[r.port], source=mark, case_now=cases[r.case])
        for r in found.results
    ]


def _now(then: PortInfo | CaseInfo, now: str | None) -> Now:
    return "absent" if now is None else "same" if now == then.sha256 else "changed"


@cache
def _port(target: str) -> str | None:
    """The hash of a target's folder in this clone: of "cuda:warp (emulation)", that of cuda."""
    name = re.split(r":| \(", target)[0]
    here = {folder.name: folder for folder in PORTS.iterdir()} if IN_CLONE else {}
    return files_sha256(here[name], documents=False) if name in here else None


@cache
def _case(case: str) -> str | None:
    path = case_files().get(case)
    return traces.sha256(load(path)) if path else None


def _shown(cells: Iterable[SourcedVerdict]) -> list[SourcedVerdict]:
    """What counts for each port, case and dtype: SKIPs and stale verdicts give way to the rest."""
    grouped: dict[tuple[str, ...], list[SourcedVerdict]] = {}
    for cell in cells:
        grouped.setdefault((cell.port, cell.case, cell.dtype), []).append(cell)
    found: list[SourcedVerdict] = []
    for group in grouped.values():
        judged = [c for c in group if c.status != Status.SKIP] or group
        found += [c for c in judged if not c.stale] or judged
    return found


def _marks(cells: Sequence[SourcedVerdict]) -> str:
    return " " + "".join(sorted({cell.mark for cell in cells}))


def show(out: Console, merged: Merged, notes: list[str]) -> None:
    """Print the matrix, what is not a PASS, and what the marks mean."""
    cells = _shown(merged.cells)
    tables.verdicts(out, cells, _marks)
    tables.reasons(out, cells, _marks)
    for note in notes:
        out.print(note, soft_wrap=True)
    lines = [""]
    for s in merged.sources:
        m, mine = s.machine, [cell for cell in merged.cells if cell.source == s.mark]
        lines.append(f"{s.mark}  {s.file}: {s.when}, {m.system}, {m.processor}, {m.cores} cores")
        lines += [f"   {said}" for said in s.remarks]
        for device in dict.fromkeys(c.ran_on for c in mine if c.device):
            ports = dict.fromkeys(c.port for c in mine if c.device and c.ran_on == device)
            lines.append(f"   on {device}: {', '.join(ports)}")
        for now, (sign, says) in SIGNS.items():
            ports = dict.fromkeys(c.port for c in mine if c.port_now == now)
            cases = dict.fromkeys(c.case for c in mine if c.case_now == now)
            for what, names in (("port", ports), ("case or its golden data", cases)):
                if names:
                    lines.append(f"   {s.mark}{sign} {what} {says}: {', '.join(names)}")
    lines.append(f"{tables.counts(cells)}; stale: {sum(c.stale for c in cells)}")
    out.print("\n".join(lines), soft_wrap=True)


def elsewhere(missing: set[str]) -> list[str]:
    """Lines on targets whose device this machine lacks, from committed files; only for reading."""
    if not missing:
        return []
    try:
        merged, _ = join({path: read(path) for path in committed()})
    except UserError as error:
        return [f"results of other machines left out: {error}"]
    here = [c for c in _shown(merged.cells) if c.port in missing and c.status != Status.SKIP]
    return quoted(here, {source.mark: source.when for source in merged.sources})


def quoted(cells: Iterable[SourcedVerdict], when: Mapping[str, str]) -> list[str]:
    """A line for each device and file, on all targets that ran there; `when` is by the mark."""
    by_target: dict[tuple[str, str, str], list[SourcedVerdict]] = {}
    for c in cells:
        by_target.setdefault((c.port, c.ran_on, c.source), []).append(c)
    told: dict[str, list[SourcedVerdict]] = {}
    for (_, device, mark), found in by_target.items():
        stale = ""
        if any(c.port_now == "changed" for c in found):
            stale = " (stale: port changed since)"
        elif changed := sorted({c.case for c in found if c.stale}):
            stale = f" (stale: case or golden data changed since: {', '.join(changed)})"
        told.setdefault(f"{device}, {when[mark]}{stale}", []).extend(found)
    return [
        f"on another machine: {absent.names(c.port for c in found)}: "
        f"{tables.counts(found)}; {where}"
        for where, found in told.items()
    ]
