"""How small an error in one line of the algorithm the cases catch.

Each line of sensitivity.toml is a copy of the C port in which one line is off by a relative error.
The smallest such error that any case catches is found by bisection over powers of two.
"""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from conformance.ground.places import BUILD, CASES
from conformance.record.models import Sensitivity
from conformance.selftest import variants
from conformance.selftest.variants import Variant
from conformance.suite.traces import Trace, load
from conformance.targets import build
from conformance.verdict.diagnosis import MAX_ITERATIONS
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from reference.cases.case import Case
from reference.cases.tables import DType, Strict
from reference.golden.derive import DTYPES

CATALOGUE = Path(__file__).parent / "sensitivity.toml"
MEASURED = CATALOGUE.with_suffix(".json")
MOST = {"float64": 2e-14, "float32": 1e-5}  # a line that is only seen above that is a failure
FOLDER = BUILD / "teeth"
# An error of 2 to this power is surely caught; and the least that adding to 1 does not lose.
COARSE = {"float64": -20, "float32": -4}
FINE = {"float64": -52, "float32": -23}


class Line(Strict):
    """A line of the C port, and the same line with a relative error NUDGE."""

    name: str = Field(min_length=1)
    old: str
    new: str


def catalogue() -> list[Line]:
    """All lines, in the order of the file."""
    table = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return [Line.model_validate(entry) for entry in table["line"]]


def lines(cases: Sequence[Case]) -> list[tuple[str, DType]]:
    """What is measured: each line in each dtype, if the cases include all of the suite's own."""
    whole = {*CASES.glob("*.toml")} <= {case.path for case in cases}
    return [(line.name, dtype) for line in catalogue() for dtype in DTYPES] if whole else []


def rendered(found: Sequence[Sensitivity]) -> str:
    """The file of what was measured: the least error by line and dtype."""
    least: dict[str, dict[str, float]] = {}
    for entry in found:
        least.setdefault(entry.line, {})[entry.dtype] = entry.least
    return json.dumps(least, indent=1) + "\n"


def sensitivity(name: str, dtype: DType, cases: Sequence[Case]) -> Sensitivity:
    """The smallest power of two that is caught as a relative error of a line, and by which case.

    Raises ValueError if a line does not occur exactly once in the C port, or if its error is not
    caught even where it is largest.
    """
    [line] = [line for line in catalogue() if line.name == name]
    folder = FOLDER / f"{''.join(c if c.isalnum() else '-' for c in name)}-{dtype}"
    traces = [
        (case, replace(load(case)[dtype].upto(MAX_ITERATIONS), diagnosed=False))
        for case in sorted(cases, key=lambda case: case.iterations)  # the cheapest first
    ]
    caught, missed = COARSE[dtype], FINE[dtype] - 1
    best = first_wrong(line, caught, folder, traces)
    if best is None:
        raise ValueError(f"a relative error of 2^{caught} in {line.name!r} is not caught")
    while caught - missed > 1:
        middle = (caught + missed) // 2
        found = first_wrong(line, middle, folder, traces)
        if found is None:
            missed = middle
        else:
            caught, best = middle, found
    where = best.divergence
    return Sensitivity(
        line=line.name,
        dtype=dtype,
        least=2.0**caught,
        case=best.case,
        tensor=where.tensor if where else "",
    )


def first_wrong(
    line: Line, power: int, folder: Path, traces: Sequence[tuple[Case, Trace]]
) -> Verdict | None:
    """The first verdict that is wrong with an error of 2 to this power, if there is one."""
    flags = ["-O2", f"-DNUDGE={2.0**power!r}"]
    nudged = Variant(id=line.name, compiler="gcc", flags=flags, patches=[[line.old, line.new]])
    judge = Judge(build.prepare(variants.make(nudged, folder))[0])
    try:
        for case, trace in traces:
            verdict = judge.judge(case, trace)
            if verdict.status.wrong:
                return verdict
    finally:
        judge.close()
    return None
