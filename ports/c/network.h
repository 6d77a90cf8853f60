/* The network that backprop.c works on: its numbers' type, its arrays, its batch.
 *
 * Included once by backprop.c, which is compiled with -DBITS=64 for float64 and with
 * -DBITS=32 for float32.
 */
#ifndef NETWORK_H
#define NETWORK_H
#include "backprop.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if BITS == 64
typedef double real;
#define EXP exp
#define TANH tanh
#define SQRT sqrt
#define POW pow
#define FABS fabs
#define EXPORT(name) name##_f64
#else
typedef float real;
#define EXP expf
#define TANH tanhf
#define SQRT sqrtf
#define POW powf
#define FABS fabsf
#define EXPORT(name) name##_f32
#endif

/* Instead of the number of an update. */
enum { INFERENCE = -1 };

/* A network and its batch, with room for what one update computes. Arrays of pointers have
 * one entry per layer: l[k], error[k] and delta[k] are samples x layers[k] (error and delta
 * from k = 1 on), syn[k] and descent[k] are (layers[k] + bias) x layers[k+1]. */
typedef struct {
    const backprop_settings *settings;
    int64_t last; /* K: the output layer, and the number of weight matrices */
    const int64_t *layers;
    int64_t samples;   /* in the batch, which begins at l[0] and y */
    int64_t iteration; /* the number of the update, or INFERENCE */
    int64_t bias;      /* 1: the last row of syn[k] is from a unit that is always 1 */
    real alpha;
    const real *all_X, *all_y;
    const real *y;
    const real **l;
    real **out; /* out[k] is l[k], writable; out[0] is not used */
    real **error;
    real **delta;
    real **syn;
    real *parameters; /* all syn, gamma and beta, and after them the optimiser's memory */
    /* Only if more than a factor alpha comes between a descent and its parameter, or else
     * NULL: those of all parameters, and of each syn[k]. */
    real *descents;
    real **descent;
    /* With batch normalisation, for hidden layers; the first four are in the state. */
    real **gamma, **beta, **mean, **variance; /* layers[k] */
    real **normal;                            /* samples x layers[k]: the inputs, normalised */
    real **deviation;                         /* layers[k]: the root of the batch's variance */
    /* With dropout, for hidden layers: samples x layers[k]. */
    real **active; /* the activation's output, of which l[k] is the kept part; else l[k] */
    real **factor; /* 0, or the factor of a unit that was kept */
    /* With shuffling: the order of the epoch, and the batch's rows in that order. */
    int64_t *order;
    int64_t epoch; /* that order[] is of */
    real *batch_X, *batch_y;
} network;

/* Numbers in syn[k], in all of syn. */
static int64_t size(const backprop_settings *s, int64_t k) {
    return (s->layers[k] + s->bias) * s->layers[k + 1];
}

static int64_t weight_count(const backprop_settings *s) {
    int64_t count = 0;
    for (int64_t k = 0; k + 1 < s->layer_count; k++) count += size(s, k);
    return count;
}

/* Numbers in l[1] ... l[last] of one sample. */
static int64_t unit_count(const backprop_settings *s, int64_t last) {
    int64_t count = 0;
    for (int64_t k = 1; k <= last; k++) count += s->layers[k];
    return count;
}

/* Units that are normalised. */
static int64_t norm_count(const backprop_settings *s) {
    return s->batch_norm ? unit_count(s, s->layer_count - 2) : 0;
}

static int64_t parameter_count(const backprop_settings *s) {
    return weight_count(s) + 2 * norm_count(s);
}

static int64_t memory_count(const backprop_settings *s) {
    return parameter_count(s) * (s->adam ? 2 : s->momentum != 0 ? 1 : 0);
}

static size_t state_count(const backprop_settings *s) {
    return (size_t)(parameter_count(s) + memory_count(s) + 2 * norm_count(s));
}

/* Does anything come between a descent and its step, but alpha? */
static int keeps_descents(const backprop_settings *s) {
    return s->trim_norm > 0 || s->l1 != 0 || s->l2 != 0 || s->momentum != 0 || s->adam ||
           s->batch_norm;
}

/* Makes these rows of the data the batch. */
static void use_rows(network *net, int64_t first, int64_t count) {
    net->samples = count;
    net->l[0] = net->all_X + first * net->layers[0];
    net->y = net->all_y + first * net->layers[net->last];
}

/* Makes the rows at these places of the epoch's order the batch. */
static void use_shuffled_rows(network *net, int64_t epoch, int64_t first, int64_t count) {
    const int64_t inputs = net->layers[0], outputs = net->layers[net->last];
    if (net->epoch != epoch)
        shuffle(net->order, net->settings->samples, net->settings->philox_seed, epoch);
    net->epoch = epoch;
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = net->order[first + i];
        memcpy(net->batch_X + i * inputs, net->all_X + row * inputs, (size_t)inputs * sizeof(real));
        memcpy(net->batch_y + i * outputs, net->all_y + row * outputs,
               (size_t)outputs * sizeof(real));
    }
    net->samples = count;
    net->l[0] = net->batch_X;
    net->y = net->batch_y;
}

/* Makes batch `iteration` modulo the number of batches the batch; the last may be smaller. */
static void use_batch(network *net, int64_t iteration) {
    const int64_t samples = net->settings->samples, most = net->settings->batch_size;
    const int64_t batches = most > 0 ? (samples - 1) / most + 1 : 1;
    const int64_t first = iteration % batches * most;
    const int64_t count = most > 0 && samples - first > most ? most : samples - first;
    net->iteration = iteration;
    if (net->settings->shuffle)
        use_shuffled_rows(net, iteration / batches, first, count);
    else
        use_rows(net, first, count);
}

/* The next `count` of the numbers at *at. */
static real *take(real **at, int64_t count) {
    real *taken = *at;
    *at += count;
    return taken;
}

/* Gives a network the memory that only its settings ask for, with room for `rows` samples.
 * Returns 0 if there is none; close_network frees it. lay_out, then use_batch or use_rows, make
 * it usable. */
static int open_network(network *net, const backprop_settings *s, int64_t rows, const real *X,
                        const real *y) {
    const int64_t last = s->layer_count - 1, hidden = rows * unit_count(s, last - 1);
    const int64_t descents = keeps_descents(s) ? parameter_count(s) : 0;
    const int64_t normal = s->batch_norm ? hidden + norm_count(s) : 0;
    const int64_t dropped = s->dropout > 0 ? 2 * hidden : 0;
    const int64_t gathered = s->shuffle ? rows * (s->layers[0] + s->layers[last]) : 0;
    const size_t layers = (size_t)s->layer_count;
    real **p = calloc(14 * layers, sizeof *p);
    real *room = malloc((size_t)(descents + normal + dropped + gathered + 1) * sizeof *room);
    int64_t *order = malloc((size_t)(s->shuffle ? s->samples : 1) * sizeof *order);
    *net = (network){.settings = s,
                     .last = last,
                     .layers = s->layers,
                     .bias = s->bias,
                     .alpha = (real)s->alpha,
                     .all_X = X,
                     .all_y = y,
                     .l = (const real **)p,
                     .out = p + layers,
                     .error = p + 2 * layers,
                     .delta = p + 3 * layers,
                     .syn = p + 4 * layers,
                     .gamma = p + 6 * layers,
                     .beta = p + 7 * layers,
                     .mean = p + 8 * layers,
                     .variance = p + 9 * layers,
                     .normal = p + 10 * layers,
                     .deviation = p + 11 * layers,
                     .active = p + 12 * layers,
                     .factor = p + 13 * layers,
                     .order = order,
                     .epoch = -1};
    if (!p || !room || !order) {
        free(p);
        free(room);
        free(order);
        return 0;
    }
    net->descents = take(&room, descents); /* the first, by which close_network frees them all */
    net->descent = descents ? p + 5 * layers : NULL;
    for (int64_t k = 1; k < last; k++) {
        if (normal) net->normal[k] = take(&room, rows * s->layers[k]);
        if (normal) net->deviation[k] = take(&room, s->layers[k]);
        if (dropped) net->active[k] = take(&room, rows * s->layers[k]);
        if (dropped) net->factor[k] = take(&room, rows * s->layers[k]);
    }
    net->batch_X = take(&room, gathered ? rows * s->layers[0] : 0);
    net->batch_y = room;
    return 1;
}

/* Points the layers into the flat buffers of the contract, with room for `rows` samples. */
static void lay_out(network *net, int64_t rows, real *state, real *l, real *error, real *delta) {
    const backprop_settings *s = net->settings;
    real *at = net->parameters = state, *descent = net->descents;
    for (int64_t k = 0; k < net->last; k++) {
        net->syn[k] = take(&at, size(s, k));
        if (net->descent) net->descent[k] = take(&descent, size(s, k));
        net->l[k + 1] = net->out[k + 1] = take(&l, rows * net->layers[k + 1]);
        net->error[k + 1] = take(&error, rows * net->layers[k + 1]);
        net->delta[k + 1] = take(&delta, rows * net->layers[k + 1]);
        if (!net->active[k + 1]) net->active[k + 1] = net->out[k + 1];
    }
    if (!s->batch_norm) return;
    real **parts[] = {net->gamma, net->beta, net->mean, net->variance};
    for (int part = 0; part < 4; part++) {
        if (part == 2) at = state + parameter_count(s) + memory_count(s);
        for (int64_t k = 1; k < net->last; k++) parts[part][k] = take(&at, net->layers[k]);
    }
}

static void close_network(network *net) {
    free(net->descents);
    free(net->order);
    free(net->l);
}

#endif
