"""What a race comes to: rows for targets and dtypes, with their speed beside NumPy and limits."""

from collections.abc import Sequence

from conformance.bench.files import (
    Clock,
    Interval,
    Latency,
    Roofline,
    Round,
    Row,
    Timed,
    least_times,
)
from conformance.bench.race import Clocked, Contender
from conformance.bench.statistics import Line, estimate, ratio

BASIS = "numpy"


def rows(
    contenders: Sequence[Contender],
    rounds: int,
    latencies: Sequence[Latency],
    rooflines: Sequence[Roofline],
) -> list[Row]:
    """All that were judged, and the speed of those that had all rounds."""
    basis = {c.dtype: c.lines for c in contenders if c.name == BASIS and len(c.lines) == rounds}
    roofs = {(roof.workload, roof.dtype): roof for roof in rooflines}
    limits = least_times(latencies, rooflines)
    found = []
    for c in contenders:
        timed = None
        if len(c.lines) == rounds:
            where = c.workload.name, c.dtype
            timed = speed(
                c.counts, c.lines, basis.get(c.dtype), limits.get(where), roofs.get(where)
            )
            if len(c.clocked) == rounds:
                timed = timed.model_copy(update={"device": clock(c.clocked)})
        found.append(
            Row(
                port=c.name,
                workload=c.workload.name,
                dtype=c.dtype,
                status=c.verdict.status,
                margin=c.verdict.margin,
                reason=c.verdict.reason,
                timed=timed,
            )
        )
    return found


def clock(rounds: Sequence[Clocked]) -> Clock:
    """What the device's own clock said in all rounds."""
    return Clock(
        ns_per_iteration=Interval.of(estimate([one.line.slope * 1e9 for one in rounds])),
        copies_ms=Interval.of(estimate([one.copies * 1e3 for one in rounds])),
    )


def speed(
    counts: list[int],
    lines: Sequence[Line],
    basis: Sequence[Line] | None,
    limit_ns: float | None,
    roof: Roofline | None,
) -> Timed:
    """The speed that the lines of all rounds tell, and how it compares."""
    ns = estimate([one.slope * 1e9 for one in lines])
    faster = ratio(lines, basis) if basis else None
    known = ns.value > 0  # a slope that is lost in the noise has no fraction of anything
    gflops = roof.gflop / ns.value * 1e9 if roof and known else None
    return Timed(
        counts=counts,
        ns_per_iteration=Interval.of(ns),
        fixed_ms=Interval.of(estimate([one.fixed * 1e3 for one in lines])),
        ratio_to_numpy=Interval.of(faster) if faster else None,
        of_limit=limit_ns / ns.value if limit_ns and known else None,
        of_gemm=gflops / (roof.gflops_peak * roof.gemm_share) if roof and gflops else None,
        rounds=[Round(ns_per_iteration=one.slope * 1e9, fixed_ms=one.fixed * 1e3) for one in lines],
    )
