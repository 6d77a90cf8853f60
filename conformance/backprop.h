/* The contract of a c-abi port: a shared library that exports these functions.
 *
 * This file is the contract's only definition. Compiled ports may include it, or declare
 * the same in their own language; the harness reads it to call them.
 *
 * A network has layer_count layers of layers[0] ... layers[layer_count - 1] units; K is
 * layer_count - 1, the number of weight matrices. All matrices are row-major and dense.
 * Where several follow each other in one buffer, they do so without a gap:
 *
 *   syn     syn[0] ... syn[K-1]      syn[k] is layers[k] x layers[k+1]
 *   l       l[1] ... l[K]            l[k] is samples x layers[k]; l[0] is X
 *   error   error[1] ... error[K]    like l
 *   delta   delta[1] ... delta[K]    like l
 *
 * The caller owns every buffer. A function changes only what is not const, writes all of
 * it when it returns BACKPROP_OK, and keeps no pointer. It prints nothing.
 *
 * A port exports the functions of the dtypes that its manifest lists: _f64 for float64,
 * _f32 for float32. It computes in that dtype.
 */
#ifndef BACKPROP_H
#define BACKPROP_H
#include <stdint.h>

enum backprop_status {
    BACKPROP_OK = 0,
    BACKPROP_UNSUPPORTED = 1, /* this port does not do such a network or setting: a SKIP */
    BACKPROP_NO_DEVICE = 2,   /* the device that it runs on is not here: a SKIP */
    BACKPROP_NO_MEMORY = 3,   /* a FAIL */
    BACKPROP_FAILED = 4       /* a FAIL */
};

/* Fields are only ever added at the end, and a field that a port does not know concerns
 * a capability that its manifest does not list. */
typedef struct backprop_settings {
    int64_t layer_count;   /* at least 2 */
    const int64_t *layers; /* layer_count sizes, inputs first */
    int64_t samples;       /* rows of X and y */
    double alpha;          /* the learning rate; representable in the dtype */
} backprop_settings;

/* Trains from the weights syn, full batch. For each of the checkpoint_count rising
 * checkpoints n it writes the state after n updates: the weights to the next place in
 * syn_out, which holds checkpoint_count times as many numbers as syn, and to error_out the
 * mean of |y - l[K]| over samples and outputs in a forward pass with those weights. */
int backprop_train_f64(const backprop_settings *settings, const double *X, const double *y,
                       const double *syn, int64_t checkpoint_count, const int64_t *checkpoints,
                       double *syn_out, double *error_out);
int backprop_train_f32(const backprop_settings *settings, const float *X, const float *y,
                       const float *syn, int64_t checkpoint_count, const int64_t *checkpoints,
                       float *syn_out, float *error_out);

/* One update from the weights syn, with every intermediate; the new weights go to syn_out. */
int backprop_step_f64(const backprop_settings *settings, const double *X, const double *y,
                      const double *syn, double *l, double *error, double *delta, double *syn_out);
int backprop_step_f32(const backprop_settings *settings, const float *X, const float *y,
                      const float *syn, float *l, float *error, float *delta, float *syn_out);

/* Optional: the device that the port computes on, for the report. Without it: "cpu". */
const char *backprop_device(void);

#endif
