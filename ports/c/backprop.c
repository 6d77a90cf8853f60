/* Backpropagation in C11, behind the contract of conformance/backprop.h.
 *
 * Compiled twice: with -DBITS=64 for float64 and with -DBITS=32 for float32.
 */
#include "backprop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if BITS == 64
typedef double real;
#define EXP exp
#define FABS fabs
#define EXPORT(name) name##_f64
#else
typedef float real;
#define EXP expf
#define FABS fabsf
#define EXPORT(name) name##_f32
#endif

/* A network and its batch, with room for what one update computes. Arrays of pointers
 * have one entry a layer: l[k], error[k] and delta[k] are samples x layers[k] (error and
 * delta from k = 1 on), syn[k] is layers[k] x layers[k+1]. */
typedef struct {
    int64_t last; /* K: the output layer, and the number of weight matrices */
    const int64_t *layers;
    int64_t samples;
    real alpha;
    const real *y;
    const real **l;
    real **out; /* out[k] is l[k], writable; out[0] is not used */
    real **error;
    real **delta;
    real **syn;
} network;

static real sigmoid(real x) { return 1 / (1 + EXP(-x)); }

/* The sigmoid's derivative, from its output. */
static real slope(real output) { return output * (1 - output); }

/* l[k+1] = sigmoid(l[k] syn[k]) */
static void forward(const network *net) {
    for (int64_t k = 0; k < net->last; k++) {
        const int64_t inputs = net->layers[k], outputs = net->layers[k + 1];
        for (int64_t i = 0; i < net->samples; i++) {
            const real *restrict in = net->l[k] + i * inputs;
            real *restrict out = net->out[k + 1] + i * outputs;
            for (int64_t n = 0; n < outputs; n++) {
                real x = 0;
                for (int64_t m = 0; m < inputs; m++) x += in[m] * net->syn[k][m * outputs + n];
                out[n] = sigmoid(x);
            }
        }
    }
}

/* error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, delta[k] = error[k] slope(l[k]) */
static void backward(const network *net) {
    for (int64_t k = net->last; k > 0; k--) {
        const int64_t units = net->layers[k];
        for (int64_t i = 0; i < net->samples; i++) {
            const real *restrict l = net->l[k] + i * units;
            real *restrict error = net->error[k] + i * units;
            real *restrict delta = net->delta[k] + i * units;
            for (int64_t m = 0; m < units; m++) {
                if (k == net->last) {
                    error[m] = net->y[i * units + m] - l[m];
                } else {
                    const int64_t outputs = net->layers[k + 1];
                    const real *restrict next = net->delta[k + 1] + i * outputs;
                    const real *restrict weights = net->syn[k] + m * outputs;
                    real sum = 0;
                    for (int64_t n = 0; n < outputs; n++) sum += next[n] * weights[n];
                    error[m] = sum;
                }
                delta[m] = error[m] * slope(l[m]);
            }
        }
    }
}

/* syn[k] += alpha l[k]^T delta[k+1] */
static void update_layer(const network *net, int64_t k) {
    const int64_t inputs = net->layers[k], outputs = net->layers[k + 1];
    for (int64_t m = 0; m < inputs; m++) {
        real *restrict weights = net->syn[k] + m * outputs;
        for (int64_t n = 0; n < outputs; n++) {
            real sum = 0; /* over the batch, before alpha */
            for (int64_t i = 0; i < net->samples; i++)
                sum += net->l[k][i * inputs + m] * net->delta[k + 1][i * outputs + n];
            weights[n] += net->alpha * sum;
        }
    }
}

/* One iteration. No weight changes before all of backward has used the old ones. */
static void iterate(const network *net) {
    forward(net);
    backward(net);
    for (int64_t k = 0; k < net->last; k++) update_layer(net, k);
}

/* The mean of |y - l[K]|. */
static real mean_error(const network *net) {
    const int64_t count = net->samples * net->layers[net->last];
    real sum = 0;
    for (int64_t i = 0; i < count; i++) sum += FABS(net->y[i] - net->l[net->last][i]);
    return sum / (real)count;
}

/* Numbers in all of syn, and in all of l[1] ... l[K]. */
static int64_t weight_count(const backprop_settings *s) {
    int64_t count = 0;
    for (int64_t k = 0; k + 1 < s->layer_count; k++) count += s->layers[k] * s->layers[k + 1];
    return count;
}

static int64_t unit_count(const backprop_settings *s) {
    int64_t count = 0;
    for (int64_t k = 1; k < s->layer_count; k++) count += s->samples * s->layers[k];
    return count;
}

/* Points a network's layers into the flat buffers of the contract. Returns 0 if there is
 * no memory for the pointers; close_network frees them. */
static int open_network(network *net, const backprop_settings *s, const real *X, const real *y,
                        real *syn, real *l, real *error, real *delta) {
    const size_t layers = (size_t)s->layer_count;
    void **pointers = calloc(5 * layers, sizeof *pointers);
    if (!pointers) return 0;
    *net = (network){.last = s->layer_count - 1,
                     .layers = s->layers,
                     .samples = s->samples,
                     .alpha = (real)s->alpha,
                     .y = y,
                     .l = (const real **)pointers,
                     .out = (real **)pointers + layers,
                     .error = (real **)pointers + 2 * layers,
                     .delta = (real **)pointers + 3 * layers,
                     .syn = (real **)pointers + 4 * layers};
    net->l[0] = X;
    for (int64_t k = 0; k < net->last; k++) {
        net->syn[k] = syn;
        syn += s->layers[k] * s->layers[k + 1];
        net->l[k + 1] = net->out[k + 1] = l;
        net->error[k + 1] = error;
        net->delta[k + 1] = delta;
        const int64_t units = s->samples * s->layers[k + 1];
        l += units;
        error += units;
        delta += units;
    }
    return 1;
}

static void close_network(network *net) { free(net->l); }

int EXPORT(backprop_train)(const backprop_settings *settings, const real *X, const real *y,
                           const real *syn, int64_t checkpoint_count, const int64_t *checkpoints,
                           real *syn_out, real *error_out) {
    const size_t weights = (size_t)weight_count(settings), units = (size_t)unit_count(settings);
    real *memory = malloc((weights + 3 * units) * sizeof *memory);
    if (!memory) return BACKPROP_NO_MEMORY;
    real *now = memory, *l = now + weights;
    network net;
    if (!open_network(&net, settings, X, y, now, l, l + units, l + 2 * units)) {
        free(memory);
        return BACKPROP_NO_MEMORY;
    }
    memcpy(now, syn, weights * sizeof *now);

    int64_t iteration = 0;
    for (int64_t c = 0; c < checkpoint_count; c++) {
        for (; iteration < checkpoints[c]; iteration++) iterate(&net);
        forward(&net);
        error_out[c] = mean_error(&net);
        memcpy(syn_out + (size_t)c * weights, now, weights * sizeof *now);
    }
    close_network(&net);
    free(memory);
    return BACKPROP_OK;
}

int EXPORT(backprop_step)(const backprop_settings *settings, const real *X, const real *y,
                          const real *syn, real *l, real *error, real *delta, real *syn_out) {
    network net;
    memcpy(syn_out, syn, (size_t)weight_count(settings) * sizeof *syn);
    if (!open_network(&net, settings, X, y, syn_out, l, error, delta)) return BACKPROP_NO_MEMORY;
    iterate(&net);
    close_network(&net);
    return BACKPROP_OK;
}
