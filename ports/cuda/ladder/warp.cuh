/* What a warp does for one network: of the rungs one_warp.cuh, which says how the lanes share the
 * work and why each shuffle is there, and warp_per_network.cuh.
 */
#pragma once
#include "rung.cuh"

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xFFFFFFFF;

__device__ inline double product(double a, double b) { return __dmul_rn(a, b); }
__device__ inline float product(float a, float b) { return __fmul_rn(a, b); }

/* [forward] */
/* The sum over the 4 lanes of a sample: one for each hidden unit. */
template <class T> __device__ T sum_of_units(T x) {
    x += __shfl_xor_sync(ALL_LANES, x, 1);
    x += __shfl_xor_sync(ALL_LANES, x, 2);
    return x;
}
/* [/forward] */

/* [update] */
/* The sum over the 4 lanes of a hidden unit: one for each sample. */
template <class T> __device__ T sum_of_samples(T x) {
    x += __shfl_xor_sync(ALL_LANES, x, 4);
    x += __shfl_xor_sync(ALL_LANES, x, 8);
    return x;
}
/* [/update] */

/* The registers of a lane. */
template <class T> struct Lane {
    T X[3], y;
    T syn0[3], syn1;
    T l1, l2, l1_error, l2_error, l1_delta, l2_delta;

    /* [forward] */
    __device__ void forward() {
        l1 = sigmoid(X[0] * syn0[0] + X[1] * syn0[1] + X[2] * syn0[2]);
        l2 = sigmoid(sum_of_units(product(l1, syn1)));
        /* [output-delta] */
        l2_error = y - l2;
        /* [/output-delta] */
    }
    /* [/forward] */
    __device__ void update(T alpha) {
        forward();
        /* [output-delta] */
        l2_delta = l2_error * slope(l2);
        /* [/output-delta] */
        /* [hidden-delta] */
        l1_error = l2_delta * syn1;
        l1_delta = l1_error * slope(l1);
        /* [/hidden-delta] */
        /* [update] */
        for (int m = 0; m < 3; m++) syn0[m] += alpha * sum_of_samples(product(X[m], l1_delta));
        syn1 += alpha * sum_of_samples(product(l1, l2_delta));
        /* [/update] */
    }
};

/* Train network `number`, with all lanes of this warp and no others. */
template <bool STEP, class T> __device__ void train_in_warp(const Problem<T> &p, int number) {
    const int lane = threadIdx.x % WARP, i = lane / 4 % 4, j = lane % 4;
    const T *syn = p.syn + static_cast<size_t>(number) * 16;
    Lane<T> own = {};
    for (int m = 0; m < 3; m++) {
        own.X[m] = p.X[i * 3 + m];
        own.syn0[m] = syn[m * 4 + j];
    }
    own.y = p.y[i];
    own.syn1 = syn[12 + j];

    /* [checkpoint] */
    int64_t iteration = 0;
    for (int c = 0; c < p.checkpoint_count; c++) {
        for (; iteration < p.checkpoints[c]; iteration++) own.update(p.alpha);
        const size_t record = static_cast<size_t>(number) * p.checkpoint_count + c;
        /* Lanes 0 ... 15 write one weight each: 16 numbers side by side. i is the row. */
        const T row = i == 0 ? own.syn0[0] : i == 1 ? own.syn0[1] : i == 2 ? own.syn0[2] : own.syn1;
        if (lane < 16) p.state_out[record * 16 + lane] = row;
        if (STEP) continue;
        own.forward();
        const T total = sum_of_samples(fabs(own.l2_error));
        if (lane == 0) p.error_out[record] = total / 4;
    }
    /* [/checkpoint] */
    if (!STEP || lane >= 16) return;
    p.l[lane] = own.l1;
    p.error[lane] = own.l1_error;
    p.delta[lane] = own.l1_delta;
    if (j > 0) return;
    p.l[16 + i] = own.l2;
    p.error[16 + i] = own.l2_error;
    p.delta[16 + i] = own.l2_delta;
}
