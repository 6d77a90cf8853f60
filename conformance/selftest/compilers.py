"""Native ports compiled again: without any warning, and with every check of their compilers.

A compiler of the same name that adds the checks comes first on PATH, so that ports and rungs
are built by their own commands. A report ends the port's process, which makes it a CRASH.
"""

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conformance.ground.places import CONTRACT, PORTS
from conformance.selftest.patience import patience
from conformance.suite import traces
from conformance.targets import build, launch
from conformance.targets.manifest import Device, Emulation, Port, select
from conformance.verdict.judge import Judge
from reference.cases.case import Case

# All of -Wconversion is an error. C also has no changes between signed and unsigned; in C++,
# indices into vectors are such changes everywhere, and are not looked for.
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{CONTRACT}"]
C = ["-O1", "-Wsign-conversion", "-Wno-psabi"]
# Nearly all of the time goes to the optimiser, and no warning that C++ has here comes from it.
CPP = ["-std=c++20", "-fsyntax-only", "-Wno-sign-conversion", "-isystem", "/usr/include/eigen3"]
# Compilers with C++20's source_location, which the emulation needs, have a number on Debian 12.
NEWER = ("clang++", "clang++-19", "clang++-16")

MEMORY = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -g1 -O1"
THREADS = "-fsanitize=thread -g1 -O1"
# The checks of other languages, by compiler.
OWN_CHECKS = {
    "rustc": "-C debug-assertions=on -C overflow-checks=on",
    "gdc": "-fbounds-check",
    "gfortran": "-fcheck=all",
}
RUNTIME = {
    MEMORY: ("libasan.so", {"ASAN_OPTIONS": "detect_leaks=0"}),  # Python leaks at its end
    THREADS: ("libtsan.so", {"TSAN_OPTIONS": "halt_on_error=1"}),
}
# Free runs are followed only this far, as in an emulation: later iterations use memory in the
# same way.
MOST_ITERATIONS = 200


@dataclass(frozen=True)
class Source:
    """A source file, in the port's folder where it is compiled, and the flags that it needs."""

    name: str
    port: str
    file: str
    flags: tuple[str, ...]


def demand_no_word(command: list[str], source: Source) -> None:
    """Run a compiler in the port's folder; any warning is a failure."""
    folder = PORTS / source.port
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=patience(600)
    )
    assert done.returncode == 0, done.stdout + done.stderr


def clang_tidy(source: Source, *words: str, flags: tuple[str, ...] = ()) -> None:
    """With the checks of .clang-tidy."""
    command = [needed("clang-tidy", "clang-tidy-16"), "--quiet", *words, source.file, "--"]
    demand_no_word([*command, f"-I{CONTRACT}", *source.flags, *flags], source)


def missing(reason: str) -> None:
    """Skip a test because a tool is missing; CI has every tool, so there it is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def needed(*tools: str) -> str:
    """The first of these that is installed; without any, skip, but not in CI."""
    found = next(filter(shutil.which, tools), None)
    if found is None:
        missing(f"{tools[0]} is not installed")
    return found or ""


@functools.cache
def with_source_location() -> str:
    """The clang that can compile the emulation of CUDA, or ""."""
    program = "#include <source_location>\nstd::source_location here;\n"
    for name in filter(shutil.which, NEWER):
        command = [name, "-std=c++20", "-fsyntax-only", "-x", "c++", "-"]
        if subprocess.run(command, input=program.encode(), capture_output=True).returncode == 0:
            return name
    return ""


def compiled_by(*compilers: str, capability: str = "") -> list[tuple[str, str]]:
    """The ports for the CPU whose manifests name one of these compilers, each with that one.

    With a capability, only those that list it.
    """
    return [
        (port.name, compiler)
        for port in select([])
        for compiler in compilers
        if not port.manifest.device
        and capability in ("", *port.manifest.capabilities)
        and any(command[0] == compiler for command in port.manifest.build.commands)
    ]


def with_checks(
    port: Port, compiler: str, checks: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Port:
    """The port, built by this compiler with checks added, in a folder of the test."""
    real = shutil.which(compiler)
    if real is None:
        pytest.skip(f"{compiler} is not installed")
    wrapper = folder / "bin" / compiler
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {real} "$@" {checks}\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(launch, "BUILD", folder / "build")
    if checks not in RUNTIME:
        return port
    name, env = RUNTIME[checks]
    # The library that throws exceptions must be loaded before the checks start; and Python's own
    # allocator would hide where its arrays end.
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
    """Where the compiler keeps this library."""
    command = [compiler, f"-print-file-name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def demand_passes(port: Port, cases: list[Case]) -> None:
    """Judge all targets of the port on the cases that they support, in each dtype."""
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
