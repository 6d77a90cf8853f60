"""What a random case is drawn from: fair dice, sizes that are affordable, and boundaries."""

import itertools
import random
import tomllib
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest

from conformance.suite import drawing, fresh, sizes
from conformance.suite.dice import Dice
from conformance.suite.sizes import BUDGET, KINKED, MOST_ITERATIONS, Size
from reference.algorithm.layers import HIDDEN
from reference.cases.capabilities import CAPABILITIES, EXCLUSIVE, NEEDS

MANY = 2000
# A share of MANY fair draws strays by less than this, 5 standard deviations, but once in a million.
FAIR = 5 * 0.5 / MANY**0.5


def dice(n: int = 0) -> Dice:
    return Dice("test", n)


def shares(values: list[Any]) -> dict[Any, float]:
    return {value: count / len(values) for value, count in Counter(values).items()}


def test_dice_depend_on_their_words_alone() -> None:
    plain = random.Random("fresh 7 3")
    found = Dice("fresh", 7, 3)
    assert [found.real(0, 1, 12) for _ in range(5)] == [round(plain.random(), 12) for _ in range(5)]
    firsts = {Dice(*words).real(0, 1) for words in (("a", 1), ("a", 2), ("b", 1), ("a1",), ())}
    assert len(firsts) == 5


def test_a_whole_number_is_any_from_low_to_high() -> None:
    d = dice()
    found = shares([d.whole(-1, 2) for _ in range(MANY)])
    assert found == pytest.approx(dict.fromkeys(range(-1, 3), 0.25), abs=FAIR)
    assert {d.whole(3, 3) for _ in range(20)} == {d.whole(3, 1) for _ in range(20)} == {3}
    assert {d.whole(3, 2) for _ in range(20)} == {3}


def test_a_chance_a_pick_and_an_order_are_fair() -> None:
    d = dice()
    for part in (0.0, 0.25, 1.0):
        found = sum(d.chance(part) for _ in range(MANY)) / MANY
        assert found == pytest.approx(part, abs=FAIR)
    found_picks = shares([d.pick("abc") for _ in range(MANY)])
    assert found_picks == pytest.approx(dict.fromkeys("abc", 1 / 3), abs=FAIR)
    orders = shares(["".join(d.shuffled("abc")) for _ in range(MANY)])
    all_orders = ["".join(order) for order in itertools.permutations("abc")]
    assert orders == pytest.approx(dict.fromkeys(all_orders, 1 / 6), abs=FAIR)


def test_a_real_number_has_few_digits_and_lies_in_its_range() -> None:
    d = dice()
    found = [d.real(-1, 3, 2) for _ in range(MANY)]
    assert min(found) == pytest.approx(-1, abs=0.05)
    assert max(found) == pytest.approx(3, abs=0.05)
    assert all(-1 <= value <= 3 and value == round(value, 2) for value in found)
    assert np.mean(found) == pytest.approx(1, abs=4 * FAIR)
    matrix = np.array(d.matrix(30, 40, -2, 2))
    assert matrix.shape == (30, 40)
    assert -2 <= matrix.min() < -1.9 < 1.9 < matrix.max() <= 2
    assert np.array_equal(matrix, matrix.round(4))
    assert not np.array_equal(matrix, matrix.round(3))


def test_a_run_is_compared_early_and_at_its_end() -> None:
    found = {n: (sizes.checkpoints(n), sizes.single_steps(n)) for n in (1, 2, 5, 10, 11)}
    assert found == {
        1: ([0, 1], [0, 1]),
        2: ([0, 1, 2], [0, 1]),
        5: ([0, 1, 2, 5], [0, 1]),
        10: ([0, 1, 2, 10], [0, 1, 10]),
        11: ([0, 1, 2, 10, 11], [0, 1, 10]),
    }


def plain(**changes: Any) -> Size:
    return Size(**{**PLAIN, **changes})


PLAIN: dict[str, Any] = {
    "layers": [2, 3, 1],
    "samples": 4,
    "batch_size": 0,
    "networks": 1,
    "cancelled": False,
}


def test_the_cost_is_counted_in_multiply_adds() -> None:
    """Of 3 x 3 + 4 x 1 = 13 weights with bias units, 3 + 1 units, and a run with its two steps."""
    update = 4 * (3 * 13 + 12 * 4) + 10 * 13
    inference = 4 * (13 + 12 * 4 / 2)
    assert plain().cost(1) == 3 * update + 2 * inference
    assert plain().cost(20) == (20 + 3) * update + 5 * inference
    assert plain(networks=3).cost(1) == 3 * plain().cost(1)
    assert plain(cancelled=True).cost(1) == 8 * plain().cost(1)
    # A batch has fewer rows, and inference has all.
    small = 1 * (3 * 13 + 12 * 4) + 10 * 13
    assert plain(batch_size=1).cost(1) == 3 * small + 2 * inference
    assert [plain(batch_size=n).rows for n in (0, 1, 4, 9)] == [4, 1, 4, 4]
    # Softmax has each pair of outputs, once for four multiply-adds.
    wide = 4 * (3 * 33 + 12 * (3 + 6 + 9)) + 10 * 33
    assert plain(layers=[2, 3, 6]).cost(1) == 3 * wide + 2 * 4 * (33 + 12 * 18 / 2)


def test_as_many_iterations_as_fit() -> None:
    for layers in ([1, 1], [20, 20, 20], [40, 40, 40, 40], [300, 300]):
        for samples in (1, 30, 257):
            size = plain(layers=layers, samples=samples)
            most = size.most_iterations
            assert 1 <= most <= MOST_ITERATIONS
            assert most == 1 or size.cost(most) <= BUDGET
            assert most == MOST_ITERATIONS or size.cost(most + 1) > BUDGET
    assert plain().most_iterations == MOST_ITERATIONS


def test_what_costs_exactly_the_budget_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "BUDGET", plain().cost(7))
    assert plain().most_iterations == 7
    names = {"layers"}
    before = sizes.drawn(dice(1), names, set())
    monkeypatch.setattr(sizes, "BUDGET", before.cost(1))
    assert sizes.drawn(dice(1), names, set()) == before
    monkeypatch.setattr(sizes, "BUDGET", before.cost(1) - 1)
    assert sizes.drawn(dice(1), names, set()) != before


def drawn(names: set[str], at: set[str] | None = None, number: int = 300) -> list[Size]:
    return [sizes.drawn(dice(n), names, at or set()) for n in range(number)]


def test_samples_are_few_or_many() -> None:
    found = {size.samples for size in drawn(set())}
    assert found >= {1, 2, 3, 4, 5, 6, 17, 100, 257}
    assert {n for n in found if 6 < n < 41} > {17}
    assert found <= {*range(1, 41), 100, 257}
    # Of one row, batch normalisation makes zeros, where rounding decides about relu.
    assert 1 not in {size.samples for size in drawn(KINKED)}
    assert 1 in {size.samples for size in drawn({"batch-norm", "tanh"})}


def rows_of(size: Size) -> set[int]:
    last = size.samples % size.rows or size.rows
    return {size.rows, last}


def test_a_batch_is_one_row_some_all_or_more_than_all() -> None:
    assert {size.batch_size for size in drawn(set())} == {0}
    names = {"mini-batch"}
    signs = shares([np.sign(size.batch_size - size.samples).item() for size in drawn(names)])
    assert {*signs} == {-1, 0, 1}
    assert all(1 <= size.batch_size <= size.samples + 1 for size in drawn(names))
    assert sum(size.batch_size == 1 < size.samples for size in drawn(names)) > 20
    assert {size.batch_size for size in drawn(names, {"batches of one"})} == {1}
    beyond = [size.batch_size - size.samples for size in drawn(names, {"one batch"})]
    assert (min(beyond), max(beyond)) == (0, 50)
    for size in drawn({*names, *KINKED}):
        assert 1 not in rows_of(size)
    assert any(size.rows < size.samples for size in drawn({*names, *KINKED}))


def test_networks_are_an_ensembles() -> None:
    assert {size.networks for size in drawn(set())} == {1}
    assert {size.networks for size in drawn({"ensemble"})} == {2, 3, 4}


def test_the_layers_are_those_that_capabilities_allow() -> None:
    for size in drawn(set()):
        assert (len(size.layers), size.layers[-1]) == (3, 1)
    free = [size.layers for size in drawn({"layers"})]
    assert {len(layers) for layers in free} == {2, 3, 4, 5, 6}
    assert all(len(layers) != 3 or layers[-1] != 1 for layers in free)
    assert any(layers[-1] == 1 for layers in free)
    for name in ("dropout", "batch-norm", *(name for name in HIDDEN if name != "sigmoid")):
        found = {len(size.layers) for size in drawn({"layers", name})}
        assert found == {3, 4, 5, 6}
    units = {n for layers in free for n in layers}
    assert {*range(1, 7)} <= units <= {*range(1, 41)}
    assert max(units) > 35


def test_one_iteration_fits_the_budget_and_layers_are_halved_until_it_does() -> None:
    names = {"layers", "ensemble", "batch-norm", "bias", "adam"}
    found = drawn(names)
    assert all(size.cancelled for size in found)
    assert all(size.cost(1) <= BUDGET or max(size.layers) <= 2 for size in found)
    for n, size in enumerate(found):
        again = dice(n)
        samples = again.whole(*again.pick(sizes.SAMPLES))
        assert samples == size.samples
        before = sizes.widths(again, names)
        for here, there in zip(size.layers, before, strict=True):
            halves = {max(2, there >> k) for k in range(6)}
            assert here == there or here in halves
        if plain(layers=before, samples=samples, networks=4, cancelled=True).cost(1) <= BUDGET:
            assert size.layers == before


@pytest.mark.parametrize(
    ("names", "cancelled"),
    [
        (set(), False),
        ({"batch-norm", "bias"}, False),
        ({"bias", "adam"}, False),
        ({"batch-norm", "bias", "adam"}, True),
        ({"batch-norm", "bias", "momentum"}, True),
    ],
)
def test_descents_that_cancel_are_known_to_cost_more(names: set[str], cancelled: bool) -> None:
    """Where batch normalisation takes off what a bias adds, an average of descents is of zeros."""
    assert {size.cancelled for size in drawn(names, number=60)} == {cancelled}


def test_descents_of_one_row_cancel() -> None:
    for names in ({"batch-norm", "adam"}, {"batch-norm", "momentum", "mini-batch"}):
        found = drawn(names)
        assert {size.cancelled for size in found} == {True, False}
        for size in found:
            assert size.cancelled == (1 in rows_of(size) or size.batch_size == 1)


def possible_sets() -> list[set[str]]:
    """Sets of capabilities of all sizes, each with what it needs."""
    found = [
        fresh.with_needs(set(dice(n).shuffled(CAPABILITIES)[: n % 12]), CAPABILITIES)
        for n in range(400)
    ]
    return [names for names in found if fresh.possible(names)]


@cache
def texts() -> list[tuple[set[str], dict[str, Any]]]:
    """The tables of many random cases, and the capabilities that they use."""
    sets = possible_sets()
    return [
        (names, tomllib.loads(drawing.text(f"fresh-1-{n}", names)))
        for n in range(600)
        for names in [sets[n % len(sets)]]
    ]


def at(boundary: str) -> list[tuple[set[str], dict[str, Any]]]:
    found = [(names, case) for names, case in texts() if boundary in case["title"].split(", ")]
    assert len(found) > 5, boundary
    return found


def test_a_random_case_says_what_it_is() -> None:
    for n, (names, case) in enumerate(texts()):
        assert (case["format"], case["id"], case["needs"]) == (1, f"fresh-1-{n}", sorted(names))
        assert case["title"].startswith("A random case")
        told = case["title"].split(", ")[1:]
        assert told == [boundary for boundary in drawing.BOUNDARIES if boundary in told]
        assert all(drawing.BOUNDARIES[boundary](names) for boundary in told)
        assert len(told) <= 3
        assert case["purpose"].endswith(".")
    counts = Counter(len(case["title"].split(", ")) - 1 for _, case in texts())
    assert {*counts} == {0, 1, 2, 3}


def test_the_tables_fit_one_another() -> None:
    for names, case in texts():
        layers, samples = case["network"]["layers"], len(case["data"]["X"])
        iterations = case["training"]["iterations"]
        assert np.shape(case["data"]["X"]) == (samples, layers[0])
        assert np.shape(case["data"]["y"]) == (samples, layers[-1])
        assert case["trace"]["checkpoints"] == sizes.checkpoints(iterations)
        steps = [] if "ensemble" in names else sizes.single_steps(iterations)
        assert case["trace"]["steps"] == steps
        init = case["init"]
        assert ("weights" in init) != ("networks" in init) == ("ensemble" in names)
        assert ("drawn_by_port" in init) == ("numpy-seed" in names)
        if "weights" in init:
            assert [np.shape(w) for w in init["weights"]] == [
                (a + ("bias" in names), b) for a, b in itertools.pairwise(layers)
            ]
            assert max(abs(w).max() for w in map(np.array, init["weights"])) <= 1
        else:
            assert init["networks"] in (2, 3, 4)
            assert 0 <= init["numpy_seed"] <= 2**31
        assert ("predict" in case) == ("predict" in names)
        if "predict" in case:
            X = np.array(case["predict"]["X"])
            assert X.shape == (len(X), layers[0])
            assert 1 <= len(X) <= 6
            assert abs(X).max() <= 2
            [n] = case["predict"]["checkpoints"]
            assert n in case["trace"]["checkpoints"]
    assert {len(case["predict"]["X"]) for _, case in texts() if "predict" in case} == {*range(1, 7)}
    seeds = [n for _, case in texts() for n in case["init"].get("drawn_by_port", [])]
    assert all(0 <= n < 2**32 for n in seeds)
    assert max(seeds) > 2**31


ALWAYS = {"iterations"}
KEYS = {
    "bias": {"bias"},
    "batch-norm": {"batch_norm", "norm_epsilon", "norm_rate"},
    "cross-entropy": {"loss"},
    "mini-batch": {"batch_size", "shuffle"},
    "dropout": {"dropout"},
    "philox": {"philox_seed"},
    "l1": {"l1"},
    "l2": {"l2"},
    "alpha": {"alpha"},
    "adam": {"adam", "beta1", "beta2", "adam_epsilon"},
    "momentum": {"momentum", "nesterov"},
}


def test_each_capability_has_its_settings_and_nothing_else_has_them() -> None:
    for names, case in texts():
        given = {*case["training"], *case["network"]} - {"layers", "activation", "output"}
        wanted = set().union(*(KEYS[name] for name in names if name in KEYS))
        trims = given & {"trim_value", "trim_norm"}
        assert given - trims == wanted | ALWAYS
        assert bool(trims) == ("delta-trimming" in names)
        used = {case["network"].get("activation"), case["network"].get("output")} - {None}
        assert used - {"sigmoid"} == names & ({*HIDDEN, "softmax"} - {"sigmoid"})
        assert case["training"].get("shuffle", False) in (False, "philox" in names)
        if names >= {"mini-batch", "philox"} and "dropout" not in names:
            assert case["training"]["shuffle"] is True


def seen(key: str) -> list[Any]:
    tables = [{**case["training"], **case["network"]} for _, case in texts()]
    return [table[key] for table in tables if key in table]


def test_settings_are_of_every_kind() -> None:
    for key, values in (
        ("nesterov", {True, False}),
        ("shuffle", {True, False}),
        ("norm_epsilon", {0.001, 0.01, 1.0}),
        ("adam_epsilon", {0.1, 0.01, 0.001}),
        ("loss", {"cross-entropy"}),
        ("bias", {True}),
        ("adam", {True}),
        ("batch_norm", {True}),
    ):
        assert {*seen(key)} == values, key
    for key, low, high in (
        ("dropout", 0, 1),
        ("momentum", 0, 1),
        ("beta1", 0, 1),
        ("beta2", 0, 1),
        ("norm_rate", 0, 1),
        ("l1", 0, 1),
        ("l2", 0, 1),
        ("philox_seed", 0, 2**63),
    ):
        found = seen(key)
        assert len({*found}) >= 10, key
        assert all(low < value < high for value in found), key
    assert max(seen("philox_seed")) > 2**32  # beyond what a C int holds, and a double does
    assert max(seen("philox_seed")) <= 2**53
    kinds = Counter(
        (("trim_value" in c["training"]), ("trim_norm" in c["training"]))
        for n, c in texts()
        if "delta-trimming" in n
    )
    assert {*kinds} == {(True, False), (False, True), (True, True)}
    both = [case["network"] for _, case in texts()]
    assert any(t.get("output") == t.get("activation") == "tanh" for t in both)
    assert any("output" not in t and t.get("activation") == "tanh" for t in both)


def test_steps_are_small_with_adam_and_extreme_at_their_boundaries() -> None:
    for names, case in texts():
        alpha = case["training"].get("alpha")
        told = case["title"].split(", ")
        if alpha is not None:
            scaled = alpha * 20 if "adam" in names else alpha
            if "tiny steps" in told:
                assert scaled == pytest.approx(1e-5)
            elif "large steps" in told:
                assert scaled == pytest.approx(8)
            else:
                assert 0.05 <= scaled <= 2.0001


def test_trimming_trims_all_or_nothing_at_its_boundaries() -> None:
    for boundary, limit in (("always trimmed", 1e-5), ("never trimmed", 1000.0)):
        for _, case in at(boundary):
            if {"always trimmed", "never trimmed"} <= {*case["title"].split(", ")}:
                continue
            found = {case["training"].get(key, limit) for key in ("trim_value", "trim_norm")}
            assert found == {limit}
    assert {case["training"]["dropout"] for _, case in at("half dropped")} == {0.5}
    assert {case["training"]["batch_size"] for _, case in at("batches of one")} == {1}
    for _, case in at("one batch"):
        told = case["title"]
        assert "batches of one" in told or case["training"]["batch_size"] >= len(case["data"]["X"])


def test_targets_are_numbers_from_0_to_1_or_classes() -> None:
    sharp = {0.0, 1.0}
    classes, several, drawn = 0, 0, set[int]()
    for names, case in texts():
        y = np.array(case["data"]["y"])
        assert ((y >= 0) & (y <= 1)).all()
        if "sharp targets" in case["title"]:
            assert {*y.flat} <= sharp
        elif "softmax" not in names:
            assert not {*y.flat} <= sharp
        if "softmax" in names and y.shape[1] > 1:
            several += 1
            if {*y.flat} == sharp and bool((y.sum(axis=1) == 1).all()):
                classes += 1
                drawn |= {*y.argmax(axis=1).tolist()}
        elif "sharp targets" not in case["title"]:
            assert not {*y.flat} <= sharp  # one class alone would always be right
    assert several / 2 < classes < several
    assert {0, 1, 2} <= drawn


def test_inputs_go_from_minus_2_to_2() -> None:
    plain = [case for _, case in texts() if case["title"] == "A random case"]
    for place in ("data", "predict"):
        rows = [np.ravel(case[place]["X"]) for case in plain if place in case]
        found = np.concatenate(rows)
        assert -2 <= found.min() < -1.9
        assert 1.9 < found.max() <= 2


def test_a_case_is_at_boundaries_that_its_capabilities_have() -> None:
    for boundary, needed in (
        ("tiny steps", "alpha"),
        ("large steps", "alpha"),
        ("never trimmed", "delta-trimming"),
        ("always trimmed", "delta-trimming"),
    ):
        assert all(needed in names for names, _ in at(boundary))
    assert len(at("sharp targets")) > 5


def test_ensembles_start_from_many_seeds() -> None:
    seeds = [case["init"].get("numpy_seed") for names, case in texts() if "ensemble" in names]
    assert len({*seeds}) > len(seeds) / 2


def test_each_run_has_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Size, "most_iterations", 1)
    for n in range(20):
        case = tomllib.loads(drawing.text(f"fresh-1-{n}", {"alpha"}))
        assert case["training"]["iterations"] == 1


def test_data_are_at_the_boundaries_that_the_title_names() -> None:
    for _, case in at("zero inputs"):
        X = np.array(case["data"]["X"])
        assert X.size < 20 or 0.05 < (X == 0).mean() < 0.7 or "zero sample" in case["title"]
    for _, case in at("zero sample"):
        assert (np.array(case["data"]["X"]) == 0).all(axis=1).any()
    for _, case in at("zero weights"):
        flat = np.concatenate([np.ravel(w) for w in case["init"]["weights"]])
        assert flat.size < 30 or 0.1 < (flat == 0).mean() < 0.6 or "kink" in case["title"]
    largest = dict.fromkeys(("saturated", ""), 0.0)
    for _, case in texts():
        X = np.array(case["data"]["X"])
        if "saturated" in case["title"]:
            largest["saturated"] = max(largest["saturated"], abs(X).max())
            assert np.array_equal(X, X.round(1))
        else:
            largest[""] = max(largest[""], abs(X).max())
    assert 1.9 < largest[""] <= 2
    assert 1500 < largest["saturated"] <= 2000


def test_at_the_kink_products_are_exactly_0() -> None:
    """Equal inputs meet weights that add up to 0; a bias unit's weight is 0 there."""
    for names, case in at("kink"):
        X = np.array(case["data"]["X"])
        syn0 = np.array(case["init"]["weights"][0])
        inputs = X.shape[1]
        if len(case["network"]["layers"]) > 2:
            assert case["network"]["activation"] == "relu"
        equal = X[::3]
        assert (equal == equal[:, :1]).all()
        dead = syn0[:, ::2]
        assert np.array_equal(dead.sum(axis=0), np.zeros(dead.shape[1]))
        assert (X[::3] @ dead[:inputs] == 0).all()
        assert inputs == 1 or {0.25, -0.25} <= {*dead.flat}
        if "bias" in names:
            assert (dead[inputs] == 0).all()
    # Half a unit apart, and no more than 2 from 0.
    values = {
        x
        for _, case in at("kink")
        if "saturated" not in case["title"]
        for row in case["data"]["X"][::3]
        for x in row
    }
    assert values == {n / 2 for n in range(-4, 5)}


def test_what_is_possible_is_what_a_case_can_use() -> None:
    assert fresh.possible(set())
    assert not any(fresh.possible({*pair}) for pair in EXCLUSIVE)
    for name in CAPABILITIES:
        assert fresh.possible({name}) == (name not in NEEDS)
    assert fresh.possible({"relu", "tanh"})
    assert fresh.possible({"softmax", "cross-entropy", "tanh"})
    assert not fresh.possible({"relu", "tanh", "cross-entropy"})
    assert fresh.with_needs({"softmax"}, CAPABILITIES) == {"softmax", "cross-entropy"}
    assert fresh.with_needs({"softmax"}, ["softmax"]) == {"softmax"}
    assert fresh.with_needs({"dropout"}, CAPABILITIES) == {"dropout", "philox"}
    assert fresh.with_needs({"philox"}, ["mini-batch", "dropout"]) == {"philox", "mini-batch"}
    assert fresh.with_needs({"philox"}, ["dropout", "mini-batch"]) == {"philox", "dropout"}


def test_a_run_takes_many_few_all_and_one_of_the_capabilities_in_turn() -> None:
    """Of five numbers that follow one another, one is about all and one about a single one."""
    for seed in range(30):
        used = [
            fresh.used(seed, number, {"alpha", "layers", "bias", "l1", "l2", "predict"})
            for number in range(1, 6)
        ]
        many = [len(names) for names in used]
        assert 6 in many
        assert 1 in many
        assert 2 in many
        assert max(many) == 6
    turns = {
        tuple(len(fresh.used(seed, n, CAPABILITIES)) > 12 for n in range(1, 6))
        for seed in range(30)
    }
    assert len(turns) == 5  # each seed begins anywhere


def test_capabilities_that_are_listed_more_change_little() -> None:
    for number in range(1, 40):
        few = fresh.used(3, number, set(CAPABILITIES) - {"l1"})
        assert "l1" not in few
        assert fresh.possible(few)


def test_five_cases_are_drawn_and_a_seed_has_at_most_six_digits() -> None:
    """As the tables of options have it, and the ids."""
    assert (fresh.NUMBER, fresh.MOST) == (5, 1000)
    assert fresh.named(f"fresh-{fresh.SEEDS - 1}-1") is not None
    assert fresh.named(f"fresh-{fresh.SEEDS}-1") is None
