/* Rung 6, the second way: the products by cuBLAS, NVIDIA's library, and everything else as
 * in tiled.cuh.
 *
 * The library is several hundred MB, so nothing here needs it to build: it is loaded when a network
 * is trained, from where this rung was told to look when it was built, or from the system's places.
 * The four functions that are used are declared here.
 *
 * cuBLAS counts along columns first: what it takes for a matrix of (columns, rows) with so many
 * numbers from one column to the next is a row-major one of (rows, columns). So it is asked for the
 * transpose of c: c^T = op(b)^T op(a)^T, and gets b in place of a, columns in place of rows. Since
 * b in memory already is op(b)^T, each matrix is transposed exactly where it is in our formula.
 */
#pragma once
#include "products.cuh"
#include <dlfcn.h>

class Cublas {
  public:
    /* Loaded once, and never given back: its handle has memory of the GPU, and to make it takes
     * some tenths of a second, which the first call has to wait. */
    static const Cublas &get() {
        static const Cublas only;
        return only;
    }

    /* [forward] */
    /* [hidden-delta] */
    /* [update] */
    template <class T> void multiply(const Product<T> &p, cudaStream_t stream) const {
        const T factor = p.add ? p.factor : 1, old = p.add ? 1 : 0;
        auto gemm = [&] {
            if constexpr (sizeof(T) == sizeof(double))
                return dgemm;
            else
                return sgemm;
        }();
        check(set_stream(handle, stream));
        check(gemm(handle, p.b_transposed, p.a_transposed, p.columns, p.rows, p.inner, &factor, p.b,
                   p.b_transposed ? p.inner : p.columns, p.a, p.a_transposed ? p.rows : p.inner,
                   &old, p.c, p.columns));
    }
    /* [/update] */
    /* [/hidden-delta] */
    /* [/forward] */

  private:
    /* 0 is success, and as an operation "as it is"; 1 is "transposed". */
    template <class T>
    using Gemm = int(void *handle, int transpose_a, int transpose_b, int m, int n, int k,
                     const T *alpha, const T *a, int a_step, const T *b, int b_step, const T *beta,
                     T *c, int c_step);

    Cublas() {
        void *library = nullptr;
        for (const char *name : {"libcublas.so.13", "libcublas.so.12"})
            if (!library) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (!library)
            throw Refusal{
                BACKPROP_UNSUPPORTED,
                "cuBLAS is not installed (libcublas.so.13 or .12): .venv/bin/pip install "
                "nvidia-cublas, which takes several hundred MB, or install a CUDA toolkit."};
        auto find = [&](auto *&function, const char *name) {
            function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
            if (!function)
                throw Refusal{BACKPROP_UNSUPPORTED,
                              std::string("This cuBLAS has no ") + name + "."};
        };
        int (*create)(void **handle);
        find(create, "cublasCreate_v2");
        find(set_stream, "cublasSetStream_v2");
        find(dgemm, "cublasDgemm_v2");
        find(sgemm, "cublasSgemm_v2");
        check(create(&handle));
    }

    static void check(int status) {
        if (status != 0)
            throw Refusal{status == 3 ? BACKPROP_NO_MEMORY : BACKPROP_FAILED, /* 3: allocation */
                          "cuBLAS ended with its status " + std::to_string(status)};
    }

    void *handle;
    int (*set_stream)(void *handle, cudaStream_t stream);
    Gemm<double> *dgemm;
    Gemm<float> *sgemm;
};

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    const Cublas &cublas = Cublas::get();
    train_by_products(p, given, [&](const Product<T> &product, cudaStream_t stream) {
        cublas.multiply(product, stream);
    });
}
