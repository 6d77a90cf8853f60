"""Where a port leaves the golden trace, in a line and as a whole story."""

from dataclasses import dataclass

from conformance.suite.compare import Deviation
from conformance.suite.known_bugs import Mutant
from conformance.verdict.diagnosis import Check

WHERE = {
    "drawn": "drawn from seed",
    "step": "in one step from iteration",
    "predict": "in inference at iteration",
    "run": "in the run at iteration",
}


@dataclass(frozen=True)
class Divergence:
    """The first place where a port leaves the golden trace."""

    check: Check
    iteration: int  # of a drawn state: its seed
    deviation: Deviation
    line: str | None = None  # the line of the reference that computes it, for a step
    bugs: tuple[Mutant, ...] = ()  # the known bugs that explain the answer, if any does


def one_line(divergence: Divergence) -> str:
    """Where a port first leaves the golden trace, in a line."""
    d = divergence.deviation
    return (
        f"{element(d.tensor, d.index)} {WHERE[divergence.check]} {divergence.iteration}: "
        f"got {d.got!r}, expected {d.expected!r}, {d.margin:.3g} x tolerance"
    )


def element(tensor: str, index: tuple[int, ...]) -> str:
    """A tensor's element as it would be written in code."""
    return f"{tensor}[{', '.join(map(str, index))}]" if index else tensor


def explain(divergence: Divergence, reproduce: str) -> str:
    """The whole story of a divergence, for a person."""
    d = divergence.deviation
    n = divergence.iteration
    where = {
        "drawn": f"in the initial state drawn from seed {n}",
        "step": f"in one step from the golden weights of iteration {n}",
        "predict": f"in inference with the golden weights of iteration {n}",
        "run": f"in the free run, after {n} updates",
    }[divergence.check]
    line = [f"  computed by {divergence.line}"] if divergence.line else []
    bugs = [
        f"  probable bug: {bug.id}: {bug.what}\n                {bug.do}" for bug in divergence.bugs
    ]
    return "\n".join(
        [
            f"first divergence: {element(d.tensor, d.index)}, {where}",
            f"  got        {d.got!r:<26} {d.got.hex()}",
            f"  expected   {d.expected!r:<26} {d.expected.hex()}",
            f"  deviation  {abs(d.got - d.expected):.3g}, which is {d.ulps:.3g} ulps "
            f"and {d.margin:.3g} times the tolerance {d.tolerance:.3g}",
            *line,
            *(bugs or ["  probable bug: none of the known ones"]),
            f"  reproduce: {reproduce}",
        ]
    )
