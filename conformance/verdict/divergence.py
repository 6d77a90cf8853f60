"""Where a port leaves the golden trace, as one line and in full."""

from collections.abc import Sequence

from conformance.suite import known_bugs
from conformance.suite.compare import Deviation
from conformance.verdict.verdict import Divergence, Verdict
from reference.golden.checks import KINDS, Check


def element(tensor: str, index: Sequence[int]) -> str:
    """A tensor's element as it would be written in code."""
    return f"{tensor}[{', '.join(map(str, index))}]" if index else tensor


def one_line(check: type[Check], n: int, d: Deviation) -> str:
    """Where a port first leaves the golden trace, in a line."""
    return (
        f"{element(d.tensor, d.index)} {check.where.format(n=n)}: "
        f"got {d.got!r}, expected {d.expected!r}, {d.margin:.3g} x tolerance"
    )


def explain(verdict: Verdict, reproduce: str) -> str:
    """The full explanation of a wrong verdict, for a person."""
    head = f"{verdict.status}: {verdict.port} on {verdict.case}, {verdict.dtype}: "
    if verdict.divergence is None:
        return f"{head}{verdict.reason}\n  reproduce: {reproduce}"
    return head + _story(verdict.divergence, verdict, reproduce)


def _story(divergence: Divergence, verdict: Verdict, reproduce: str) -> str:
    d = divergence.deviation(verdict.dtype)
    [check] = [kind for kind in KINDS if kind.kind == divergence.check]
    where = check.story.format(n=divergence.iteration)
    line = [f"  computed by {divergence.line}"] if divergence.line else []
    found = [known_bugs.catalogue()[identifier][0] for identifier in divergence.bugs]
    bugs = [f"  probable bug: {bug.id}: {bug.what}\n                {bug.do}" for bug in found]
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
