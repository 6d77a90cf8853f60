"""Pair cases: current, complete, not degenerate, and able to find what shows in one pair alone."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from conformance.ground import places
from conformance.ground.places import PAIRS
from conformance.ground.statuses import Status
from conformance.ground.terminal import OptionError
from conformance.record import tables
from conformance.selftest.teeth import MIN_MARGIN
from conformance.selftest.tests.conftest import PYTHON_MANIFEST, Conformance
from conformance.session.selection import chosen_cases
from conformance.suite import known_bugs, traces
from conformance.suite.compare import compare
from conformance.suite.known_bugs import KnownBug
from conformance.suite.traces import Trace
from conformance.verdict.verdict import Verdict
from reference.algorithm.philox import kept, permutation
from reference.cases import pairs
from reference.cases.capabilities import CAPABILITIES, EXCLUSIVE
from reference.cases.case import load_all

CASES = load_all(PAIRS)
BY_ID = {case.id: case for case in CASES}
ALL = [frozenset(pair) for pair in itertools.combinations(sorted(CAPABILITIES), 2)]


def ids(pair: Collection[str]) -> list[str]:
    """The ids of a pair's cases."""
    return [identifier for identifier, _ in pairs.cases(*sorted(pair))]


def test_each_capability_has_an_entry_and_nothing_else_has() -> None:
    assert {*pairs.TABLE} == {*CAPABILITIES}, "reference/cases/pairs.py: TABLE needs an entry each"


def test_the_files_are_what_the_table_says() -> None:
    assert pairs.update(PAIRS, check=True) == [], "run make golden"


def test_an_edited_a_missing_and_a_stray_file_are_found_and_mended(tmp_path: Path) -> None:
    assert len(pairs.update(tmp_path, check=True)) == len(CASES)
    assert not [*tmp_path.iterdir()]
    pairs.update(tmp_path)
    edited = tmp_path / "pair-adam-bias.toml"
    edited.write_text(edited.read_text().replace("beta1 = 0.8", "beta1 = 0.7"))
    (tmp_path / "pair-l1-l2.toml").unlink()
    (tmp_path / "pair-old.toml").write_text("")
    wrong = ["pair-adam-bias.toml", "pair-l1-l2.toml", "pair-old.toml"]
    assert pairs.update(tmp_path, check=True) == wrong
    assert pairs.update(tmp_path) == pairs.update(tmp_path, check=True) == []


def gaps(impossible: Collection[frozenset[str]]) -> list[str]:
    """Pairs that are neither covered by a case nor impossible, or both."""
    return [
        "-".join(sorted(pair))
        for pair in ALL
        if (pair in impossible) == any(name in BY_ID for name in ids(pair))
    ]


def test_each_pair_has_a_case_or_a_reason() -> None:
    assert gaps(EXCLUSIVE) == []
    assert all(reason for reason in EXCLUSIVE.values())


def test_a_pair_without_a_case_and_one_that_is_wrongly_impossible_would_be_found() -> None:
    known = {*EXCLUSIVE}
    assert gaps(known | {frozenset({"adam", "bias"})}) == ["adam-bias"]
    assert gaps(known - {frozenset({"adam", "momentum"})}) == ["adam-momentum"]


def test_a_case_needs_its_pair_and_what_that_implies() -> None:
    for pair in ALL:
        for name in ids(pair):
            assert {*BY_ID[name].needs} == pairs.closure(*pair)


@pytest.mark.parametrize(
    ("pair", "more"),
    [
        ("adam bias", ""),
        ("bias softmax", "layers cross-entropy"),
        ("bias dropout", "philox"),
        ("bias philox", "mini-batch"),  # shuffling, in a port without dropout
        ("dropout philox", ""),
        ("dropout mini-batch", "philox"),
    ],
)
def test_what_pairs_imply(pair: str, more: str) -> None:
    assert pairs.closure(*pair.split()) == {*pair.split(), *more.split()}


def test_no_input_is_one_that_makes_mistakes_alike() -> None:
    for case in CASES:
        settings = case.settings
        assert settings.alpha != 0.5
        assert (settings.alpha != 1) == ("alpha" in case.needs)
        if not case.networks:
            assert all((w != 0).all() for w in case.weights)
            assert all((w > 0).any() and (w < 0).any() for w in case.weights)
        if settings.batch_size:
            last = len(case.X) % settings.batch_size
            assert 1 < last < settings.batch_size
            assert case.iterations > len(case.X) // settings.batch_size + 1  # a second epoch
        if settings.shuffle:
            orders = [permutation(len(case.X), settings.philox_seed, epoch) for epoch in (0, 1)]
            assert all((order != range(len(case.X))).all() for order in orders)
            assert (orders[0] != orders[1]).all()
        if settings.dropout:
            assert settings.philox_seed >= 2**32  # so that both halves matter
            for n, (k, units) in itertools.product(
                range(case.iterations), enumerate(case.layers[1:-1], 1)
            ):
                shape = case.batch_rows(n), units
                mask = kept(shape, settings.dropout, settings.philox_seed, n, k)
                assert mask.any()
                assert not mask.all()


# Bugs of one capability that concern a second, and this one. They are faults of a pair.
OF_TWO = {
    "adam-decoupled-decay": "l2",
    "l1-of-bias": "bias",
    "l2-of-bias": "bias",
    "l2-without-alpha": "alpha",
    "velocity-holds-alpha": "alpha",
    "seed-draws-bias": "bias",
    "philox-without-layer": "dropout",
    "cross-entropy-over-outputs": "layers",
}
# What makes a bug no bug, or hides it.
NO_SIGMOID = "slope-of-the-sum sigmoid-applied-to-outputs-again no-slope tanh-slope slope-sign"
NO_SIGMOID += " exponent-sign tanh-for-sigmoid tanh-with-its-slope tanh-without-half"
NO_SIGMOID += " table-sigmoid sigmoid-in-float32"
HIDDEN = {
    **{bug: {"tanh", "relu"} for bug in NO_SIGMOID.split()},
    "sigmoid-twice-on-output": {"relu"},
    "no-slope-at-output": {"cross-entropy"},  # nor has the algorithm
    "error-passed-back-without-slope": {"cross-entropy"},
    "dropout-slope-of-dropped": {"relu"},  # it is 0 anyway
    "dropout-only-scaled-in-backward": {"relu"},
    "targets-broadcast": {"layers"},  # with several outputs
    # Sums are 0 only in a relu output over hidden units that are all 0, and only its delta differs.
    **{
        f"relu-slope-{slope}-at-0": {
            *("bias", "tanh", "cross-entropy", "ensemble"),  # no such sum, or no such output
            *("numpy-seed", "predict"),  # no steps, which tell of deltas
        }
        for slope in ("1", "half")
    },
    **{
        f"shuffle-{bug}": {"dropout"}  # without shuffling, in a port without mini-batches
        for bug in (
            *("never-stays", "by-remainder", "once", "in-every-update"),
            *("inputs-only", "overflows"),
        )
    },
    "stale-hidden-layer": {"dropout"},
}


def shows(bug: KnownBug, trace: Trace) -> bool:
    """Whether a port with this bug would fail by far, or answer in other shapes."""
    for due in trace.due:
        try:
            answers = known_bugs.answer(bug, due.check)
        except (ValueError, TypeError, ArithmeticError, LookupError):
            return True
        for n, expected in due.expected:
            shapes = [np.shape(value) for _, value in answers[n]]
            if shapes != [np.shape(e.value) for e in expected]:
                return True
            if not compare(answers[n], expected, trace.dtype).margin < MIN_MARGIN:
                return True
    return False


def missed(
    bug: KnownBug, capability: str, golden: dict[str, Trace], of: dict[frozenset[str], list[str]]
) -> Iterator[frozenset[str]]:
    """The pairs with this capability whose cases do not show the bug in any way."""
    for pair, names in of.items():
        if capability in ("plain", *pair) and not any(shows(bug, golden[name]) for name in names):
            yield pair


def test_a_known_bug_that_only_one_pair_has_is_found() -> None:
    """A bug of a capability, or of every network, that a port has only where it uses a second.

    Each pair that can show it must. Bugs that most pairs cannot show wait for something else: large
    sums, many iterations, a certain third capability.
    """
    golden = {name: by["float64"] for name, by in traces.load_all(CASES).items()}
    of = {pair: found for pair in ALL if (found := ids(pair))}
    tried = Counter[str]()
    for bug, capability in known_bugs.catalogue().values():
        pairs_of_it = [pair for pair in of if capability in ("plain", *pair)]
        unseen = [*missed(bug, capability, golden, of)]
        if bug.id in OF_TWO:
            assert {capability, OF_TWO[bug.id]} not in unseen, bug.id
        if len(unseen) <= len(pairs_of_it) / 2:
            tried[capability] += 1
            left = [p for p in unseen if not pairs.closure(*p) & HIDDEN.get(bug.id, set())]
            assert left == [], bug.id
            assert unseen or bug.id not in HIDDEN, f"{bug.id} is not hidden anywhere"
    assert tried["plain"] > 40
    assert {*tried} == {capability for _, capability in known_bugs.catalogue().values()}


# Faults of one pair each, as patches of the reference. A port that has them lists only that pair.
FAULTS = {
    "adam mini-batch": [
        ["*rates, iteration + 1)", "*rates, iteration // (2 if self.batch_size else 1) + 1)"]
    ],
    "adam bias": [
        [
            "            return adam(state.memory, descent, *rates, iteration + 1)",
            "            steps, memory = adam(state.memory, descent, *rates, iteration + 1)\n"
            "            if self.bias:\n"
            "                for s in steps: s[..., -1, :] = 0\n"
            "            return steps, memory",
        ]
    ],
    "dropout momentum": [
        [
            "        if self.dropout and iteration is not None:",
            "        if self.dropout and iteration == 0 or (iteration and not self.momentum):",
        ]
    ],
    "delta-trimming l2": [
        ["        if self.trim_norm:\n            descent = shrink(descent, self.trim_norm)\n", ""],
        [
            "        steps, memory = self.steps(state, descent, iteration)",
            "        if self.trim_norm: descent = shrink(descent, self.trim_norm)\n"
            "        steps, memory = self.steps(state, descent, iteration)",
        ],
    ],
    "bias momentum": [
        [
            "            return with_momentum(state.memory, descent, self.momentum, self.nesterov)",
            "            steps, memory = with_momentum("
            "state.memory, descent, self.momentum, self.nesterov)\n"
            "            if self.bias and self.nesterov:\n"
            "                for s, v in zip(steps, memory[0]): s[..., -1, :] = v[..., -1, :]\n"
            "            return steps, memory",
        ]
    ],
}


def test_a_port_of_two_capabilities_with_a_fault_of_these_is_told_its_pair(
    conformance: Conformance, tmp_path: Path
) -> None:
    ports = []
    for pair, patches in FAULTS.items():
        bug = KnownBug(id="fault", what="w", shows="s", do="d", patches=patches)
        folder = tmp_path / "ports" / pair.replace(" ", "-and-")
        folder.mkdir(parents=True)
        listed = json.dumps(sorted(pairs.closure(*pair.split())))
        (folder / "port.toml").write_text(PYTHON_MANIFEST.replace("CAPABILITIES", listed))
        (folder / "port.py").write_text(known_bugs.source(bug))
        ports.append(folder)
    quick = [case.id for case in load_all(places.CASES) if case.iterations < 2000]
    done = conformance(*ports, cases=" ".join(["pair-*", *quick]))
    assert done.returncode == 1
    for pair, folder in zip(FAULTS, ports, strict=True):
        found = {v["case"]: v["status"] for v in done.verdicts(folder.name)}
        wrong = {case for case, status in found.items() if status not in ("PASS", "SKIP")}
        assert wrong, pair
        assert wrong <= {*ids(pair.split())}
        assert [*found.values()].count("PASS") > 0
        assert re.search(rf"reproduce: .*CASES={min(wrong)}", str(done.verdicts(folder.name)))


def table(*found: tuple[str, str, Status]) -> list[str]:
    """The rows of the table of verdicts on these ports and cases."""
    out = Console(file=StringIO(), width=120)
    tables.verdicts(
        out, [Verdict.without_numbers(p, case, "float64", status, "") for p, case, status in found]
    )
    lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [" ".join(line.replace("│", " ").split()) for line in lines if line.startswith("│")]


def test_pairs_are_one_row_of_a_table_and_what_is_wrong_has_its_own() -> None:
    good = [(port, f"pair-{n}", Status.PASS) for port in ("p", "q") for n in "abc"]
    assert table(*good) == ["pairs 3 PASS PASS"]
    assert table(*good, ("p", "one-step", Status.PASS))[-1] == "one-step PASS"
    wrong = [*good[:1], ("p", "pair-b", Status.CRASH), *good[2:]]
    assert table(*wrong) == ["pairs 2 PASS PASS", "pair-b CRASH PASS"]
    part = [*good[:2], ("p", "pair-c", Status.SKIP), *good[3:]]
    assert table(*part) == ["pairs 3 PASS (2) PASS"]
    assert table(*good[:1]) == ["pair-a PASS"]


def test_pairs_are_selected_as_other_cases_are() -> None:
    [one], partial = chosen_cases("pair-adam-bias")
    assert (one.id, partial) == ("pair-adam-bias", True)
    every, partial = chosen_cases("pair-*")
    assert ([case.id for case in every], partial) == ([case.id for case in CASES], True)
    of_adam, _ = chosen_cases("adam")
    assert {case.id for case in CASES if "adam" in case.needs} < {case.id for case in of_adam}
    whole, partial = chosen_cases(None)
    assert {*BY_ID} < {case.id for case in whole}
    assert not partial
    with pytest.raises(OptionError, match=r"pear-\*: no case, capability, file or folder"):
        chosen_cases("pear-*")
