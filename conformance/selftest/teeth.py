"""Does the suite bite, and only what it should? `make teeth` measures both margins.

Power: every known bug must exceed the tolerance at least MIN_MARGIN times somewhere, and at least a
tenth as often as when margins.json was written, and must be recognised there by its name. Margin:
every correct variant must stay below MAX_MARGIN of the tolerance everywhere. Sensitivity: a small
relative error in any line of the algorithm must be caught.

`make teeth UPDATE=1` writes margins.json and sensitivity.json, which nobody edits by hand.
"""

import argparse
import contextlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import track

from conformance.ground.places import BUILD, HERE, case_files, from_here, typed
from conformance.ground.statuses import Status
from conformance.ground.terminal import console
from conformance.record import store, tables
from conformance.record.machine import machine
from conformance.record.models import (
    Kill,
    Results,
    Sensitivity,
    Teeth,
    TeethMutant,
    TeethVariant,
)
from conformance.selftest import sensitivity, variants
from conformance.suite import known_bugs, traces
from conformance.suite.compare import compare
from conformance.suite.known_bugs import KnownBug
from conformance.suite.traces import Trace
from conformance.targets import build
from conformance.verdict import diagnosis
from conformance.verdict.diagnosis import Answer, Checked
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import finite
from reference.algorithm import network
from reference.arithmetic.randomised import Randomised
from reference.cases.case import Case, load, load_all
from reference.cases.pairs import PREFIX
from reference.cases.tables import DType
from reference.errors import reading
from reference.golden import derive
from reference.golden.checks import Check
from reference.golden.parallel import in_parallel
from reference.golden.tensors import Tensors

MIN_MARGIN = 10.0
MAX_MARGIN = 0.5
MARGINS = HERE / "selftest" / "margins.json"  # of each known bug; null where it is infinite
LEAST_PART = 0.1  # of the margin there
AGAIN = f"{typed('teeth', update='1')} writes the margins of now"
# Replicas of randomised rounding that no tolerance was derived from.
UNSEEN_REPLICAS = 16
UNSEEN_SEED = derive.SEED + 1
FOLDER = BUILD / "teeth"
Entry = TeethMutant | TeethVariant | Sensitivity


@dataclass(frozen=True)
class _Attempt:
    """A known bug's answer to a case, with its margin and where that is."""

    case: Case
    answer: Answer
    kill: Kill


def main(arguments: argparse.Namespace) -> int:
    """Measure, print and write the margins; 1 if one is lost."""
    store.check_writable(arguments.results)
    out, folder = console(), arguments.cases
    cases = load_all(folder) if folder else [load(path) for path in case_files().values()]
    measured = track(measure(cases), "measuring", count(cases), console=Console(stderr=True))
    entries = list(measured)
    found = Teeth(
        mutants=[e for e in entries if isinstance(e, TeethMutant)],
        variants=[e for e in entries if isinstance(e, TeethVariant)],
        lines=[e for e in entries if isinstance(e, Sensitivity)],
    )
    tables.show_teeth(out, found)
    gone = [f"{name_of(e)} {why}" for e in entries if (why := lost(e)) is not None]
    if folder is None:  # fewer cases have smaller margins
        now = {bug.id: bug.killed_by.margin for bug in found.mutants}
        if arguments.update:
            store.write_data(MARGINS, rendered(now))
            store.write_data(sensitivity.MEASURED, sensitivity.rendered(found.lines))
        gone += shrunk(now, committed())
    for line in gone:
        out.print(f"LOST {line}", style="bold red", soft_wrap=True)
    nothing = dict.fromkeys(("ports", "cases", "results", "capabilities", "timings"), ())
    whole = {"complete": True, "machine": machine(), "teeth": found, **nothing}
    store.write(arguments.results, Results.model_validate(whole))
    return 1 if gone else 0


def committed(path: Path = MARGINS) -> dict[str, float | None]:
    """The margin of each known bug when the file was written; none if there is no file.

    Raises ResultsError if it is not one that `rendered` makes.
    """
    if not path.exists():
        return {}
    with reading(path, store.ResultsError, "a file of margins"):
        return TypeAdapter(dict[str, float | None]).validate_json(path.read_bytes())


def rendered(margins: Mapping[str, float | None]) -> str:
    """The file for these margins, each to three digits."""
    rounded = {bug: m if m is None else float(f"{m:.3g}") for bug, m in sorted(margins.items())}
    return json.dumps(rounded, indent=1, allow_nan=False) + "\n"


def shrunk(now: Mapping[str, float | None], before: Mapping[str, float | None]) -> list[str]:
    """A sentence on each known bug whose margin is far below the committed one, or has none."""
    told = []
    for bug, margin in now.items():
        if bug not in before:
            told.append(f"{bug} has no margin in {from_here(MARGINS)}: {AGAIN}")
            continue
        was = math.inf if (found := before[bug]) is None else found
        if not (math.inf if margin is None else margin) >= LEAST_PART * was:
            told.append(
                f"{bug} is {margin:.3g} times the tolerance now, and was {was:.3g} times in "
                f"{from_here(MARGINS)}: the suite sees it less well; if that is meant, {AGAIN}"
            )
    gone = before.keys() - now.keys()
    return told + [f"{bug} has a margin, and is no known bug: {AGAIN}" for bug in sorted(gone)]


def measure(cases: list[Case]) -> Iterator[Entry]:
    """All known bugs, variants and lines, as they finish, on all cores."""
    unseen = itertools.product(cases, derive.DTYPES)
    own = _without_pairs(cases)
    jobs: list[Callable[[], Entry]] = [
        *(partial(bug_margin, bug.id, own) for bug in _bugs(own)),
        *(partial(variant_margin, v.id, cases) for v in variants.catalogue()),
        *(partial(unseen_margin, case, dtype) for case, dtype in unseen),
        *(partial(sensitivity.sensitivity, *line, own) for line in sensitivity.lines(own)),
    ]
    yield from in_parallel(jobs)


def count(cases: list[Case]) -> int:
    """How many entries `measure` yields."""
    unseen, own = len(cases) * len(derive.DTYPES), _without_pairs(cases)
    return len(_bugs(own)) + len(variants.catalogue()) + unseen + len(sensitivity.lines(own))


def _without_pairs(cases: list[Case]) -> list[Case]:
    """The cases that bugs and lines are tried on: with the pairs, it would take an hour."""
    return [case for case in cases if not case.id.startswith(PREFIX)]


def _bugs(cases: list[Case]) -> list[KnownBug]:
    """The known bugs that concern any of the cases, in the order of the catalogue."""
    return [
        bug
        for bug, capability in known_bugs.catalogue().values()
        if any(known_bugs.concerns(capability, case) for case in cases)
    ]


def bug_margin(identifier: str, cases: list[Case]) -> TeethMutant:
    """Where a known bug exceeds the tolerance most, and which bugs the diagnosis names there."""
    bug, capability = known_bugs.catalogue()[identifier]
    concerned = [case for case in cases if known_bugs.concerns(capability, case)]
    attempts = []
    for case in concerned:
        for trace in traces.load(case).values():
            # If shapes do not fit, the bug is a crash, without a margin to measure.
            with contextlib.suppress(ValueError):
                attempts.append(_attempt(bug, trace))
    best = max(attempts, key=lambda a: float("inf") if a.kill.margin is None else a.kill.margin)
    named = diagnosis.probable_bugs(best.case, best.answer)
    return TeethMutant(id=identifier, killed_by=best.kill, named=[bug.id for bug in named])


def _attempt(bug: KnownBug, trace: Trace) -> _Attempt:
    case, dtype = trace.case, trace.dtype
    answer = Answer()
    [first, *_] = trace.due
    nothing = {"check": first.check.kind, "iteration": 0, "tensor": "", "margin": 0.0}
    best = Kill.model_validate({"case": case.id, "dtype": dtype, **nothing})
    for due in trace.upto(diagnosis.MAX_ITERATIONS).due:
        answers = known_bugs.answer(bug, due.check)
        for n, wanted in due.expected:
            got = answers[n]
            if any(np.shape(v) != np.shape(e.value) for (_, v), e in zip(got, wanted, strict=True)):
                continue  # it takes a different batch: a port would be GARBAGE
            answer.checked.append(Checked(due.check, n, got, wanted))
            found = compare(got, wanted, dtype)
            margin = finite(found.margin)
            if found.first is not None and (
                margin is None or (best.margin is not None and margin > best.margin)
            ):
                best = Kill(
                    case=case.id,
                    dtype=dtype,
                    check=due.check.kind,
                    iteration=n,
                    tensor=found.first.tensor,
                    margin=margin,
                )
    return _Attempt(case, answer, best)


def variant_margin(identifier: str, cases: list[Case]) -> TeethVariant:
    """The worst margin of a variant of the C port over all cases and dtypes."""
    [variant] = [v for v in variants.catalogue() if v.id == identifier]
    folder = FOLDER / "".join(c if c.isalnum() else "-" for c in variant.id)
    judge = Judge(build.prepare(variants.make(variant, folder))[0])
    try:
        found = [judge.judge(case, trace) for case in cases for trace in traces.load(case).values()]
    finally:
        judge.close()
    bad = [verdict for verdict in found if verdict.status != Status.PASS]
    shown = bad[0] if bad else max(found, key=lambda verdict: verdict.margin or 0.0)
    return TeethVariant(
        id=identifier,
        status=shown.status,
        reason=shown.reason,
        case=shown.case,
        dtype=shown.dtype,
        margin=shown.margin,
    )


def unseen_margin(case: Case, dtype: DType) -> TeethVariant:
    """The worst margin over replicas of randomised rounding that are new to the tolerances."""
    run = traces.load(case)[dtype].run
    worst = 0.0
    with np.errstate(over="ignore", divide="ignore"):
        for (_, got), (_, expected) in zip(_unseen(run.check), run.expected, strict=True):
            for replica in range(UNSEEN_REPLICAS):
                one = [(name, np.asarray(value)[replica]) for name, value in got]
                worst = max(worst, compare(one, expected, dtype).margin)
    return TeethVariant(
        id=f"{UNSEEN_REPLICAS} new replicas of randomised rounding",
        status=Status.PASS if worst <= 1 else Status.FAIL,
        reason="",
        case=case.id,
        dtype=dtype,
        margin=worst,
    )


def _unseen(run: Check) -> Iterator[tuple[int, Tensors]]:
    """The free run of the reference, with a leading axis of new replicas on each tensor."""
    random = np.random.Generator(np.random.SFC64([UNSEEN_SEED, derive.DTYPES.index(run.dtype)]))
    return run.computed(network, Randomised(UNSEEN_REPLICAS, random))


def name_of(entry: Entry) -> str:
    """What an entry is called in a sentence."""
    return f"{entry.line} in {entry.dtype}" if isinstance(entry, Sensitivity) else entry.id


def lost(entry: Entry) -> str | None:
    """What is wrong with an entry, or None."""
    if isinstance(entry, Sensitivity):
        most = sensitivity.MOST[entry.dtype]
        too_large = not entry.least <= most
        return f"is seen from {entry.least:.1g}, and not from {most:.1g}" if too_large else None
    if isinstance(entry, TeethVariant):
        if entry.status == Status.SKIP:
            return None
        if entry.status != Status.PASS:
            return f"is rejected: {entry.reason}"
        too_much = not (entry.margin is not None and entry.margin <= MAX_MARGIN)
        return f"is above {MAX_MARGIN} of the tolerance" if too_much else None
    if entry.killed_by.margin is not None and not entry.killed_by.margin >= MIN_MARGIN:
        return f"is below {MIN_MARGIN:g} times the tolerance"
    if entry.id not in entry.named:
        return f"is taken for {', '.join(entry.named) or 'nothing known'}"
    return None
