"""The fuzzer of the C contract: nothing is found in the C port, and what is planted there is."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conformance import variants
from conformance.places import HERE, PORTS

pytestmark = pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not here")

PLANTED = {
    "it reads what is not valid": (
        "if (!backprop_valid(settings, 1)) return BACKPROP_FAILED;\n    if",
        "if",
    ),
    "a buffer is too small": ("malloc((numbers + 3 * units)", "malloc((numbers + 3 * units - 1)"),
    "an output is not written": ("error_out[c] = mean_error(&net);", "mean_error(&net);"),
}


def fuzz(build: Path, seconds: int, ports: Path = PORTS) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(HERE / "fuzz" / "fuzz.sh"), "c", str(seconds), str(build)]
    env = os.environ | {"PORTS": str(ports)}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)


def test_it_finds_nothing_in_the_c_port(tmp_path: Path) -> None:
    done = fuzz(tmp_path, 3)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("bug", PLANTED)
def test_the_corpus_alone_finds_what_is_planted(bug: str, tmp_path: Path) -> None:
    shutil.copytree(PORTS / "c", tmp_path / "ports" / "c")
    variants.patch(tmp_path / "ports" / "c", [PLANTED[bug]])
    done = fuzz(tmp_path, 0, tmp_path / "ports")
    assert done.returncode != 0
    assert "ERROR: " in done.stderr or "runtime error" in done.stderr
