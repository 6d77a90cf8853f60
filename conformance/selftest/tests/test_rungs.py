"""Rungs: faster versions of a port, judged like it on the networks that are theirs."""

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
from conformance.selftest.tests.conftest import PYTHON_MANIFEST, ROOT, Conformance

LADDER = ROOT / "ports" / "c" / "ladder"
C_RUNGS = ("c:fixed", "c:simd", "c:latency")
# Of the cases for 3-4-1 with four samples, those with the most iterations, and the hardest numbers.
LADDER_CASES = "three-layer seed-2 saturated alpha"

# A port whose rung has a module of its own.
MODULE = """
import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def step(X, y, state, *, alpha, iteration=0):
    if len(X) != ROWS:
        raise NotImplementedError("for as many samples only")
    syn0, syn1 = state
    l1 = sigmoid(X @ syn0)
    l2 = sigmoid(l1 @ syn1)
    l2_error = y - l2
    l2_delta = l2_error * l2 * (1 - l2)
    l1_error = l2_delta @ syn1.T
    l1_delta = l1_error * l1 * (1 - l1)
    state = [syn0 + alpha * X.T @ l1_delta, syn1 + alpha * l1.T @ l2_delta]
    return [l1, l2], [l1_error, l2_error], [l1_delta, l2_delta], state

def train(X, y, state, checkpoints, *, alpha):
    done = 0
    for n in checkpoints:
        while done < n:
            state, done = step(X, y, state, alpha=alpha)[3], done + 1
        yield n, np.abs(step(X, y, state, alpha=alpha)[1][-1]).mean(), state
"""
PORT = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha"]').replace("port.py", "plain.py")
PORT += """
[[rung]]
name = "right"
dtypes = ["float64"]
module = "right.py"
[[rung]]
name = "wrong"
dtypes = ["float64"]
module = "wrong.py"
"""


@pytest.fixture
def with_rungs(tmp_path: Path) -> Path:
    """A port with a right and a wrong rung; the right one is for three samples, as in one-step."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "port.toml").write_text(PORT)
    module = MODULE.replace("*, alpha", "*, alpha, bias=False, batch_size=0")
    (folder / "plain.py").write_text(module.replace("ROWS", "len(X)"))
    (folder / "right.py").write_text(module.replace("ROWS", "3"))
    (folder / "wrong.py").write_text(module.replace("ROWS", "len(X)").replace("l2 * (1", "(1"))
    return folder


def check(words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conformance", "check", *words, "--seed", "none"]
    command += ["--no-timing"]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=os.environ | env, timeout=600
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
common = {"dtype": "float64", "layers": [3, 4, 1], "alpha": 0.5, "X": X, "checkpoints": [0, 1, 50]}
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
            timeout=300,
        )
    assert done.stdout == "the same bits\n", done.stderr


def test_a_rung_is_judged_for_itself(conformance: Conformance, with_rungs: Path) -> None:
    named = (with_rungs, f"{with_rungs}:right", f"{with_rungs}:wrong")
    done = conformance(*named, cases="one-step batch-norm-step")
    assert done.returncode == 1
    assert done.statuses("mine") == {"PASS", "SKIP"}  # it lists no batch normalisation
    assert done.statuses("mine:right") == {"PASS"}
    assert "│ batch-norm" in done.stdout
    assert done.statuses("mine:wrong") == {"FAIL"}
    assert "FAIL: mine:wrong on one-step, float64: first divergence: l2_delta" in done.stdout
    assert f"reproduce: make conformance PORT={with_rungs}:wrong CASES=one-step" in done.stdout
    alone = conformance(with_rungs)
    assert alone.results is not None
    assert [port["port"] for port in alone.results["ports"]] == ["mine"]


def test_what_a_rung_declines_is_no_lack(conformance: Conformance, with_rungs: Path) -> None:
    rung = f"{with_rungs}:right"
    options = ("--no-timing", "--require", "mine:right")
    done = conformance(rung, cases="one-step saturated layers", options=options)
    assert done.returncode == 0, done.stdout + done.stderr
    # It lists no capability, so that cases that need one are not shown at all.
    assert {r["case"]: r["status"] for r in done.verdicts("mine:right")} == {
        "one-step": "PASS",
        "saturated": "SKIP",
    }


def test_a_rung_with_a_device_of_its_own(conformance: Conformance, with_rungs: Path) -> None:
    with (with_rungs / "port.toml").open("a") as manifest:
        manifest.write('device = { detect = ["sh", "-c", "echo no card >&2; exit 1"] }\n')
    ports = with_rungs, f"{with_rungs}:wrong"
    done = conformance(*ports, options=("--no-timing", "--require", "all"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.statuses("mine") == {"PASS"}
    [skipped] = done.verdicts("mine:wrong")
    assert (skipped["status"], skipped["reason"]) == ("SKIP", "no card")
    named = conformance(*ports, options=("--no-timing", "--require", "all mine:wrong"))
    assert named.statuses("mine:wrong") == {"FAIL"}


def test_a_rung_that_is_not_there_is_one_sentence(
    conformance: Conformance, with_rungs: Path
) -> None:
    done = conformance("c:nosuch")
    assert done.returncode == 2
    assert "error: PORT=c:nosuch: there is no such rung; its rungs are fixed, simd" in done.stderr
    done = conformance(f"{with_rungs}:right", f"{with_rungs}:right")
    assert done.returncode == 2
    assert "a port named 'mine:right' is already at" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "wrong"', 'name = "right"', "two rungs are named 'right'"),
        ('module = "wrong.py"', "", "rung 'wrong' of kind 'python' needs just module"),
        ('"wrong.py"', '"wrong.py"\nlibrary = "x.so"', "needs just module"),
        ('name = "wrong"', 'name = "a b"', "rung[1].name: "),
    ],
)
def test_a_mistake_in_a_rung_is_one_sentence(
    conformance: Conformance, with_rungs: Path, old: str, new: str, message: str
) -> None:
    (with_rungs / "port.toml").write_text(PORT.replace(old, new))
    done = conformance(with_rungs)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


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
