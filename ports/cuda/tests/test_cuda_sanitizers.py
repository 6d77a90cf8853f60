"""The kernels as code for the host, built with AddressSanitizer: all cases pass, and no report."""

from dataclasses import replace
from pathlib import Path

import pytest

from conformance.ground.places import PORTS
from conformance.selftest.compilers import MEMORY, demand_passes, with_checks
from conformance.targets.manifest import Build, Port, Toolchain, load
from reference.cases.case import Case

MOST_ITERATIONS = 10  # each change from one thread of a block to the next is slow then


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
        "emulation": manifest.emulation.model_copy(update={"max_iterations": MOST_ITERATIONS}),
        "rung": [
            rung.model_copy(
                update={
                    "build": [for_host(rung.build[0][2])],
                    "emulated_iterations": MOST_ITERATIONS,
                }
            )
            for rung in manifest.rung
            if rung.name != "6-cublas"  # it loads a stand-in, which build.sh makes
        ],
    }
    return replace(port, manifest=manifest.model_copy(update=update))


@pytest.mark.sweep
@pytest.mark.parametrize("target", [t.name for t in emulated(load(PORTS / "cuda")).targets()])
def test_the_emulation_of_cuda_makes_no_access_outside(
    target: str, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = with_checks(emulated(load(PORTS / "cuda")), "g++", MEMORY, tmp_path, monkeypatch)
    demand_passes(replace(port, only=frozenset({target})), cases)
