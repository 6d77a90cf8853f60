"""The tables that a person reads after `make bench`."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.bench.files import Bench, Interval, Row, Setting, Timed
from conformance.ground.units import digits, scaled, unit
from reference.golden.derive import DTYPES

COLUMNS = ("per iteration", "x NumPy", "fixed", "of limit", "of GEMM", "on device", "copies")
HEAD = """
Time per iteration, in brackets the 95 % interval; fixed: the time of a run without iterations.
On device: by the device's own clock, without a run's copies."""


def show(out: Console, bench: Bench) -> None:
    """Print tables for each workload, the limits, and why anything was left out."""
    out.print(HEAD)
    for setting in bench.settings:
        threads = f"{setting.threads} thread" + "s" * (setting.threads > 1)
        for dtype in DTYPES:
            rows = [r for r in bench.rows if r.workload == setting.workload and r.dtype == dtype]
            if rows:
                batch = f"batch {setting.samples}"
                if setting.networks > 1:
                    batch += f", all {setting.networks:,} networks"
                out.print(f"\n{setting.workload}, {batch}, {dtype}, {threads}")
                out.print(_table(rows))
        for line in _limits(bench, setting):
            out.print(line, soft_wrap=True)
    for row in bench.rows:
        if row.reason:
            where = f"{row.port} on {row.workload}, {row.dtype}"
            style = row.status.look
            out.print(f"{row.status} {where}: {row.reason}", style=style, soft_wrap=True)
    # Each reason once, with the workloads that it holds for.
    grouped: dict[tuple[str, str], dict[str, None]] = {}
    for left in bench.left_out:
        grouped.setdefault((left.name, left.reason), {})[left.workload] = None
    for (name, reason), workloads in grouped.items():
        where = "" if "all" in workloads else f" on {', '.join(workloads)}"
        out.print(f"left out: {name}{where}: {reason}", style="dim", soft_wrap=True)


def _table(rows: Sequence[Row]) -> Table:
    """The fastest first; targets that were not timed come last. Empty columns are left out."""
    timed = [(row.port, row.timed) for row in rows if row.timed]
    timed.sort(key=lambda pair: pair[1].ns_per_iteration.value)
    lines = [[port, *_cells(speed)] for port, speed in timed]
    kept = [i for i, _ in enumerate(COLUMNS, 1) if any(line[i] != "-" for line in lines)]
    table = Table()
    table.add_column("port", no_wrap=True)
    for i in kept:
        table.add_column(COLUMNS[i - 1], justify="right")
    for line in lines:
        table.add_row(Text(line[0]), *(line[i] for i in kept))
    for row in rows:
        if not row.timed:
            table.add_row(Text(row.port), Text(row.status, row.status.look))
    return table


def _cells(timed: Timed) -> list[str]:
    """The cells under COLUMNS; "-" where a number is unknown, or lost in the noise."""
    ratio, fixed = timed.ratio_to_numpy, timed.fixed_ms.value
    return [
        _time(timed.ns_per_iteration) if timed.resolved else _least(timed.ns_per_iteration),
        f"{digits(ratio.value)} ({digits(ratio.low)} - {digits(ratio.high)})" if ratio else "-",
        f"{fixed:.2f} ms" if fixed > 0 else "-",
        f"{timed.of_limit:.1%}" if timed.of_limit is not None else "-",
        f"{timed.of_gemm:.1%}" if timed.of_gemm is not None else "-",
        scaled(timed.device.ns_per_iteration.value) if timed.device else "-",
        f"{timed.device.copies_ms.value:.2f} ms" if timed.device else "-",
    ]


def _time(ns: Interval) -> str:
    """As in "22.8 µs (22.5 - 23.1)"."""
    size = unit(ns.value)[1]
    return f"{scaled(ns.value)} ({digits(ns.low / size)} - {digits(ns.high / size)})"


def _least(ns: Interval) -> str:
    """Of a time that the clock cannot tell from 0."""
    return f"under {scaled(ns.high)}" if ns.high > 0 else "lost in the noise"


def _limits(bench: Bench, setting: Setting) -> list[str]:
    """How the limits of a workload are made up."""
    lines = []
    for roof in bench.rooflines:
        if roof.workload == setting.workload:
            lines.append(
                f"limit in {roof.dtype}: {scaled(roof.limit_ns)}: {roof.gflop:.3g} GFLOP of "
                f"matrix products at {roof.gflops_peak:.1f} GFLOP/s, {roof.gbytes:.3g} GB of "
                f"memory traffic at {roof.gbytes_per_s:.1f} GB/s; of GEMM: of that peak, times the "
                f"products' share of the work, {roof.gemm_share:.1%}"
            )
    for latency in bench.latencies:
        if latency.workload == setting.workload:
            best = min(latency.runs, key=lambda said: said.limit_ns)
            links = ", ".join(f"{x.count:g} x {x.name} {x.ns:.2f} ns" for x in best.links)
            lines.append(f"limit in float64, by {latency.port}: {best.limit_ns:.1f} ns: {links}")
    return lines
