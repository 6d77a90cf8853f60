"""For each setting, some case has a value that shows what a port does with the setting.

With alpha 0.5, a port that doubles is right where another that divides by alpha is; a norm of less
than 1 is below a limit if its square is. Such a case must not be the only one of its kind, and the
one that tells must need as little else as any: a port that lists little is asked nothing more.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import get_type_hints

import numpy as np
import pytest

from conformance.selftest.tests.conftest import CASES
from conformance.selftest.tests.test_told_apart import apart
from conformance.suite import traces
from conformance.suite.compare import Expected
from conformance.suite.traces import golden_state
from reference.algorithm import network
from reference.algorithm.optimise import decay
from reference.algorithm.philox import kept, permutation
from reference.algorithm.settings import Settings
from reference.arithmetic.float import FLOAT
from reference.array import Array
from reference.cases.case import Case, load_all

# What mistakes make of a number x. Two of these that are equal are one mistake to the case.
MISTAKES: tuple[Callable[[float], float], ...] = (
    lambda x: x,
    lambda x: 1 - x,
    lambda x: 2 * x,
    lambda x: x / 2,
    lambda x: x * x,
    math.sqrt,
    lambda x: 1 / x,
)
# Relative. An optimiser or a limit that is so far off is seen after few updates.
APART = 0.03
UPDATES = 10
DEFAULTS = Settings()._asdict()
NUMBERS = [name for name, kind in get_type_hints(Settings).items() if kind is float]

ALL = load_all(CASES)


def uses(case: Case, name: str) -> bool:
    """Whether a case has another value than the article's network."""
    return bool(getattr(case.settings, name) != DEFAULTS[name])


def least(name: str) -> list[Case]:
    """The cases with a setting that need nothing which another of them does not, except alpha."""
    found = [case for case in ALL if uses(case, name)]
    needs = [{*case.needs} - {"alpha"} for case in found]
    return [case for case, its in zip(found, needs, strict=True) if not any(n < its for n in needs)]


def far(a: float, b: float) -> bool:
    """Whether two numbers are far enough from each other to be told apart."""
    return abs(a - b) > APART * max(abs(a), abs(b))


def no_coincidence(case: Case) -> bool:
    """No two mistakes with the numbers of a case make the same number."""
    numbers = [getattr(case.settings, name) for name in NUMBERS if uses(case, name)]
    made = [0.0, 1.0, *(mistake(x) for x in numbers for mistake in MISTAKES)]
    return all(far(a, b) for a, b in itertools.combinations(made, 2))


def answer(case: Case, name: str, value: float) -> list[tuple[Array, Expected]]:
    """All numbers of a port that takes another value for a setting."""
    found = []
    with np.errstate(all="ignore"):
        for due in traces.load(case)["float64"].upto(UPDATES).due:
            if due.check.kind in ("step", "run"):
                due.check.start.given[name] = value
                answers = due.check.computed(network, FLOAT)
                for (_, got), (_, wanted) in zip(answers, due.expected, strict=True):
                    pairs = zip(got, wanted, strict=True)
                    found += [(np.asarray(value), golden) for (_, value), golden in pairs]
    return found


def number(case: Case, name: str) -> bool:
    """The numbers have no coincidence, and each mistake with this one shows in the trace."""
    if not no_coincidence(case):
        return False
    given = getattr(case.settings, name)
    answers = [answer(case, name, mistake(given)) for mistake in MISTAKES if mistake(given) >= 0]
    return all(apart(a, b) for a, b in itertools.combinations(answers, 2))


def steps(case: Case, **changed: object) -> Iterator[tuple[list[Array], network.Step]]:
    """One step from each golden state that has one, with other settings, and that state."""
    X, y, _ = case.arrays("float64")
    run = dict(traces.load(case)["float64"].run.expected)
    given = {**case.settings_for("float64"), **changed}
    for n in sorted({*case.trace.steps} & {*run}):
        state = golden_state(run[n], "float64")
        yield state, network.step(X, y, state, iteration=n, **given)


def biases(case: Case) -> list[Array]:
    """The initial weights from bias units, by layer."""
    return [w[..., -1, :] for w in case.weights]


def bias(case: Case, name: str) -> bool:
    """Each bias weight differs from 0 at the start, and from the others of its layer."""
    return all(b.all() and len(np.unique(b)) == b.size for b in biases(case))


def both_sides(case: Case, name: str) -> bool:
    """A hidden layer has units on both sides of 0, or of the kink."""
    [(_, first), *_] = steps(case)
    values = first.l[0]
    return bool((values > 0).any() and (values <= 0).any())


def batch_size(case: Case, name: str) -> bool:
    """Several batches of several samples, the last of them smaller, and then the first again."""
    size, samples = case.settings.batch_size, len(case.X)
    rest = samples % size
    return 2 < size < samples - size and 1 < rest < size and case.iterations > samples // size + 1


def moves(case: Case, name: str) -> bool:
    """Both first orders move every sample, are unlike, and are no reversal and no rotation."""
    samples, seed = len(case.X), case.settings.philox_seed
    orders = [permutation(samples, seed, epoch).tolist() for epoch in (0, 1)]
    plain = list(range(samples))
    dull = [plain[::-1], *(plain[k:] + plain[:k] for k in plain)]
    moved = all(n != i for order in orders for i, n in enumerate(order))
    return moved and orders[0] != orders[1] and not any(order in dull for order in orders)


def dropout(case: Case, name: str) -> bool:
    """In the first update, each sample loses some hidden units, and not the same as another."""
    given, rows = case.settings, case.batch_rows(0)
    masks = [
        kept((rows, units), given.dropout, given.philox_seed, 0, k)
        for k, units in enumerate(case.layers[1:-1], start=1)
    ]
    return number(case, name) and all(
        mask.any(axis=1).all() and not mask.all(axis=1).any() and len(np.unique(mask, axis=0)) > 1
        for mask in masks
    )


def both_halves(case: Case, name: str) -> bool:
    """Both words of the key are there, and are not the same."""
    low, high = case.settings.philox_seed % 2**32, case.settings.philox_seed // 2**32
    return 0 < low != high > 0


def trim_value(case: Case, name: str) -> bool:
    """In each layer some deltas are above the limit, some below minus it, and some between."""
    limit = case.settings.trim_value
    layers = zip(*(step.delta for _, step in steps(case, trim_value=0.0)), strict=True)
    return no_coincidence(case) and all(
        (d > limit).any() and (d < -limit).any() and (np.abs(d) < limit).any()
        for d in (np.concatenate(deltas) for deltas in layers)
    )


def trim_norm(case: Case, name: str) -> bool:
    """Norms are above and below the limit, above 1, and on the other side of it if squared."""
    limit = case.settings.trim_norm
    norms = [
        math.sqrt(sum(((b - a) ** 2).sum() for a, b in zip(state, step.state, strict=True)))
        for state, step in steps(case, trim_norm=0.0, alpha=1.0)
    ]
    above = [(norm > limit, norm * norm > limit) for norm in norms]
    sides = {root for root, _ in above}
    crossed = any(root != square for root, square in above)
    return no_coincidence(case) and sides == {True, False} and crossed and max(norms) > 1


def signs(case: Case, name: str) -> bool:
    """Weights of each layer have both signs, so that a penalty pulls both ways."""
    pulls = [decay(w, case.settings.l1, case.settings.l2, case.settings.bias) for w in case.weights]
    return number(case, name) and all((p > 0).any() and (p < 0).any() for p in pulls)


def choice(case: Case, name: str) -> bool:
    """A choice, and no number: test_settings_matter.py sees that it shows."""
    return True


TELLS: dict[str, Callable[[Case, str], bool]] = {
    "alpha": number,
    "bias": bias,
    "activation": both_sides,
    "output": choice,
    "loss": choice,
    "batch_size": batch_size,
    "shuffle": moves,
    "dropout": dropout,
    "philox_seed": both_halves,
    "batch_norm": choice,
    "norm_epsilon": number,
    "norm_rate": number,
    "trim_value": trim_value,
    "trim_norm": trim_norm,
    "l1": signs,
    "l2": signs,
    "momentum": number,
    "nesterov": choice,
    "adam": choice,
    "beta1": number,
    "beta2": number,
    "adam_epsilon": number,
}


def test_the_table_has_every_setting() -> None:
    assert [*TELLS] == [*Settings._fields]
    assert {name for name, tells in TELLS.items() if tells is choice}.isdisjoint(NUMBERS)


@pytest.mark.parametrize("name", TELLS)
def test_some_case_with_little_else_tells_what_a_setting_does(name: str) -> None:
    found = least(name)
    assert any(TELLS[name](case, name) for case in found), [case.id for case in found]


@pytest.mark.parametrize("name", TELLS)
def test_some_case_has_a_setting_with_bias_units_that_do_not_start_at_0(name: str) -> None:
    found = [case for case in ALL if uses(case, name) and case.settings.bias]
    assert any(bias(case, name) for case in found), [case.id for case in found]


# Cases whose values tell less than was thought, and what they lack. They keep their data.
LACKING = {
    "l2-step": "l2",
    "momentum-step": "momentum",
    "adam-step": "adam_epsilon",
    "mini-batch-step": "batch_size",
    "shuffle-step": "shuffle",
    "trim-norm-step": "trim_norm",
    "trim-norm-both": "trim_norm",
    "dropout-step": "dropout",
    "batch-norm-step": "norm_rate",
}


@pytest.mark.parametrize(("id_", "name"), LACKING.items())
def test_what_an_old_case_lacks_is_seen(id_: str, name: str) -> None:
    [case] = [case for case in ALL if case.id == id_]
    assert not TELLS[name](case, name)
