/* Backpropagation in C11, behind the contract of conformance/contract/backprop.h.
 *
 * Compiled twice: with -DBITS=64 for float64 and with -DBITS=32 for float32. This file has the
 * algorithm, layers.h what a layer does besides the matrix product, optimise.h what is done with
 * a descent, network.h the arrays, random.h the generators, cores.h the threads of an ensemble.
 */
#define _GNU_SOURCE /* for the cores that a process may use */
#include "backprop_valid.h"
#include "cores.h"
#include "layers.h"
#include "network.h"
#include "optimise.h"

/* [forward] */
/* l[k+1] = activation([l[k], 1] syn[k]), the 1 only with bias units */
static void forward(const network *net) {
    for (int64_t k = 0; k < net->last; k++) {
        const int64_t inputs = net->layers[k], outputs = net->layers[k + 1];
        const int hidden = k + 1 < net->last;
        const int64_t activation = hidden ? net->settings->activation : net->settings->output;
        const int normed = hidden && net->settings->batch_norm;
        for (int64_t i = 0; i < net->samples; i++) {
            const real *restrict in = net->l[k] + i * inputs;
            real *restrict out = net->out[k + 1] + i * outputs;
            for (int64_t n = 0; n < outputs; n++) {
                real x = 0;
                for (int64_t m = 0; m < inputs; m++) x += in[m] * net->syn[k][m * outputs + n];
                if (net->bias) x += net->syn[k][inputs * outputs + n];
                out[n] = normed ? x : activate(activation, x);
            }
            if (activation == BACKPROP_SOFTMAX) softmax(out, outputs);
        }
        if (normed) {
            real *out = net->out[k + 1];
            normalise(net, k + 1, out);
            for (int64_t i = 0; i < net->samples * outputs; i++)
                out[i] = activate(activation, out[i]);
        }
        if (hidden && net->settings->dropout > 0 && net->iteration != INFERENCE) drop(net, k + 1);
    }
}
/* [/forward] */

static void trim(real *delta, int64_t count, real most) {
    for (int64_t i = 0; i < count; i++)
        delta[i] = delta[i] > most ? most : delta[i] < -most ? -most : delta[i];
}

/* error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, delta[k] = error[k] slope(l[k]), and then
 * back through everything else between weighted inputs and output. */
static void backward(const network *net) {
    const backprop_settings *s = net->settings;
    const int64_t of_output = s->loss == BACKPROP_CROSS_ENTROPY ? SLOPE_CANCELS : s->output;
    /* [hidden-delta] */
    for (int64_t k = net->last; k > 0; k--) {
        const int64_t activation = k < net->last ? s->activation : of_output;
        const int64_t units = net->layers[k];
        for (int64_t i = 0; i < net->samples; i++) {
            const real *restrict l = net->l[k] + i * units;
            const real *restrict active = net->active[k] + i * units;
            real *restrict error = net->error[k] + i * units;
            real *restrict delta = net->delta[k] + i * units;
            for (int64_t m = 0; m < units; m++) {
                if (k == net->last) {
                    /* [output-delta] */
                    error[m] = net->y[i * units + m] - l[m];
                    /* [/output-delta] */
                } else { /* m never reaches the bias unit's row: no error goes there */
                    const int64_t outputs = net->layers[k + 1];
                    const real *restrict next = net->delta[k + 1] + i * outputs;
                    const real *restrict weights = net->syn[k] + m * outputs;
                    real sum = 0;
                    for (int64_t n = 0; n < outputs; n++) sum += next[n] * weights[n];
                    error[m] = sum;
                }
                /* [output-delta] */
                delta[m] = error[m] * slope(activation, active[m]);
                /* [/output-delta] */
            }
        }
        if (net->factor[k])
            for (int64_t i = 0; i < net->samples * units; i++)
                net->delta[k][i] *= net->factor[k][i];
        if (net->normal[k]) {
            /* The descents lie as the parameters do. */
            const real *from = net->parameters;
            normalise_back(net, k, net->descents + (net->gamma[k] - from),
                           net->descents + (net->beta[k] - from));
        }
        if (s->trim_value > 0) trim(net->delta[k], net->samples * units, (real)s->trim_value);
    }
    /* [/hidden-delta] */
}

/* [update] */
/* The descent of one weight of syn[k]: a step along it, or, if more has to be done with it,
 * it is kept for improve(). */
static void descend(const network *net, int64_t k, int64_t index, real descent) {
    if (net->descent)
        net->descent[k][index] = descent;
    else
        net->syn[k][index] += net->alpha * descent;
}
/* [/update] */

/* [update] */
/* syn[k] += alpha [l[k], 1]^T delta[k+1], or only that descent, without alpha, is kept. */
static void update_layer(const network *net, int64_t k) {
    const int64_t inputs = net->layers[k], outputs = net->layers[k + 1];
    for (int64_t m = 0; m < inputs; m++) {
        for (int64_t n = 0; n < outputs; n++) {
            real sum = 0; /* over the batch, before alpha */
            for (int64_t i = 0; i < net->samples; i++)
                sum += net->l[k][i * inputs + m] * net->delta[k + 1][i * outputs + n];
            descend(net, k, m * outputs + n, sum);
        }
    }
    for (int64_t n = 0; net->bias && n < outputs; n++) {
        real sum = 0;
        for (int64_t i = 0; i < net->samples; i++) sum += net->delta[k + 1][i * outputs + n];
        descend(net, k, inputs * outputs + n, sum);
    }
}
/* [/update] */

/* One update, from the batch. No weight changes before backward has used all the old ones. */
static void iterate(const network *net) {
    forward(net);
    backward(net);
    /* [update] */
    for (int64_t k = 0; k < net->last; k++) update_layer(net, k);
    if (net->descent) improve(net);
    /* [/update] */
}

/* l[K] of all samples, in inference. */
static const real *infer(network *net) {
    net->iteration = INFERENCE;
    use_rows(net, 0, net->settings->samples);
    forward(net);
    return net->l[net->last];
}

/* [checkpoint] */
/* The mean of |y - l[K]| over all samples. */
static real mean_error(network *net) {
    const real *output = infer(net);
    const int64_t count = net->samples * net->layers[net->last];
    real sum = 0;
    for (int64_t i = 0; i < count; i++) sum += FABS(net->y[i] - output[i]);
    return sum / (real)count;
}
/* [/checkpoint] */

/* The free run of one network. */
static int train(const backprop_settings *settings, const real *X, const real *y, const real *state,
                 int64_t checkpoint_count, const int64_t *checkpoints, real *state_out,
                 real *error_out) {
    const size_t numbers = state_count(settings);
    const size_t units =
        (size_t)(settings->samples * unit_count(settings, settings->layer_count - 1));
    network net;
    real *memory = malloc((numbers + 3 * units) * sizeof *memory);
    if (!memory || !open_network(&net, settings, settings->samples, X, y)) {
        free(memory);
        return BACKPROP_NO_MEMORY;
    }
    real *now = memory, *l = now + numbers;
    lay_out(&net, settings->samples, now, l, l + units, l + 2 * units);
    memcpy(now, state, numbers * sizeof *now);

    /* [checkpoint] */
    int64_t iteration = 0;
    for (int64_t c = 0; c < checkpoint_count; c++) {
        for (; iteration < checkpoints[c]; iteration++) {
            use_batch(&net, iteration);
            iterate(&net);
        }
        error_out[c] = mean_error(&net);
        memcpy(state_out + (size_t)c * numbers, now, numbers * sizeof *now);
    }
    /* [/checkpoint] */
    close_network(&net);
    free(memory);
    return BACKPROP_OK;
}

/* An ensemble, by the arguments of backprop_train. */
typedef struct {
    const backprop_settings *settings;
    const real *X, *y, *state;
    int64_t checkpoint_count;
    const int64_t *checkpoints;
    real *state_out, *error_out;
} ensemble;

static int train_network(const void *context, int64_t i) {
    const ensemble *e = context;
    const int64_t numbers = (int64_t)state_count(e->settings), count = e->checkpoint_count;
    return train(e->settings, e->X, e->y, e->state + i * numbers, count, e->checkpoints,
                 e->state_out + i * numbers * count, e->error_out + i * count);
}

int EXPORT(backprop_train)(const backprop_settings *settings, const real *X, const real *y,
                           const real *state, int64_t checkpoint_count, const int64_t *checkpoints,
                           real *state_out, real *error_out) {
    if (!backprop_valid_run(settings, checkpoint_count, checkpoints)) return BACKPROP_FAILED;
    const ensemble all = {settings,         X,           y,         state,
                          checkpoint_count, checkpoints, state_out, error_out};
    return on_all_cores(train_network, &all, settings->networks > 1 ? settings->networks : 1);
}

int EXPORT(backprop_step)(const backprop_settings *settings, const real *X, const real *y,
                          const real *state, real *l, real *error, real *delta, real *state_out) {
    network net;
    if (!backprop_valid(settings, 1)) return BACKPROP_FAILED;
    if (!open_network(&net, settings, settings->samples, X, y)) return BACKPROP_NO_MEMORY;
    use_batch(&net, settings->iteration);
    lay_out(&net, net.samples, state_out, l, error, delta);
    memcpy(state_out, state, state_count(settings) * sizeof *state);
    iterate(&net);
    close_network(&net);
    return BACKPROP_OK;
}

int EXPORT(backprop_predict)(const backprop_settings *settings, const real *X, const real *state,
                             real *output) {
    if (!backprop_valid(settings, 1)) return BACKPROP_FAILED;
    const size_t numbers = state_count(settings);
    const int64_t last = settings->layer_count - 1;
    const size_t units = (size_t)(settings->samples * unit_count(settings, last));
    const size_t outputs = (size_t)(settings->samples * settings->layers[last]);
    network net;
    real *memory = malloc((numbers + units) * sizeof *memory);
    if (!memory || !open_network(&net, settings, settings->samples, X, X)) {
        free(memory);
        return BACKPROP_NO_MEMORY;
    }
    /* Nothing goes back, so that there need be no errors and deltas. */
    real *now = memory, *l = now + numbers;
    lay_out(&net, settings->samples, now, l, l, l);
    memcpy(now, state, numbers * sizeof *now);
    memcpy(output, infer(&net), outputs * sizeof *output);
    close_network(&net);
    free(memory);
    return BACKPROP_OK;
}

int EXPORT(backprop_initial)(const backprop_settings *settings, int64_t numpy_seed,
                             real *state_out) {
    if (!backprop_valid(settings, 0)) return BACKPROP_FAILED;
    mt19937 generator = open_mt19937((uint32_t)numpy_seed);
    const int64_t norms = norm_count(settings);
    const int64_t count = (int64_t)state_count(settings), weights = weight_count(settings);
    real *at = state_out;
    for (int64_t k = 0; k + 1 < settings->layer_count; k++) {
        const int64_t drawn = settings->layers[k] * settings->layers[k + 1];
        for (int64_t i = 0; i < size(settings, k); i++)
            *at++ = i < drawn ? (real)(2 * mt_number(&generator) - 1) : 0;
    }
    /* gamma and the running variances, the last of all, are 1. */
    for (int64_t i = weights; i < count; i++)
        state_out[i] = i < weights + norms || i >= count - norms ? 1 : 0;
    return BACKPROP_OK;
}
