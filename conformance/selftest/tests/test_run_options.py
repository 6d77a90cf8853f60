"""The options of a run, as they are parsed: what each becomes, and what is refused."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.ground.places import BUILD, from_here, option
from conformance.selftest.tests.conftest import options_of
from conformance.session import options
from conformance.session.options import Options
from conformance.suite import fresh


def parsed(*words: str) -> Options:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--ports", action="append", default=[])
    parser.add_argument("--verbose", action="count", default=-1)  # as pytest counts
    options.add(parser.add_argument)
    options.add_strict(parser.add_argument)
    return Options.of(parser.parse_args(words))


PLAIN: dict[str, Any] = {
    "ports": [],
    "cases": None,
    "require": [],
    "results": from_here(BUILD / "results.json"),
    "seed": None,
    "shard": None,
    "resume": False,
    "timed": True,
    "verbose": False,
    "bundle": None,
    "strict": False,
    "fresh": None,
}


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], {}),
        (["--ports", "c"], {"ports": ["c"]}),
        (["--cases", "one-step bias"], {"cases": "one-step bias"}),
        (["--require", "a b", "--require", "c"], {"require": ["a", "b", "c"]}),
        (["--results", "r.json"], {"results": Path("r.json")}),
        (["--bundle", "B.Zip"], {"bundle": Path("B.Zip")}),
        (["--seed", "none"], {"seed": "none"}),
        (["--seed", "0"], {"seed": 0}),
        (["--seed", str(fresh.SEEDS - 1)], {"seed": fresh.SEEDS - 1}),
        (["--fresh", "0"], {"fresh": 0}),
        (["--fresh", str(fresh.MOST)], {"fresh": fresh.MOST}),
        (["--shard", "1/3"], {"shard": (1, 3)}),
        (["--shard", "3/3"], {"shard": (3, 3)}),
        (["--resume"], {"resume": True}),
        (["--no-timing"], {"timed": False}),
        (["--strict"], {"strict": True}),
        (["--verbose"], {}),  # which is 0
        (["--verbose", "--verbose"], {"verbose": True}),
    ],
    ids=str,
)
def test_what_is_typed_is_what_a_run_is_asked_for(words: list[str], given: dict[str, Any]) -> None:
    assert vars(parsed(*words)) == PLAIN | given


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seed", ["77x", "-1", str(fresh.SEEDS), "NONE", "\u0661"]),
        ("fresh", ["x", "-1", str(fresh.MOST + 1), "1.5"]),
        ("shard", ["0/3", "4/3", "1", "a/b", "1/0", "1/3/3", "1 / 3"]),
        ("bundle", ["r.json", "zip"]),
        ("cases", ["", " "]),
    ],
)
def test_what_no_option_can_be_is_refused(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(argparse.ArgumentError, match=f"argument --{name}: "):
            parsed(f"--{name}={value}")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"cases": None}, []),
        ({"cases": "one-step"}, [option("cases", "one-step")]),
        ({"cases": None, "shard": (1, 3)}, [option("shard", "1/3")]),
        ({"cases": "a b", "shard": (2, 2)}, [option("cases", '"a b"'), option("shard", "2/2")]),
        ({"cases": 40 * "a"}, [option("cases", 40 * "a")]),
        ({"cases": 41 * "a"}, [option("cases", 39 * "a" + "…")]),
    ],
    ids=str,
)
def test_what_narrows_a_run_is_repeated_if_it_is_not_long(
    given: dict[str, Any], told: list[str], tmp_path: Path
) -> None:
    assert replace(options_of(results=tmp_path), **given).narrowing() == told


def test_options_are_equal_to_themselves_alone(tmp_path: Path) -> None:
    """Else pytest, which has them in a table, could not have them as a plugin."""
    one = options_of(results=tmp_path)
    assert {one: 1, replace(one): 2}[one] == 1
