"""What a port could list next: which capabilities would let how many more cases run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import Case

Set = frozenset[str]
MOST_WAYS = 3  # in a sentence: there are cases for nearly any two capabilities


@dataclass(frozen=True)
class Hint:
    """One way to have more cases run.

    `lists` are the capabilities to list, or several such sets of which one will do, each with the
    number of cases that run then and do not run now. `text` says so in a sentence.
    """

    capability: str
    lists: dict[Set, int]
    text: str


def hints(listed: Collection[str], cases: Sequence[Case]) -> list[Hint]:
    """The hints for a port that lists these capabilities, on these cases.

    First those for capabilities that it lists in vain, since each case also needs something
    else; then those that need nothing else; both in the order of CAPABILITIES, which is a good
    one to write them in.
    """
    have = frozenset(listed)
    lacks = {case.id: frozenset(case.needs) - have for case in cases}
    idle: list[Hint] = []
    others: list[Hint] = []
    for capability in CAPABILITIES:
        wanted = [lacks[case.id] for case in cases if capability in case.needs]
        if not wanted or not all(wanted):  # no case is about it, or one of them runs
            continue
        fewest = min(map(len, wanted))
        gains = {
            some: sum(bool(lack) and lack <= some for lack in lacks.values())
            for some in dict.fromkeys(lack for lack in wanted if len(lack) == fewest)
        }
        hint = Hint(capability, gains, _sentence(capability, gains))
        (idle if capability in have else others).append(hint)
    return idle + sorted(others, key=lambda hint: min(map(len, hint.lists)))


def _sentence(capability: str, gains: dict[Set, int]) -> str:
    """Such as "softmax also needs cross-entropy: list both, 10 more cases run"."""
    ways = sorted(gains.items(), key=lambda way: -way[1])[:MOST_WAYS]
    (first, most), *others = ways
    if others:
        also = [f"{_joined(some - {capability})} ({count})" for some, count in ways]
        also[0] = f"{_joined(first - {capability})} ({_more(most)})"
        return f"{capability} also needs {' or '.join(also)}"
    if not (rest := first - {capability}):
        return f"list {capability}: {_more(most)}"
    names = {1: "it", 2: "both"}.get(len(first), "all of them")
    return f"{capability} also needs {_joined(rest)}: list {names}, {_more(most)}"


def _joined(names: Set) -> str:
    return " and ".join(sorted(names))


def _more(count: int) -> str:
    return "1 more case runs" if count == 1 else f"{count} more cases run"
