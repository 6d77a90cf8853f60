"""The one screen at the end of a run: a line a port, what did not run, one failure in full."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from conformance.ground.places import BUILD, IN_CLONE, NAME, from_here, version
from conformance.ground.statuses import Look, Status
from conformance.ground.units import count, duration, scaled
from conformance.record import absent
from conformance.record.causes import Cause, causes, example, tally
from conformance.record.cells import worst_margin
from conformance.record.models import Results, Timing
from conformance.verdict.verdict import Verdict

MOST_PORTS = 24  # lines; what is wrong comes first
MOST_CAUSES = 3  # of a port
MOST_EXAMPLE = 12  # lines
NARROWEST = 40


@dataclass(frozen=True)
class Run:
    """What the screen says of a run besides its results.

    `chosen` are the options that left something out, as in "CASES=one-step"; `file` is where the
    results are, or None if they could not be written; `wanted` is how many verdicts there would be
    in the end; `missing` says of targets that were not ready what they lack.
    """

    file: Path | None
    seconds: float
    wanted: int
    chosen: Sequence[str] = ()
    resumed: int = 0
    missing: Mapping[str, absent.Lack] = field(default_factory=dict)
    problems: Sequence[str] = ()
    elsewhere: Sequence[str] = ()
    hints: Sequence[str] = ()


@dataclass(frozen=True)
class Line:
    """What a port's line says: `said` stands in columns if there are several."""

    name: str
    status: Status
    said: list[str]
    more: list[str] = field(default_factory=list)  # lines below it


def show(out: Console, results: Results, run: Run) -> None:
    """Print the screen; no line is wider than it, except those to copy."""
    by_target: dict[str, list[Verdict]] = {}
    for verdict in results.results:
        by_target.setdefault(verdict.port, []).append(verdict)
    ran = {name: found for name, found in by_target.items() if _ran(found)}
    _print(out, "", Text(_head(results, run)))
    _show_lines(out, _lines(ran, results.timings))
    idle = {info.port: by_target.get(info.port, []) for info in results.ports}
    for said in absent.lines({n: v for n, v in idle.items() if n not in ran}, run.missing, ran):
        _print(out, "  ", Text(said, style=Look.FAINT))
    for said in run.elsewhere:
        _print(out, "  ", Text(said, style=Look.FAINT))
    if (shown := example(results.results)) is not None:
        out.print()
        for text in _example(shown):
            out.print(Text(text), soft_wrap=True)
        out.print()
    for said in run.hints:
        _print(out, "", Text(said))
    for problem in run.problems:
        _print(out, "error: ", Text(problem), style=Look.WRONG)
    _print_parts(out, _foot(results, ran, run))


def _ran(verdicts: Sequence[Verdict]) -> bool:
    return any(v.status != Status.SKIP for v in verdicts)


def _head(results: Results, run: Run) -> str:
    """What was judged: version, cases, dtypes, numbers."""
    cases = count(len(results.cases), "case")
    chosen = f" ({', '.join(run.chosen)})" if run.chosen else ""
    dtypes = [d for d in ("float64", "float32") if any(v.dtype == d for v in results.results)]
    numbers = sum(v.numbers_compared for v in results.results)
    resumed = f"{count(run.resumed, 'verdict')} of an earlier run stand" if run.resumed else ""
    parts = [cases + chosen, " and ".join(dtypes), f"{count(numbers, 'number')} compared", resumed]
    return f"backprop conformance {version()}, {', '.join(filter(None, parts))}"


def _lines(ran: Mapping[str, Sequence[Verdict]], timings: Sequence[Timing]) -> list[Line]:
    """A line a port; a rung that passes is in that of its port, where there is one."""
    lines = []
    names = set(ran)
    timed = _fastest(timings, names)
    folded: dict[str, list[str]] = {}
    for name in ran:
        folded.setdefault(absent.owner(name, names), []).append(name)
    for name, verdicts in ran.items():
        wrong = causes(verdicts)
        if wrong:
            lines.append(_wrong(name, verdicts, wrong))
        elif any(v.status == Status.XFAIL for v in verdicts):
            lines.append(_known(name, verdicts))
        elif absent.owner(name, names) == name:
            lines.append(_passed(name, verdicts, [timed[n] for n in folded[name] if n in timed]))
    return lines


def _fastest(timings: Sequence[Timing], ran: set[str]) -> dict[str, Timing]:
    """The time of each target, all of them on the case on which most were timed."""
    cases = [t.case for t in timings]
    chosen = max(dict.fromkeys(cases), key=cases.count, default=None)
    return {t.port: t for t in timings if t.case == chosen and t.port in ran}


def _passed(name: str, verdicts: Sequence[Verdict], timed: Sequence[Timing]) -> Line:
    passed = [v for v in verdicts if v.status == Status.PASS]
    margin = worst_margin(passed)
    best = min(timed, key=lambda t: t.ns_per_iteration, default=None)
    time = ""
    if best is not None:
        rung = f" ({best.port})" if best.port != name else ""
        time = f"{scaled(best.ns_per_iteration)}/iteration{rung}"
    notes = [time]
    if left := len({v.case for v in verdicts if v.status == Status.SKIP}):
        notes.append(f"{count(left, 'case')} skipped")
    if part := len({v.case for v in passed if v.reason}):
        notes.append(f"{count(part, 'case')} in part")
    worst = f"worst {margin:.2g} of tolerance" if margin is not None else ""
    return Line(name, Status.PASS, [str(len(passed)), worst, ", ".join(filter(None, notes))])


def _known(name: str, verdicts: Sequence[Verdict]) -> Line:
    found = {v.case: v for v in verdicts if v.status == Status.XFAIL}
    cases = f"{len(found)} of {count(len({v.case for v in verdicts}), 'case')}"
    reasons = list(dict.fromkeys(v.reason for v in found.values()))
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return Line(name, Status.XFAIL, [f"{cases}, as predicted: {reasons[0]}{more}"])


def _wrong(name: str, verdicts: Sequence[Verdict], wrong: Sequence[Cause]) -> Line:
    status = max((c.status for c in wrong), key=lambda s: s.severity)
    told = tally(verdicts)
    if len(wrong) == 1:
        return Line(name, status, [f"{told}, {wrong[0].text}"])
    kept = wrong[: MOST_CAUSES if len(wrong) > MOST_CAUSES + 1 else None]
    more = [
        f"{len(c.verdicts)} {c.text if c.status == status else f'{c.status}: {c.text}'}"
        for c in kept
    ]
    if left := wrong[len(kept) :]:
        cases = sum(len(c.verdicts) for c in left)
        more.append(f"{cases} for {len(left)} other reasons")
    return Line(name, status, [f"{told}:"], more)


def _show_lines(out: Console, lines: Sequence[Line]) -> None:
    """Print them in columns. Where there are too many, what is wrong is kept."""
    kept = sorted(lines, key=lambda line: line.status.severity, reverse=True)[:MOST_PORTS]
    left = [line for line in lines if line not in kept]
    kept = [line for line in lines if line in kept]
    for longest in (*LONGEST_NAMES, 0):
        columns = _columns(kept, longest)
        if all(cell_len("".join(columns(line))) <= out.width for line in kept if line.columns):
            break
    for line in kept:
        name, status, said = columns(line)
        if line.columns and cell_len(name + status + said) > out.width:
            said = "  ".join(said.split("  ")[:1]) + "  " + "  ".join(filter(None, line.said[1:]))
        head = Text(name).append(status, style=line.status.look)
        _print(out, head, Text(said))
        for more in line.more:
            _print(out, " " * 6, Text(more))
    if left:
        counted = [(s, sum(line.status == s for line in left)) for s in Status]
        said = ", ".join(f"{number} {status}" for status, number in counted if number)
        out.print(Text(f"  and {count(len(left), 'more line')}: {said}"))


def _example(verdict: Verdict) -> list[str]:
    """The whole story of one failure; a compiler's is cut."""
    text = verdict.explanation or (
        f"{verdict.status}: {verdict.port} on {verdict.case}, {verdict.dtype}: {verdict.reason}"
    )
    *story, last = text.splitlines()
    if len(story) >= MOST_EXAMPLE:
        cut = len(story) - MOST_EXAMPLE + 1
        story = [*story[: MOST_EXAMPLE - 1], f"  ... {count(cut, 'more line')}: {VERBOSE}"]
    return [*story, last]


VERBOSE = "VERBOSE=1" if IN_CLONE else "--verbose"


def _foot(results: Results, ran: Mapping[str, Sequence[Verdict]], run: Run) -> list[str]:
    """How it ended, where the details are, how long it took."""
    noun = "target" if any(re.search(r":| \(", name) for name in ran) else "port"
    failed = sum(any(v.status.wrong for v in verdicts) for verdicts in ran.values())
    parts = []
    if not results.complete:
        judged = f"{len(results.results)} of {count(run.wanted, 'verdict')}"
        resume = "RESUME=1" if IN_CLONE else "--resume"
        parts.append(f"not complete: {judged}" + f" ({resume} goes on from there)" * bool(run.file))
    if failed:
        parts.append(f"{failed} of {count(len(ran), noun)} failed")
    elif ran:
        parts.append(f"{count(len(ran), noun)} passed")
    else:
        parts.append("nothing ran")
    if run.file is not None:
        parts.append(f"details: {_report(run.file)}")
    return [*parts, duration(run.seconds)]


def _report(file: Path) -> str:
    usual = file == from_here(BUILD / "results.json")
    if IN_CLONE:
        return f"make report ({file})" if usual else f"make report RESULTS={file}"
    return f"{NAME} report ({file})" if usual else f"{NAME} report {file}"


def _print_parts(out: Console, parts: Iterable[str]) -> None:
    """Print them with dots between, on as few lines as they fit."""
    line = ""
    for part in parts:
        joined = f"{line} · {part}" if line else part
        if line and cell_len(joined) > out.width:
            out.print(Text(_plain(out, line)), soft_wrap=True)
            joined = part
        line = joined
    out.print(Text(_plain(out, line), style="bold"), soft_wrap=True)


def _print(out: Console, head: str | Text, text: Text, style: str = "") -> None:
    """Print a text behind its head; what does not fit goes below it, as far to the right."""
    head = Text(head, style=style) if isinstance(head, str) else head
    indent = head.cell_len if head.cell_len <= out.width - NARROWEST else 4
    text = Text(_plain(out, text.plain), style=text.style)
    lines = text.wrap(out, max(out.width - indent, NARROWEST // 2))
    if indent < head.cell_len:  # a long name
        out.print(head, soft_wrap=True)
        head = Text(" " * indent)
    for number, line in enumerate(lines or [Text()]):
        line.rstrip()
        out.print(Text.assemble(head if number == 0 else " " * indent, line), soft_wrap=True)


def _plain(out: Console, text: str) -> str:
    """The text in what an encoding without these signs has."""
    try:
        text.encode(out.encoding)
    except UnicodeEncodeError:
        return text.replace("µ", "u").replace("·", "-").replace("…", "...")
    return text
