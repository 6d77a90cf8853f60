"""The plot of `make bench`: a panel for each workload, time on a logarithmic axis."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib  # at once, so that its absence is told before anything is timed
from matplotlib.text import Text

from conformance.bench.files import Bench, least_times
from conformance.record import store

COLOURS = {"float64": "tab:blue", "float32": "tab:orange"}
INCHES_PER_ROW = 0.24
LONGEST_NAME = 40  # characters


def set_up(salt: str) -> Any:
    """Matplotlib's pyplot, set to write the same SVG for the same numbers."""
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": salt, "font.size": 8})
    from matplotlib import pyplot  # slow to load, and told first what to draw with

    return pyplot


def named(name: str) -> str:
    """A name as long as a plot has room for."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def svg(figure: Any, metadata: Mapping[str, None], **more: Any) -> str:
    """A figure as SVG, without this metadata. No name in it is taken for a formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    drawn = io.StringIO()
    with warnings.catch_warnings():
        # Text of which this machine has no font is drawn as boxes, or by the browser.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        # Names may leave little room for the lines.
        warnings.filterwarnings("ignore", "constrained_layout not applied")
        figure.savefig(drawn, format="svg", metadata=metadata, **more)
    return drawn.getvalue()


def save(pyplot: Any, figure: Any, path: Path) -> str:
    """Write a figure, and say where it is. Raises ResultsError."""
    drawn = svg(figure, {"Date": None})
    pyplot.close(figure)
    store.write_data(path, drawn)
    return f"plot: {path}"


def draw(bench: Bench, path: Path) -> str | None:
    """Write the plot, and say where it is; None if there is no time to show."""
    names = [s.workload for s in bench.settings if any(_timed(bench, s.workload))]
    if not names:
        return None
    pyplot = set_up("bench")
    heights = [len(_timed(bench, name)) + 4 for name in names]
    figure, panels = pyplot.subplots(
        len(names),
        squeeze=False,
        height_ratios=heights,
        figsize=(8, INCHES_PER_ROW * sum(heights)),
        layout="constrained",
    )
    for panel, name in zip(panels[:, 0], names, strict=True):
        _panel(panel, bench, name)
    return save(pyplot, figure, path)


def _timed(bench: Bench, workload: str) -> list[Any]:
    """Rows with their speed, the slowest first, since the vertical axis points upwards."""
    rows = [
        row for row in bench.rows if row.workload == workload and row.timed and row.timed.resolved
    ]
    return sorted(rows, key=lambda row: -row.timed.ns_per_iteration.value if row.timed else 0)


def _panel(panel: Any, bench: Bench, workload: str) -> None:
    rows = _timed(bench, workload)
    for height, row in enumerate(rows):
        ns = row.timed.ns_per_iteration
        interval = [[ns.value - ns.low], [ns.high - ns.value]]
        colour = COLOURS[row.dtype]
        panel.errorbar(ns.value, height, xerr=interval, fmt="o", markersize=3, color=colour)
    known = least_times(bench.latencies, bench.rooflines)
    limits: dict[str, float] = {d: ns for (name, d), ns in known.items() if name == workload}
    for dtype, limit in limits.items():
        panel.axvline(limit, color=COLOURS[dtype], linestyle="--", linewidth=1)
    for dtype, colour in COLOURS.items():
        panel.plot([], [], "o", markersize=3, color=colour, label=dtype)
    if limits:
        panel.plot([], [], "--", linewidth=1, color="gray", label="limit")
    panel.set_xscale("log")
    panel.set_yticks(range(len(rows)), [named(row.port) for row in rows])
    panel.set_title(named(workload))
    panel.set_xlabel("ns per iteration, with 95 % interval")
    panel.grid(axis="x", which="both", alpha=0.3)
    panel.legend(loc="lower left")
