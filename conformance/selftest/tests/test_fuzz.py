"""The fuzzer of the C contract: it finds nothing in native ports, and what is planted there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.ground.places import HERE, PORTS
from conformance.selftest import variants
from conformance.selftest.compilers import missing, needed, with_source_location
from conformance.selftest.patience import patience
from conformance.selftest.sweeps.sampled import sampled

# What each port needs besides clang; None: the clang that fuzz.sh takes for the emulation of CUDA.
# `make fuzz` in CI asks c, general and cpp. Two rungs stand for those in CUDA C++, which all have
# the same exported functions.
NEEDED = {
    "c": "clang",
    "fixed": "clang",
    "simd": "clang",
    "latency": "clang",
    "ensemble": "clang",
    "d": "gdc",
    "fortran": "gfortran",
    "rust": "rustc",
    "cuda": None,
    "one_block": None,
    "thread_per_network": None,
}

# The port, a source file, and what is replaced there.
PLANTED = {
    "it reads what is not valid": (
        "c",
        "c/backprop.c",
        "if (!backprop_valid(settings, 1)) return BACKPROP_FAILED;\n    if",
        "if",
    ),
    "a buffer is too small": (
        "c",
        "c/backprop.c",
        "malloc((numbers + 3 * units)",
        "malloc((numbers + 3 * units - 1)",
    ),
    "an output is not written": (
        "c",
        "c/backprop.c",
        "error_out[c] = mean_error(&net);",
        "mean_error(&net);",
    ),
    "a rung asks nothing": (
        "simd",
        "c/ladder/contract.c",
        "!backprop_valid_run(settings, checkpoint_count, checkpoints)",
        "0",
    ),
    "more layers than there may be": (
        "rust",
        "rust/settings.rs",
        "(2..=MOST_LAYERS).contains(&self.layer_count)",
        "(2..).contains(&self.layer_count)",
    ),
    "checkpoints that do not rise": (
        "d",
        "d/settings.d",
        "least = checkpoint + 1;",
        "least = 0;",
    ),
    "a read behind an input": (
        "d",
        "d/backprop.d",
        "return algorithm.predict(",
        "output[0] = X[s.samples * n.inputs];\n        return algorithm.predict(",
    ),
    "a write before an output": (
        "d",
        "d/backprop.d",
        "errorOut[from .. from + checkpointCount]",
        "(errorOut - 1)[from .. from + checkpointCount]",
    ),
    "a write behind an output": (
        "fortran",
        "fortran/backprop.F90",
        "call initial(s, numpy_seed, state_out(:n%state))\n",
        "call initial(s, numpy_seed, state_out(:n%state))\n    state_out(n%state + 1) = 0\n",
    ),
}


def fuzz(
    port: str, seconds: int, build: Path, ports: Path = PORTS
) -> subprocess.CompletedProcess[str]:
    for tool in ("clang", NEEDED[port]):
        if tool is not None:
            needed(tool)
    if NEEDED[port] is None and with_source_location() not in ("clang++", "clang++-16"):
        missing("no clang++ that knows source_location is installed: apt-get install clang-16")
    command = ["sh", str(HERE / "selftest" / "fuzz" / "fuzz.sh"), port, str(seconds), str(build)]
    env = os.environ | {"PORTS": str(ports), "PYTHON": sys.executable}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=patience(300))


def test_it_finds_nothing_in_the_c_port(tmp_path: Path) -> None:
    done = fuzz("c", 3, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.sweep
@pytest.mark.parametrize("port", [port for port in NEEDED if port != "c"])
def test_the_corpus_finds_nothing(port: str, tmp_path: Path) -> None:
    done = fuzz(port, 0, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("bug", sampled(PLANTED, "a buffer is too small"))
def test_the_corpus_alone_finds_what_is_planted(bug: str, tmp_path: Path) -> None:
    port, name, old, new = PLANTED[bug]
    folder = name.partition("/")[0]
    shutil.copytree(PORTS / folder, tmp_path / "ports" / folder)
    variants.patch(tmp_path / "ports", [(old, new)], files=name)
    done = fuzz(port, 0, tmp_path, tmp_path / "ports")
    assert done.returncode != 0
    assert "ERROR: " in done.stderr or "runtime error" in done.stderr
