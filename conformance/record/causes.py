"""Why ports failed: verdicts grouped by their cause, and the one that is shown in full."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.ground.statuses import Status
from conformance.ground.units import count
from conformance.process.words import ANNOUNCES
from conformance.verdict.divergence import times, words
from conformance.verdict.verdict import Verdict

ERROR = re.compile(r"error\b|exception\b|\bpanic", re.I)  # also ValueError
LONGEST = 120  # of a reason beside others
PLACES = {"step": "", "run": " in the free run", "predict": " in inference", "drawn": " as drawn"}


@dataclass(frozen=True)
class Cause:
    """Cases of one target that went wrong alike: the first verdict that did, of each."""

    verdicts: list[Verdict]

    @property
    def status(self) -> Status:
        """The status that they have in common."""
        return self.verdicts[0].status

    def __str__(self) -> str:
        """The status and the cause."""
        return f"{self.status}: {self.text}"

    @property
    def text(self) -> str:
        """The cause in a few words, as in "first at l2_delta: probable bug bias-not-updated"."""
        again = any(v.divergence and v.repeat for v in self.verdicts)
        return self._text + "; not reproducible" * again

    @property
    def _text(self) -> str:
        first = self.verdicts[0]
        if first.divergence is None:
            text = one_line(first.reason)
            return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()}…"
        found = [v.divergence for v in self.verdicts if v.divergence]
        [(place, _)] = Counter(f"{d.tensor}{PLACES[d.check]}" for d in found).most_common(1)
        if first.divergence.bugs:
            return f"first at {place}: probable bug {first.divergence.bugs[0]}"
        if far := words(first.divergence, first.dtype):
            return f"first at {place}: {far}"
        margins = [d.deviation(v.dtype).margin for v in self.verdicts if (d := v.divergence)]
        finite = [margin for margin in margins if math.isfinite(margin)] or margins
        return f"first at {place}: {times(max(finite, default=math.inf), 2)} times the tolerance"


def causes(verdicts: Iterable[Verdict]) -> list[Cause]:
    """The causes of those that are wrong, of one target; the most frequent first.

    A case counts once, with the first dtype that is wrong.
    """
    by_case: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.status.wrong:
            by_case.setdefault(verdict.case, verdict)
    groups: dict[object, list[Verdict]] = {}
    for verdict in by_case.values():
        groups.setdefault(_key(verdict), []).append(verdict)
    return sorted(map(Cause, groups.values()), key=lambda cause: -len(cause.verdicts))


def _key(verdict: Verdict) -> tuple[object, ...]:
    """Equal for verdicts that are wrong alike."""
    if (found := verdict.divergence) is None:
        return verdict.status, re.sub(r"[\d.e+-]*\d", "#", one_line(verdict.reason))
    if found.bugs:
        return verdict.status, found.bugs[0]
    return verdict.status, found.check, found.tensor


def example(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The wrong verdict to look at first: that on the smallest case, or None if none is wrong."""
    sizes: dict[str, int] = {}  # what a case asks of a port that answers to the end
    for v in verdicts:
        sizes[v.case] = max(sizes.get(v.case, 0), v.numbers_compared)
    wrong = [v for v in verdicts if v.status.wrong]
    # A case of which nothing is known is no small one.
    return min(wrong, key=lambda v: sizes[v.case] or math.inf, default=None)


def tally(verdicts: Sequence[Verdict]) -> str:
    """As in "71 of 77 cases", and "in float32" where the other dtype is right."""
    wrong = {v.case for v in verdicts if v.status.wrong}
    judged = {v.case for v in verdicts if v.status != Status.SKIP}
    dtypes = {v.dtype for v in verdicts if v.status.wrong}
    only = len(dtypes) < len({v.dtype for v in verdicts})
    return f"{len(wrong)} of {count(len(judged), 'case')}" + f" in {', '.join(dtypes)}" * only


def one_line(text: str) -> str:
    """The first line that says something; of a compiler's output, the first error.

    If that line announces the others, the one of them that says most follows.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    errors = [line for line in lines[1:] if ERROR.search(line)]
    if lines[0].endswith(ANNOUNCES) and lines[1:]:
        return f"{lines[0]} {(errors or lines[1:])[0]}"
    return lines[0] if not errors or ERROR.search(lines[0]) else errors[0]
