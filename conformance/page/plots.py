"""The plots of the page: Matplotlib's SVG, in the page's own colours, light or dark."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from cycler import cycler
from markupsafe import escape
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from conformance.bench import curves, plot
from conformance.page.article import Band, Line
from conformance.record.models import Timing

# Colours that Matplotlib writes, and the variables of style.css that replace them.
INK, GRID, TOLERANCE, NOISE, PORT = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = ["#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04", "#0a0a05", "#0a0a06"]
VARIABLES = {
    INK: "ink",
    GRID: "grid",
    TOLERANCE: "tolerance",
    NOISE: "noise",
    PORT: "port",
    **{colour: f"series-{number}" for number, colour in enumerate(SERIES, start=1)},
}
STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be selected, searched and read aloud
    "svg.hashsalt": "report",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.prop_cycle": cycler(color=SERIES),
    "legend.frameon": False,
}
HIGHEST = 1e30  # ulps that are drawn, since axes end somewhere
_numbers = itertools.count()


def _svg(figure: Figure, label: str) -> str:
    """A figure as an element of the page, with a name for people who cannot see it."""
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    text = plot.svg(figure, nothing, transparent=True)
    text = text[text.index("<svg") :]
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    # Ids are unique in one figure, but a page has several.
    prefix = f"plot{next(_numbers)}-"
    text = re.sub(r"""(\bid=["']|href=["']#|url\(#)""", rf"\g<1>{prefix}", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)


def _figure(height: float = 3.6) -> tuple[Figure, Any]:
    figure = Figure(figsize=(7.2, height), layout="constrained")
    return figure, figure.subplots()


def _iterations(axis: Any, last: int) -> None:
    """A logarithmic axis of iterations that begins with 0."""
    axis.set_xscale("symlog", linthresh=1, linscale=0.4)
    axis.set_xlim(0, last * 1.1)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
    axis.set_xlabel("iteration")


def error_curves(lines: Sequence[Line], printed: Mapping[int, float]) -> str:
    """The error of each line against the iteration; `printed` are the article's own numbers."""
    with mpl.rc_context(STYLE):
        figure, axis = _figure()
        for number, line in enumerate(lines):
            # The exact line is wide, so that it shows under the lines on top.
            style, width, alpha = ("-", 6.0, 0.35) if number == 0 else ("--", 1.6, 1.0)
            axis.plot(
                line.iterations, line.values, style, label=line.name, linewidth=width, alpha=alpha
            )
        axis.plot(
            list(printed), list(printed.values()), "o", color=INK, markersize=5, label="as printed"
        )
        _iterations(axis, max(lines[0].iterations))
        axis.set_yscale("log")
        axis.set_ylabel("mean |y - l2|")
        axis.grid(alpha=0.6)
        axis.legend(loc="lower left")
        return _svg(figure, "The error of the article's network against the iteration")


def drift(tensor: str, dtype: str, ports: Sequence[Line], bugs: Sequence[Line], band: Band) -> str:
    """Deviations of one tensor in units in the last place, with the bands of noise and tolerance.

    A port's line has an id, so that the page can highlight it.
    """
    with mpl.rc_context(STYLE):
        figure, axis = _figure(4.2)
        axis.fill_between(band.iterations, 0, band.tolerance, color=TOLERANCE, linewidth=0)
        axis.fill_between(band.iterations, 0, band.noise, color=NOISE, linewidth=0)
        for line in ports:
            values = [value if value < HIGHEST else math.inf for value in line.values]
            [drawn] = axis.plot(line.iterations, values, color=PORT, linewidth=1, alpha=0.7)
            drawn.set_gid(f"line-{line.name}")
        for line in bugs:
            axis.plot(line.iterations, line.values, "--", label=f"bug: {line.name}", linewidth=1.6)
        axis.fill_between([], [], color=TOLERANCE, label="tolerance")
        axis.fill_between([], [], color=NOISE, label="noise of correct runs")
        axis.plot([], [], color=PORT, linewidth=1, label="ports")
        _iterations(axis, max(band.iterations))
        axis.set_yscale("symlog", linthresh=1, linscale=0.4)
        axis.set_ylim(0, None)
        axis.set_ylabel("ulps")
        axis.grid(alpha=0.6)
        axis.yaxis.get_major_locator().set_params(numticks=8)
        figure.legend(loc="outside lower center", ncols=3, fontsize=9)
        return _svg(figure, f"Deviation of {tensor} in {dtype} from the exact values, in ulps")


def times(timings: Sequence[Timing]) -> str:
    """Time per iteration with its interval, the fastest at the top."""
    with mpl.rc_context(STYLE):
        ordered = sorted(timings, key=lambda t: -t.ns_per_iteration)
        figure, axis = _figure(1 + 0.26 * len(ordered))
        for height, t in enumerate(ordered):
            # The fit may put the lower end of a fast port's slope below zero.
            low = max(t.ns_low, t.ns_per_iteration / 10)
            interval = [[t.ns_per_iteration - low], [t.ns_high - t.ns_per_iteration]]
            axis.errorbar(
                t.ns_per_iteration, height, xerr=interval, fmt="o", markersize=4, color=SERIES[0]
            )
        axis.set_yticks(range(len(ordered)), [plot.named(t.port) for t in ordered])
        axis.set_xscale("log")
        axis.set_xlabel("ns per iteration, with its 95 % interval")
        axis.grid(axis="x", alpha=0.6)
        return _svg(figure, f"Time per iteration of {ordered[0].case}, port by port")


def crossovers(found: curves.Curves) -> str:
    """Time of a network's iteration against the size, for every target."""
    with mpl.rc_context(STYLE):
        figure, axis = _figure(4.6)
        curves.panel(axis, found)
        return _svg(figure, f"Time against size: {found.sweep} in {found.dtype}")
