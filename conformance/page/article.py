"""The article's network on the page: its error curve, and how far ports and bugs stray from it."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from conformance.ground.places import BUILD, CASES
from conformance.ground.terminal import progress
from conformance.record.models import Results
from conformance.suite import known_bugs, traces
from conformance.suite.compare import Expected, compare, farthest
from conformance.suite.known_bugs import KnownBug
from conformance.suite.traces import Trace
from reference.cases.case import Case, load
from reference.cases.tables import DType
from reference.files import write_atomically
from reference.golden.derive import DTYPES, source_sha256
from reference.golden.parallel import in_parallel
from reference.golden.tensors import Points

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

Answers = dict[str, Points]  # of known bugs, by their ids


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
    bugs: dict[DType, Answers]

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
    found = answers(exact)
    return Article(case, exact, {d: _wrong(trace, found[d]) for d, trace in exact.items()})


def judged_here(results: Results) -> bool:
    """True where the results have the article's case as it is in this clone."""
    now = traces.sha256(load(CASES / f"{CASE}.toml"))
    return any(c.case == CASE and c.sha256 == now for c in results.cases)


def _wrong(trace: Trace, found: Answers) -> Answers:
    """Of the answers of known bugs, those that are wrong in this dtype."""
    return {
        bug: run
        for bug, run in found.items()
        if any(
            compare(got, due, trace.dtype).first
            for (_, got), (_, due) in zip(run, trace.run.expected, strict=True)
        )
    }


def answers(exact: dict[DType, Trace]) -> dict[DType, Answers]:
    """What the known bugs answer at the checkpoints, by dtype.

    It takes seconds to compute, so it is kept for the next report, as far as that can be done.
    """
    file = kept(exact[DTYPES[0]].case)
    with contextlib.suppress(Exception):  # it is missing, or somebody has changed it
        lists = json.loads(file.read_bytes())
        return {dtype: _from_lists(trace, lists[dtype]) for dtype, trace in exact.items()}
    progress("running the article's network with known bugs, to draw how far they stray ...")
    runs = [partial(_computed, trace) for trace in exact.values()]
    found = dict(zip(exact, in_parallel(runs), strict=True))
    with contextlib.suppress(OSError):
        write_atomically(file, json.dumps(found, default=np.ndarray.tolist))
    return found


def kept(case: Case) -> Path:
    """The file of these answers: another one whenever something that they come from changes."""
    sources = map(known_bugs.source, _bugs())
    key = "\n".join([case.sha256, source_sha256(), np.__version__, *sources])
    return BUILD / "article" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"


def _bugs() -> list[KnownBug]:
    return [known_bugs.catalogue()[bug][0] for bug in BUGS]


def _computed(trace: Trace) -> Answers:
    return {bug.id: [*known_bugs.answer(bug, trace.run.check).items()] for bug in _bugs()}


def _from_lists(trace: Trace, lists: dict[str, Any]) -> Answers:
    """Answers as JSON has them. Raises some error if they are anything else."""
    found = {
        bug: [
            (n, [(name, np.array(value, trace.dtype)) for name, value in point])
            for n, point in lists[bug]
        ]
        for bug in BUGS
    }
    for run in found.values():
        if [
            (n, [(name, a.shape) for name, a in point]) for n, point in run
        ] != trace.run.check.shapes:
            raise ValueError
    return found
