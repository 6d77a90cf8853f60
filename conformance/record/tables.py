"""All that a run found, as tables: what the one screen sums up."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.ground.statuses import Status
from conformance.ground.units import digits, scaled, unit
from conformance.record.absent import needs
from conformance.record.causes import example
from conformance.record.cells import Cell, V, cell, labels
from conformance.record.models import CapabilityResult, Results, Teeth, Timing
from conformance.verdict.verdict import Verdict

NAME_WIDTH = 18
CELL_WIDTH = 14

CUT = re.compile(r"^(first \d+) of \d+ iterations")  # how many there are, the cases tell


def show(out: Console, results: Results) -> None:
    """Print verdicts, the reasons for all that is not a PASS, capabilities and timings."""
    verdicts(out, results.results)
    _accuracies(out, results.results)
    reasons(out, results.results)
    _explanations(out, results.results)
    columns = _columns(out, CELL_WIDTH)
    # What no port lists is of no use to anyone here.
    listed = {entry.capability for entry in results.capabilities if entry.listed}
    able = [entry for entry in results.capabilities if entry.capability in listed]
    if able:
        out.print("\nCapabilities: passed cases that need them, of those with all needs listed")
    ports = list(dict.fromkeys(entry.port for entry in able))
    for start in range(0, len(ports), columns):
        out.print(_capabilities(able, ports[start : start + columns]))
    if results.timings:
        out.print("\nTime of ports that passed: slope and intercept over interleaved runs")
        out.print(_timings(results.timings))
        if all(t.ratio_to_numpy is None for t in results.timings):
            out.print("No ratio to NumPy: the port numpy was not timed in this run.")
    out.print(counts(results.results))


def counts(results: Sequence[Verdict]) -> str:
    """How many results of each status there are."""
    found = {s: sum(r.status == s for r in results) for s in Status}
    return ", ".join(f"{count} {status}" for status, count in found.items() if count)


def unmarked(_: Sequence[Verdict]) -> str:
    """What stands behind results that are all of this run."""
    return ""


def verdicts(
    out: Console, results: Sequence[V], mark: Callable[[Sequence[V]], str] = unmarked
) -> None:
    """Print the matrix; `mark` says what stands behind the results of a cell."""
    ports = list(dict.fromkeys(r.port for r in results))
    told = {r.case for r in results if r.status != Status.SKIP}
    judged = [r for r in results if r.case in told]
    skipped = {r.case for r in results} - told
    rows = labels(judged)
    grouped: dict[tuple[str, str], list[V]] = {}
    for r in judged:
        grouped.setdefault((rows[r.case], r.port), []).append(r)
    sizes = Counter(rows.values())
    cells = {key: _shown(cell(group, sizes[key[0]]), mark) for key, group in grouped.items()}
    columns = _columns(out, max([CELL_WIDTH, *(len(shown) + 4 for shown in cells.values())]))
    if judged:
        out.print("\nVerdicts, with the worst deviation as a multiple of the tolerance")
        for start in range(0, len(ports), columns):
            out.print(_verdicts(cells, ports[start : start + columns]))
    if skipped:
        out.print(f"Not in this table: {len(skipped)} cases that every port skips")


def _columns(out: Console, width: int) -> int:
    """How many ports a table has room for."""
    return max(1, (out.width - NAME_WIDTH) // width)


def _verdicts(cells: dict[tuple[str, str], Text], ports: list[str]) -> Table:
    table = Table()
    table.add_column("case", no_wrap=True)
    for port in ports:
        table.add_column(Text(port), justify="right")
    for case in dict.fromkeys(case for case, _ in cells):
        table.add_row(case, *(cells.get((case, port), Text()) for port in ports))
    return table


def _shown(cell: Cell[V], mark: Callable[[Sequence[V]], str]) -> Text:
    margin = "" if cell.margin is None else f" {cell.margin:.2g}"
    part = "" if cell.part is None else f" ({cell.part})"
    return Text(cell.status + margin + part + mark(cell.alike), style=cell.status.look)


def _capabilities(entries: list[CapabilityResult], ports: list[str]) -> Table:
    table = Table()
    table.add_column("capability", no_wrap=True)
    for port in ports:
        table.add_column(Text(port), justify="right")
    for capability in dict.fromkeys(entry.capability for entry in entries):
        row = {e.port: e for e in entries if e.capability == capability}
        table.add_row(capability, *(_capability(row[port]) for port in ports))
    return table


def _capability(entry: CapabilityResult) -> Text:
    if not entry.listed:
        return Text("not listed", style="dim")
    if not entry.cases:
        return Text("none run", style="dim")
    style = "green" if entry.passed == entry.cases else "yellow"
    return Text(f"{entry.passed}/{entry.cases}", style=style)


def _accuracies(out: Console, results: list[Verdict]) -> None:
    """What part of held-out samples each port learns to classify, where a case asks for it."""
    for case in dict.fromkeys(r.case for r in results if r.accuracy is not None):
        found = {r.port: r.accuracy for r in results if r.case == case and r.accuracy is not None}
        shown = ", ".join(f"{port} {accuracy:.2%}" for port, accuracy in found.items())
        out.print(f"Accuracy on samples held out of {case}: {shown}", soft_wrap=True)


def reasons(
    out: Console, results: Sequence[V], mark: Callable[[Sequence[V]], str] = unmarked
) -> None:
    """Print each reason once, with what it holds for; of long runs only that they were cut."""
    unlisted: dict[str, list[V]] = {}
    for r in results:
        if needs([r]):
            unlisted.setdefault(r.port, []).append(r)
    grouped: dict[tuple[Status, str], dict[str, list[V]]] = {}
    for r in results:
        if r.reason:
            said = needs(unlisted[r.port]) if needs([r]) else CUT.sub(r"\1 iterations", r.reason)
            grouped.setdefault((r.status, said), {}).setdefault(r.port, []).append(r)
    for (status, reason), by_port in grouped.items():
        line = Text(f"{status} ", style=status.look)
        members = [r for found in by_port.values() for r in found]
        said = f"{', '.join(by_port)}, {where(members)}{mark(members)}: {reason}"
        out.print(line.append(said, style="default"), soft_wrap=True)


def _explanations(out: Console, results: Sequence[Verdict]) -> None:
    """Print the whole story of each case that went wrong, except for the one on the screen."""
    shown = example(results)
    told = {(shown.port, shown.case)} if shown else set()
    for r in results:
        if r.divergence is not None and r.explanation and (r.port, r.case) not in told:
            told.add((r.port, r.case))
            out.print(Text(f"\n{r.explanation}"), soft_wrap=True)


def where(results: Sequence[Verdict]) -> str:
    """The case, or how many, and the dtype if it is one."""
    cases = list(dict.fromkeys(r.case for r in results))
    named = cases[0] if len(cases) == 1 else f"{len(cases)} cases"
    dtypes = {r.dtype for r in results}
    return named + (f" {dtypes.pop()}" if len(dtypes) == 1 else "")


def _timings(timings: Sequence[Timing]) -> Table:
    """The fastest first; without the ratio to NumPy where there is none."""
    table = Table()
    table.add_column("port")
    table.add_column("case")
    compared = any(t.ratio_to_numpy is not None for t in timings)
    for heading in ("per iteration", "95 % interval", "fixed", *["x NumPy"] * compared):
        table.add_column(heading, justify="right")
    for t in sorted(timings, key=lambda t: (t.case, t.ns_per_iteration)):
        size = unit(t.ns_per_iteration)[1]
        interval = f"{digits(t.ns_low / size)} - {digits(t.ns_high / size)}"
        # Where it is lost in the noise, the fit may put it below zero.
        fixed = f"{t.fixed_ms:.2f} ms" if t.fixed_ms > 0 else "-"
        ratio = f"{t.ratio_to_numpy:.1f}" if t.ratio_to_numpy is not None else "not timed"
        cells = (scaled(t.ns_per_iteration), interval, fixed, *[ratio] * compared)
        table.add_row(Text(t.port), t.case, *cells)
    return table


def show_teeth(out: Console, teeth: Teeth) -> None:
    """Print what catches each known bug, and how far each correct variant strays."""
    out.print("\nKnown bugs: the worst deviation as a multiple of the tolerance, and the diagnosis")
    table = Table()
    for heading in ("bug", "caught by", "at"):
        table.add_column(heading)
    table.add_column("margin", justify="right")
    table.add_column("named")
    for m in teeth.mutants:
        k = m.killed_by
        margin = f"{k.margin:.1g}" if k.margin is not None else "not finite"
        others = len(m.named) - 1
        named = ("yes" if m.id in m.named else "no") + (f", with {others} more" * (others > 0))
        at = f"{k.check} {k.iteration}: {k.tensor}"
        table.add_row(m.id, f"{k.case} {k.dtype}", at, margin, named)
    out.print(table)
    out.print("\nCorrect variants: the worst deviation as a multiple of the tolerance")
    table = Table()
    for heading in ("variant", "status", "at"):
        table.add_column(heading)
    table.add_column("margin", justify="right")
    for v in teeth.variants:
        margin = f"{v.margin:.3f}" if v.margin is not None else "-"
        status = Text(v.status, style=v.status.look)
        table.add_row(v.id, status, f"{v.case} {v.dtype}", margin)
    out.print(table)
    out.print("\nThe smallest relative error in a line of the C port that is caught")
    table = Table()
    for heading in ("line", "dtype", "by"):
        table.add_column(heading)
    table.add_column("from", justify="right")
    for entry in teeth.lines:
        where = f"{entry.case}: {entry.tensor}"
        table.add_row(entry.line, entry.dtype, where, f"{entry.least:.1g}")
    out.print(table)
    caught = [m.killed_by.margin for m in teeth.mutants if m.killed_by.margin is not None]
    strayed = [v.margin for v in teeth.variants if v.margin is not None]
    out.print(
        f"{len(teeth.mutants)} known bugs, the least at {min(caught, default=0):.3g} times the "
        f"tolerance; {len(teeth.variants)} correct variants, the worst at "
        f"{max(strayed, default=0):.3f} times"
    )
