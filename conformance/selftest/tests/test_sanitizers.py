"""The native ports built with every check that their compilers have: all cases pass, and no report.

Manifests say which ports these are. A port's own tests plant what must be reported. `make test` has
one port on one case, and the sweep `native` all of them.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.ground.places import PORTS
from conformance.selftest.compilers import (
    MEMORY,
    OWN_CHECKS,
    THREADS,
    compiled_by,
    demand_passes,
    with_checks,
)
from conformance.targets.manifest import load
from reference.cases.case import Case


@pytest.mark.sweep
@pytest.mark.parametrize(("name", "compiler"), compiled_by("gcc", "g++"), ids=str)
def test_no_access_outside_and_nothing_undefined(
    name: str, compiler: str, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rungs are also judged."""
    port = with_checks(load(PORTS / name), compiler, MEMORY, tmp_path, monkeypatch)
    demand_passes(port, cases)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("name", "compiler"), compiled_by("gcc", "g++", capability="ensemble"), ids=str
)
def test_threads_of_ensembles_share_nothing_that_changes(
    name: str, compiler: str, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("with one core there is one thread")
    port = with_checks(load(PORTS / name), compiler, THREADS, tmp_path, monkeypatch)
    threaded = frozenset(t.name for t in port.targets() if "ensemble" in t.capabilities)
    demand_passes(replace(port, only=threaded), [case for case in cases if case.networks])


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("name", "compiler", "checks"),
    [(name, compiler, OWN_CHECKS[compiler]) for name, compiler in compiled_by(*OWN_CHECKS)],
    ids=lambda word: word.split()[0],
)
def test_a_language_s_own_checks_find_nothing(
    name: str,
    compiler: str,
    checks: str,
    cases: list[Case],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = with_checks(load(PORTS / name), compiler, checks, tmp_path, monkeypatch)
    demand_passes(port.alone(), cases)


def test_one_port_passes_one_case(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = with_checks(load(PORTS / "c"), "gcc", MEMORY, tmp_path, monkeypatch)
    demand_passes(port.alone(), [case for case in cases if case.id == "everything"])
