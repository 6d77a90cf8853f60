/* Rung 2: one block, shared memory, a barrier between phases; all iterations in one launch.
 *
 * In each phase the elements of its result are dealt out: of T threads, thread t owns t, t + T,
 * t + 2T, ... of a matrix laid out row by row, and adds up the whole sum of each in index order. So
 * the result depends neither on T nor on who runs first. What threads read of one another
 * is in shared memory, which the whole block sees and which answers in about 20 ns; X and y are in
 * global memory, and soon in the cache: nobody writes them.
 *
 *     syn0, syn1, l1, l2, l1_delta, l2_delta    shared memory, in this order
 *     l2_error, l1_error                        a register of the owner of that delta
 *
 * A thread must not read what another has still to write, nor overwrite what another has
 * still to read: so there are four barriers in an iteration. Each costs some 20 ns, because all
 * warps must have arrived, and what they wrote must be visible. Of the phases between them each has
 * as much latency as its longest sum.
 */
#pragma once
#include "rung.cuh"

constexpr bool ARTICLE = false, ENSEMBLE = false;
constexpr int MAX_THREADS = 512; /* of a block; leaves each thread 128 registers */

/* Where the matrices begin in shared memory. */
template <class T> struct Arrays {
    T *syn0, *syn1, *l1, *l2, *l1_delta, *l2_delta;

    __device__ Arrays(const Problem<T> &p, T *all)
        : syn0(all), syn1(syn0 + p.size0()), l1(all + p.weights()), l2(l1 + p.units1()),
          l1_delta(l1 + p.units()), l2_delta(l1_delta + p.units1()) {}
};

/* [forward] */
/* l1 is of element (i, j), l2 of (i, n). Each l2 is seen by its owner alone so far. */
template <class T> __device__ void forward(const Problem<T> &p, const Arrays<T> &a) {
    for (int e = threadIdx.x; e < p.units1(); e += blockDim.x) {
        const int i = e / p.hidden, j = e % p.hidden;
        T x = 0;
        for (int m = 0; m < p.inputs; m++) x += p.X[i * p.inputs + m] * a.syn0[m * p.hidden + j];
        a.l1[e] = sigmoid(x);
    }
    /* Read after write: an output needs its sample's row of l1, which has many owners. */
    __syncthreads();
    for (int e = threadIdx.x; e < p.samples * p.outputs; e += blockDim.x) {
        const int i = e / p.outputs, n = e % p.outputs;
        T x = 0;
        for (int j = 0; j < p.hidden; j++) x += a.l1[i * p.hidden + j] * a.syn1[j * p.outputs + n];
        a.l2[e] = sigmoid(x);
    }
}
/* [/forward] */

/* One update; `l2` is made and used by the same owners, so that no barrier is between. */
template <bool STEP, class T> __device__ void update(const Problem<T> &p, const Arrays<T> &a) {
    forward(p, a);
    /* [output-delta] */
    for (int e = threadIdx.x; e < p.samples * p.outputs; e += blockDim.x) {
        const T l2_error = p.y[e] - a.l2[e];
        a.l2_delta[e] = l2_error * slope(a.l2[e]);
        if (STEP) p.error[p.units1() + e] = l2_error;
    }
    /* [/output-delta] */
    /* [hidden-delta] */
    /* Read after write: a hidden unit needs its sample's row of l2_delta. */
    __syncthreads();
    for (int e = threadIdx.x; e < p.units1(); e += blockDim.x) {
        const int i = e / p.hidden, j = e % p.hidden;
        T l1_error = 0;
        for (int n = 0; n < p.outputs; n++)
            l1_error += a.l2_delta[i * p.outputs + n] * a.syn1[j * p.outputs + n];
        a.l1_delta[e] = l1_error * slope(a.l1[e]);
        if (STEP) p.error[e] = l1_error;
    }
    /* [/hidden-delta] */
    /* [update] */
    /* Read after write: a weight needs columns of l1_delta. Write after read: syn1 changes now, and
     * must not before every l1_error has used it. */
    __syncthreads();
    for (int e = threadIdx.x; e < p.weights(); e += blockDim.x) {
        const bool first = e < p.size0(); /* (m, j) of syn0; otherwise (j, n) of syn1 */
        const int width = first ? p.hidden : p.outputs, inputs = first ? p.inputs : p.hidden;
        const int of_matrix = first ? e : e - p.size0();
        const int row = of_matrix / width, column = of_matrix % width;
        const T *from = first ? p.X : a.l1, *delta = first ? a.l1_delta : a.l2_delta;
        T descent = 0;
        for (int i = 0; i < p.samples; i++)
            descent += from[i * inputs + row] * delta[i * width + column];
        a.syn0[e] += p.alpha * descent; /* syn1 follows syn0 */
    }
    /* [/update] */
    /* Read after write: the next forward pass reads weights of every owner. Write after read: it
     * overwrites l1, which others may still be reading for their descents. */
    __syncthreads();
}

/* To be launched with one block of any size. */
template <class T, bool STEP>
__global__ void __launch_bounds__(MAX_THREADS, 1) one_block(const __grid_constant__ Problem<T> p) {
    extern __shared__ __align__(16) unsigned char shared[];
    const Arrays<T> a(p, reinterpret_cast<T *>(shared));
    for (int e = threadIdx.x; e < p.weights(); e += blockDim.x) a.syn0[e] = p.syn[e];
    /* Read after write: a thread needs weights that others have copied. */
    __syncthreads();

    /* [checkpoint] */
    int64_t iteration = 0;
    for (int c = 0; c < p.checkpoint_count; c++) {
        for (; iteration < p.checkpoints[c]; iteration++) update<STEP>(p, a);
        for (int e = threadIdx.x; e < p.weights(); e += blockDim.x)
            p.state_out[static_cast<size_t>(c) * p.weights() + e] = a.syn0[e];
        if (STEP) continue;
        forward(p, a);
        /* Read after write: thread 0 needs all of l2. It may take its time: the others come no
         * further than the next barrier, and l2 is not overwritten before that. */
        __syncthreads();
        if (threadIdx.x != 0) continue;
        T total = 0;
        for (int e = 0; e < p.samples * p.outputs; e++) total += fabs(p.y[e] - a.l2[e]);
        p.error_out[c] = total / static_cast<T>(p.samples * p.outputs);
    }
    /* [/checkpoint] */
    if (!STEP) return;
    for (int e = threadIdx.x; e < p.units(); e += blockDim.x) {
        p.l[e] = a.l1[e]; /* l2 follows l1, and l2_delta follows l1_delta */
        p.delta[e] = a.l1_delta[e];
    }
}

template <class T> size_t room(const Problem<T> &) { return 0; }

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    const size_t numbers = static_cast<size_t>(p.weights()) + 2 * static_cast<size_t>(p.units());
    const size_t bytes = numbers * sizeof(T), most = most_shared_bytes();
    if (bytes > most)
        throw Refusal{BACKPROP_UNSUPPORTED,
                      "The network needs " + std::to_string(bytes) +
                          " bytes of shared memory, and a block of this GPU can have " +
                          std::to_string(most) + "."};
    const auto kernel = given.step ? one_block<T, true> : one_block<T, false>;
    allow_shared(kernel, bytes);
    const int elements = p.weights() > p.units1() ? p.weights() : p.units1();
    launch(kernel, 1, block_threads(kernel, elements, MAX_THREADS), bytes, nullptr, p);
}
