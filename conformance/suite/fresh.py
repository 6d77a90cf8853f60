"""Fresh cases: drawn at random for each run, so that a port cannot have the answers built in.

A seed has a case for each number from 1 on and each set of capabilities. Its id says which:
`fresh-77-3` is number 3 of seed 77 for a port that lists everything, and `fresh-77-3-1f` uses the
capabilities whose bits are in 1f. So an id is the same case in every run and on every machine.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial

from conformance.ground.places import FRESH, option, writing_build
from conformance.suite import derived, drawing
from conformance.suite.dice import Dice
from reference.algorithm.layers import HIDDEN
from reference.cases.capabilities import CAPABILITIES, EXCLUSIVE, NEEDS, lacking
from reference.cases.case import Case, CaseError, load
from reference.files import write_atomically

SEEDS = 10**6
NUMBER = 5  # of cases for each port, if the user gives none
MOST = 1000
TRIES = 10  # of numbers, for each case; nine of ten are fit
ID = re.compile(r"fresh-(0|[1-9]\d{0,5})-([1-9]\d{0,5})(?:-([0-9a-f]{1,16}))?", re.ASCII)

# How many capabilities a case is about, of as many as a port lists; a run takes these in turn.
SHARES: tuple[Callable[[int, Dice], int], ...] = (
    lambda listed, dice: dice.whole(listed // 3, listed // 2 + 1),
    lambda listed, dice: 1,
    lambda listed, dice: listed,
    lambda listed, dice: 2,
    lambda listed, dice: dice.whole(0, 5),
)


def used(seed: int, number: int, listed: Collection[str]) -> set[str]:
    """The capabilities that a case uses, of those that a port lists.

    For two ports they differ only as far as the lists do, so that most cases serve several.
    """
    dice = Dice("capabilities", seed, number)
    order = [name for name in dice.shuffled(CAPABILITIES) if name in listed]
    turn = Dice("turn", seed).whole(0, len(SHARES) - 1) + number
    share = SHARES[turn % len(SHARES)](len(order), dice)
    found: set[str] = set()
    for name in order:
        more = with_needs({*found, name}, order)
        if len(found) < share and possible(more):
            found = more
    return found


def with_needs(names: set[str], order: Sequence[str]) -> set[str]:
    """These and what they need, as far as it is there; of two that would do, the first."""
    found = {*names}
    for _ in NEEDS:  # what is added needs something itself
        for name in lacking(found):
            found |= {*[other for other in order if other in NEEDS[name]][:1]}
    return found


def possible(names: set[str]) -> bool:
    """Whether there can be a case that uses all of these and nothing else."""
    shapes = sum(name in names for name in HIDDEN)  # one in hidden layers, one of the output
    most = 1 if "cross-entropy" in names else 2
    clash = any(some <= names for some in EXCLUSIVE)
    return shapes <= most and not clash and not lacking(names)


def id_of(seed: int, number: int, names: set[str]) -> str:
    """The id of the case that uses exactly these capabilities."""
    if names == used(seed, number, CAPABILITIES):
        return f"fresh-{seed}-{number}"
    bits = sum(1 << i for i, name in enumerate(CAPABILITIES) if name in names)
    return f"fresh-{seed}-{number}-{bits:x}"


def named(word: str) -> Case | None:
    """The case of this id; None if there is none."""
    if (match := ID.fullmatch(word)) is None:
        return None
    seed, number = int(match[1]), int(match[2])
    if match[3] is None:
        names = used(seed, number, CAPABILITIES)
    else:
        bits = int(match[3], 16)
        names = {name for i, name in enumerate(CAPABILITIES) if bits >> i & 1}
    if not possible(names) or id_of(seed, number, names) != word:
        return None
    return case(seed, number, names)


def case(seed: int, number: int, names: set[str]) -> Case:
    """The random case that uses exactly these capabilities, as a file under build/."""
    name = id_of(seed, number, names)
    path = FRESH / f"{name}.toml"
    with writing_build():
        write_atomically(path, drawing.text(name, names))
    return load(path)


def cases(seed: int, count: int, lists: Iterable[Collection[str]]) -> list[Case]:
    """So many cases of a seed for each of these lists of capabilities, those that are fit.

    One that is not fit gives way to the next number. Raises CaseError where too few are fit.
    """
    from conformance.suite import fitness  # here, since a run of named cases can spare both
    from reference.golden.parallel import in_parallel

    several = list(dict.fromkeys(frozenset(listed) for listed in lists))
    fit: dict[str, bool] = {}
    while True:
        chosen: dict[str, Case] = {}
        for listed in several:
            chosen |= {drawn.id: drawn for drawn in _first(seed, count, listed, fit)}
        unknown = [drawn for drawn in chosen.values() if drawn.id not in fit]
        if not unknown:
            return list(chosen.values())
        told = in_parallel([partial(fitness.data_if_fit, drawn) for drawn in unknown])
        for drawn, data in zip(unknown, told, strict=True):
            fit[drawn.id] = data is not None
            if data is not None:
                derived.keep(drawn, data)


def _first(seed: int, count: int, listed: Set[str], fit: Mapping[str, bool]) -> Iterator[Case]:
    """The first cases for one list that are fit, as far as that is known."""
    found = 0
    for number in range(1, TRIES * count + TRIES):
        names = used(seed, number, listed)
        if found < count and fit.get(id_of(seed, number, names), True):
            found += 1
            yield case(seed, number, names)
    if found < count:
        raise CaseError(f"{option('seed', seed)}: too few of its cases can be certified")
