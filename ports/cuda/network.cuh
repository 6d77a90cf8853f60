/* What the kernels' functions hand each other, and how elements are dealt out to threads.
 *
 * kernel.cuh says where each array lies, and which thread owns which of its elements. All of this
 * is templates over T, the type of numbers: double or float.
 */
#pragma once
extern "C" {
#include "backprop.h"
}
#include <cstdint>

/* Sixteen warps: the most threads that a block has here. The compiler is told, and so leaves each
 * thread no more registers than so many threads can have. */
constexpr int MAX_THREADS = 512;
/* The tables of a network are arguments of a launch, and so of a fixed size. */
constexpr int MAX_LAYERS = 64;

/* The settings of SPEC.md, in the type of numbers. 0 turns off dropout, trimming, decay and
 * momentum. */
template <class T> struct Rules {
    int bias, activation, output;
    bool cross_entropy, shuffle, nesterov, adam, batch_norm;
    uint64_t philox_seed;
    int64_t dropped_below; /* dropout 2^32, rounded up: a unit whose word is below it is dropped */
    T kept_scale;          /* 1 / (1 - dropout) */
    T norm_epsilon, norm_rate, alpha, trim_value, trim_norm, l1, l2, momentum;
    T beta1, beta2, adam_epsilon;
};

/* Sizes, and where each matrix lies in a flat array. Parameter matrices are syn[0] ... syn[K-1]
 * and, with batch normalisation, gamma[1] ... gamma[K-1], beta[1] ... beta[K-1]. */
struct Layout {
    int last;                    /* K: the output layer, and the number of weight matrices */
    int layers[MAX_LAYERS];      /* n_0 ... n_K */
    int matrices;                /* of parameters */
    int at[3 * MAX_LAYERS];      /* matrix p begins at at[p]; at[matrices] is how many numbers */
    int l_at[MAX_LAYERS + 1];    /* l[k] and delta[k] begin at l_at[k], for a batch; from k = 1 */
    int hidden;                  /* units that are normalised */
    int state_size;              /* parameters, what is remembered of them, averages */
    int samples, batch, batches; /* all samples, the most in a batch, batches in an epoch */

    __host__ __device__ int parameters() const { return at[matrices]; }
    __host__ __device__ int units() const { return l_at[last + 1]; }
    __host__ __device__ int outputs() const { return layers[last]; }
    /* Of layer k of 1 ... K-1. */
    __host__ __device__ int gamma(int k) const { return at[last + k - 1]; }
    __host__ __device__ int beta(int k) const { return at[2 * last + k - 2]; }
};

/* The arguments of a launch. All pointers are to the GPU's global memory. */
template <class T> struct Job {
    Layout layout;
    Rules<T> rules;
    const T *X, *y; /* all samples */
    T *state;       /* parameters, what the optimiser remembers of them, averages */
    /* Room to work in. */
    T *room;            /* as shared memory, for a network that is too large for that */
    T *descent;         /* of the parameters, in their order */
    T *normal;          /* with batch normalisation, z, with the layout of l */
    T *deviation;       /* with batch normalisation, sqrt(v + norm_epsilon) of each hidden unit */
    int *order, *drawn; /* with shuffling: the samples' order, places to exchange with */
    /* The iteration to begin with, and those to record, rising. */
    int64_t start, checkpoint_count;
    const int64_t *checkpoints;
    /* Results: of training, state and error at each checkpoint; of a single step, l, error and
     * delta, each with the layout of l, or else null; of inference, l[K]. */
    T *state_out, *error_out, *kept, *output;
};

/* The network as the device functions see it. */
template <class T> struct Network {
    const Layout &layout;
    const Rules<T> &rules;
    const T *X, *y;
    T *parameters, *l, *delta; /* in shared memory, if they have room there */
    T *memory;                 /* of the optimiser: as the parameters, once or twice */
    T *averages;               /* the running means of hidden units, and then the variances */
    T *descent, *normal, *deviation;
    T *error; /* of a single step, to be kept; or else null */
};

/* Some samples: `rows` places from `first` on, in the order of the data, or in a shuffled one. */
struct Batch {
    int first, rows;
    const int *order; /* or null */

    /* The row of X and y that is sample i of the batch. */
    __device__ int place(int i) const { return order ? order[first + i] : first + i; }
};
