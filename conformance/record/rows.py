"""The lines of the screen that say how each port did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conformance.ground.statuses import Status
from conformance.ground.units import count, scaled
from conformance.record.absent import declined, is_unlisted, owner
from conformance.record.causes import Cause, causes, tally
from conformance.record.cells import not_reproducible, worst_margin
from conformance.record.models import Timing
from conformance.verdict.verdict import Verdict

MOST_CAUSES = 3  # of a port


@dataclass(frozen=True)
class Row:
    """One line: `said` is the text of each column, or a sentence; `below` are lines under it."""

    name: str
    status: Status
    said: Sequence[str]
    below: Sequence[str] = ()


@dataclass
class Once:
    """Words that the first number explains itself with, and the others do without."""

    told: set[str] = field(default_factory=set)

    def say(self, number: str, words: str) -> str:
        """The number, with the words if they are new."""
        new = words not in self.told
        self.told.add(words)
        return number + words * new


def rows(ran: Mapping[str, Sequence[Verdict]], timings: Sequence[Timing]) -> list[Row]:
    """A row for each target that ran; a rung that passes is in that of its port, if that passes."""
    good = {name for name, found in ran.items() if not causes(found)}
    cases = [t.case for t in timings]
    timed = max(dict.fromkeys(cases), key=cases.count, default=None)  # where most ports were
    by_owner: dict[str, list[Timing]] = {}
    for t in timings:
        if t.case == timed:
            by_owner.setdefault(owner(t.port, good), []).append(t)
    found, once = [], Once()
    for name, verdicts in ran.items():
        if wrong := causes(verdicts):
            found.append(_wrong(name, verdicts, wrong))
        elif any(v.status == Status.XFAIL for v in verdicts):
            found.append(_known(name, verdicts))
        elif owner(name, good) == name:
            found.append(_passed(name, verdicts, by_owner.get(name, []), once))
    return found


def _passed(name: str, verdicts: Sequence[Verdict], timed: Sequence[Timing], once: Once) -> Row:
    """The port's own verdicts, and the best time of it and its rungs."""
    passed = [v for v in verdicts if v.status == Status.PASS]
    margin = worst_margin(passed)
    worst = "" if margin is None else once.say(f"worst {_margin(margin)}", " of tolerance")
    notes = []
    if timed:
        best = min(timed, key=lambda t: t.ns_per_iteration)
        time = once.say(scaled(best.ns_per_iteration), "/iteration")
        notes.append(time if best.port == name else f"{time} ({best.port})")
    left = declined(name, verdicts)
    skips = [v for v in verdicts if v.status == Status.SKIP]
    if skipped := len({v.case for v in skips if not left or is_unlisted(v)}):
        notes.append(f"{count(skipped, 'case')} skipped")
    # A PASS with a reason: that says how far it went, or that it is not reproducible.
    if part := len({v.case for v in passed if v.reason != (v.repeat.says if v.repeat else "")}):
        notes.append(f"{count(part, 'case')} in part")
    if note := not_reproducible(passed):
        notes.append(note)
    return Row(name, Status.PASS, [str(len(passed)), worst, ", ".join(notes)], _below(left))


def _margin(margin: float) -> str:
    return f"{margin:.2f}" if margin >= 0.01 or margin == 0 else f"{margin:.1g}"


def _known(name: str, verdicts: Sequence[Verdict]) -> Row:
    """Failures that the manifest predicts."""
    known = {v.case: v for v in verdicts if v.status == Status.XFAIL}
    judged = {v.case for v in verdicts if v.status != Status.SKIP}
    reasons = list(dict.fromkeys(v.reason for v in known.values()))
    more = f", and {count(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
    said = f"{len(known)} of {count(len(judged), 'case')}, as predicted: {reasons[0]}{more}"
    return Row(name, Status.XFAIL, [said], _below(declined(name, verdicts)))


def _wrong(name: str, verdicts: Sequence[Verdict], wrong: Sequence[Cause]) -> Row:
    """How many cases, and why: on the line itself where there is one cause."""
    status = max((cause.status for cause in wrong), key=lambda status: status.severity)
    told, left = tally(verdicts), _below(declined(name, verdicts))
    if skipped := len({v.case for v in verdicts if v.status == Status.SKIP}):
        told += f" ({skipped} skipped)"
    if len(wrong) == 1:
        return Row(name, status, [f"{told}, {wrong[0].text}"], left)
    kept = wrong[: MOST_CAUSES if len(wrong) > MOST_CAUSES + 1 else len(wrong)]
    below = [
        f"{len(c.verdicts)} {c.text}" if c.status == status else f"{len(c.verdicts)} {c}"
        for c in kept
    ]
    if others := wrong[len(kept) :]:
        cases = sum(len(cause.verdicts) for cause in others)
        below.append(f"{cases} for {len(others)} other reasons")
    return Row(name, status, [f"{told}:"], [*below, *left])


def _below(said: str) -> list[str]:
    return [said] if said else []
