"""What a port could list next, on the cases of this suite."""

import pytest

from conformance.session.hints import hints
from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import Case

BASE = ("alpha", "layers")


def told(cases: list[Case], *listed: str) -> dict[str, str]:
    return {hint.capability: hint.text for hint in hints([*BASE, *listed], cases)}


def runs(cases: list[Case], *listed: str) -> int:
    return sum({*case.needs} <= {*BASE, *listed} for case in cases)


def test_what_is_listed_in_vain_is_told_first(cases: list[Case]) -> None:
    [first, *_] = hints([*BASE, "softmax"], cases)
    more = runs(cases, "softmax", "cross-entropy") - runs(cases, "softmax")
    assert more > 2
    assert first.text == f"softmax also needs cross-entropy: list it, {more} more cases run"
    assert first.lists == {frozenset({"cross-entropy"}): more}


def test_one_of_several_will_do(cases: list[Case]) -> None:
    batches, dropout = (runs(cases, "philox", name) for name in ("mini-batch", "dropout"))
    now = runs(cases, "philox")
    [hint, *_] = hints([*BASE, "philox"], cases)
    assert hint.lists == {
        frozenset({"mini-batch"}): batches - now,
        frozenset({"dropout"}): dropout - now,
    }
    more, fewer = batches - now, dropout - now
    assert more > fewer
    assert hint.text == f"philox also needs mini-batch ({more} more cases run) or dropout ({fewer})"


def test_what_is_not_listed_says_what_it_brings(cases: list[Case]) -> None:
    found = told(cases)
    momentum = runs(cases, "momentum") - runs(cases)
    assert found["momentum"] == f"list momentum: {momentum} more cases run"
    both = runs(cases, "softmax", "cross-entropy") - runs(cases)
    assert found["softmax"] == f"softmax also needs cross-entropy: list both, {both} more cases run"
    assert "alpha" not in found


@pytest.mark.parametrize("listed", [(), ("softmax",), ("philox", "momentum")])
def test_a_hint_that_is_followed_brings_what_it_promises(
    listed: tuple[str, ...], cases: list[Case]
) -> None:
    found = hints([*BASE, *listed], cases)
    assert found
    for hint in found:
        for names, more in hint.lists.items():
            assert more > 0
            assert runs(cases, *listed, *names) == runs(cases, *listed) + more
            after = {h.capability for h in hints([*BASE, *listed, *names], cases)}
            assert hint.capability not in after


def test_the_first_to_list_are_those_that_need_nothing_else(cases: list[Case]) -> None:
    needed = [min(map(len, hint.lists)) for hint in hints([], cases)]
    assert needed == sorted(needed)
    assert [hint.capability for hint in hints([], cases)][:3] == ["alpha", "layers", "bias"]


def test_who_lists_everything_is_told_nothing(cases: list[Case]) -> None:
    assert hints(CAPABILITIES, cases) == []
