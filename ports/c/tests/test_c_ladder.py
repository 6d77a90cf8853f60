"""The rungs of the C port on every processor, their exponentials, and the lanes of ensembles."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cffi
import flint
import numpy as np
import pytest

from conformance.bench.race import pinned
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import ROOT

LADDER = ROOT / "ports" / "c" / "ladder"
C_RUNGS = ("c:fixed", "c:simd", "c:latency")
# Of the cases for 3-4-1 with four samples, those with the most iterations, and the hardest numbers.
LADDER_CASES = "three-layer seed-2 saturated alpha-large alpha-small"


def check(words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conformance", "check", *words, "--seed", "none"]
    command += ["--no-timing", "--verbose"]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | env,
        timeout=patience(600),
    )


@pytest.mark.parametrize("processor", ["portable", "avx2", "avx512"])
def test_the_c_ladder_agrees_on_every_processor(processor: str, tmp_path: Path) -> None:
    """Where this one has less, its best is judged again."""
    file = tmp_path / "results.json"
    words = [*C_RUNGS, "--cases", LADDER_CASES, "--results", str(file)]
    done = check([*words, "--require", " ".join(C_RUNGS)], BACKPROP_CPU=processor)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"device": "cpu, ' in file.read_text()
    assert done.stdout.count("PASS 0.") >= 15
    assert "SKIP" not in done.stdout


@pytest.mark.parametrize("processor", ["portable", "avx2", "avx512"])
def test_the_c_ensemble_agrees_on_every_processor(processor: str, tmp_path: Path) -> None:
    words = [
        "c:ensemble",
        "--cases",
        f"{LADDER_CASES} ensemble-thousand",
        "--require",
        "c:ensemble",
    ]
    words += ["--results", str(tmp_path / "results.json")]
    done = check(words, BACKPROP_CPU=processor)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIP" not in done.stdout


ENSEMBLES = """
import sys
import numpy as np
from conformance.wire.c_library import CLibrary
from reference.algorithm.initial import draw

library = CLibrary(sys.argv[1])
X, y = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]]), np.array([[0], [1], [1], [0.0]])
common = {"op": "train", "dtype": "float64", "layers": [3, 4, 1], "alpha": 0.5, "X": X}
common["checkpoints"] = [0, 1, 50]
drawn = [draw(seed, [3, 4, 1], False) for seed in range(100)]
alone = [library.train(X, y, state, common)["checkpoints"] for state in drawn]
for networks in (2, 7, 8, 9, 33, 100):
    state = [np.stack(matrices) for matrices in zip(*drawn[:networks])]
    side_by_side = library.train(X, y, state, {**common, "networks": networks})["checkpoints"]
    for c, entry in enumerate(side_by_side):
        for i in range(networks):
            assert entry["error"][i] == alone[i][c]["error"]
            for found, single in zip(entry["weights"], alone[i][c]["weights"]):
                assert (found[i] == single).all()
print("the same bits")
"""


@pytest.mark.parametrize("cores", [1, 2])
def test_the_lanes_and_threads_of_an_ensemble_do_not_matter(cores: int, tmp_path: Path) -> None:
    folder = ROOT / "ports" / "c"
    build = [
        "sh",
        "ladder/build.sh",
        "ensemble",
        str(ROOT / "conformance" / "contract"),
        str(tmp_path),
    ]
    subprocess.run(build, cwd=folder, check=True)
    with pinned(sorted(os.sched_getaffinity(0))[:cores]):
        done = subprocess.run(
            [sys.executable, "-c", ENSEMBLES, str(tmp_path / "libensemble.so")],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=patience(300),
        )
    assert done.stdout == "the same bits\n", done.stderr


# How each exponential of the ladder is called, over which numbers, what it should give, and by how
# many units in the last place it may be off.
SIMD = ("simd.c", "exponential(x)", -745.0, 709.7, lambda x: flint.arb(x).exp(), 1.0)
POWER = "power_of_two(x, 500)"
LATENCY = (
    "latency.c",
    f"{POWER}.scale + {POWER}.scale_f * {POWER}.q",
    -499.0,
    499.0,
    lambda x: flint.arb(2) ** flint.arb(x),
    1.5,
)
LIBRARY = """
#define UPDATES updates
#include "{file}"
void many(const double *from, double *to, int count) {{
    for (int i = 0; i < count; i += 4) {{
        const vector x = load(from + i), result = {call};
        memcpy(to + i, &result, sizeof result);
    }}
}}
"""


@pytest.mark.parametrize("exponential", [SIMD, LATENCY], ids=["simd", "latency"])
@pytest.mark.parametrize(
    "needs", [(), ("avx2", "fma"), ("avx2", "fma", "avx512f", "avx512vl", "avx512dq")]
)
def test_the_exponentials_are_as_accurate_as_they_say(
    exponential: tuple[str, str, float, float, Callable[[float], flint.arb], float],
    needs: tuple[str, ...],
    tmp_path: Path,
) -> None:
    if not {*needs} <= {*Path("/proc/cpuinfo").read_text().split()}:
        pytest.skip(f"this processor has not all of {', '.join(needs)}")
    file, call, low, high, exact, allowed = exponential
    (tmp_path / "many.c").write_text(LIBRARY.format(file=file, call=call))
    flags = [f"-m{name}" for name in needs]
    command = ["gcc", "-std=gnu11", "-O2", "-Wno-psabi", "-fPIC", "-shared", f"-I{LADDER}", *flags]
    subprocess.run([*command, "many.c", "-o", "many.so", "-lm"], cwd=tmp_path, check=True)
    ffi = cffi.FFI()
    ffi.cdef("void many(const double *from, double *to, int count);")
    generator = np.random.default_rng(1)
    # Over all magnitudes of x, and over all exponents of the result.
    x = np.concatenate(
        [
            generator.uniform(low, high, 12000),
            generator.choice([-1.0, 1.0], 4000) * 2.0 ** generator.uniform(-60, 8, 4000),
            np.nextafter([0.0, 0.0, low, high], [1.0, -1.0, 0.0, 0.0]),
        ]
    )
    got = np.empty_like(x)
    ffi.dlopen(str(tmp_path / "many.so")).many(
        ffi.from_buffer("double[]", x), ffi.from_buffer("double[]", got), len(x)
    )
    with flint.ctx.workprec(200):
        off = [
            abs(float((flint.arb(g) - exact(v)) / flint.arb(float(np.spacing(g)))))
            for v, g in zip(x.tolist(), got.tolist(), strict=True)
        ]
    assert 0.5 < max(off) <= allowed
