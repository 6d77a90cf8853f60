"""Time against the number of networks, and against the size of layers, and who is fastest where.

The files of `make bench` on several machines come into one picture: a processor's times and a
GPU's. A point is the time of one network's iteration. Where the fastest changes from one point to
the next, the crossover is where straight lines between these points meet, in logarithms.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.bench import plot
from conformance.bench.files import Bench
from conformance.bench.workloads import SWEEPS
from reference.cases.tables import DType
from reference.golden.derive import DTYPES

AXES = {"ensembles": "networks side by side", "layers": "GFLOP in an iteration's matrix products"}


@dataclass(frozen=True)
class Curves:
    """One sweep in one dtype: for each target, nanoseconds of a network's iteration by x."""

    sweep: str
    dtype: DType
    ns: Mapping[str, Mapping[float, float]]
    on_device: frozenset[str]  # those that do not run on a processor's cores

    def fastest(self) -> list[tuple[float, str]]:
        """The x of each point, and who is fastest there."""
        all_x = sorted({x for line in self.ns.values() for x in line})
        return [
            (x, min((t for t in self.ns if x in self.ns[t]), key=lambda t: self.ns[t][x]))
            for x in all_x
        ]

    def crossovers(self) -> list[str]:
        """A sentence for each change of the fastest, and one for the first."""
        points = self.fastest()
        name = {"ensembles": "networks", "layers": "GFLOP"}[self.sweep]
        (first, who), *_ = points
        found = [f"fastest at {first:.3g} {name}: {who}"]
        for (a, before), (b, after) in itertools.pairwise(points):
            if before != after:
                at = self._meeting(before, after, a, b)
                where = f"from about {at:.2g}" if at else f"between {a:.3g} and {b:.3g}"
                found.append(f"fastest {where} {name} on: {after}")
        return found

    def _meeting(self, before: str, after: str, a: float, b: float) -> float | None:
        """Where both lines meet; None if one of them was not measured at both ends."""
        one, other = self.ns[before], self.ns[after]
        if not {a, b} <= one.keys() & other.keys():
            return None
        ahead, behind = math.log(other[a] / one[a]), math.log(one[b] / other[b])
        return math.exp(math.log(a) + math.log(b / a) * ahead / (ahead + behind))


def curves(files: Sequence[Bench]) -> list[Curves]:
    """All sweeps for which the files have at least two points."""
    found = []
    for sweep, workloads in SWEEPS.items():
        names = {workload.name for workload in workloads}
        for dtype in DTYPES:
            ns: dict[str, dict[float, float]] = {}
            devices = set()
            for bench in files:
                settings = {s.workload: s for s in bench.settings}
                infos = {info.port: info.device or "" for info in bench.ports}
                for row in bench.rows:
                    if row.workload not in names or row.dtype != dtype:
                        continue
                    if not (row.timed and row.timed.resolved):
                        continue
                    time = row.timed.ns_per_iteration.value
                    networks = settings[row.workload].networks
                    x = float(networks) if sweep == "ensembles" else settings[row.workload].gflop
                    target = row.port
                    if len(files) > 1:
                        where = infos.get(row.port, "")
                        here = bench.machine.processor if where.startswith("cpu") else where
                        target = f"{row.port}, {here}"
                    if not infos.get(row.port, "cpu").startswith("cpu"):
                        devices.add(target)
                    # The faster of two runs on the same machine.
                    line = ns.setdefault(target, {})
                    line[x] = min(time / networks, line.get(x, math.inf))
            if len({x for line in ns.values() for x in line}) > 1:
                found.append(Curves(sweep, dtype, ns, frozenset(devices)))
    return found


def sentences(found: Iterable[Curves]) -> list[str]:
    """Who is fastest where, for people to read."""
    return [f"{one.sweep}, {one.dtype}: {line}" for one in found for line in one.crossovers()]


def draw(found: Sequence[Curves], path: Path) -> str:
    """Write the plot, a panel for each sweep and dtype; say where it is."""
    pyplot = plot.set_up("curves")
    figure, axes = pyplot.subplots(
        len(found), squeeze=False, figsize=(9, 5 * len(found)), layout="constrained"
    )
    for axis, one in zip(axes[:, 0], found, strict=True):
        panel(axis, one)
    return plot.save(pyplot, figure, path)


def panel(axis: Any, one: Curves) -> None:
    """A target that is fastest somewhere has a thick line; solid for a device, dashed for a CPU."""
    best = {target for _, target in one.fastest()}
    for target, line in sorted(one.ns.items(), key=lambda pair: min(pair[1].values())):
        x = sorted(line)
        style = "-" if target in one.on_device else "--"
        width = 2.0 if target in best else 0.8
        axis.plot(
            x,
            [line[i] for i in x],
            style,
            marker="o",
            markersize=3,
            linewidth=width,
            label=plot.named(target),
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_title(f"{one.sweep}, {one.dtype}")
    axis.set_xlabel(AXES[one.sweep])
    axis.set_ylabel("ns of a network's iteration")
    axis.grid(which="both", alpha=0.2)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=6)
