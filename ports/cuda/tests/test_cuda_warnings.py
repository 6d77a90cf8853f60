"""The sources in CUDA C++, as code for the host: no warning of g++ and clang++."""

from pathlib import Path

import pytest

from conformance.ground.places import PORTS
from conformance.selftest.compilers import (
    CPP,
    STRICT,
    Source,
    demand_no_word,
    missing,
    needed,
    with_source_location,
)
from conformance.targets.manifest import load

pytestmark = pytest.mark.sweep


def sources() -> list[Source]:
    emulated = ("-x", "c++", "-include", "emulate.h")
    found = [Source("backprop", "cuda", "backprop.cu", emulated)]
    for rung in load(PORTS / "cuda").manifest.rung:
        header = f"ladder/{rung.build[0][2]}.cuh"
        flags = (*emulated, "-include", header)
        found.append(Source(rung.name, "cuda", "ladder/contract.cu", flags))
    for file in ("check_races.cpp", "watch.cpp", "ladder/check.cpp", "ladder/cublas_stand_in.cpp"):
        found.append(Source(Path(file).stem, "cuda", file, ()))
    return found


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.name)
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_cuda_for_the_host_has_no_warnings(compiler: str, source: Source) -> None:
    name = needed(compiler) if compiler == "g++" else with_source_location()
    if not name:
        missing("no clang++ that knows source_location is installed: apt-get install clang-16")
    demand_no_word([name, *STRICT, *CPP, *source.flags, source.file], source)
