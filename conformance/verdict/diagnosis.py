"""Names the probable bug of a port: the known bugs whose wrong trace equals the port's.

The distance of two traces is scale-free. For a tensor where either leaves the tolerance, it
is the largest difference between them, over the larger of their deviations from the golden
value: 0 if they are wrong in the same way, 1 or more if they have nothing in common. The
distance of a known bug is the mean over such tensors, of the single steps or of the free run,
whichever is larger. Beyond THRESHOLD nothing is named: a wrong name is worse than none.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from conformance.ground.places import ROOT
from conformance.suite import known_bugs, markers
from conformance.suite.compare import Expected
from conformance.suite.known_bugs import KnownBug
from reference.array import Array
from reference.cases.case import Case
from reference.golden.checks import Check
from reference.golden.tensors import Tensors

THRESHOLD = 0.05
# Bugs up to this much farther than the nearest are named with it: they cannot be told
# apart.
TIE = 0.01
# The farthest that known bugs are followed. Training contracts deviations, so that early
# iterations tell more than late ones, and cost less.
MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class Checked:
    """What a port answered at one point of a check, and what was expected."""

    check: Check
    n: int
    got: Tensors
    expected: list[Expected]


@dataclass
class Answer:
    """A port's answer to a case, as far as it goes.

    `correct` is how many held-out samples were classified correctly.
    """

    checked: list[Checked] = field(default_factory=list)
    correct: int | None = None


def probable_bugs(case: Case, answer: Answer) -> list[KnownBug]:
    """The known bugs that explain a port's answer, the nearest first; none if nothing fits."""
    # Single steps and similar checks first: they are cheap, and rule out most.
    early = [c for c in answer.checked if not c.check.whole_run]
    late = [c for c in answer.checked if c.check.whole_run and c.n <= MAX_ITERATIONS]
    found = []
    for bug in known_bugs.concerning(case):
        try:
            distance = _distance(early, bug)
            if distance is None or distance <= THRESHOLD:
                farther = _distance(late, bug)
                known = [d for d in (distance, farther) if d is not None]
                if known and max(known) <= THRESHOLD:
                    found.append((max(known), bug))
        except ValueError:  # shapes that do not fit: this bug would be a crash here
            continue
    found.sort(key=lambda pair: pair[0])
    return [bug for distance, bug in found if distance <= found[0][0] + TIE]


# Answers of known bugs, kept because several wrong ports may be compared with the same one.
_answers: dict[tuple[object, ...], dict[int, Tensors]] = {}


def _remembered(bug: KnownBug, check: Check) -> dict[int, Tensors]:
    key = (bug.id, check.case.sha256, check.dtype, check.kind, check.points)
    if key not in _answers:
        _answers[key] = known_bugs.answer(bug, check)
    return _answers[key]


def _distance(port: Sequence[Checked], bug: KnownBug) -> float | None:
    """The mean distance over tensors where either is wrong; None if neither is wrong anywhere.

    Infinite as soon as it must exceed THRESHOLD, as for most bugs: the mean is at least the sum
    so far divided by the number of tensors.
    """
    distances = []
    most = sum(len(c.expected) for c in port)
    for c in port:
        check = c.check.upto(MAX_ITERATIONS)
        assert check is not None  # c.n is one of its points
        like = _remembered(bug, check)[c.n]
        for (_, p), (_, b), golden in zip(c.got, like, c.expected, strict=True):
            distance = _tensor_distance(np.asarray(p), np.asarray(b, dtype=np.float64), golden)
            if distance is not None:
                distances.append(distance)
        if sum(distances) > THRESHOLD * most:
            return np.inf
    return float(np.mean(distances)) if distances else None


def _tensor_distance(port: Array, bug: Array, golden: Expected) -> float | None:
    if port.shape != bug.shape:  # another batch
        return 1.0
    finite = np.isfinite(port) & np.isfinite(bug)
    if not (np.isfinite(port) == np.isfinite(bug)).all():
        return 1.0
    with np.errstate(invalid="ignore"):
        apart = np.abs(port - bug)[finite].max(initial=0.0)
        largest = max(
            np.abs(trace - golden.value)[finite].max(initial=0.0) for trace in (port, bug)
        )
    if largest <= golden.tolerance:
        return None if finite.all() else 0.0
    # Either may be off by rounding, so what is within tolerance of each other is equal.
    return float(max(0.0, apart - golden.tolerance) / largest)


@functools.cache
def line_of(marker: str) -> str:
    """The line of the reference with this marker, as "file:line: source"."""
    files = [Path(str(module.__file__)) for module in known_bugs.ALGORITHM]
    [(_, found)] = [pair for file in files for pair in markers.excerpts(file, {marker})]
    return f"{found.file.relative_to(ROOT)}:{found.line}: {found.text}"
