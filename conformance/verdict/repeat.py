"""A second answer to the same request: what it says about the port if it is different.

Each question stands for itself. Where only the order of a sum changes, both answers are right.
Anything else comes from a race, from memory that nobody wrote, or from the question before.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from conformance.ground.places import option
from conformance.ground.statuses import Status
from conformance.ground.units import ulps
from conformance.verdict.diagnosis import Answer
from conformance.verdict.divergence import element
from conformance.verdict.verdict import NOT_REPRODUCIBLE, Repeat, Verdict
from reference.array import Array
from reference.cases.tables import DType

CAUSES = "a race, memory that nobody wrote, or something left over from the question before"


def of_both(
    first: Verdict, second: Verdict, answer: Answer, again: Answer, *, strict: bool
) -> Verdict:
    """The verdict on a case that was asked twice, from the verdicts and the answers.

    Where the second answer is different, it says so. Of two that PASS, that is a FAIL only if the
    verdict is to be `strict`.
    """
    if first.status != second.status:
        return _one_wrong(first, second)
    if first.status not in (Status.PASS, Status.FAIL) or _is_same(answer, again):
        return first
    if first.status == Status.FAIL and not _is_close(answer, again):
        return _noting(first, f"the second answer to the same request has other numbers: {CAUSES}")
    apart, where = _farthest_apart(answer, again, first.dtype)
    says = f"{ulps(apart)} ({where})"
    if strict:
        first = first.but(status=Status.FAIL)
        says += f", and {option('strict')} demands the same bits"
    return _noting(first, says, apart)


def _one_wrong(first: Verdict, second: Verdict) -> Verdict:
    """The one that is wrong, with what the other says about it."""
    if first.status == Status.PASS:
        # Who answers a request cannot decline it later.
        wrong = second.but(status=second.status if second.status.wrong else Status.FAIL)
        right = "the first answer to the same request is right, and this is the second"
        return _noting(wrong, f"{right}: {CAUSES}")
    if second.status == Status.PASS:
        return _noting(first, f"the second answer to the same request is right: {CAUSES}")
    return _noting(first, f"asked a second time, it is {second.status}: {CAUSES}")


def _noting(verdict: Verdict, says: str, apart: float | None = None) -> Verdict:
    """The verdict, which now also says this at the end of its reason."""
    repeat = Repeat(says=f"{NOT_REPRODUCIBLE}{says}", ulps=apart)
    between = "\n" if "\n" in verdict.reason else "; "
    reason = between.join(filter(None, (verdict.reason, repeat.says)))
    return verdict.but(repeat=repeat, reason=reason)


def _is_same(first: Answer, second: Answer) -> bool:
    """True if both have the same numbers, as far as both go."""
    pairs = _pairs(first, second)
    same = all(np.array_equal(p.first, p.second, equal_nan=True) for p in pairs)
    return same and first.correct == second.correct


def _is_close(first: Answer, second: Answer) -> bool:
    """True if they are no farther apart than a right answer may be from the exact one."""
    close = all(
        np.allclose(p.first, p.second, rtol=0, atol=p.tolerance, equal_nan=True)
        for p in _pairs(first, second)
    )
    return close and first.correct == second.correct


def _farthest_apart(first: Answer, second: Answer, dtype: DType) -> tuple[float, str]:
    """The largest difference in ulps, and where it is."""
    found = []
    for p in _pairs(first, second):
        apart = ulps_apart(p.first, p.second, dtype)
        index = np.unravel_index(int(np.argmax(apart)), apart.shape)
        where = f"{element(p.tensor, [int(i) for i in index])} {p.place}"
        found.append((float(apart[index]), where))
    return max(found, key=lambda pair: pair[0])


def ulps_apart(first: Array, second: Array, dtype: DType) -> Array:
    """Element by element, how many units in the last place of the larger number lie between.

    0 where one is not finite.
    """
    finite = np.isfinite(first) & np.isfinite(second)
    a, b = (np.where(finite, values, 0.0) for values in (first, second))
    most = np.nextafter(np.finfo(dtype).max, 0)  # beyond the largest number there is no next one
    larger = np.minimum(np.maximum(np.abs(a), np.abs(b)), most).astype(dtype)
    apart: Array = np.abs(a - b) / np.spacing(larger).astype(np.float64)
    return apart


class _Pair(NamedTuple):
    """A tensor of both answers, where that is in words, and how far it may stray."""

    tensor: str
    place: str
    first: Array
    second: Array
    tolerance: float


def _pairs(first: Answer, second: Answer) -> Iterator[_Pair]:
    """All tensors, as far as both answers go."""
    for one, other in zip(first.checked, second.checked, strict=False):
        place = one.check.where.format(n=one.n)
        for (name, a), (_, b), golden in zip(one.got, other.got, one.expected, strict=True):
            yield _Pair(name, place, np.asarray(a), np.asarray(b), golden.tolerance)
