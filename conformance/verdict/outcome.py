"""From a port's answers to a verdict: PASS or FAIL, how it strays, what its manifest predicts."""

from conformance.ground.statuses import Status
from conformance.suite.compare import compare, farthest
from conformance.suite.traces import Trace
from conformance.targets.manifest import KnownFailure
from conformance.verdict.diagnosis import Answer, line_of, probable_bugs
from conformance.verdict.divergence import one_line
from conformance.verdict.verdict import Divergence, Drift, Verdict, finite


def verdict_of(target: str, trace: Trace, answer: Answer) -> Verdict:
    """PASS or FAIL for a port's answer."""
    compared = [compare(c.got, c.expected, trace.dtype) for c in answer.checked]
    numbers = sum(c.numbers for c in compared)
    verdict = Verdict.without_numbers(target, trace.case.id, trace.dtype, Status.PASS)
    if numbers == 0:
        return verdict.but(status=Status.FAIL, reason="nothing was compared")
    verdict = verdict.but(
        margin=finite(max(c.margin for c in compared)),
        numbers_compared=numbers,
        numbers_inexact=sum(c.inexact for c in compared),
        drift=_drift(answer) if trace.case.timing else [],
    )
    for checked, comparison in zip(answer.checked, compared, strict=True):
        if (first := comparison.first) is not None:
            check, n = checked.check, checked.n
            marker = check.source(first.tensor)
            line = line_of(marker) if marker else None
            bugs = probable_bugs(trace.case, answer) if trace.diagnosed else []
            found = Divergence.of(type(check), n, first, line, [bug.id for bug in bugs])
            reason = one_line(type(check), n, first)
            return verdict.but(status=Status.FAIL, reason=reason, divergence=found)
    reached = max((c.n for c in answer.checked if c.check.whole_run), default=0)
    if reached < trace.last:
        return verdict.but(reason=f"first {reached} of {trace.last} iterations")
    return verdict if answer.correct is None else _with_accuracy(verdict, trace, answer.correct)


def _with_accuracy(verdict: Verdict, trace: Trace, right: int) -> Verdict:
    samples = len(trace.case.held_out(trace.dtype)[1])
    if right == trace.correct:
        return verdict.but(accuracy=right / samples)
    found = f"{right} of {samples} held-out samples"
    reason = f"classifies {found} correctly after the whole run, not {trace.correct}"
    return verdict.but(status=Status.FAIL, reason=reason)


def _drift(answer: Answer) -> list[Drift]:
    """By tensor, the largest deviation at each checkpoint of the free run, as far as it went."""
    found: dict[str, dict[int, float]] = {}
    for c in answer.checked:
        if c.check.whole_run:
            for (name, values), golden in zip(c.got, c.expected, strict=True):
                found.setdefault(name, {})[c.n] = farthest(values, golden.value)
    return [
        Drift(
            tensor=name, iterations=sorted(by_n), deviations=[finite(by_n[n]) for n in sorted(by_n)]
        )
        for name, by_n in found.items()
    ]


def with_known_failures(verdict: Verdict, known: list[KnownFailure]) -> Verdict:
    """XFAIL for a failure that the manifest predicts; FAIL if it predicts a different one.

    A SKIP stays a SKIP: a target that was not run could not fail.
    """
    if not known or verdict.status == Status.SKIP:
        return verdict
    for failure in known:
        if failure.status == verdict.status and failure.message in verdict.reason:
            reason = f"{failure.reason} ({verdict.reason})"
            return verdict.but(status=Status.XFAIL, reason=reason)
    predicted = f"{known[0].status} with {known[0].message!r}"
    reason = (
        f"known failure did not occur: the manifest predicts {predicted}, "
        f"but it was {verdict.status} {verdict.reason}"
    )
    return verdict.but(status=Status.FAIL, reason=reason.rstrip())
