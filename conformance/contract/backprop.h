/* The contract of a c-abi port: a shared library that exports these functions.
 *
 * This file is the contract's only definition. Compiled ports include it, or declare the same
 * in their own language; the harness reads it to call them.
 *
 * A network has layer_count layers of layers[0] ... layers[layer_count - 1] units; K is
 * layer_count - 1, the number of weight matrices. All matrices are row-major and dense.
 * Several matrices in one buffer follow each other without a gap:
 *
 *   syn     syn[0] ... syn[K-1]      syn[k] is layers[k] (+ 1 with bias) x layers[k+1]
 *   gamma   gamma[1] ... gamma[K-1]  1 x layers[k]; so are beta, mean and variance
 *   state   syn, and with batch_norm gamma and beta: these are the parameters;
 *           with momentum, velocities: as many numbers as the parameters, in their order;
 *           with adam, first all m and then all v, each like the parameters;
 *           with batch_norm, the running mean and variance
 *   l       l[1] ... l[K]            l[k] is (samples in the batch) x layers[k]
 *   error   error[1] ... error[K]    like l
 *   delta   delta[1] ... delta[K]    like l
 *
 * The caller owns every buffer. Buffers do not overlap, and outputs may hold anything before the
 * call. A function changes only what is not const, writes all of it when it returns BACKPROP_OK,
 * keeps no pointer and prints nothing. All counts are at least 1.
 *
 * The caller must keep to this contract. Pointers and the sizes of buffers cannot be checked, but
 * any other mistake of the caller must not become an access outside a buffer. For a count out of
 * its range, a flag that is not 0 or 1, an unknown number for an enum, checkpoints that do not
 * rise, or arrays of more than BACKPROP_MOST numbers, a port should return BACKPROP_FAILED, and
 * read and write no buffer. All ports and rungs of this suite do: backprop_valid.h checks this for
 * C, C++ and CUDA C++, and D, Fortran and Rust have the same check beside their settings. Numbers
 * in buffers, and real numbers in settings, may be anything, infinity and NaN included.
 *
 * A port exports the functions of the dtypes that its manifest lists (_f64 for float64, _f32
 * for float32): train, step, and those of the capabilities that it lists. It computes in that
 * dtype.
 */
#ifndef BACKPROP_H
#define BACKPROP_H
#include <stdint.h>

enum backprop_status {
    BACKPROP_OK = 0,
    BACKPROP_UNSUPPORTED = 1, /* this port does not do such a network or setting: a SKIP */
    BACKPROP_NO_DEVICE = 2,   /* the device that it runs on is missing: a SKIP */
    BACKPROP_NO_MEMORY = 3,   /* a FAIL */
    BACKPROP_FAILED = 4       /* a FAIL */
};

/* The most numbers in an array and updates in a run, and the most layers in a network. */
#define BACKPROP_MOST ((int64_t)1 << 40)
#define BACKPROP_MOST_LAYERS 65536

enum backprop_activation {
    BACKPROP_SIGMOID = 0,
    BACKPROP_TANH = 1,
    BACKPROP_RELU = 2,
    BACKPROP_SOFTMAX = 3, /* only for the output layer, with cross-entropy */
    BACKPROP_ACTIVATIONS  /* how many there are */
};

enum backprop_loss { BACKPROP_SQUARED = 0, BACKPROP_CROSS_ENTROPY = 1 };

/* Each field has 8 bytes, and there are no gaps. New fields are only ever added at the end. A
 * field that a port does not know belongs to a capability that its manifest does not list, and is
 * 0. Real numbers are already rounded to the dtype. SPEC.md has the formulas. */
typedef struct backprop_settings {
    int64_t layer_count;   /* at least 2 */
    const int64_t *layers; /* layer_count sizes, inputs first, without bias units */
    int64_t samples;       /* rows of X and y */
    double alpha;          /* the learning rate */
    int64_t bias;          /* 1: syn[k] has one more row, the last, from a unit that is 1 */
    int64_t activation;    /* of hidden layers, an enum backprop_activation */
    int64_t output;        /* of the output layer, an enum backprop_activation */
    int64_t loss;          /* an enum backprop_loss */
    int64_t batch_size;    /* samples in an update; 0: all */
    int64_t iteration;     /* for backprop_step: the number of the update, from 0 */
    double trim_value;     /* deltas lie between -trim_value and trim_value; 0: anywhere */
    double trim_norm;      /* the largest norm of the descent; 0: any */
    double l1;             /* regularisation */
    double l2;             /* regularisation */
    double momentum;       /* 0: none, and the state has no velocity */
    int64_t nesterov;      /* 1: Nesterov's momentum */
    int64_t shuffle;       /* 1: batches from samples in another order in each epoch */
    double dropout;        /* the part of the hidden units that is left out; 0: none */
    int64_t philox_seed;   /* for shuffle and dropout; not negative */
    int64_t batch_norm;    /* 1: batch normalisation of hidden layers */
    double norm_epsilon;   /* added to the variance */
    double norm_rate;      /* the part of a new batch in the running averages */
    int64_t adam;          /* 1: Adam, with the next three */
    double beta1;          /* the part of the old in the average of descents */
    double beta2;          /* the same for their squares */
    double adam_epsilon;   /* added to the root */
    int64_t networks;      /* for backprop_train: how many side by side; 0 or 1: one */
} backprop_settings;

/* Trains from a state. The checkpoint_count checkpoints rise. For each checkpoint n, write the
 * state after n updates to the next place in state_out, which has room for checkpoint_count
 * states, and to error_out the mean of |y - l[K]| over samples and outputs in a forward pass of
 * all samples with those weights.
 *
 * With settings->networks = N > 1 (capability ensemble), each network is trained as if it were
 * alone, with the same data and settings. Let S be how many numbers the state of one network has.
 * Network i then starts at state + i S, and writes from state_out + i S checkpoint_count and
 * error_out + i checkpoint_count on, as a call for it alone would. */
int backprop_train_f64(const backprop_settings *settings, const double *X, const double *y,
                       const double *state, int64_t checkpoint_count, const int64_t *checkpoints,
                       double *state_out, double *error_out);
int backprop_train_f32(const backprop_settings *settings, const float *X, const float *y,
                       const float *state, int64_t checkpoint_count, const int64_t *checkpoints,
                       float *state_out, float *error_out);

/* One update from a state. l, error and delta get every intermediate and have room for just the
 * rows of the batch; state_out gets the new state. */
int backprop_step_f64(const backprop_settings *settings, const double *X, const double *y,
                      const double *state, double *l, double *error, double *delta,
                      double *state_out);
int backprop_step_f32(const backprop_settings *settings, const float *X, const float *y,
                      const float *state, float *l, float *error, float *delta, float *state_out);

/* Inference (capability predict): the outputs l[K] for settings->samples rows of X. */
int backprop_predict_f64(const backprop_settings *settings, const double *X, const double *state,
                         double *output);
int backprop_predict_f32(const backprop_settings *settings, const float *X, const float *state,
                         float *output);

/* The initial state, with weights drawn from a seed (capability numpy-seed). There are no
 * samples: settings->samples is 0. */
int backprop_initial_f64(const backprop_settings *settings, int64_t numpy_seed, double *state_out);
int backprop_initial_f32(const backprop_settings *settings, int64_t numpy_seed, float *state_out);

/* Optional: the device that the port computes on, for the report. If it is missing: "cpu". */
const char *backprop_device(void);

/* Optional, for a device with its own clock: three numbers, the seconds that the last call spent
 * on copies to the device, on computing, and on copies from it. Benchmarks show them beside the
 * host's clock, never instead. */
const double *backprop_device_seconds(void);

/* Optional: why the last call did not return BACKPROP_OK, in one sentence, for the report. */
const char *backprop_reason(void);

#endif
