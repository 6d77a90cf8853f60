"""The native ports built with every check that their compilers have: all cases pass, and no report.

A compiler of the same name that adds the checks comes first on PATH, so that ports and rungs are
built by their own commands. A report ends the port's process, which is then a CRASH.
"""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.places import CASES, PORTS
from conformance.selftest import variants
from conformance.suite import traces
from conformance.targets import build
from conformance.targets.manifest import Build, Device, Emulation, Port, Toolchain, load
from conformance.verdict.judge import Judge
from reference.cases.case import Case, load_all

MEMORY = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g1 -O1"
THREADS = "-fsanitize=thread -g1 -O1"
RUNTIME = {
    MEMORY: ("libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}),  # Python leaks at its end
    THREADS: ("libtsan.so", {"TSAN_OPTIONS": "halt_on_error=1"}),
}
# Free runs are followed so far only, with an emulation's means: memory is used in the same way
# afterwards.
MOST_ITERATIONS = 200
MOST_EMULATED = 10  # each change from one thread of a block to the next is slow then


def with_checks(
    port: Port, compiler: str, checks: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Port:
    """The port as it is built by this compiler with checks added, in a folder of the test."""
    real = shutil.which(compiler)
    if real is None:
        pytest.skip(f"{compiler} is not here")
    wrapper = folder / "bin" / compiler
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {real} "$@" {checks}\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(build, "BUILD", folder / "build")
    if checks not in RUNTIME:
        return port
    name, env = RUNTIME[checks]
    # The library that throws exceptions is to be there when the checks of it begin; and Python's
    # own allocator would hide where its arrays end.
    first = " ".join(library_of(real, library) for library in (name, "libstdc++.so.6"))
    env = {**env, "LD_PRELOAD": first, "PYTHONMALLOC": "malloc"}
    manifest = port.manifest
    update = {
        "run": manifest.run.model_copy(update={"env": manifest.run.env | env}),
        "device": Device(detect=["false"]),
        "emulation": Emulation(name="checked", max_iterations=MOST_ITERATIONS)
        if manifest.emulation is None
        else manifest.emulation,
    }
    return replace(port, manifest=manifest.model_copy(update=update))


def library_of(compiler: str, name: str) -> str:
    command = [compiler, f"-print-file-name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def demand_passes(port: Port, cases: list[Case]) -> None:
    """Judge all targets of the port on the cases that are theirs, in each dtype."""
    judged = 0
    for prepared in build.prepare(port):
        if isinstance(prepared, build.NotReady) and prepared.target.stand_in:
            continue  # its emulation is judged
        assert isinstance(prepared, build.Ready), prepared.reason
        judge = Judge(prepared)
        try:
            for case in cases:
                if not {*case.needs} <= {*prepared.target.capabilities}:
                    continue
                loaded = traces.load(case)
                for dtype in prepared.target.dtypes:
                    verdict = judge.judge(case, loaded[dtype])
                    declined = verdict.status == "SKIP" and prepared.target.may_decline
                    said = f"{prepared.target.name} on {case.id}, {dtype}: {verdict.reason}"
                    assert declined or verdict.status == "PASS", said
                    judged += verdict.status == "PASS"
        finally:
            judge.close()
    assert judged > 0


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return load_all(CASES)


@pytest.mark.parametrize(
    ("name", "compiler"), [("c", "gcc"), ("cpp", "g++")], ids=lambda word: word
)
def test_no_access_outside_and_nothing_undefined(
    name: str, compiler: str, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rungs are judged, too."""
    port = with_checks(load(PORTS / name), compiler, MEMORY, tmp_path, monkeypatch)
    demand_passes(port, cases)


@pytest.mark.parametrize(
    ("name", "compiler"), [("c", "gcc"), ("cpp", "g++")], ids=lambda word: word
)
def test_threads_of_ensembles_share_nothing_that_changes(
    name: str, compiler: str, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("with one core there is one thread")
    port = with_checks(load(PORTS / name), compiler, THREADS, tmp_path, monkeypatch)
    threaded = frozenset({name, "c:ensemble"})
    demand_passes(replace(port, only=threaded), [case for case in cases if case.networks])


SABOTAGE = {
    "outside": (MEMORY, "malloc((numbers + 3 * units)", "malloc((numbers + 3 * units - 1)"),
    "overflow": (
        MEMORY,
        "    net->iteration = iteration;",
        "    net->iteration = iteration + INT64_MAX;\n    net->iteration -= INT64_MAX;",
    ),
    "race": (THREADS, "_Atomic int64_t next;", "int64_t next;"),
}


@pytest.mark.parametrize("bug", SABOTAGE)
def test_such_a_report_is_seen(
    bug: str, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, old, new = SABOTAGE[bug]
    if checks == THREADS and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("with one core there is one thread")
    folder = tmp_path / "broken"
    shutil.copytree(PORTS / "c", folder)
    variants.patch(folder, [(old, new)])
    if bug == "race":
        variants.patch(folder, [("atomic_fetch_add(&all->next, 1)", "all->next++")])
    port = with_checks(load(folder), "gcc", checks, tmp_path, monkeypatch).alone()
    seen = [case for case in cases if case.id in ("two-batches", "ensemble-thousand")]
    with pytest.raises(AssertionError, match="without answering"):
        demand_passes(port, seen)


def emulated(port: Port) -> Port:
    """The CUDA port without nvcc: only the build for the host, and no device."""
    manifest = port.manifest
    assert manifest.emulation is not None
    [host] = [c for c in manifest.build.commands if "{build}/libemulated.so" in c]

    def for_host(rung: str) -> list[str]:
        included = ["-include", f"ladder/{rung}.cuh", "ladder/contract.cu", "-fno-gnu-unique"]
        return [w for word in host for w in (included if word == "backprop.cu" else [word])]

    update = {
        "toolchain": Toolchain(detect=["g++", "--version"], install="g++"),
        "build": Build(commands=[host]),
        "emulation": manifest.emulation.model_copy(update={"max_iterations": MOST_EMULATED}),
        "rung": [
            rung.model_copy(
                update={
                    "build": [for_host(rung.build[0][2])],
                    "emulated_iterations": MOST_EMULATED,
                }
            )
            for rung in manifest.rung
            if rung.name != "6-cublas"  # it loads a stand-in, which build.sh makes
        ],
    }
    return replace(port, manifest=manifest.model_copy(update=update))


@pytest.mark.parametrize("target", [t.name for t in emulated(load(PORTS / "cuda")).targets()])
def test_the_emulation_of_cuda_makes_no_access_outside(
    target: str, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = with_checks(emulated(load(PORTS / "cuda")), "g++", MEMORY, tmp_path, monkeypatch)
    demand_passes(replace(port, only=frozenset({target})), cases)


@pytest.mark.parametrize(
    ("name", "compiler", "checks"),
    [
        ("rust", "rustc", "-C debug-assertions=on -C overflow-checks=on"),
        ("d", "gdc", "-fbounds-check"),
        ("fortran", "gfortran", "-fcheck=all"),
    ],
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
