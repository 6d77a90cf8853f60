"""The rungs of the Numba CUDA port: their public functions in the simulator, and the simulator.

Whether they are right is for the conformance run to say. Each test is a process of its own, since
Numba decides when it is imported whether there is a GPU.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import ROOT

LADDER = ROOT / "ports" / "numba_cuda" / "ladder"
ENSEMBLES = ["thread_per_network", "warp_per_network"]
RUNGS = [
    *("one_thread", "one_block", "one_warp", "kernel_per_operation", "graph", *ENSEMBLES),
    *("tiled", "cublas"),
]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("greenlet") is None, reason="the ladder's simulator needs greenlet"
)

NETWORK = """
import importlib
import numpy as np
draw = np.random.default_rng(1)

def network(layers=(3, 4, 1), samples=4, dtype="float64", networks=()):
    shapes = [(samples, layers[0]), (samples, layers[-1])]
    X, y = (draw.uniform(size=shape).astype(dtype) for shape in shapes)
    shapes = [(*networks, rows, columns) for rows, columns in zip(layers, layers[1:])]
    return X, y, [draw.uniform(-1, 1, shape).astype(dtype) for shape in shapes]

def bits(run):
    return b"".join(np.asarray(a).tobytes() for _, error, state in run for a in (error, *state))

def declined(function, *arguments, **settings):
    try:
        function(*arguments, **settings)
    except NotImplementedError as reason:
        return str(reason)
    raise AssertionError("it was not declined")
"""


def run(code: str, *, simulated: bool = True) -> str:
    """Run this after NETWORK; what it prints."""
    env = {"NUMBA_ENABLE_CUDASIM": str(int(simulated)), "PYTHONPATH": str(LADDER)}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", NETWORK + code]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ENSEMBLES)
def test_an_ensemble_is_as_many_networks_alone_bit_for_bit(name: str) -> None:
    run(f"""
rung = importlib.import_module({name!r})
for dtype in ("float64", "float32"):
    for count in (1, 2, 33):
        X, y, state = network(dtype=dtype, networks=(count,))
        together = rung.train(X, y, state, [0, 1, 3], alpha=0.5)
        assert [n for n, _, _ in together] == [0, 1, 3]
        for n, error, after in together:
            assert error.shape == (count,) and error.dtype == dtype
            assert [syn.shape for syn in after] == [(count, 3, 4), (count, 4, 1)]
        for k in range(count):
            alone = rung.train(X, y, [syn[k] for syn in state], [0, 1, 3], alpha=0.5)
            mine = [(n, error[k], [syn[k] for syn in after]) for n, error, after in together]
            assert bits(alone) == bits(mine), (dtype, count, k)
""")


def test_the_same_twice_and_inputs_stay() -> None:
    run(f"""
for name in {RUNGS!r}:
    rung = importlib.import_module(name)
    X, y, state = network(dtype="float32")
    before = bits([(0, X, state)])
    first = bits(rung.train(X, y, state, [0, 2, 20], alpha=0.5))
    assert first == bits(rung.train(X, y, state, [0, 2, 20], alpha=0.5)), name
    *kept, after = rung.step(X, y, state, alpha=0.5)
    assert bits([(0, X, state)]) == before, name
    for part in kept:
        assert [a.shape for a in part] == [(4, 4), (4, 1)], name
        assert all(a.dtype == "float32" and np.isfinite(a).all() for a in part), name
    [(_, _, trained)] = rung.train(X, y, state, [1], alpha=0.5)
    assert bits([(0, 0, trained)]) == bits([(0, 0, after)]), name
    assert rung.device_seconds() is None
""")


def test_what_is_not_for_a_rung_is_declined_in_a_sentence() -> None:
    run(f"""
for name in {RUNGS!r}:
    rung = importlib.import_module(name)
    said = declined(rung.train, *network((3, 4, 4, 1)), [1], alpha=1.0)
    assert said == "This rung is for three layers, and here are 4."
    said = declined(rung.step, *network(), alpha=1.0, momentum=0.5, bias=True)
    assert said == "This rung has no bias, momentum."
    said = declined(rung.train, *network(dtype="float16"), [1], alpha=1.0)
    assert said == "This rung computes in float64 and float32, not in float16."
    if name == "one_warp" or name in {ENSEMBLES!r}:
        for other in (network((3, 5, 1)), network(samples=5)):
            said = declined(rung.train, *other, [1], alpha=1.0)
            assert said == "This rung is for the 3-4-1 network with 4 samples."
    if name not in {ENSEMBLES!r}:
        said = declined(rung.train, *network(networks=(2,)), [1], alpha=1.0)
        assert said == "This rung is for one network."
""")


def test_a_network_too_large_for_a_thread_or_shared_memory_is_declined() -> None:
    said = run("""
import one_block, one_thread
said = declined(one_thread.train, *network((784, 1024, 10), 64), [1], alpha=1.0)
assert said == "One thread is too slow for such a network."
print(declined(one_block.train, *network((64, 100, 10), 50), [1], alpha=1.0))
one_block.train(*network((20, 100, 2), 10), [1], alpha=1.0)
""")
    # syn0 and syn1, l1 and l1_delta, l2 and l2_delta, of 8 bytes each.
    needed = 8 * (64 * 100 + 100 * 10 + 2 * 50 * 100 + 2 * 50 * 10)
    assert said == f"This network needs {needed} bytes of shared memory, and a block has 49152.\n"


@pytest.mark.skipif(
    importlib.util.find_spec("nvmath") is not None or importlib.util.find_spec("cuda") is None,
    reason="of a machine with numba-cuda and without nvmath",
)
def test_without_cublas_it_says_what_to_install() -> None:
    said = run(
        "import cublas\nprint(declined(cublas.train, *network(), [1], alpha=1.0))", simulated=False
    )
    assert "pip install 'nvmath-python[cu13]'" in said
    assert len(said.splitlines()) == 1


def test_a_graph_holds_sixteen_iterations_and_the_rest_is_launched() -> None:
    run("""
import graph, kernel_per_operation
captured = []
def capture(work, stream, real=graph.capture):
    replay = real(work, stream)
    captured.append(0)
    def counted():
        captured[-1] += 1
        replay()
    return counted
graph.capture = capture
X, y, state = network()
runs = ([16], []), ([17], [1]), ([40], [2]), ([0, 5, 40, 57, 73], [2 + 1 + 1])
for checkpoints, replays in runs:
    captured.clear()
    found = graph.train(X, y, state, checkpoints, alpha=0.5)
    assert bits(found) == bits(kernel_per_operation.train(X, y, state, checkpoints, alpha=0.5))
    assert captured == replays, (checkpoints, captured)
""")


# A kernel, what it is launched with, and what the simulator says.
FLAWS = {
    "race": ("a[0] = t", 2, "the same element, with no barrier between"),
    "race of blocks": ("a[0] = t", (2, 1), "the same element, with no barrier between"),
    "read and write": ("a[t] = a[1]", 2, "the same element, with no barrier between"),
    "past the end": ("a[64] = t", 1, "index 64 of 64"),
    "below the start": ("a[-1] = t", 1, "index -1 of 64"),
    "divergent barrier": ("if t: cuda.syncthreads()", 2, "others do not come"),
    "divergent shuffle": ("if t: cuda.shfl_xor_sync(-1, t, 1)", 32, "others do not come"),
    "two barriers": ("cuda.syncthreads() if t else cuda.syncthreads()", 2, "others do not come"),
    "shuffle as barrier": (
        "a[t] = 1.0; a[t ^ 1] = cuda.shfl_xor_sync(-1, 2.0, 1)", 32, "with no barrier between",
    ),
    "warp barrier for two warps": (
        "a[t] = 1.0; cuda.syncwarp(); a[63 - t] = 2.0", 64, "with no barrier between",
    ),
    # And what is right.
    "barrier": ("a[t] = 1.0; cuda.syncthreads(); a[63 - t] = 2.0", 64, ""),
    "warp barrier": ("a[t] = 1.0; cuda.syncwarp(); a[t ^ 1] = 2.0", 64, ""),
    "two readers": ("x = a[0]", 2, ""),
}  # fmt: skip


def test_the_simulator_finds_what_is_undefined_in_either_order() -> None:
    run(f"""
from itertools import product
from memory import SimulationError
from simulate import cuda, forward
cuda.watch = True
orders = forward, lambda items: items[::-1]
for cuda.order, (name, (line, size, expected)) in product(orders, {FLAWS!r}.items()):
    space = {{"cuda": cuda}}
    exec("@cuda.jit\\ndef kernel(a):\\n    t = cuda.threadIdx.x\\n    " + line, space)
    blocks, threads = size if isinstance(size, tuple) else (1, size)
    try:
        space["kernel"][blocks, threads](cuda.to_device(np.zeros(64)))
    except SimulationError as error:
        assert expected and expected in str(error), (name, error)
    else:
        assert not expected, name
""")


def test_a_shuffle_hands_over_the_other_lanes_number_in_each_warp() -> None:
    run("""
from simulate import cuda
@cuda.jit
def kernel(a):
    t = cuda.threadIdx.x
    a[t] = cuda.shfl_xor_sync(-1, t, 5)
a = cuda.to_device(np.zeros(64))
kernel[1, 64](a)
assert a.copy_to_host().tolist() == [t ^ 5 for t in range(64)]
""")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("one_block", "        cuda.syncthreads()\n\n        if due:", "\n        if due:"),
        ("warp_per_network", "    cuda.syncwarp()\n", ""),
        ("thread_per_network", "if k >= syn0.shape[1]:", "if k > syn0.shape[1]:"),
        ("kernel_per_operation", "l2_delta[i, n] = l2", "l2_delta[0, n] = l2"),
        ("one_block", "x = real(0)\n            for i", "x = real(T)\n            for i"),
    ],
)  # fmt: skip
def test_the_check_of_the_build_can_fail(name: str, old: str, new: str, tmp_path: Path) -> None:
    folder = tmp_path / "ladder"
    shutil.copytree(LADDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / f"{name}.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    command = [sys.executable, "check_ladder.py", name, str(tmp_path / "out")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("the ladder's check: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
