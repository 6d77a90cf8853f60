/* What every rung of the ladder is given, and what all of them say in the same words.
 *
 * A rung is one file with kernels, and these for contract.cu, which puts it behind the contract:
 *
 *     ARTICLE           it is for 3-4-1 networks that learn from 4 samples, and for no others
 *     ENSEMBLE          it trains many networks side by side
 *     room(problem)     how many numbers of the GPU's memory it needs beyond the problem's
 *     train(problem, given)   enqueue all work; contract.cu waits for its end
 *
 * Throughout, i is a sample, m an input, j a hidden unit, n an output; all matrices are row-major.
 */
#pragma once
#include "../device.cuh"

/* A three-layer network, its data and its results. All pointers are to the GPU's global memory. */
template <class T> struct Problem {
    int samples, inputs, hidden, outputs;
    int networks, checkpoint_count;
    T alpha;
    const T *X, *y; /* (samples, inputs), (samples, outputs) */
    T *syn;         /* (networks, weights()): the state, which may be trained in place */
    const int64_t *checkpoints; /* rising */
    T *state_out;               /* (networks, checkpoint_count, weights()) */
    T *error_out;               /* (networks, checkpoint_count); not of a single step */
    /* Of layer 1, and then of layer 2. After a single step they hold that of its update; in
     * training a rung may work in them. There is one of each, however many networks there are. */
    T *l, *error, *delta;
    T *room;

    /* syn0 is (inputs, hidden), syn1 (hidden, outputs). */
    __host__ __device__ int size0() const { return inputs * hidden; }
    __host__ __device__ int weights() const { return size0() + hidden * outputs; }
    __host__ __device__ int units1() const { return samples * hidden; }
    __host__ __device__ int units() const { return units1() + samples * outputs; }
};

/* The parts that the host also has. */
template <class T> struct Given {
    const T *X, *y;
    const int64_t *checkpoints;
    bool step; /* a single step: one update, which returns its intermediates, and no error */
};

/* For a large -x, exp is infinite, and the result the right one: 0. */
template <class T> __device__ T sigmoid(T x) { return 1 / (1 + exp(-x)); }

/* The slope of the sigmoid, from its output. */
template <class T> __device__ T slope(T output) { return output * (1 - output); }
