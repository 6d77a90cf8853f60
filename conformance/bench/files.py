"""The file that `make bench` writes. Its JSON schema is conformance/contract/bench.schema.json."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from conformance.bench.statistics import Estimate
from conformance.ground.statuses import Status
from conformance.record.machine import Machine
from conformance.record.models import Measured, PortInfo, once, within
from conformance.verdict.verdict import Count, Model, Reason
from reference.cases.tables import DType

Positive = Annotated[float, Field(ge=1e-18, le=1e18)]
Several = Annotated[int, Field(ge=1, le=10**9)]


class Interval(Model):
    """A median over rounds, with its 95 % bootstrap interval."""

    value: Measured
    low: Measured
    high: Measured

    @model_validator(mode="after")
    def _inside(self) -> Self:
        within(self.low, self.value, self.high)
        return self

    @classmethod
    def of(cls, found: Estimate) -> "Interval":
        """An estimate as the file has it."""
        return cls(**found._asdict())


class Round(Model):
    """The line through one round: nanoseconds per iteration, and the fixed milliseconds."""

    ns_per_iteration: Measured
    fixed_ms: Measured


class Clock(Model):
    """Times by the device's own clock: computing, per iteration, and the copies, per run."""

    ns_per_iteration: Interval
    copies_ms: Interval


class Timed(Model):
    """The speed of one target. A ratio is how many times faster than NumPy it is, round by round.

    `of_limit` is the limit's time divided by this one's. `of_gemm` is the speed of its matrix
    products, as if it did nothing else, divided by the measured peak times the products' share of
    the work.
    """

    counts: list[Count]
    ns_per_iteration: Interval
    fixed_ms: Interval
    ratio_to_numpy: Interval | None
    of_limit: Positive | None
    of_gemm: Positive | None
    rounds: list[Round]
    device: Clock | None = None

    @property
    def resolved(self) -> bool:
        """True if the clock can tell an iteration's time from 0; if not, it is not shown."""
        return self.ns_per_iteration.low > 0


class Row(Model):
    """One target on one workload: its status, and its speed if it was timed.

    `margin` is the worst deviation as a multiple of the tolerance.
    """

    port: str
    workload: str
    dtype: DType
    status: Status
    margin: Annotated[float, Field(ge=0)] | None
    reason: Reason
    timed: Timed | None


class Link(Model):
    """A kind of operation in the chain that every iteration needs."""

    name: str
    count: Annotated[float, Field(ge=0, le=1e18)]
    ns: Annotated[float, Field(ge=0, le=1e18)]


class Said(Model):
    """What a rung's program prints: the least time of an iteration, and the parts it adds up."""

    limit_ns: Positive
    links: list[Link]


class Latency(Model):
    """The least time of an iteration of 3-4-1 in float64, as a rung states it.

    Its program ran before the first round and after the last; the smaller limit counts.
    """

    port: str
    workload: str
    limit_ns: Positive
    runs: Annotated[list[Said], Field(min_length=1)]


class Roofline(Model):
    """The least time of an iteration of a large network, from the machine's measured speed.

    conformance/bench/limits.py has the formulas. `samples` are what each round measured.
    """

    workload: str
    dtype: DType
    gflops_peak: Positive
    gbytes_per_s: Positive
    gflop: Positive
    gbytes: Annotated[float, Field(ge=0, le=1e18)]  # 0 where all fits into caches
    gemm_share: Positive
    limit_ns: Positive
    rounds_gflops: list[Positive]
    rounds_gbytes_per_s: list[Positive]


def least_times(
    latencies: Iterable[Latency], rooflines: Iterable[Roofline]
) -> dict[tuple[str, DType], float]:
    """The limit in nanoseconds, by workload and dtype; if several rungs state one, the smallest."""
    found: dict[tuple[str, DType], float] = {(r.workload, r.dtype): r.limit_ns for r in rooflines}
    for latency in sorted(latencies, key=lambda latency: -latency.limit_ns):
        found[latency.workload, "float64"] = latency.limit_ns
    return found


class Setting(Model):
    """How a workload was run: how many networks, and how many samples in a batch."""

    workload: str
    samples: Several
    networks: Several = 1
    threads: Several
    cores: list[Count]
    environment: dict[str, str]
    gflop: Positive


class LeftOut(Model):
    """What was not run, and why: in one dtype or in both, on one workload or on "all"."""

    name: str
    workload: str
    reason: Reason
    dtype: DType | None = None


class Bench(Model):
    """The whole file; not `complete` if the run was interrupted."""

    format: Literal[1] = 1
    complete: bool
    machine: Machine
    settings: list[Setting]
    ports: list[PortInfo]
    rows: list[Row]
    latencies: list[Latency]
    rooflines: list[Roofline]
    left_out: list[LeftOut]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        settings = once("settings", ((s.workload,) for s in self.settings))
        ports = once("entries", ((p.port,) for p in self.ports))
        rows = once("rows", ((r.port, r.workload, r.dtype) for r in self.rows))
        once("limits", ((r.workload, r.dtype) for r in self.rooflines))
        for key in sorted(rows):
            if key[:1] not in ports or key[1:2] not in settings:
                raise ValueError(
                    f"a row for {', '.join(key)}, but no entry of that port or workload"
                )
        return self
