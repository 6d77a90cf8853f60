"""What cublas.py calls in the simulator: the same functions, with the same arguments, by NumPy.

Matrices are addresses, stored column by column, as cuBLAS has them: a wrong leading dimension or a
transposition too many reads other numbers here as there, or is an error.
"""

import ctypes

import numpy as np


def create():
    return 1


def set_stream(handle, stream):
    pass


def matrix(address, rows, columns, leading, real):
    """A view of the matrix at an address."""
    if leading < rows:
        raise ValueError(f"a leading dimension of {leading} for {rows} rows")
    place = (real * (leading * columns)).from_address(address)
    return np.ctypeslib.as_array(place).reshape(columns, leading).T[:rows]


def gemm(real):
    def function(_, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
        A = matrix(a, k, m, lda, real).T if transa else matrix(a, m, k, lda, real)
        B = matrix(b, n, k, ldb, real).T if transb else matrix(b, k, n, ldb, real)
        C = matrix(c, m, n, ldc, real)
        alpha, beta = (real.from_address(number).value for number in (alpha, beta))
        result = alpha * (A @ B)
        C[...] = result + beta * C if beta else result

    return function


dgemm, sgemm = gemm(ctypes.c_double), gemm(ctypes.c_float)
