/* Rung 1: one thread does it all.
 *
 * That is the algorithm as a CPU would run it, in one launch. It owns every element, needs no
 * barrier, and is a GPU at its worst: one lane of the thousands works, and mostly waits, since each
 * product waits for two numbers from memory and each sum for the one before. The
 * arrays have any size, so they lie in global memory (in its caches, if they are small), not in
 * registers: a register has no address, and no loop with a variable end can choose one.
 */
#pragma once
#include "rung.cuh"

constexpr bool ARTICLE = false, ENSEMBLE = false;

/* [forward] */
/* l1 = s(X syn0), l2 = s(l1 syn1). */
template <class T> __device__ void forward(const Problem<T> &p) {
    const T *syn0 = p.syn, *syn1 = p.syn + p.size0();
    T *l1 = p.l, *l2 = p.l + p.units1();
    for (int i = 0; i < p.samples; i++) {
        for (int j = 0; j < p.hidden; j++) {
            T x = 0;
            for (int m = 0; m < p.inputs; m++) x += p.X[i * p.inputs + m] * syn0[m * p.hidden + j];
            l1[i * p.hidden + j] = sigmoid(x);
        }
        for (int n = 0; n < p.outputs; n++) {
            T x = 0;
            for (int j = 0; j < p.hidden; j++) x += l1[i * p.hidden + j] * syn1[j * p.outputs + n];
            l2[i * p.outputs + n] = sigmoid(x);
        }
    }
}
/* [/forward] */

/* Both deltas, with the weights from before the update. The errors are not needed again: they are
 * kept only for a single STEP. */
template <bool STEP, class T> __device__ void backward(const Problem<T> &p) {
    const T *syn1 = p.syn + p.size0(), *l1 = p.l, *l2 = p.l + p.units1();
    T *l1_delta = p.delta, *l2_delta = p.delta + p.units1();
    for (int i = 0; i < p.samples; i++) {
        /* [output-delta] */
        for (int n = 0; n < p.outputs; n++) {
            const int e = i * p.outputs + n;
            const T l2_error = p.y[e] - l2[e];
            l2_delta[e] = l2_error * slope(l2[e]);
            if (STEP) p.error[p.units1() + e] = l2_error;
        }
        /* [/output-delta] */
        /* [hidden-delta] */
        for (int j = 0; j < p.hidden; j++) {
            const int e = i * p.hidden + j;
            T l1_error = 0;
            for (int n = 0; n < p.outputs; n++)
                l1_error += l2_delta[i * p.outputs + n] * syn1[j * p.outputs + n];
            l1_delta[e] = l1_error * slope(l1[e]);
            if (STEP) p.error[e] = l1_error;
        }
        /* [/hidden-delta] */
    }
}

/* [update] */
/* syn0 += alpha X^T l1_delta, syn1 += alpha l1^T l2_delta. */
template <class T> __device__ void update(const Problem<T> &p) {
    T *syn0 = p.syn, *syn1 = p.syn + p.size0();
    const T *l1 = p.l, *l1_delta = p.delta, *l2_delta = p.delta + p.units1();
    for (int m = 0; m < p.inputs; m++) {
        for (int j = 0; j < p.hidden; j++) {
            T descent = 0;
            for (int i = 0; i < p.samples; i++)
                descent += p.X[i * p.inputs + m] * l1_delta[i * p.hidden + j];
            syn0[m * p.hidden + j] += p.alpha * descent;
        }
    }
    for (int j = 0; j < p.hidden; j++) {
        for (int n = 0; n < p.outputs; n++) {
            T descent = 0;
            for (int i = 0; i < p.samples; i++)
                descent += l1[i * p.hidden + j] * l2_delta[i * p.outputs + n];
            syn1[j * p.outputs + n] += p.alpha * descent;
        }
    }
}
/* [/update] */

template <class T, bool STEP>
__global__ void __launch_bounds__(1) one_thread(const __grid_constant__ Problem<T> p) {
    /* [checkpoint] */
    int64_t iteration = 0;
    for (int c = 0; c < p.checkpoint_count; c++) {
        for (; iteration < p.checkpoints[c]; iteration++) {
            forward(p);
            backward<STEP>(p);
            update(p);
        }
        for (int e = 0; e < p.weights(); e++)
            p.state_out[static_cast<size_t>(c) * p.weights() + e] = p.syn[e];
        if (STEP) continue; /* keep the update's l */
        forward(p);
        T total = 0;
        for (int e = 0; e < p.samples * p.outputs; e++) total += fabs(p.y[e] - p.l[p.units1() + e]);
        p.error_out[c] = total / static_cast<T>(p.samples * p.outputs);
    }
    /* [/checkpoint] */
}

template <class T> size_t room(const Problem<T> &) { return 0; }

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    launch(given.step ? one_thread<T, true> : one_thread<T, false>, 1, 1, 0, nullptr, p);
}
