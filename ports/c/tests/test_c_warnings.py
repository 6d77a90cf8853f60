"""The sources in C: no warning of gcc, clang and clang-tidy, for each kind of processor."""

import itertools
import os
from pathlib import Path

import pytest

from conformance.selftest.compilers import STRICT, C, Source, clang_tidy, demand_no_word, needed
from conformance.selftest.sweeps.sampled import sampled

PROCESSORS: dict[str, list[str]] = {
    "portable": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx2", "-mfma", "-mavx512f", "-mavx512vl", "-mavx512dq"],
}


def sources() -> list[Source]:
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


[PORT] = [source for source in sources() if source.name == "backprop-64"]


@pytest.mark.parametrize(
    ("compiler", "source"),
    sampled(itertools.product(("gcc", "clang"), sources()), ("gcc", PORT)),
    ids=lambda value: getattr(value, "name", value),
)
def test_c_has_no_warnings(compiler: str, source: Source) -> None:
    needed(compiler)
    demand_no_word(
        [compiler, *STRICT, *C, *source.flags, "-c", source.file, "-o", os.devnull], source
    )


@pytest.mark.parametrize("source", sampled(sources(), sources()[0]), ids=lambda source: source.name)
def test_clang_tidy_finds_nothing_in_c(source: Source) -> None:
    clang_tidy(source)
