/* Training of a large network, made of matrix products: rung 6. tiled.cuh and cublas.cuh say how
 * to multiply; everything else is the same in both, and is in this file.
 *
 * An update is five products, which are nearly all of its work, and four kernels with a thread for
 * each element. The weights change in place: the product adds alpha times itself to them.
 */
#pragma once
#include "operations.cuh"

constexpr bool ARTICLE = false, ENSEMBLE = false;

/* c = op(a) op(b), or, to `add`, c + factor op(a) op(b). op(a) is (rows, inner), op(b) is (inner,
 * columns), c (rows, columns); op(a) is a, or the transpose of a, which then is (inner, rows). */
template <class T> struct Product {
    T *c;
    int rows, columns, inner;
    const T *a;
    bool a_transposed;
    const T *b;
    bool b_transposed;
    T factor;
    bool add;
};

/* [forward] */
/* l = s(l), element by element, from `first` on. */
template <class T> __global__ void __launch_bounds__(BLOCK) sigmoids(T *l, int count) {
    const int e = element();
    if (e < count) l[e] = sigmoid(l[e]);
}
/* [/forward] */

/* [hidden-delta] */
/* l1_delta, from l1_error, of (i, j). */
template <class T>
__global__ void __launch_bounds__(BLOCK) slopes(const __grid_constant__ Problem<T> p) {
    const int e = element();
    if (e < p.units1()) p.delta[e] = p.error[e] * slope(p.l[e]);
}
/* [/hidden-delta] */

template <class T> size_t room(const Problem<T> &) { return 0; }

/* `multiply(product, stream)` enqueues a product. */
template <class T, class Multiply>
void train_by_products(const Problem<T> &p, const Given<T> &given, Multiply multiply) {
    const Stream stream;
    const Launcher<T> each = {p, stream, block_threads(output_delta<T>, BLOCK, BLOCK)};
    const int samples = p.samples, inputs = p.inputs, hidden = p.hidden, outputs = p.outputs;
    T *syn0 = p.syn, *syn1 = p.syn + p.size0(), *l1 = p.l, *l2 = p.l + p.units1();
    T *l1_error = p.error, *l1_delta = p.delta, *l2_delta = p.delta + p.units1();

    auto activate = [&](T *l, int count) {
        launch(sigmoids<T>, (count + each.threads - 1) / each.threads, each.threads, 0, stream, l,
               count);
    };
    auto enqueue = [&](const Product<T> &product) { multiply(product, stream); };
    /* [forward] */
    auto forward = [&] {
        enqueue({l1, samples, hidden, inputs, p.X, false, syn0, false, 1, false});
        activate(l1, p.units1());
        enqueue({l2, samples, outputs, hidden, l1, false, syn1, false, 1, false});
        activate(l2, samples * outputs);
    };
    /* [/forward] */
    auto updates = [&](int64_t count) {
        for (; count > 0; count--) {
            forward();
            /* [output-delta] */
            each(output_delta<T>, samples * outputs);
            /* [/output-delta] */
            /* [hidden-delta] */
            enqueue({l1_error, samples, hidden, outputs, l2_delta, false, syn1, true, 1, false});
            each(slopes<T>, p.units1());
            /* [/hidden-delta] */
            /* [update] */
            enqueue({syn1, hidden, outputs, samples, l1, true, l2_delta, false, p.alpha, true});
            enqueue({syn0, inputs, hidden, samples, p.X, true, l1_delta, false, p.alpha, true});
            /* [/update] */
        }
    };
    follow(p, given, stream, updates, forward);
}
