"""All of `make bench`: prepares the targets, races each workload, and gathers the results."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from conformance.bench import limits
from conformance.bench.admission import TOO_SLOW_S, admit
from conformance.bench.files import Bench, Latency, LeftOut, Roofline, Row, Said, Setting
from conformance.bench.options import Plan
from conformance.bench.race import Contender, pinned, race
from conformance.bench.summary import rows
from conformance.bench.workloads import Workload
from conformance.ground.statuses import Status
from conformance.ground.terminal import progress
from conformance.record import models
from conformance.record.machine import machine
from conformance.suite.traces import Trace
from conformance.targets import build, manifest
from conformance.targets.build import NotReady, Ready
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from conformance.wire.bulk import BulkClient
from conformance.wire.client import Client
from reference.cases.tables import DType
from reference.golden.checks import RunCheck

# What libraries read to know how many threads they may have; NPROC is for XLA.
VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "GOMAXPROCS", "RAYON_NUM_THREADS", "NPROC"),
)
MOST_NUMBERS = 100_000  # of data in JSON lines

# Well-known libraries in C that do different work, so their time would say nothing.
OTHER_WORK = [
    LeftOut(
        name="genann",
        workload="all",
        reason="it changes the weights after each sample, and not after each batch, and its "
        "sigmoid is the nearest of 4096 entries of a table",
    ),
    LeftOut(
        name="FANN",
        workload="all",
        reason="it computes the sigmoid's slope from an output that is clipped to 0.01 ... 0.99, "
        "and each of its layers has a bias unit",
    ),
]


@dataclass
class Tournament:
    """A race for each workload; the fields are the results so far.

    Raises PortError for a user's mistake.
    """

    plan: Plan
    settings: list[Setting] = field(default_factory=list)
    infos: dict[str, models.PortInfo] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    rooflines: list[Roofline] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=lambda: list(OTHER_WORK))

    def __post_init__(self) -> None:
        chosen = manifest.select(self.plan.ports)
        progress(f"building {len(chosen)} ports, where that is not done yet")
        with ThreadPoolExecutor() as pool:
            prepared = [ready for group in pool.map(build.prepare, chosen) for ready in group]
        self._prepared: list[Ready | NotReady] = []
        for one in prepared:
            if isinstance(one, NotReady) and one.missing:
                self._leave_out(one.target.name, "all", one.reason)
            elif not one.target.emulated:  # its time says nothing about the device
                self._prepared.append(one)

    def time(self) -> None:
        """Race the workloads, one after the other."""
        for workload in self.plan.workloads:
            allowed = sorted(os.sched_getaffinity(0))
            threads = self.plan.threads or (len(allowed) if workload.all_cores else 1)
            setting = Setting(
                workload=workload.name,
                samples=workload.samples,
                networks=workload.networks,
                threads=threads,
                cores=allowed[-threads:],  # the system's own work is on the first ones
                environment=dict.fromkeys(VARIABLES, str(threads)),
                gflop=workload.flops / 1e9,
            )
            self.settings.append(setting)
            # The harness keeps off the processors that it times, if there are enough.
            away = set(allowed) - set(setting.cores) or set(allowed)
            with tempfile.TemporaryDirectory(prefix="bench-") as folder, pinned(away):
                self._race(workload, setting, Path(folder))

    def file(self, *, complete: bool) -> Bench:
        """Everything so far."""
        return Bench(
            complete=complete,
            machine=machine(),
            settings=self.settings,
            ports=list(self.infos.values()),
            rows=self.rows,
            latencies=self.latencies,
            rooflines=self.rooflines,
            left_out=self.left_out,
        )

    def _race(self, workload: Workload, setting: Setting, folder: Path) -> None:
        judges = self._judges(workload, setting, folder)
        said: dict[str, list[Said]] = {}
        probes: list[limits.Probe] = []
        contenders: list[Contender] = []

        def between() -> None:
            if workload.generated and workload.networks == 1:
                with pinned(setting.cores):
                    probes.append(limits.probe(setting.threads, setting.environment))

        try:
            contenders = self._contenders(workload, judges, setting)
            self._measure_latencies(workload, setting, said)
            for i, c in enumerate(contenders, 1):
                where = f"{c.name} {c.dtype} ({i} of {len(contenders)})"
                progress(f"{workload.name}: judging {where}")
                admit(c, workload)
            race(workload.name, contenders, self.plan.rounds, between)
            self._measure_latencies(workload, setting, said)
        finally:
            for judge in judges:
                judge.close()
                self.infos[judge.target.name] = models.port_info(judge)
            self.latencies += [limits.latency(name, workload, runs) for name, runs in said.items()]
            if probes:
                dtypes = dict.fromkeys(contender.dtype for contender in contenders)
                self.rooflines += [limits.roofline(workload, dtype, probes) for dtype in dtypes]
            judged = [c for c in contenders if c.verdict.status != Status.SKIP]
            for c in contenders:
                if c.verdict.status == Status.SKIP:
                    self._leave_out(c.name, workload.name, c.verdict.reason, c.dtype)
            self.rows += rows(
                workload.name, judged, self.plan.rounds, self.latencies, self.rooflines
            )

    def _judges(self, workload: Workload, setting: Setting, folder: Path) -> list[Judge]:
        """A client for each target, except those to which the workload cannot be sent."""
        judges = []
        for one in self._prepared:
            in_json = one.target.port.manifest.kind == "process"
            if isinstance(one, NotReady):
                judges.append(Judge(one))
            elif in_json and workload.numbers > MOST_NUMBERS:
                asked = f"a request would have {workload.numbers:,} numbers"
                reason = f"it speaks JSON lines, and {asked}"
                self._leave_out(one.target.name, workload.name, reason)
            else:
                writes = (*one.writes, folder)
                one = replace(one, env=one.env | setting.environment, writes=writes)
                bulk = workload.generated and not in_json
                client = partial(BulkClient, folder=folder) if bulk else Client
                judges.append(Judge(one, client, filled=False))
        return judges

    def _contenders(
        self, workload: Workload, judges: list[Judge], setting: Setting
    ) -> list[Contender]:
        """Each target in each dtype, except those already known to be too slow."""
        asked: dict[DType, tuple[Trace, RunCheck]] = {}
        found = []
        for judge in judges:
            name, in_json = judge.target.name, judge.target.port.manifest.kind == "process"
            for dtype in (dtype for dtype in self.plan.dtypes if dtype in judge.target.dtypes):
                if (reason := self._too_slow(name, dtype, workload)) is not None:
                    self._leave_out(name, workload.name, reason, dtype)
                    continue
                if dtype not in asked:
                    progress(f"{workload.name}: what is expected in {dtype}")
                    asked[dtype] = workload.trace(dtype), workload.run(dtype)
                contender = Contender(
                    judge,
                    *asked[dtype],
                    workload.turn_s,
                    Verdict.without_numbers(
                        name, workload.case.id, dtype, Status.SKIP, "the run was interrupted"
                    ),
                    cores=setting.cores,
                    has_clock=judge.target.device is not None and not in_json,
                    whole=workload.expected,
                )
                found.append(contender)
        return found

    def _too_slow(self, name: str, dtype: DType, workload: Workload) -> str | None:
        """Why a target is not tried: its time on a smaller network, or on fewer, is too long."""
        mine = [row for row in self.rows if (row.port, row.dtype) == (name, dtype)]
        if workload.networks > 1:
            fewer = {w.name for w in self.plan.workloads if 1 < w.networks < workload.networks}
            slow = [row.workload for row in mine if row.workload in fewer and not row.timed]
            return f"it was not timed on {slow[0]}" if slow else None
        if self.plan.ports or not workload.generated:
            return None
        smaller = {w.name: w for w in self.plan.workloads if w.generated and w.networks == 1}
        for row in mine:
            if row.timed and row.workload in smaller:
                ns_per_flop = row.timed.ns_per_iteration.value / smaller[row.workload].flops
                seconds = ns_per_flop * workload.flops / 1e9
                if seconds > TOO_SLOW_S:
                    return (
                        f"after {row.workload}, an iteration would take about {seconds:.0f} s; "
                        f"name the port to try it anyway"
                    )
        return None

    def _measure_latencies(
        self, workload: Workload, setting: Setting, said: dict[str, list[Said]]
    ) -> None:
        """Run the programs of rungs that state a limit; if one fails, its limit is missing."""
        for one in self._prepared:
            rung = one.target.rung
            if isinstance(one, NotReady) or workload.generated or not (rung and rung.limit):
                continue
            name = one.target.name
            progress(f"{workload.name}: measuring the limit of {name}")
            try:
                with pinned(setting.cores):
                    measured = limits.measure_latency(one.target, rung.limit)
                said.setdefault(name, []).append(measured)
            except limits.LimitError as error:
                self._leave_out(f"limit of {name}", workload.name, str(error))

    def _leave_out(self, name: str, workload: str, reason: str, dtype: DType | None = None) -> None:
        self.left_out.append(LeftOut(name=name, workload=workload, reason=reason, dtype=dtype))
