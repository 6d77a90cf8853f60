"""Whatever a port answers, the outcome is a verdict; and only right answers pass."""

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.process.channel import Channel, Trouble
from conformance.selftest.tests.conftest import CASES
from conformance.suite import traces
from conformance.suite.compare import Expected
from conformance.verdict.diagnosis import Answer
from conformance.verdict.judge import ask
from conformance.verdict.outcome import verdict_of
from conformance.wire.client import Client
from conformance.wire.requests import Failure, Unsupported
from reference.cases.case import load

CASE = load(CASES / "one-step.toml")
TRACE = traces.load(CASE)["float64"]
STEPS = [due for due in TRACE.due if due.check.kind == "step"]


class Scripted:
    """Stands in for a channel, and gives these lines as answers."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = iter(lines)

    def ask(self, request: bytes, limit_s: float, max_bytes: int, idle_s: float | None) -> bytes:
        json.loads(request)
        return next(self.lines)


def client(*lines: bytes) -> Client:
    return Client(cast(Channel, Scripted(*lines)), 1.0)


def status(lines: list[bytes]) -> str:
    """The result of these answers to every question of the case."""
    answer = Answer()
    try:
        ask(client(*lines), TRACE, None, answer)
    except (Trouble, Unsupported, Failure):
        return "no answer"
    return verdict_of("port", TRACE, answer).status


Tree = Any  # nested dictionaries and lists, as JSON has them


def answers(number: Callable[[Expected], Any]) -> list[Tree]:
    """An answer to each question of the case, where `number` gives each tensor's numbers."""
    found: list[Tree] = []
    for i, [(_, tensors)] in enumerate(due.expected for due in STEPS):
        by_name = {t.name: number(t) for t in tensors}
        answer: dict[str, Any] = {"id": i}
        for key, suffix in (("l", ""), ("error", "_error"), ("delta", "_delta")):
            answer[key] = [by_name[f"l{k}{suffix}"] for k in (1, 2)]
        found.append({**answer, "weights": [by_name["syn0"], by_name["syn1"]]})
    entries = []
    for n, tensors in TRACE.run.expected:
        *weights, error = (number(t) for t in tensors)
        entries.append({"iteration": n, "error": error, "weights": weights})
    return [*found, {"id": len(found), "checkpoints": entries}]


RIGHT = answers(lambda t: t.value.tolist())
TOLERANCE = answers(lambda t: np.full_like(t.value, t.tolerance).tolist())


def within(got: Tree, right: Tree, tolerance: Tree) -> bool:
    """The oracle: the same structure, and no number out of tolerance."""
    if isinstance(right, dict):
        keys = isinstance(got, dict) and got.keys() == right.keys()
        return keys and all(within(got[k], right[k], tolerance[k]) for k in right)
    if isinstance(right, list):
        length = isinstance(got, list) and len(got) == len(right)
        return length and all(map(within, got, right, tolerance))
    if type(got) not in (int, float) or abs(got) > 1e300:
        return False
    exact = isinstance(right, int)  # ids and iterations
    return got == right if exact else abs(got - right) <= tolerance


def places(tree: Tree) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) in a tree."""
    keys = range(len(tree)) if isinstance(tree, list) else list(tree)
    for key in keys:
        yield tree, key
        if isinstance(tree[key], list | dict):
            yield from places(tree[key])


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400)])
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn) -> list[Tree]:
    """Right answers, with one to three changes anywhere."""
    found = copy.deepcopy(RIGHT)
    for _ in range(draw(st.integers(1, 3))):
        which = draw(st.sampled_from(found))
        container, key = draw(st.sampled_from(list(places(which))))
        match draw(st.sampled_from(["replace", "delete", "double", "swap"])):
            case "replace":
                container[key] = draw(anything)
            case "delete":
                del container[key]
            case "double" if isinstance(container, list):
                container.insert(key, copy.deepcopy(container[key]))
            case "double":
                container[f"{key}2"] = container[key]
            case "swap":
                other, place = draw(st.sampled_from(list(places(found))))
                container[key] = copy.deepcopy(other[place])
    return found


def lines(trees: list[Tree]) -> list[bytes]:
    return [json.dumps(tree).encode() for tree in trees]


def test_right_answers_pass() -> None:
    assert status(lines(RIGHT)) == "PASS"
    assert within(RIGHT, RIGHT, TOLERANCE)


QUESTIONS: dict[str, Callable[[Client], Any]] = {
    "hello": lambda c: c.hello(),
    "step": lambda c: c.answer_to(STEPS[0].check),
    "run": lambda c: c.answer_to(TRACE.run.check),
}


@pytest.mark.parametrize("question", QUESTIONS)
@given(line=st.binary() | anything.map(lambda tree: json.dumps(tree).encode()))
def test_any_bytes_are_taken_for_what_they_are(question: str, line: bytes) -> None:
    with pytest.raises((Trouble, Unsupported, Failure)):
        QUESTIONS[question](client(line))


@given(anything, anything, st.sampled_from(["unsupported", "failure", "device"]))
def test_what_a_port_says_is_fit_to_be_shown(value: Any, other: Any, key: str) -> None:
    said = {"id": 0, key: value} | ({"format": other} if key == "device" else {})
    try:
        shown = client(json.dumps(said).encode()).hello()
    except (Trouble, Unsupported, Failure) as error:
        shown = str(error)
    assert shown.isprintable()
    assert len(shown.encode()) < 10_000


@given(mutated())
@settings(max_examples=300)
def test_a_changed_answer_passes_only_if_it_is_right(found: list[Tree]) -> None:
    assert (status(lines(found)) == "PASS") == within(found, RIGHT, TOLERANCE)


@given(st.integers(0, 2), st.data())
@settings(max_examples=300)
def test_changed_bytes_pass_only_if_they_are_right(which: int, data: st.DataObject) -> None:
    found = lines(RIGHT)
    line = found[which]
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, min(len(line), start + 5)))
    found[which] = line[:start] + data.draw(st.binary(max_size=5)) + line[end:]
    if status(found) == "PASS":
        assert within([json.loads(line) for line in found], RIGHT, TOLERANCE)


NUMBERS = [
    (which, i)
    for which, tree in enumerate(RIGHT)
    for i, (container, key) in enumerate(places(tree))
    if isinstance(container[key], float)
]
WRONG: list[Any] = [math.nan, math.inf, -math.inf, None, True, "0.5", [], [0.5], {}, 10**400, 1e308]


@given(st.sampled_from(NUMBERS), st.floats(-1.5, 1.5) | st.floats(-1e30, 1e30))
def test_one_number_passes_exactly_if_it_is_within_its_tolerance(
    place: tuple[int, int], deviation: float
) -> None:
    which, i = place
    found = copy.deepcopy(RIGHT)
    container, key = list(places(found[which]))[i]
    around, _ = list(places(TOLERANCE[which]))[i]
    right, container[key] = container[key], container[key] + deviation * around[key]
    if abs(deviation) > 1 and container[key] == right:  # the tolerance of what is only copied
        container[key] = math.nextafter(right, math.copysign(math.inf, deviation))
    expected = abs(container[key] - right) <= around[key]
    assert status(lines(found)) == ("PASS" if expected else "FAIL")
    assert expected or abs(deviation) > 0.9


@given(st.sampled_from(NUMBERS), st.sampled_from(WRONG))
def test_what_is_not_a_number_is_never_a_pass(place: tuple[int, int], wrong: Any) -> None:
    found = copy.deepcopy(RIGHT)
    container, key = list(places(found[place[0]]))[place[1]]
    container[key] = wrong
    assert status(lines(found)) in ("FAIL", "no answer")
