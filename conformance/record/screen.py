"""The one screen at the end of a run: a line a port, what did not run, one failure in full."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from conformance import __version__
from conformance.ground import places
from conformance.ground.places import BUILD, IN_CLONE, NAME, from_here
from conformance.ground.statuses import Look, Status
from conformance.ground.units import count, duration
from conformance.record import absent
from conformance.record.causes import example
from conformance.record.models import Results
from conformance.record.remarks import remarks
from conformance.record.rows import Row, rows
from conformance.targets.build import Lack
from conformance.verdict.verdict import Verdict

MOST_ROWS = 24  # what is wrong comes first
MOST_EXAMPLE = 12  # lines
LONGEST_NAMES = (40, 26, 12)  # the widest name that a column is made for, where there is the room
NARROWEST = 24  # for text beside a name
ALL = places.option("verbose")


@dataclass(frozen=True)
class Run:
    """What the screen says of a run besides its results.

    `chosen` are the options that left something out, as in "CASES=one-step"; `file` is where the
    results are, or None if they could not be written; `wanted` is how many verdicts there would be
    in the end, and `missing` says what targets lack.
    """

    file: Path | None
    seconds: float
    wanted: int
    chosen: Sequence[str] = ()
    missing: Mapping[str, Lack] = field(default_factory=dict)
    elsewhere: Sequence[str] = ()
    hints: Sequence[str] = ()
    problems: Sequence[str] = ()


def show(out: Console, results: Results, run: Run) -> None:
    """Print the screen. No line is wider, except for what is there to be copied."""
    found: dict[str, list[Verdict]] = {info.port: [] for info in results.ports}
    for verdict in results.results:
        found[verdict.port].append(verdict)
    ran = {n: vs for n, vs in found.items() if any(v.status != Status.SKIP for v in vs)}
    idle = {n: vs for n, vs in found.items() if n not in ran}
    _print(out, "", _head(results, run))
    told = rows(ran, results.timings)
    _print_rows(out, told)
    for said in (*absent.lines(idle, run.missing, ran), *run.elsewhere):
        _print(out, "  ", said, style=Look.FAINT)
    for said in remarks(results):
        _print(out, "  ", said, style=Look.KNOWN)
    if (shown := example(results.results)) is not None:
        *story, last = _story(shown, told)
        block = ["", *story, last, ""] if story else [last]
        out.print(Text("\n".join(block)), soft_wrap=True)
    for said in run.hints if shown is None else ():  # first what is listed must work
        _print(out, "  ", said)
    for problem in run.problems:
        _print(out, "error: ", problem, style=Look.WRONG)
    out.print(Text(_encodable(out, " · ".join(_foot(results, ran, run)))), soft_wrap=True)


def _head(results: Results, run: Run) -> str:
    """What was judged: version, cases, dtypes, and how much was compared."""
    cases = count(len(results.cases), "case") + f" ({', '.join(run.chosen)})" * bool(run.chosen)
    dtypes = [d for d in ("float64", "float32") if any(v.dtype == d for v in results.results)]
    numbers = count(sum(v.numbers_compared for v in results.results), "number")
    parts = filter(None, [cases, " and ".join(dtypes), f"{numbers} compared"])
    return f"backprop conformance {__version__}, {', '.join(parts)}"


def _print_rows(out: Console, all_rows: Sequence[Row]) -> None:
    """Print them in columns. Where there are too many, what is wrong is kept."""
    worst = sorted(all_rows, key=lambda row: row.status.severity, reverse=True)[:MOST_ROWS]
    kept = [row for row in all_rows if row in worst]
    tables = ([*_aligned(kept, longest)] for longest in LONGEST_NAMES)
    fitting = (t for t in tables if all(cell_len("".join(line)) <= out.width for line in t))
    for row, (name, status, said) in zip(kept, next(fitting, _aligned(kept, 12)), strict=True):
        if cell_len(name + status + said) > out.width:
            said = "  ".join(filter(None, row.said))
        _print(out, Text(name).append(status, style=row.status.look), said)
        for text in row.below:
            _print(out, " " * 6, text)
    if left := [row.status for row in all_rows if row not in worst]:
        said = ", ".join(f"{left.count(s)} {s}" for s in Status if s in left)
        _print(out, "  ", f"and {count(len(left), 'more target')}: {said} ({ALL} shows all)")


def _aligned(kept: Sequence[Row], longest: int) -> Iterable[tuple[str, str, str]]:
    """Name, status and the rest of each, as wide as the widest; but longer names stand out."""
    names = max((w for row in kept if (w := cell_len(row.name)) <= longest), default=0)
    states = max((len(row.status) for row in kept), default=0)
    columns = [row.said for row in kept if len(row.said) > 1]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    for row in kept:
        name = f"  {row.name}{' ' * (names - cell_len(row.name))}  "
        if len(row.said) > 1:
            amount, worst, notes = row.said
            said = f"{amount.rjust(widths[0])}  {worst.ljust(widths[1])}  {notes}"
        else:
            [said] = row.said
        yield name, f"{row.status.ljust(states)}  ", said.rstrip()


def _story(verdict: Verdict, told: Sequence[Row]) -> list[str]:
    """One failure in full, except for what is told; a compiler's story is cut."""
    head = f"{verdict.status}: {verdict.port} on {verdict.case}, {verdict.dtype}: "
    *story, last = (verdict.explanation or head + verdict.reason).splitlines()
    if (cut := len(story) - MOST_EXAMPLE) > 0:
        story = [*story[:MOST_EXAMPLE], f"  ... {count(cut, 'more line')}: {ALL} shows all"]
    if any(verdict.reason in text for row in told for text in (*row.said, *row.below)):
        story = [line for line in story if verdict.reason not in line]
    return [*story, last]


def _foot(results: Results, ran: Mapping[str, Sequence[Verdict]], run: Run) -> list[str]:
    """How it ended, where the details are, and how long it took."""
    plain = all(absent.parts(name)[1:] == ("", "") for name in ran)
    ports = count(len(ran), "port") if plain else f"{len(ran)} ports and rungs"
    failed = sum(any(v.status.wrong for v in verdicts) for verdicts in ran.values())
    parts = []
    if not results.complete:
        parts.append(f"stopped after {len(results.results)} of {count(run.wanted, 'verdict')}")
    if failed:
        parts.append(f"{failed} of {ports} failed")
    else:
        parts.append(f"{ports} passed" if ran else "no port ran")
    if run.file is not None:
        if not results.complete:
            parts.append(f"to go on: {places.option('resume')}")
        usual = run.file == from_here(BUILD / "results.json")
        report = "make report" if IN_CLONE else f"{NAME} report"
        named = f"RESULTS={run.file}" if IN_CLONE else str(run.file)
        parts.append(f"details: {report} " + (f"({run.file})" if usual else named))
    return [*parts, duration(run.seconds)]


def _print(out: Console, head: str | Text, said: str, style: str = "") -> None:
    """Print a text behind its head; what does not fit is below it, as far to the right."""
    head = Text(head) if isinstance(head, str) else head
    indent = head.cell_len if head.cell_len + NARROWEST <= out.width else 4
    lines = [*Text(_encodable(out, said)).wrap(out, max(out.width - indent, NARROWEST // 2))]
    lines = [Text(" " * indent) + line for line in lines]
    if indent < head.cell_len:  # a name that leaves no room
        lines = [*head.wrap(out, out.width), *lines]
    else:
        lines[0] = head + lines[0][indent:]
    for line in lines:
        line.rstrip()
        line.stylize_before(style)
        out.print(line, soft_wrap=True)


def _encodable(out: Console, text: str) -> str:
    """The text, without signs that the encoding of the output lacks."""
    try:
        text.encode(out.encoding)
    except UnicodeEncodeError:
        return text.replace("µ", "u").replace("·", "-").replace("…", "...")
    return text
