"""The article's network on the page: its error curve, and how far ports and bugs stray from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from conformance.ground.places import CASES
from conformance.record.models import Results
from conformance.suite import known_bugs, traces
from conformance.suite.compare import Expected, compare, farthest
from conformance.suite.traces import Trace
from reference.cases.case import Case, load
from reference.cases.tables import DType
from reference.golden.derive import DTYPES
from reference.golden.parallel import in_parallel
from reference.golden.tensors import Tensors

CASE = "three-layer"
# Printed by the article's second program.
PRINTED = {
    0: 0.496410031903,
    10_000: 0.00858452565325,
    20_000: 0.00578945986251,
    30_000: 0.00462917677677,
    40_000: 0.00395876528027,
    50_000: 0.00351012256786,
}
# Known bugs for scale: a usual one, one that heals with time, and one that is small.
BUGS = ("updated-weights-in-backward", "update-lost", "deltas-in-float32")


@dataclass(frozen=True)
class Line:
    """Values at iterations: errors, or deviations in ulps."""

    name: str
    iterations: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True)
class Band:
    """In ulps, at each checkpoint: how far correct runs strayed, and the tolerance."""

    iterations: Sequence[int]
    noise: Sequence[float]
    tolerance: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """The drift of one tensor in one dtype, of all ports that gave it, and of known bugs."""

    tensor: str
    dtype: DType
    ports: list[Line]
    bugs: list[Line]
    band: Band


@dataclass(frozen=True)
class Article:
    """The case with its exact trajectory, and what the known bugs answer, by dtype."""

    case: Case
    exact: dict[DType, Trace]
    bugs: dict[DType, dict[str, list[tuple[int, Tensors]]]]

    def errors(self) -> list[Line]:
        """The exact error at each checkpoint, and that of each bug: all of them fall."""
        exact = self.exact["float64"].run.expected
        wrong = self.bugs["float64"]
        return [
            Line(
                "exact", [n for n, _ in exact], [float(dict_of(t)["error"].value) for _, t in exact]
            ),
            *(
                Line(bug, [n for n, _ in run], [float(dict(t)["error"]) for _, t in run])
                for bug, run in wrong.items()
            ),
        ]

    def panels(self, results: Results) -> list[Panel]:
        """A panel for each tensor and dtype."""
        return [
            self._panel(results, tensor.name, dtype)
            for dtype, trace in self.exact.items()
            for tensor in trace.run.expected[0][1]
        ]

    def _panel(self, results: Results, tensor: str, dtype: DType) -> Panel:
        golden = {n: dict_of(tensors)[tensor] for n, tensors in self.exact[dtype].run.expected}
        unit = {n: ulp(t, dtype) for n, t in golden.items()}
        ports = [
            Line(
                r.port,
                d.iterations,
                [
                    np.inf if deviation is None else deviation / unit[n]
                    for n, deviation in zip(d.iterations, d.deviations, strict=True)
                ],
            )
            for r in results.results
            for d in r.drift
            if (r.case, r.dtype, d.tensor) == (self.case.id, dtype, tensor)
        ]
        bugs = [
            Line(
                bug,
                [n for n, _ in run],
                [farthest(dict(t)[tensor], golden[n].value) / unit[n] for n, t in run],
            )
            for bug, run in self.bugs[dtype].items()
        ]
        band = Band(
            list(golden),
            [t.noise / unit[n] for n, t in golden.items()],
            [t.tolerance / unit[n] for n, t in golden.items()],
        )
        return Panel(tensor, dtype, ports, bugs, band)


def dict_of(tensors: Iterable[Expected]) -> dict[str, Expected]:
    """Golden tensors by name."""
    return {t.name: t for t in tensors}


def ulp(tensor: Expected, dtype: DType) -> float:
    """The unit in the last place of a tensor's largest element, in a dtype."""
    return float(np.spacing(np.dtype(dtype).type(np.abs(tensor.value).max())))


@cache
def article() -> Article:
    """The article's network as it is in this clone, with runs of the known bugs."""
    case = load(CASES / f"{CASE}.toml")
    exact = traces.load(case)
    runs = [partial(_wrong_runs, exact[dtype]) for dtype in DTYPES]
    return Article(case, exact, dict(zip(DTYPES, in_parallel(runs), strict=True)))


def judged_here(results: Results) -> bool:
    """True where the results have the article's case as it is in this clone."""
    now = traces.sha256(load(CASES / f"{CASE}.toml"))
    return any(c.case == CASE and c.sha256 == now for c in results.cases)


def _wrong_runs(trace: Trace) -> dict[str, list[tuple[int, Tensors]]]:
    """The answers of each known bug at the checkpoints, if it is a bug in this dtype."""
    found = {}
    for bug in BUGS:
        run = known_bugs.answer(known_bugs.catalogue()[bug][0], trace.run.check)
        compared = [compare(run[n], wanted, trace.dtype) for n, wanted in trace.run.expected]
        if any(one.first for one in compared):
            found[bug] = list(run.items())
    return found
