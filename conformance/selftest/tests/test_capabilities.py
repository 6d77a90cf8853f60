"""What a run says of capabilities: how many cases of each pass, and what is claimed in vain."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from conformance.ground.statuses import Status
from conformance.selftest.tests.conftest import CASES, PYTHON_MANIFEST
from conformance.session.capabilities import Matrix
from conformance.suite import fresh
from conformance.targets.build import NotReady
from conformance.targets.manifest import Manifest, Port
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from reference.cases.case import Case, load

RUNG = '[[rung]]\nname = "r"\ndtypes = ["float64"]\nmodule = "r.py"\ncapabilities = ["bias"]\n'
BOTH = '["float64", "float32"]'
PASS, SKIP, FAIL, XFAIL = Status.PASS, Status.SKIP, Status.FAIL, Status.XFAIL


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    """One that needs nothing, one that needs bias, one that needs more, and random ones of two."""
    found = [load(CASES / f"{name}.toml") for name in ("one-step", "bias-step", "softmax-step")]
    found += [fresh.case(77, 1, {"bias"}), fresh.case(77, 2, {"layers"})]
    names = ("plain", "bias", "softmax", "fresh", "fresh-layers")
    return dict(zip(names, found, strict=True))


def judges(folder: Path) -> dict[str, Judge]:
    """Of a port that lists bias in two dtypes, of its rung, and of a port that lists nothing."""
    text = PYTHON_MANIFEST.replace('["float64"]', BOTH)
    mine, idle = (
        Port(name, folder, Manifest.model_validate(tomllib.loads(manifest)))
        for name, manifest in {
            "mine": text.replace("CAPABILITIES", '["bias"]') + RUNG,
            "idle": text.replace("CAPABILITIES", "[]"),
        }.items()
    )
    targets = [*mine.targets(), *idle.targets()]
    return {target.name: Judge(NotReady(target, "", None)) for target in targets}


@pytest.fixture
def matrix(tmp_path: Path, cases: dict[str, Case]) -> "Made":
    return Made(tmp_path, cases)


class Made:
    """Makes a matrix from verdicts as "TARGET CASE" and a status for each dtype."""

    def __init__(self, folder: Path, cases: dict[str, Case]) -> None:
        self.judges, self.cases = judges(folder), cases

    def __call__(self, given: dict[str, Sequence[Status]], *among: str) -> Matrix:
        found = []
        for words, statuses in given.items():
            target, case = words.split()
            for dtype, status in zip(self.judges[target].target.dtypes, statuses, strict=False):
                name = self.cases[case].id
                found.append(Verdict.without_numbers(target, name, dtype, status))
        cases = [case for name, case in self.cases.items() if name in among or not among]
        return Matrix(self.judges, cases, {verdict.key: verdict for verdict in found})


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({"mine bias": [PASS, PASS]}, 1),
        ({"mine bias": [PASS, PASS], "mine fresh": [PASS, PASS]}, 2),
        ({"mine bias": [PASS, FAIL]}, 0),  # it must pass in each dtype
        ({"mine bias": [PASS]}, 0),
        ({"mine softmax": [PASS, PASS], "mine:r bias": [PASS]}, 0),
        ({}, 0),
    ],
)
def test_each_port_has_an_entry_for_each_capability_that_a_case_needs(
    given: dict[str, Sequence[Status]], passed: int, matrix: Made
) -> None:
    """Of the cases that need a capability, those count that need nothing else beside its list."""
    entries = {
        (e.capability, e.port): e
        for e in matrix(given, "plain", "bias", "softmax", "fresh").entries()
    }
    needed = ["layers", "bias", "softmax", "cross-entropy"]
    assert [*entries] == [(name, port) for name in needed for port in ("mine", "idle")]
    for (capability, port), entry in entries.items():
        mine = (capability, port) == ("bias", "mine")
        assert entry.listed is mine
        assert (entry.passed, entry.cases) == ((passed, 2) if mine else (0, 0))


CLAIM = ["mine lists the capability bias, and passes no case for it"]


@pytest.mark.parametrize(
    ("given", "claims"),
    [
        ({"mine bias": [XFAIL, XFAIL]}, CLAIM),
        ({"mine bias": [PASS, XFAIL], "mine fresh": [SKIP, SKIP]}, CLAIM),
        ({"mine bias": [PASS, PASS]}, []),
        ({"mine bias": [XFAIL, XFAIL], "mine fresh": [PASS, PASS]}, []),
        ({"mine bias": [XFAIL, FAIL]}, []),  # the failure says so
        ({"mine bias": [XFAIL, XFAIL], "mine fresh": [FAIL, PASS]}, []),
        ({"mine bias": [SKIP, SKIP], "mine plain": [PASS, PASS]}, []),
        ({"mine bias": [XFAIL, SKIP]}, []),
        ({"mine bias": [XFAIL]}, []),
        ({"mine plain": [XFAIL, XFAIL]}, []),
        ({"idle bias": [XFAIL, XFAIL]}, []),  # it lists nothing
        ({}, []),
    ],
)
def test_a_capability_that_is_listed_is_one_that_some_case_passes(
    given: dict[str, Sequence[Status]], claims: list[str], matrix: Made
) -> None:
    assert matrix(given).empty_claims() == claims


CHEAT = ["mine passes published cases, and declines all random ones"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"mine bias": [PASS, FAIL], "mine fresh": [SKIP, SKIP]}, CHEAT),
        ({"mine bias": [PASS, PASS], "mine fresh": [SKIP, PASS]}, []),
        ({"mine bias": [PASS, PASS], "mine fresh": [SKIP, FAIL]}, []),
        ({"mine bias": [FAIL, SKIP], "mine fresh": [SKIP, SKIP]}, []),
        ({"idle plain": [PASS, PASS], "mine fresh": [SKIP, SKIP]}, []),
        # What it cannot do, it may decline.
        ({"mine bias": [PASS, PASS], "mine fresh-layers": [SKIP, SKIP]}, []),
        ({"mine bias": [PASS], "mine fresh": [SKIP, SKIP], "mine fresh-layers": [PASS]}, CHEAT),
        # A rung may decline what is not its own.
        ({"mine:r bias": [PASS], "mine:r fresh": [SKIP]}, []),
        ({}, []),
    ],
)
def test_whoever_has_only_the_published_answers_is_found(
    given: dict[str, Sequence[Status]], found: list[str], matrix: Made
) -> None:
    assert matrix(given).only_published() == found


def test_without_random_cases_nobody_declines_them(matrix: Made) -> None:
    assert matrix({"mine bias": [PASS, PASS]}, "plain", "bias").only_published() == []
