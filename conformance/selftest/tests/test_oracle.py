"""The golden values agree with a second oracle, which shares no source with the reference."""

import copy
import math
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.ground.places import PAIRS
from conformance.selftest.oracle.numbers import Numbers, mpfr, python, to_double
from conformance.selftest.oracle.random_numbers import mt19937, philox
from conformance.selftest.oracle.recompute import (
    BUDGET,
    DTYPES,
    Report,
    load_golden,
    numbers_in,
    recompute,
)
from conformance.selftest.sweeps.sampled import sampled
from conformance.selftest.tests.conftest import CASES

FILES = sorted(CASES.glob("*.toml"))
PAIR_FILES = sorted(PAIRS.glob("*.toml"))
# Those that mpmath can do in a fraction of a second: golden files below this size, in bytes.
SMALL = 40_000
SMALL_FILES = [
    file for file in FILES if (CASES.parent / "golden" / f"{file.stem}.json").stat().st_size < SMALL
]
EVERYTHING = CASES / "everything.toml"
CANCELS = [CASES / "everything-else.toml", CASES / "everything-else-2.toml"]

# How many numbers of each case are recomputed, where that is not all of them.
LESS_THAN_ALL = {
    "alpha-large": 948,
    "alpha-small": 948,
    "deep": 1_992,
    "digits": 44_150,
    "digits-accuracy": 50_284,
    "digits-softmax": 53_248,
    "ensemble-thousand": 68_000,
    "hidden-32": 6_256,
    "late-updates": 28,
    "seed-2": 948,
    "seed-3": 948,
    "several-outputs": 1_156,
    "softmax-run": 1_718,
    "three-layer": 948,
}


def name_of(file: Path) -> str:
    return file.stem


@pytest.mark.parametrize("file", sampled(FILES, EVERYTHING), ids=name_of)
def test_golden_values_are_equal_to_the_oracle_s(file: Path) -> None:
    report = recompute(file, load_golden(file), mpfr(), BUDGET)
    assert report.differing == []
    assert report.recomputed >= LESS_THAN_ALL.get(file.stem, report.numbers)
    # A bias before batch normalisation: only there are zeros left of terms that cancel.
    assert (report.cancelled > 0) == (file in CANCELS)


def test_golden_values_of_pairs_are_equal_to_the_oracle_s() -> None:
    """All in one test, since each takes some milliseconds."""
    for file in PAIR_FILES:
        report = recompute(file, load_golden(file), mpfr(), BUDGET)
        assert report.differing == [], file.stem
        assert report.recomputed == report.numbers > 0


def test_the_total_does_not_shrink() -> None:
    numbers = {file.stem: numbers_in(load_golden(file)) for file in FILES}
    assert sum(numbers.values()) >= 501_000
    assert sum((numbers | LESS_THAN_ALL).values()) >= 360_000


@pytest.mark.parametrize("file", [*FILES, *PAIR_FILES], ids=name_of)
def test_golden_files_have_all_that_the_case_asks_for(file: Path) -> None:
    case, golden = tomllib.loads(file.read_text()), load_golden(file)
    steps = [] if "networks" in case["init"] else [0]  # where the case does not say
    wanted = {
        "checkpoints": case["trace"]["checkpoints"],
        "steps": case["trace"].get("steps", steps),
        "predictions": case.get("predict", {}).get("checkpoints", []),
    }
    for dtype in DTYPES:
        for kind, iterations in wanted.items():
            assert [entry["iteration"] for entry in golden[dtype][kind]] == iterations


@pytest.mark.parametrize("file", sampled(SMALL_FILES, CASES / "one-step.toml"), ids=name_of)
def test_mpmath_says_the_same(file: Path) -> None:
    report = recompute(file, load_golden(file), python(), budget=5e4)
    assert report.differing == []
    assert report.recomputed > 0


def test_what_is_0_because_its_terms_cancel_is_so_at_twice_the_bits() -> None:
    few = recompute(CANCELS[0], load_golden(CANCELS[0]), mpfr(), BUDGET)
    many = recompute(CANCELS[0], load_golden(CANCELS[0]), mpfr(bits=512), BUDGET)
    assert few.differing == many.differing == []
    assert few.cancelled == many.cancelled > 0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["checkpoints", "steps", "predictions"])
def test_a_flipped_last_bit_is_found(dtype: str, kind: str) -> None:
    file = CASES / "predict-small.toml"
    golden = load_golden(file)
    found = recompute(file, golden, mpfr(), BUDGET)
    assert found.differing == []
    for up in (-math.inf, math.inf):
        wrong = copy.deepcopy(golden)
        # The last entry: nothing else starts from it.
        row = wrong[dtype][kind][-1]["tensors"][0]["value"][-1]
        row[-1] = math.nextafter(row[-1], up)
        report = recompute(file, wrong, mpfr(), BUDGET)
        assert report.recomputed == found.recomputed
        assert any(repr(row[-1]) in line for line in report.differing)


def test_another_shape_or_name_is_refused() -> None:
    file = CASES / "one-step.toml"
    golden = load_golden(file)
    step = golden["float64"]["steps"][0]
    step["tensors"][0]["value"].pop()
    with pytest.raises(ValueError, match="another shape"):
        recompute(file, golden, mpfr(), BUDGET)
    step["tensors"].pop(0)
    with pytest.raises(ValueError, match="not the same tensors"):
        recompute(file, golden, mpfr(), BUDGET)


@pytest.mark.parametrize("arithmetic", [mpfr, python])
def test_a_small_number_is_not_a_zero_that_cancelled(arithmetic: Callable[[], Numbers]) -> None:
    numbers = arithmetic()
    report = Report(numbers)
    report.compare("x", 0.0, numbers.number(2.0**-199))
    assert len(report.differing) == 1
    report.compare("x", 0.0, numbers.number(2.0**-201))
    assert (len(report.differing), report.cancelled) == (1, 1)
    report.compare("x", 2.0**-201, numbers.number(0.0))
    assert len(report.differing) == 2


@pytest.mark.parametrize("arithmetic", [mpfr, python])
def test_doubles_below_the_normal_ones_are_rounded_once(
    arithmetic: Callable[[], Numbers],
) -> None:
    number = arithmetic().number
    least = 2.0**-1074
    # Just above a half of the least double: to 53 bits it is a half, which would go to even, 0.
    assert to_double(number(0.5) * number(least) * (1 + number(2.0**-60))) == least
    assert to_double(number(0.5) * number(least)) == 0


def test_known_answers_of_the_generators() -> None:
    assert philox((0, 0, 0, 0), (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    # [rand.predef] of the C++ standard: the 10,000th word of std::mt19937, whose seed is 5489.
    words = mt19937(5489)
    assert [next(words) for _ in range(10_000)][-1] == 4123659995
