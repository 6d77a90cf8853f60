"""Where a port leaves the golden trace, as one line and in full."""

import math
import textwrap
from collections.abc import Sequence

from conformance.process import memory
from conformance.suite import known_bugs
from conformance.suite.compare import Deviation
from conformance.verdict.verdict import Divergence, Verdict
from reference.cases.tables import DType
from reference.golden.checks import KINDS, Check

WIDTH = 100  # of a line of prose


def element(tensor: str, index: Sequence[int]) -> str:
    """A tensor's element as it would be written in code."""
    return f"{tensor}[{', '.join(map(str, index))}]" if index else tensor


def one_line(check: type[Check], n: int, d: Deviation) -> str:
    """Where a port first leaves the golden trace, in a line."""
    far = _no_result(d) or _must_be(check, n, d) or f"{times(d.margin)} x tolerance"
    return (
        f"{element(d.tensor, d.index)} {check.where.format(n=n)}: "
        f"got {d.got!r}, expected {d.expected!r}, {far}"
    )


def times(margin: float, digits: int = 3) -> str:
    """How many times the tolerance; the quotient of finite numbers may be beyond all of them."""
    return f"{margin:.{digits}g}" if math.isfinite(margin) else "over 1e+308"


def words(divergence: Divergence, dtype: DType) -> str:
    """How far off a number is where no factor tells it: not finite, or with no tolerance."""
    d = divergence.deviation(dtype)
    [check] = [kind for kind in KINDS if kind.kind == divergence.check]
    if why := _no_result(d):
        return f"got {d.got!r}: {why}"
    return _must_be(check, divergence.iteration, d)


def _no_result(d: Deviation) -> str:
    """What NaN, infinity, or what fresh memory is filled with means; empty for any other number."""
    if math.isnan(d.got):
        return "nothing was written there, or the computation gave NaN"
    if memory.is_unwritten(d.got, d.dtype):
        return "memory that nobody wrote is filled with it"
    return "the computation overflowed, or divided by zero" if math.isinf(d.got) else ""


def _must_be(check: type[Check], n: int, d: Deviation) -> str:
    """What is asked of a number that may not stray at all; empty where there is a tolerance."""
    if not d.exact:
        return ""
    given = check.whole_run and n == 0 and d.tensor != "error"
    return "must come back exactly as they were sent" if given else "must be exact"


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
    if divergence.iteration == 1:
        where = where.replace("1 updates", "1 update")
    line = [f"  computed by {divergence.line}"] if divergence.line else []
    found = [known_bugs.catalogue()[identifier][0] for identifier in divergence.bugs]
    said = f"  repeated   {verdict.repeat.says}" if verdict.repeat else ""
    again = textwrap.wrap(said, WIDTH, subsequent_indent=" " * 13)
    bugs = [f"  probable bug: {bug.id}: {bug.what}\n                {bug.do}" for bug in found]
    return "\n".join(
        [
            f"first divergence: {element(d.tensor, d.index)}, {where}",
            *_numbers(check, divergence.iteration, d),
            *again,
            *line,
            *(bugs or ["  probable bug: none of the known ones"]),
            f"  reproduce: {reproduce}",
        ]
    )


def _numbers(check: type[Check], n: int, d: Deviation) -> list[str]:
    """The lines on what a number is, what it should be, and how far that is apart."""
    expected = f"  expected   {d.expected!r:<26} {d.expected.hex()}"
    if why := _no_result(d):
        return [f"  got        {d.got!r}: {why}", expected]
    ulps = f"{abs(d.got - d.expected):.3g}, which is {d.ulps:.3g} ulps"
    exact = _must_be(check, n, d)
    far = f"; {exact}" if exact else f" and {times(d.margin)} times the tolerance {d.tolerance:.3g}"
    return [
        f"  got        {d.got!r:<26} {d.got.hex()}",
        expected,
        f"  deviation  {ulps}{far}",
    ]
