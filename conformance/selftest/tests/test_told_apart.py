"""No two known bugs of a capability look alike: some case of the capability tells them apart.

A case in which alpha is 0.5, say, cannot tell a penalty that is doubled from one that is divided by
alpha. Where all cases have such a coincidence, a third mistake may hide in it.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from conformance.selftest.tests.conftest import CASES
from conformance.suite import known_bugs, traces
from conformance.suite.compare import Expected
from conformance.suite.known_bugs import KnownBug
from conformance.suite.traces import Trace
from conformance.verdict.diagnosis import MAX_ITERATIONS
from reference.array import Array
from reference.cases.case import Case, load_all

# Bugs that compute the same numbers in any network, and why.
ALIKE: dict[tuple[str, str], str] = {}

# Numbers that are so many tolerances apart belong to different mistakes.
APART = 10.0

Answer = list[tuple[Array, Expected]]


def cost(case: Case) -> int:
    """How much a run computes, roughly."""
    weights = sum(w.size for w in case.weights)
    return min(case.iterations, MAX_ITERATIONS) * weights * (5 + len(case.X))


def answer(bug: KnownBug, trace: Trace) -> Answer | None:
    """All numbers of a port with the bug; None if their shapes do not fit, as in a crash."""
    found: Answer = []
    for due in trace.upto(MAX_ITERATIONS).due:
        try:
            answers = known_bugs.answer(bug, due.check)
        except ValueError:
            return None
        for n, wanted in due.expected:
            pairs = zip(answers[n], wanted, strict=True)
            found += [(np.asarray(got), golden) for (_, got), golden in pairs]
    return found


def apart(one: Answer | None, other: Answer | None) -> bool:
    """Whether two answers to a case differ by more than rounding."""
    if one is None or other is None:
        return (one is None) != (other is None)
    return any(
        a.shape != b.shape
        or not (np.isfinite(a) == np.isfinite(b)).all()
        or (np.abs(a - b)[np.isfinite(a)] > APART * golden.tolerance).any()
        for (a, golden), (b, _) in zip(one, other, strict=True)
    )


def alike(bugs: Iterable[KnownBug], cases: Iterable[Case]) -> set[tuple[str, str]]:
    """The pairs of bugs that no case tells apart; the cheapest cases are asked first."""
    by_id = {bug.id: bug for bug in bugs}
    left = set(itertools.combinations(by_id, 2))
    for case in sorted(cases, key=cost):
        if left:
            trace = traces.load(case)["float64"]
            answers = {id_: answer(by_id[id_], trace) for id_ in sorted({*sum(left, ())})}
            left = {pair for pair in left if not apart(*(answers[id_] for id_ in pair))}
    return left


def concerned(capability: str) -> Iterator[Case]:
    """The cases in which a bug of this capability can show."""
    return (case for case in load_all(CASES) if known_bugs.concerns(capability, case))


def bugs_of(capability: str) -> list[KnownBug]:
    """The known bugs of a capability."""
    return [bug for bug, its in known_bugs.catalogue().values() if its == capability]


CAPABILITIES = sorted({capability for _, capability in known_bugs.catalogue().values()})


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_some_case_tells_two_known_bugs_apart(capability: str) -> None:
    bugs = bugs_of(capability)
    ids = {bug.id for bug in bugs}
    expected = {tuple(sorted(pair)) for pair in ALIKE if ids & {*pair}}
    found = {tuple(sorted(pair)) for pair in alike(bugs, concerned(capability))}
    assert found == expected, "new cases must tell these apart, or ALIKE must say why none can"


def test_bugs_that_are_alike_are_in_the_catalogue() -> None:
    for pair, reason in ALIKE.items():
        capabilities = {known_bugs.catalogue()[id_][1] for id_ in pair}
        assert len(capabilities) == 1
        assert reason


# Pairs that some cases cannot tell apart: with alpha 0.5, a penalty that is doubled is one that is
# divided by alpha; a norm below 1 without its root is below the limit.
COINCIDENCES = [
    ("l2-factor-two", "l2-without-alpha", ["l2-step", "l2-run"]),
    ("norm-without-root", "norm-limited-too-late", ["trim-norm-step"]),
]


@pytest.mark.parametrize(("one", "other", "blind"), COINCIDENCES)
def test_a_coincidence_would_be_found(one: str, other: str, blind: list[str]) -> None:
    bugs = [known_bugs.catalogue()[id_][0] for id_ in (one, other)]
    cases = [case for case in load_all(CASES) if case.id in blind]
    assert len(cases) == len(blind)
    assert alike(bugs, cases) == {(one, other)}
