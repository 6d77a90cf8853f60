"""The result of a race: rows for targets and dtypes, with their speed beside NumPy and limits."""

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
from conformance.bench.statistics import Fit, estimate, ratio

BASIS = "numpy"  # all other ports are compared with this one


def rows(
    workload: str,
    contenders: Sequence[Contender],
    rounds: int,
    latencies: Sequence[Latency],
    rooflines: Sequence[Roofline],
) -> list[Row]:
    """Everything that was judged, and the speed of targets that finished all rounds."""
    basis = {c.dtype: c.fits for c in contenders if c.name == BASIS and len(c.fits) == rounds}
    roofs = {(roof.workload, roof.dtype): roof for roof in rooflines}
    limits = least_times(latencies, rooflines)
    found = []
    for c in contenders:
        timed = None
        if len(c.fits) == rounds:
            where = workload, c.dtype
            timed = speed(c.counts, c.fits, basis.get(c.dtype), limits.get(where), roofs.get(where))
            if len(c.clocked) == rounds:
                timed = timed.model_copy(update={"device": clock(c.clocked)})
        found.append(
            Row(
                port=c.name,
                workload=workload,
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
        ns_per_iteration=Interval.of(estimate([one.fit.slope * 1e9 for one in rounds])),
        copies_ms=Interval.of(estimate([one.copies * 1e3 for one in rounds])),
    )


def speed(
    counts: list[int],
    fits: Sequence[Fit],
    basis: Sequence[Fit] | None,
    limit_ns: float | None = None,
    roof: Roofline | None = None,
) -> Timed:
    """The speed from the fits of all rounds, and how it compares."""
    ns = estimate([one.slope * 1e9 for one in fits])
    faster = ratio(fits, basis) if basis else None
    known = ns.low > 0  # a slope that is lost in the noise has no fraction of anything
    gflops = roof.gflop / ns.value * 1e9 if roof and known else None
    return Timed(
        counts=counts,
        ns_per_iteration=Interval.of(ns),
        fixed_ms=Interval.of(estimate([one.fixed * 1e3 for one in fits])),
        ratio_to_numpy=Interval.of(faster) if faster else None,
        of_limit=limit_ns / ns.value if limit_ns and known else None,
        of_gemm=gflops / (roof.gflops_peak * roof.gemm_share) if roof and gflops else None,
        rounds=[Round(ns_per_iteration=one.slope * 1e9, fixed_ms=one.fixed * 1e3) for one in fits],
    )
