"""Names the probable bug of a port: the mutants whose wrong trace is the port's wrong trace.

The distance of two traces is scale-free. For a tensor where either leaves the tolerance, it
is the largest difference between them, over the larger of their deviations from the golden
value: 0 if they are wrong in the same way, 1 or more if they have nothing in common. The
distance of a mutant is the mean over such tensors, of the single steps or of the free run,
whichever is larger. Beyond THRESHOLD nothing is named: a wrong name is worse than none.
"""

import inspect
from dataclasses import dataclass

import numpy as np

from conformance import mutants
from conformance.compare import Expected
from conformance.mutants import Mutant, Start
from conformance.traces import Trace
from reference.array import Array
from reference.case import Case
from reference.golden import Tensors

THRESHOLD = 0.05
# Mutants this much farther than the nearest are named with it: they cannot be told apart.
TIE = 0.01
# The farthest that mutants are followed. Training contracts deviations, so that early
# iterations tell more than late ones, and cost less.
MAX_ITERATIONS = 1000

Checked = list[tuple[Tensors, list[Expected]]]


@dataclass(frozen=True)
class Answer:
    """A port's answer to a case, as far as it goes: what it gave beside what was expected."""

    steps: Checked
    run: Checked


def probable_bugs(case: Case, trace: Trace, answer: Answer) -> list[Mutant]:
    """The mutants that explain a port's answer, the nearest first; none if nothing fits."""
    start = start_of(case, trace)
    checkpoints = [n for n, _ in trace.checkpoints if n <= MAX_ITERATIONS][: len(answer.run)]
    found = []
    for mutant in mutants.concerning(case):
        try:
            # Steps first: they are cheap, and rule out most.
            steps = mutants.steps(mutant, start)[: len(answer.steps)]
            distance = _distance(answer.steps, steps)
            if distance is None or distance <= THRESHOLD:
                run = _remembered_run(mutant, start, checkpoints)
                farther = _distance(answer.run[: len(checkpoints)], run)
                known = [d for d in (distance, farther) if d is not None]
                if known and max(known) <= THRESHOLD:
                    found.append((max(known), mutant))
        except ValueError:  # shapes that do not fit: this bug would be a crash here
            continue
    found.sort(key=lambda pair: pair[0])
    return [mutant for distance, mutant in found if distance <= found[0][0] + TIE]


_runs: dict[tuple[str, str, str, int], list[Tensors]] = {}


def _remembered_run(mutant: Mutant, start: Start, checkpoints: list[int]) -> list[Tensors]:
    """A mutant's free run; several wrong ports may be held against the same one."""
    key = (mutant.id, start.case.sha256, start.dtype, len(checkpoints))
    if key not in _runs:
        _runs[key] = mutants.run(mutant, start, checkpoints) if checkpoints else []
    return _runs[key]


def start_of(case: Case, trace: Trace) -> Start:
    """What a mutant starts from: the same that a port is given."""
    X, y, syn = case.arrays(trace.dtype)
    return Start(case, trace.dtype, X, y, syn, [(n, trace.state(n)) for n, _ in trace.steps])


def _distance(port: Checked, mutant: list[Tensors]) -> float | None:
    """The mean distance over tensors where either is wrong; None if neither is anywhere."""
    distances = []
    for (got, expected), like in zip(port, mutant, strict=True):
        for (_, p), (_, m), golden in zip(got, like, expected, strict=True):
            distance = _tensor_distance(np.asarray(p), np.asarray(m, dtype=np.float64), golden)
            if distance is not None:
                distances.append(distance)
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


def line_of(tensor: str, layers: int) -> str:
    """The line of the reference that computes a tensor, as "file:line: source".

    `layers` is the number of weight matrices, K: the output layer has lines of its own.
    """
    wanted = _marker(tensor, layers)
    [(module, number, line)] = [
        (module, number, line)
        for module in mutants.ALGORITHM
        for number, line in enumerate(inspect.getsource(module).splitlines(), 1)
        if wanted in line
    ]
    return f"{module.__name__.replace('.', '/')}.py:{number}: {line.strip()}"


def _marker(tensor: str, last: int) -> str:
    """Text that occurs only in the line that computes the tensor."""
    if tensor == "error":
        return "return np.abs(output_error)"
    if tensor.startswith("syn"):
        return "descent = [rules.inputs("
    if tensor.startswith("velocity"):
        return "velocity = ["
    layer, _, kind = tensor.removeprefix("l").partition("_")
    if not kind:
        return "l.append(activation.value("
    is_output = int(layer) == last
    return {
        "error": "l_error = {last:" if is_output else "l_error[k] =",
        "delta": "l_delta = {last:" if is_output else "l_delta[k] =",
    }[kind]
