"""The command `report`: reads results, and writes the page, a summary and badges."""

import argparse
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from conformance.bench import curves
from conformance.bench.files import Bench
from conformance.ground.places import IN_CLONE, option, typed
from conformance.ground.terminal import say
from conformance.ground.text import Markdown, fenced, for_markdown
from conformance.page import article, plots, sides, verdicts
from conformance.page.excerpts import programs
from conformance.page.learning import learning
from conformance.record import store, tables
from conformance.record.cells import labels
from conformance.record.models import Results, Timing
from conformance.record.remarks import remarks
from conformance.record.store import ResultsError
from conformance.suite.markers import MarkerError
from conformance.targets import manifest
from reference.golden.derive import FACTOR

PAGE, SUMMARY, BADGES = "index.html", "summary.md", "badges"


def main(arguments: argparse.Namespace) -> None:
    """Write all files, and say where they are. Raises ResultsError for a user's mistake."""
    source, folder = arguments.results, arguments.folder
    found = store.read_results(source, f"a results file of {typed('check')}")
    if not found.results:
        raise ResultsError(f"{source}: has no verdicts: a report needs a file of {typed('check')}")
    benches = [store.read(path, Bench, f"a file of {typed('bench')}") for path in arguments.bench]
    store.check_writable(folder / BADGES / "all.svg")
    store.check_writable(folder / PAGE)
    written = render(found, benches)
    for badge in (folder / BADGES).glob("*.svg"):
        if f"{BADGES}/{badge.name}" not in written:  # of a port that is no longer judged
            badge.unlink()
    for name, text in written.items():
        store.write_data(folder / name, text)
    say(f"report: {folder / PAGE}")


def render(found: Results, benches: Sequence[Bench]) -> dict[str, str]:
    """The text of each file by its path in the folder."""
    environment, markdown = _environment(), _environment(in_markdown=True)
    rows = verdicts.rows(found)
    timed_case = found.timings[0].case if found.timings else ""
    shown = {
        "results": found,
        "machine": found.machine,
        "counts": Markdown(tables.counts(found.results)),
        "compared": sum(r.numbers_compared for r in found.results),
        "rows": rows,
        "remarks": [*remarks(found)],
        "alike": verdicts.alike,
        "margins": verdicts.margins,
        "ids": {row.name: row.id for row in rows},
        "cases": list(dict.fromkeys(labels(found.results).values())),
        "failures": [r for r in found.results if r.status.wrong],
        "timed_case": timed_case,
        "timed": {t.port: t for t in found.timings if t.case == timed_case},
        "timings": sorted(found.timings, key=lambda t: (t.case, t.ns_per_iteration)),
    }
    page = environment.get_template("page.html").render(
        **shown, **_article(found), **_sides(), **_speed(found.timings, benches)
    )
    badge = environment.get_template("badge.svg")
    written = {
        PAGE: page,
        SUMMARY: markdown.get_template("summary.md").render(**shown),
        f"{BADGES}/{verdicts.ALL}.svg": badge.render(
            **verdicts.badge("backpropagation", rows, found.complete)
        ),
    }
    for row in rows:
        if not row.is_rung:
            file = f"{BADGES}/{row.slug}.svg"
            written[file] = badge.render(**verdicts.badge(row.name, [row], found.complete))
    return written


def _environment(*, in_markdown: bool = False) -> Environment:
    """For pages and badges, or for Markdown; in both, no value is markup unless it says so."""
    found = Environment(
        loader=PackageLoader("conformance.page"),
        autoescape=not in_markdown,
        finalize=for_markdown if in_markdown else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own = Markdown if in_markdown else str
    found.filters["number"] = lambda *given: own(number(*given))
    found.filters["own"] = own
    found.filters["fenced"] = fenced
    found.globals.update(typed=typed, option=option)
    return found


def _article(found: Results) -> dict[str, Any]:
    """What the page shows of the article's network, if the results match this clone's case."""
    shown = article.article()
    lines = shown.errors()
    panels = shown.panels(found) if article.judged_here(found) else []
    drawn = [plots.drift(p.tensor, p.dtype, p.ports, p.bugs, p.band) for p in panels]
    return {
        "errors": lines,
        "printed": article.PRINTED,
        "error_plot": Markup(plots.error_curves(lines, article.PRINTED)),
        "factor": FACTOR,
        "panels": [(panel, Markup(plot)) for panel, plot in zip(panels, drawn, strict=True)],
        "learning": learning(shown),
    }


@cache
def _sides() -> dict[str, Any]:
    """The programs side by side; an installed package has only the reference's."""
    chosen = manifest.select([]) if IN_CLONE else []
    try:
        found = programs([(port.name, port.manifest.language) for port in chosen])
    except MarkerError as error:
        raise ResultsError(str(error)) from error
    return {"programs": found, "steps": sides.steps(found)}


def _speed(timings: Sequence[Timing], benches: Sequence[Bench]) -> dict[str, Any]:
    """The plots of times and, with files of `make bench`, of who is fastest where."""
    by_case: dict[str, list[Timing]] = {}
    for timing in timings:
        if timing.ns_per_iteration <= 0:
            continue  # lost in the noise; the table lists it
        by_case.setdefault(timing.case, []).append(timing)
    sweeps = curves.curves(benches)
    return {
        "time_plots": {case: Markup(plots.times(group)) for case, group in by_case.items()},
        "sweeps": [(one, Markup(plots.crossovers(one))) for one in sweeps],
        "benches": benches,
    }


def number(value: float | None, digits: int = 3) -> str:
    """A number for a person, short; "-" for none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e8 else f"{value:.{digits}g}"
