"""The sources in C, C++ and CUDA C++ (as code for the host): no warning of gcc, clang, clang-tidy.

All of `-Wconversion` is an error. C is free of changes between signed and unsigned, too; in C++,
indices into vectors are such changes everywhere, and are not looked for.
"""

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.places import CONTRACT, PORTS
from conformance.selftest.tests.conftest import missing
from conformance.targets.manifest import load

STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{CONTRACT}"]
C = ["-O1", "-Wsign-conversion", "-Wno-psabi"]
# Nearly all of the time goes to the optimiser, and no warning that C++ has here comes from it.
CPP = ["-std=c++20", "-fsyntax-only", "-Wno-sign-conversion", "-isystem", "/usr/include/eigen3"]
PROCESSORS: dict[str, list[str]] = {
    "portable": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx2", "-mfma", "-mavx512f", "-mavx512vl", "-mavx512dq"],
}
# Those that know C++20's source_location, which the emulation needs, have a number on Debian 12.
NEWER = ("clang++", "clang++-19", "clang++-16")


@dataclass(frozen=True)
class Source:
    """A source file, in the port's folder where it is compiled, and the flags that it needs."""

    name: str
    port: str
    file: str
    flags: tuple[str, ...]


def c_sources() -> list[Source]:
    found = [Source("limit", "c", "ladder/limit.c", ("-std=gnu11",))]
    found.append(Source("contract", "c", "ladder/contract.c", ("-std=gnu11",)))
    for bits in ("64", "32"):
        flags = ("-std=gnu11", f"-DBITS={bits}")
        for file in ("backprop.c", "ladder/general.c"):
            found.append(Source(f"{Path(file).stem}-{bits}", "c", file, flags))
        contract = "ladder/ensemble_contract.c"
        found.append(Source(f"ensemble_contract-{bits}", "c", contract, flags))
        for processor, also in PROCESSORS.items():
            name = f"ensemble-{bits}-{processor}"
            compiled = (*flags, "-DTRAIN=train", *also)
            found.append(Source(name, "c", "ladder/ensemble.c", compiled))
    for rung in ("fixed", "simd", "latency"):
        for processor, also in PROCESSORS.items():
            compiled = ("-std=gnu11", "-DUPDATES=updates", *also)
            found.append(Source(f"{rung}-{processor}", "c", f"ladder/{rung}.c", compiled))
    return found


def cuda_sources() -> list[Source]:
    emulated = ("-x", "c++", "-include", "emulate.h")
    found = [Source("backprop", "cuda", "backprop.cu", emulated)]
    for rung in load(PORTS / "cuda").manifest.rung:
        header = f"ladder/{rung.build[0][2]}.cuh"
        flags = (*emulated, "-include", header)
        found.append(Source(rung.name, "cuda", "ladder/contract.cu", flags))
    for file in ("check_races.cpp", "watch.cpp", "ladder/check.cpp", "ladder/cublas_stand_in.cpp"):
        found.append(Source(Path(file).stem, "cuda", file, ()))
    return found


EIGEN = Source("backprop", "cpp", "backprop.cpp", ())


def demand_no_word(command: list[str], source: Source) -> None:
    folder = PORTS / source.port
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def needed(*tools: str) -> str:
    """The first of these that is here; none is a reason to skip, but not in CI."""
    found = next(filter(shutil.which, tools), None)
    if found is None:
        missing(f"{tools[0]} is not here")
    return found or ""


@functools.cache
def with_source_location() -> str:
    """The clang that can compile the emulation, or ""."""
    program = "#include <source_location>\nstd::source_location here;\n"
    for name in filter(shutil.which, NEWER):
        command = [name, "-std=c++20", "-fsyntax-only", "-x", "c++", "-"]
        if subprocess.run(command, input=program.encode(), capture_output=True).returncode == 0:
            return name
    return ""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c_has_no_warnings(compiler: str) -> None:
    needed(compiler)
    for source in c_sources():
        command = [compiler, *STRICT, *C, *source.flags, "-c", source.file, "-o", os.devnull]
        demand_no_word(command, source)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_cpp_has_no_warnings(compiler: str) -> None:
    needed(compiler)
    demand_no_word([compiler, *STRICT, *CPP, *EIGEN.flags, EIGEN.file], EIGEN)


@pytest.mark.parametrize("source", cuda_sources(), ids=lambda source: source.name)
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_cuda_for_the_host_has_no_warnings(compiler: str, source: Source) -> None:
    name = needed(compiler) if compiler == "g++" else with_source_location()
    if not name:
        missing("no clang++ that knows source_location is here: apt-get install clang-16")
    demand_no_word([name, *STRICT, *CPP, *source.flags, source.file], source)


def clang_tidy(source: Source, *words: str, flags: tuple[str, ...]) -> None:
    """With the checks of .clang-tidy."""
    command = [needed("clang-tidy", "clang-tidy-16"), "--quiet", *words, source.file, "--"]
    demand_no_word([*command, f"-I{CONTRACT}", *source.flags, *flags], source)


@pytest.mark.parametrize("source", c_sources(), ids=lambda source: source.name)
def test_clang_tidy_finds_nothing_in_c(source: Source) -> None:
    clang_tidy(source, flags=())


def test_clang_tidy_finds_nothing_in_cpp() -> None:
    """Without the analyser of paths: it takes minutes on Eigen's templates."""
    eigen = ("-std=c++20", "-isystem", "/usr/include/eigen3")
    clang_tidy(EIGEN, "--checks=-clang-analyzer-*", flags=eigen)
