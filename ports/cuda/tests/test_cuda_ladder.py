"""The rungs of ports/cuda, as code for the host: what the cases do not ask of them."""

import ctypes.util
import functools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import ROOT
from conformance.wire.c_library import HEADER, CLibrary
from reference.array import Array

CUDA = ROOT / "ports" / "cuda"
ARTICLE = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]]), np.array([[0], [1], [1], [0]])
# Those that add up in index order, as rung 1 does; the other two add up in pairs.
IN_ORDER = ("one_block", "graph", "thread_per_network", "tiled", "cublas")
IN_PAIRS = ("one_warp", "warp_per_network")

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed"),
    pytest.mark.xdist_group("cuda-ladder"),  # each rung is compiled once
]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile a rung for the host, once; beside it is a stand-in for cuBLAS."""
    folder = tmp_path_factory.mktemp("cuda-ladder")
    flags = ["-std=c++20", "-O1", "-U_FORTIFY_SOURCE", "-fno-gnu-unique", "-fPIC", "-shared"]

    def compile_it(library: str, *words: str) -> None:
        command = ["g++", *flags, f"-I{HEADER.parent}", *words, "-o", str(folder / library)]
        subprocess.run(command, cwd=CUDA, check=True, timeout=patience(300))

    @functools.cache
    def build(rung: str) -> Path:
        if rung == "cublas":
            compile_it("libcublas.so.13", "ladder/cublas_stand_in.cpp")
        included = ["-x", "c++", "-include", "emulate.h", "-include", f"ladder/{rung}.cuh"]
        beside = ["-Wl,-rpath,$ORIGIN", "-Wl,--disable-new-dtags"]
        compile_it(f"{rung}.so", *included, "ladder/contract.cu", *beside)
        return folder / f"{rung}.so"

    return build


@pytest.fixture(scope="session")
def emulated(built: Callable[[str], Path]) -> Callable[[str], CLibrary]:
    """Load a rung that is compiled for the host."""
    return lambda rung: CLibrary(str(built(rung)))


def train(
    rung: CLibrary, X: Array, y: Array, state: Array, checkpoints: list[int]
) -> tuple[int, Array, Array]:
    """The status, and for each network (a row of `state`) its states and its errors."""
    hidden = state.shape[1] // (X.shape[1] + y.shape[1])
    suffix = "f64" if state.dtype == np.float64 else "f32"
    real = {"f64": "double[]", "f32": "float[]"}[suffix]
    ffi = rung.ffi
    layers = ffi.new("int64_t[]", [X.shape[1], hidden, y.shape[1]])
    settings = ffi.new("backprop_settings *", {"layer_count": 3, "layers": layers, "alpha": 1.0})
    settings.samples, settings.networks = len(X), len(state)
    states = np.full((len(state), len(checkpoints), state.shape[1]), np.nan, state.dtype)
    errors = np.full((len(state), len(checkpoints)), np.nan, state.dtype)
    inputs = [np.ascontiguousarray(a, state.dtype) for a in (X, y, state)]
    status = getattr(rung.library, f"backprop_train_{suffix}")(
        settings,
        *(ffi.from_buffer(real, a) for a in inputs),
        len(checkpoints),
        ffi.new("int64_t[]", checkpoints),
        *(ffi.from_buffer(real, a, require_writable=True) for a in (states, errors)),
    )
    return status, states, errors


def reason(rung: CLibrary) -> str:
    return bytes(rung.ffi.string(rung.library.backprop_reason())).decode()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rung", ["thread_per_network", "warp_per_network"])
def test_an_ensemble_is_so_many_networks(
    emulated: Callable[[str], CLibrary], rung: str, dtype: str
) -> None:
    library, checkpoints = emulated(rung), [0, 1, 7]
    state = np.random.default_rng(1).uniform(-1, 1, (100, 16)).astype(dtype)
    alone = [train(library, *ARTICLE, state[k : k + 1], checkpoints) for k in range(100)]
    assert {status for status, _, _ in alone} == {0}
    for count in (1, 2, 31, 33, 100):
        status, states, errors = train(library, *ARTICLE, state[:count], checkpoints)
        assert status == 0
        assert states.tobytes() == b"".join(a.tobytes() for _, a, _ in alone[:count])
        assert errors.tobytes() == b"".join(a.tobytes() for _, _, a in alone[:count])
    assert len({errors.tobytes() for _, _, errors in alone}) == 100


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rungs_that_add_in_the_same_order_have_the_same_bits(
    emulated: Callable[[str], CLibrary], dtype: str
) -> None:
    state = np.random.default_rng(2).uniform(-1, 1, (1, 16)).astype(dtype)

    def bits(rung: str) -> bytes:
        status, states, errors = train(emulated(rung), *ARTICLE, state, [0, 1, 150])
        assert status == 0, reason(emulated(rung))
        return states.tobytes() + errors.tobytes()

    expected = bits("one_thread")
    for rung in IN_ORDER:
        assert bits(rung) == expected == bits(rung), rung
    in_pairs = {bits(rung) for rung in (*IN_PAIRS, *IN_PAIRS)}
    assert len(in_pairs) == 1
    assert np.allclose(
        np.frombuffer(in_pairs.pop(), dtype), np.frombuffer(expected, dtype), rtol=0, atol=1e-4
    )


def test_what_is_too_large_for_shared_memory_is_declined_with_numbers(
    emulated: Callable[[str], CLibrary],
) -> None:
    rung, state = emulated("one_block"), np.zeros((1, 1000 * 4))
    status, states, _ = train(rung, *ARTICLE, state, [1])
    assert status == rung.library.BACKPROP_UNSUPPORTED
    # Weights, l and delta: 4000 + 2 (4 x 1000 + 4) doubles.
    assert "needs 96064 bytes of shared memory, and a block of this GPU can have 49152" in reason(
        rung
    )
    assert np.isnan(states).all()


@pytest.mark.parametrize("rung", ["one_block", "one_warp"])
def test_other_networks_are_declined(emulated: Callable[[str], CLibrary], rung: str) -> None:
    library, (X, y) = emulated(rung), ARTICLE
    status, _, _ = train(library, X, y, np.zeros((2, 16)), [1])
    assert status == library.library.BACKPROP_UNSUPPORTED
    assert reason(library) == "This rung trains one network at a time."
    status, _, _ = train(library, X[:3], y[:3], np.zeros((1, 16)), [1])
    assert (status == 0) == (rung == "one_block")


def test_the_host_does_not_pass_for_the_clock_of_a_gpu(
    emulated: Callable[[str], CLibrary],
) -> None:
    rung = emulated("one_thread")
    assert train(rung, *ARTICLE, np.zeros((1, 16)), [1])[0] == 0
    assert rung.library.backprop_device_seconds() == rung.ffi.NULL


# In a process of its own: one that has loaded a library of that name would not look for another.
WITHOUT_CUBLAS = """
import sys
import numpy as np
from conformance.wire.c_library import CLibrary
X, y = np.zeros((1, 1)), np.zeros((1, 1))
request = {"op": "train", "dtype": "float64", "layers": [1, 1, 1], "X": X, "alpha": 1.0}
request["checkpoints"] = [1]
CLibrary(sys.argv[1]).train(X, y, [X, y], request)
"""


def test_without_cublas_it_says_what_to_install(
    built: Callable[[str], Path], tmp_path: Path
) -> None:
    if ctypes.util.find_library("cublas"):
        pytest.skip("cuBLAS is installed")
    alone = shutil.copy(built("cublas"), tmp_path / "alone.so")
    command = [sys.executable, "-c", WITHOUT_CUBLAS, str(alone)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patience(60))
    assert done.returncode != 0
    said = done.stderr.splitlines()[-1]
    assert "Unsupported: cuBLAS is not installed (libcublas.so.13 or .12): " in said
    assert "pip install nvidia-cublas" in said
