/* The network that backprop.c works on: its numbers' type, its arrays, its batch.
 *
 * Included once by backprop.c, which is compiled with -DBITS=64 for float64 and with
 * -DBITS=32 for float32.
 */
#ifndef NETWORK_H
#define NETWORK_H
#include "backprop.h"

#include <math.h>
#include <stdlib.h>

#if BITS == 64
typedef double real;
#define EXP exp
#define TANH tanh
#define SQRT sqrt
#define FABS fabs
#define EXPORT(name) name##_f64
#else
typedef float real;
#define EXP expf
#define TANH tanhf
#define SQRT sqrtf
#define FABS fabsf
#define EXPORT(name) name##_f32
#endif

/* A network and its batch, with room for what one update computes. Arrays of pointers
 * have one entry a layer: l[k], error[k] and delta[k] are samples x layers[k] (error and
 * delta from k = 1 on), syn[k] is (layers[k] + bias) x layers[k+1], and so are descent[k]
 * and velocity[k]. */
typedef struct {
    const backprop_settings *settings;
    int64_t last; /* K: the output layer, and the number of weight matrices */
    const int64_t *layers;
    int64_t samples; /* in the batch, which begins at l[0] and y */
    int64_t bias;    /* 1: the last row of syn[k] is from a unit that is always 1 */
    real alpha;
    real trim; /* deltas lie between -trim and trim */
    const real *all_X, *all_y;
    const real *y;
    const real **l;
    real **out; /* out[k] is l[k], writable; out[0] is not used */
    real **error;
    real **delta;
    real **syn;
    real **velocity; /* only with momentum */
    real **descent;  /* only if more than a factor alpha comes between it and syn, or else NULL */
    real *descents;  /* where all descent[k] lie */
} network;

/* Numbers in syn[k], in all of syn, and in all of the state. */
static int64_t size(const backprop_settings *s, int64_t k) {
    return (s->layers[k] + s->bias) * s->layers[k + 1];
}

static int64_t weight_count(const backprop_settings *s) {
    int64_t count = 0;
    for (int64_t k = 0; k + 1 < s->layer_count; k++) count += size(s, k);
    return count;
}

static size_t state_count(const backprop_settings *s) {
    return (size_t)weight_count(s) * (s->momentum != 0 ? 2 : 1);
}

/* Numbers in l[1] ... l[K] of one sample. */
static int64_t unit_count(const backprop_settings *s) {
    int64_t count = 0;
    for (int64_t k = 1; k < s->layer_count; k++) count += s->layers[k];
    return count;
}

/* Makes these rows of the data the batch. */
static void use_rows(network *net, int64_t first, int64_t count) {
    net->samples = count;
    net->l[0] = net->all_X + first * net->layers[0];
    net->y = net->all_y + first * net->layers[net->last];
}

/* Makes batch `iteration` modulo the number of batches the batch; the last may be smaller. */
static void use_batch(network *net, int64_t iteration) {
    const int64_t samples = net->settings->samples, most = net->settings->batch_size;
    int64_t first = 0, count = samples;
    if (most > 0) {
        first = iteration % ((samples - 1) / most + 1) * most;
        count = samples - first < most ? samples - first : most;
    }
    use_rows(net, first, count);
}

/* Gives a network its memory; lay_out, then use_batch or use_rows, fill it. Returns 0 if there
 * is none; close_network frees it. */
static int open_network(network *net, const backprop_settings *s, const real *X, const real *y) {
    const size_t layers = (size_t)s->layer_count;
    void **pointers = calloc(7 * layers, sizeof *pointers);
    if (!pointers) return 0;
    *net = (network){.settings = s,
                     .last = s->layer_count - 1,
                     .layers = s->layers,
                     .bias = s->bias,
                     .alpha = (real)s->alpha,
                     .trim = s->trim_value > 0 ? (real)s->trim_value : (real)INFINITY,
                     .all_X = X,
                     .all_y = y,
                     .l = (const real **)pointers,
                     .out = (real **)pointers + layers,
                     .error = (real **)pointers + 2 * layers,
                     .delta = (real **)pointers + 3 * layers,
                     .syn = (real **)pointers + 4 * layers,
                     .velocity = (real **)pointers + 5 * layers};
    if (s->trim_norm > 0 || s->l1 != 0 || s->l2 != 0 || s->momentum != 0) {
        net->descents = malloc((size_t)weight_count(s) * sizeof(real));
        if (!net->descents) {
            free(pointers);
            return 0;
        }
        net->descent = (real **)pointers + 6 * layers;
    }
    return 1;
}

/* Points the layers into the flat buffers of the contract, with room for `rows` samples. */
static void lay_out(network *net, int64_t rows, real *state, real *l, real *error, real *delta) {
    int64_t unit = 0, weight = 0;
    for (int64_t k = 0; k < net->last; k++) {
        net->syn[k] = state + weight;
        if (net->settings->momentum != 0)
            net->velocity[k] = state + weight_count(net->settings) + weight;
        if (net->descent) net->descent[k] = net->descents + weight;
        net->l[k + 1] = net->out[k + 1] = l + unit;
        net->error[k + 1] = error + unit;
        net->delta[k + 1] = delta + unit;
        unit += rows * net->layers[k + 1];
        weight += size(net->settings, k);
    }
}

static void close_network(network *net) {
    free(net->descents);
    free(net->l);
}

#endif
