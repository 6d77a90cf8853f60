"""Names the probable bug of a port: the mutants whose wrong trace is the port's wrong trace.

The distance of two traces is scale-free. For a tensor where either leaves the tolerance, it
is the largest difference between them, over the larger of their deviations from the golden
value: 0 if they are wrong in the same way, 1 or more if they have nothing in common. The
distance of a mutant is the mean over such tensors, of the single steps or of the free run,
whichever is larger. Beyond THRESHOLD nothing is named: a wrong name is worse than none.
"""

import inspect
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from conformance.suite import known_bugs
from conformance.suite.compare import Expected
from conformance.suite.known_bugs import Mutant, Start
from conformance.suite.traces import Trace
from reference.array import Array
from reference.cases.case import Case
from reference.golden.derive import Tensors

THRESHOLD = 0.05
# Mutants this much farther than the nearest are named with it: they cannot be told apart.
TIE = 0.01
# The farthest that mutants are followed. Training contracts deviations, so that early
# iterations tell more than late ones, and cost less.
MAX_ITERATIONS = 1000

Check = Literal["drawn", "step", "predict", "run"]


@dataclass
class Answer:
    """A port's answer to a case, as far as it goes.

    `checked` has, for each check, its kind, its iteration (or the seed of what is drawn), what the
    port gave and what was expected; `correct` is how many held-out samples were classified rightly.
    """

    checked: list[tuple[Check, int, Tensors, list[Expected]]] = field(default_factory=list)
    correct: int | None = None


def probable_bugs(case: Case, trace: Trace, answer: Answer) -> list[Mutant]:
    """The mutants that explain a port's answer, the nearest first; none if nothing fits."""
    start = start_of(case, trace)
    # Single steps and the like first: they are cheap, and rule out most.
    early = [entry for entry in answer.checked if entry[0] != "run"]
    late = [entry for entry in answer.checked if entry[0] == "run" and entry[1] <= MAX_ITERATIONS]
    found = []
    for mutant in known_bugs.concerning(case):
        try:
            distance = _distance(early, mutant, start)
            if distance is None or distance <= THRESHOLD:
                farther = _distance(late, mutant, start)
                known = [d for d in (distance, farther) if d is not None]
                if known and max(known) <= THRESHOLD:
                    found.append((max(known), mutant))
        except ValueError:  # shapes that do not fit: this bug would be a crash here
            continue
    found.sort(key=lambda pair: pair[0])
    return [mutant for distance, mutant in found if distance <= found[0][0] + TIE]


def start_of(case: Case, trace: Trace) -> Start:
    """What a mutant starts from: the same that a port is given."""
    X, y, state = case.arrays(trace.dtype)
    return Start(case, trace.dtype, X, y, state, {n: trace.state(n) for n, _ in trace.checkpoints})


Asked = tuple[Check, int]
_answers: dict[tuple[str, str, str, frozenset[Asked]], dict[Asked, Tensors]] = {}


def _remembered(mutant: Mutant, start: Start, checks: list[Asked]) -> list[Tensors]:
    """What a mutant answers; several wrong ports may be held against the same one."""
    key = (mutant.id, start.case.sha256, start.dtype, frozenset(checks))
    if key not in _answers:
        _answers[key] = dict(zip(checks, known_bugs.answer(mutant, start, checks), strict=True))
    return [_answers[key][check] for check in checks]


def _distance(
    port: list[tuple[Check, int, Tensors, list[Expected]]], mutant: Mutant, start: Start
) -> float | None:
    """The mean distance over tensors where either is wrong; None if neither is anywhere.

    Infinite as soon as it is sure to be beyond THRESHOLD, as it is for most mutants.
    """
    distances = []
    most = sum(len(expected) for _, _, _, expected in port)
    like = _remembered(mutant, start, [(check, n) for check, n, _, _ in port])
    for (_, _, got, expected), answer in zip(port, like, strict=True):
        for (_, p), (_, m), golden in zip(got, answer, expected, strict=True):
            distance = _tensor_distance(np.asarray(p), np.asarray(m, dtype=np.float64), golden)
            if distance is not None:
                distances.append(distance)
        if sum(distances) > THRESHOLD * most:
            return np.inf
    return float(np.mean(distances)) if distances else None


def _tensor_distance(port: Array, mutant: Array, golden: Expected) -> float | None:
    if port.shape != mutant.shape:  # another batch
        return 1.0
    finite = np.isfinite(port) & np.isfinite(mutant)
    if not (np.isfinite(port) == np.isfinite(mutant)).all():
        return 1.0
    with np.errstate(invalid="ignore"):
        apart = np.abs(port - mutant)[finite].max(initial=0.0)
        largest = max(
            np.abs(trace - golden.value)[finite].max(initial=0.0) for trace in (port, mutant)
        )
    if largest <= golden.tolerance:
        return None if finite.all() else 0.0
    # Either may be off by rounding, so what is within tolerance of each other is equal.
    return float(max(0.0, apart - golden.tolerance) / largest)


def line_of(case: Case, tensor: str) -> str:
    """The line of the reference that computes a tensor of a step, as "file:line: source"."""
    wanted = _marker(case, tensor)
    [(module, number, line)] = [
        (module, number, line)
        for module in known_bugs.ALGORITHM
        for number, line in enumerate(inspect.getsource(module).splitlines(), 1)
        if wanted in line
    ]
    return f"{module.__name__.replace('.', '/')}.py:{number}: {line.strip()}"


def _marker(case: Case, tensor: str) -> str:
    """Text that occurs only in the line that computes the tensor."""
    name, _, kind = tensor.partition("_")
    if kind in ("velocity", "m", "v"):
        return {"velocity": "velocity = [", "m": "m = [b1 * m", "v": "v = [b2 * v"}[kind]
    if name.startswith("l"):
        is_output = int(name.removeprefix("l")) == len(case.layers) - 1
        return {
            "": "x = settings.inputs(l[k]) @ weights",
            "error": "l_error = {last:" if is_output else "l_error[k] =",
            "delta": "return error * self.slope(self.output)",
        }[kind]
    return {
        "syn": "descent = [settings.inputs(",
        "gamma": "self.gamma_descent =",
        "beta": "self.beta_descent =",
        "mean": "self.mean = average(",
        "variance": "self.variance = average(",
    }[name.rstrip("0123456789")]
