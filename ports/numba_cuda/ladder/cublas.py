"""Rung 6, with NVIDIA's own product: the passes of tiled.py, made of cuBLAS's gemm.

A gemm is C = alpha A B + beta C, where A and B may be transposed: one call for a product, and one
for an update. cuBLAS knows many ways to tile, keeps operands in registers and has tensor cores do
float64; tiled.py is there to see what the first of these steps is worth.

It is called through nvmath.bindings.cublas, which has the functions of the C interface one for
one, with their pointers and leading dimensions. So this reads like the same in C++. CuPy would hide
them, and brings a compiler and memory of its own.

cuBLAS is from Fortran's world: a matrix is stored column by column. What lies row by row is to it
the transpose, and C^T = B^T A^T: so the operands change places, and nothing is copied. A leading
dimension is how many numbers lie from one row of ours to the next, the number of columns.

It is not part of the port's requirements. In the simulator a stand-in computes with NumPy, from the
same arguments: so shapes, transpositions and leading dimensions are judged, and cuBLAS is not. It
has never run here.
"""

import importlib
from functools import cache

import host
import numpy as np
from device import SIMULATED
from tiled import passes

PLAIN, TRANSPOSED = 0, 1  # cublasOperation_t


@cache
def library():
    """The functions of cuBLAS, and its handle."""
    name = "cublas_stand_in" if SIMULATED else "nvmath.bindings.cublas"
    try:
        cublas = importlib.import_module(name)
    except ImportError as error:
        raise NotImplementedError(
            "cuBLAS needs a package that is not installed: "
            f".venv/bin/pip install 'nvmath-python[cu13]' ({error})."
        ) from error
    return cublas, cublas.create()


def address(array):
    return array.__cuda_array_interface__["data"][0]


def gemm(stream, A, B, C, alpha=1, beta=0, A_transposed=False, B_transposed=False):
    """C = alpha A B + beta C, by cuBLAS, for matrices that lie row by row."""
    cublas, handle = library()
    cublas.set_stream(handle, 0 if SIMULATED else int(stream))
    function = cublas.dgemm if C.dtype == np.float64 else cublas.sgemm
    # They are read before the call returns, from the host's memory.
    alpha, beta = np.array(alpha, C.dtype), np.array(beta, C.dtype)
    rows, columns = C.shape
    length = A.shape[0] if A_transposed else A.shape[1]
    function(
        handle,
        TRANSPOSED if B_transposed else PLAIN,
        TRANSPOSED if A_transposed else PLAIN,
        columns, rows, length,
        alpha.ctypes.data,
        address(B), B.shape[1],
        address(A), A.shape[1],
        beta.ctypes.data,
        address(C), columns,
    )  # fmt: skip


def available(X, state):
    library()
    host.not_too_large(X, state)


train, step = host.loops(*passes(gemm), available)
device, device_seconds = host.device, host.device_seconds
