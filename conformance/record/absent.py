"""What did not run, in as few lines as there are reasons: names grouped by what they lack."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from conformance.ground.places import IN_CLONE, NAME
from conformance.ground.statuses import Status
from conformance.ground.units import count
from conformance.targets.build import Lack
from conformance.verdict.verdict import Verdict

FEW = 2  # targets: their reasons are told in their own words
LONGEST = 150  # of such a reason
ON_START = "on start: "
UNLISTED = re.compile(r"does not list the capability (\S+)")
PORTS = "make ports" if IN_CLONE else f"{NAME} ports"


def parts(name: str) -> tuple[str, str, str]:
    """The port, the rung and the emulation in a target's name; empty where there is none."""
    match = re.fullmatch(r"(.*?)(?::(.*?))?( \(.*\))?", name)
    assert match is not None  # it matches all
    return match[1], match[2] or "", match[3] or ""


def owner(name: str, names: Collection[str]) -> str:
    """The target in whose line a rung stands: its port, emulated alike, if that is among these."""
    port, rung, emulation = parts(name)
    itself = port + emulation
    return itself if rung and itself in names else name


def lines(
    idle: Mapping[str, Sequence[Verdict]], missing: Mapping[str, Lack], ran: Collection[str]
) -> list[str]:
    """Lines on targets that did not run. `ran` are those that did."""
    own = [name for name in idle if owner(name, idle) == name]
    if len(own) <= FEW:
        return [f"not run: {n}: {_own_words(n, idle[n], missing.get(n))}" for n in own]
    grouped: dict[str, list[str]] = {}
    for name in own:
        grouped.setdefault(_reason(name, idle[name], missing.get(name), ran), []).append(name)
    said = [f"{names(alike)} ({reason})" for reason, alike in grouped.items()]
    return [f"not run: {', '.join(said)}"]


def names(targets: Iterable[str]) -> str:
    """Names with spaces between; several rungs of one port are counted."""
    rungs: dict[str, list[str]] = {}
    for name in dict.fromkeys(targets):
        port, rung, emulation = parts(name)
        rungs.setdefault(f"rungs of {port}{emulation}" if rung else name, []).append(name)
    single = [group[0] for group in rungs.values() if len(group) == 1]
    several = [f"{len(group)} {said}" for said, group in rungs.items() if len(group) > 1]
    return ", ".join([" ".join(single)] * bool(single) + several)


def _own_words(name: str, verdicts: Sequence[Verdict], lack: Lack | None) -> str:
    """The reasons of a target, cut where they are long: its own first."""
    if not verdicts:
        return "the run ended before its turn"
    unlisted = [v for v in verdicts if is_unlisted(v)]
    others = [v for v in verdicts if not is_unlisted(v)]
    own = "; ".join(dict.fromkeys(v.reason.splitlines()[0] for v in others if v.reason))
    if lack is None and not own.startswith(ON_START):
        own = declined(name, others) or own
    own = own if len(own) <= LONGEST else f"{own[:LONGEST].rstrip()}…"
    return "; ".join(filter(None, [own, needs(unlisted)]))


def is_unlisted(verdict: Verdict) -> bool:
    """True of a case that a port was not asked, since it does not list what that needs."""
    return UNLISTED.fullmatch(verdict.reason) is not None


def declined(name: str, verdicts: Sequence[Verdict]) -> str:
    """What a port that is there leaves out although it lists all that is needed, in its own words.

    As in 'declined 5 cases that it lists: "the setting batch_size"'; empty where it leaves out
    nothing. A rung or an emulation may leave out what is not for it.
    """
    left = [v for v in verdicts if v.status == Status.SKIP and not is_unlisted(v)]
    if not left or parts(name)[1:] != ("", ""):
        return ""
    (reason, _), *others = Counter(v.reason for v in left).most_common()
    more = f", and {count(len(others), 'other reason')}" if others else ""
    return f'declined {count(len({v.case for v in left}), "case")} that it lists: "{reason}"{more}'


def _reason(name: str, verdicts: Sequence[Verdict], lack: Lack | None, ran: Collection[str]) -> str:
    """The kind of a target's reason."""
    port, rung, _ = parts(name)
    if lack == "device":
        gpu = any(re.search("cuda|gpu", v.reason, re.I) for v in verdicts)
        emulated = any(parts(other)[:2] == (port, rung) for other in ran)
        return ("no GPU" if gpu else "no device") + (", emulated" if emulated else "")
    if lack == "toolchain":
        return f"toolchain missing: {PORTS}"
    return "packages" if lack == "packages" else _own_words(name, verdicts, lack)


def needs(verdicts: Sequence[Verdict]) -> str:
    """As in "also needs bias (3 cases), mini-batch (1)", where nothing else is missing."""
    if not verdicts:
        return ""
    cases: dict[str, set[str]] = {}
    for verdict in verdicts:
        if (unlisted := UNLISTED.fullmatch(verdict.reason)) is None:
            return ""
        cases.setdefault(unlisted[1], set()).add(verdict.case)
    (name, found), *others = cases.items()
    said = [f"{other} ({len(of_it)})" for other, of_it in others]
    return ", ".join([f"also needs {name} ({count(len(found), 'case')})", *said])
