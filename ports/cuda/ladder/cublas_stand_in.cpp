/* What cublas.cuh uses of cuBLAS, for the emulation: a library of the same name, with plain loops.
 * It knows nothing about the rung, only what cuBLAS's documentation says: matrices are
 * column-major, and element (r, c) of one is at r + c times the leading dimension. That must not
 * be less than a column has, or the status is 7, an invalid value. */
#include <algorithm>

namespace {

template <class T>
int gemm(int transpose_a, int transpose_b, int m, int n, int k, const T *alpha, const T *a,
         int a_step, const T *b, int b_step, const T *beta, T *c, int c_step) {
    if (m < 0 || n < 0 || k < 0 || a_step < std::max(1, transpose_a ? k : m) ||
        b_step < std::max(1, transpose_b ? n : k) || c_step < std::max(1, m))
        return 7;
    for (long column = 0; column < n; column++) {
        for (long row = 0; row < m; row++) {
            T total = 0;
            for (long q = 0; q < k; q++)
                total += (transpose_a ? a[q + row * a_step] : a[row + q * a_step]) *
                         (transpose_b ? b[column + q * b_step] : b[q + column * b_step]);
            T &result = c[row + column * c_step];
            /* With a beta of 0, c need not hold numbers. */
            result = *alpha * total + (*beta == 0 ? 0 : *beta * result);
        }
    }
    return 0;
}

} // namespace

extern "C" {
int cublasCreate_v2(void **handle) {
    static int something;
    *handle = &something;
    return 0;
}
int cublasSetStream_v2(void *, void *) { return 0; }
int cublasDgemm_v2(void *, int transpose_a, int transpose_b, int m, int n, int k,
                   const double *alpha, const double *a, int a_step, const double *b, int b_step,
                   const double *beta, double *c, int c_step) {
    return gemm(transpose_a, transpose_b, m, n, k, alpha, a, a_step, b, b_step, beta, c, c_step);
}
int cublasSgemm_v2(void *, int transpose_a, int transpose_b, int m, int n, int k,
                   const float *alpha, const float *a, int a_step, const float *b, int b_step,
                   const float *beta, float *c, int c_step) {
    return gemm(transpose_a, transpose_b, m, n, k, alpha, a, a_step, b, b_step, beta, c, c_step);
}
}
