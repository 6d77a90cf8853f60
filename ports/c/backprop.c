/* Backpropagation in C11, behind the contract of conformance/backprop.h.
 *
 * Compiled twice: with -DBITS=64 for float64 and with -DBITS=32 for float32. network.h has
 * the arrays, this file what is done with them.
 */
#include "network.h"

#include <string.h>

/* In place of an activation: its slope and that of the loss cancel each other. */
enum { SLOPE_CANCELS = -1 };

static real sigmoid(real x) { return 1 / (1 + EXP(-x)); }

/* An output from its weighted inputs; softmax() does a whole row, once it is there. */
static real activate(int64_t activation, real x) {
    switch (activation) {
        case BACKPROP_TANH: return TANH(x);
        case BACKPROP_RELU: return x > 0 ? x : 0;
        case BACKPROP_SOFTMAX: return x;
        default: return sigmoid(x);
    }
}

/* The activation's derivative, from its output. */
static real slope(int64_t activation, real output) {
    switch (activation) {
        case BACKPROP_TANH: return 1 - output * output;
        case BACKPROP_RELU: return output > 0 ? 1 : 0;
        case SLOPE_CANCELS: return 1;
        default: return output * (1 - output);
    }
}

/* A whole row x at once. Without its maximum, no exp can overflow. */
static void softmax(real *x, int64_t count) {
    real largest = x[0], sum = 0;
    for (int64_t n = 1; n < count; n++)
        if (x[n] > largest) largest = x[n];
    for (int64_t n = 0; n < count; n++) sum += x[n] = EXP(x[n] - largest);
    for (int64_t n = 0; n < count; n++) x[n] /= sum;
}

/* l[k+1] = activation([l[k], 1] syn[k]), the 1 only with bias units */
static void forward(const network *net) {
    for (int64_t k = 0; k < net->last; k++) {
        const int64_t inputs = net->layers[k], outputs = net->layers[k + 1];
        const int64_t activation =
            k + 1 < net->last ? net->settings->activation : net->settings->output;
        for (int64_t i = 0; i < net->samples; i++) {
            const real *restrict in = net->l[k] + i * inputs;
            real *restrict out = net->out[k + 1] + i * outputs;
            for (int64_t n = 0; n < outputs; n++) {
                real x = 0;
                for (int64_t m = 0; m < inputs; m++) x += in[m] * net->syn[k][m * outputs + n];
                if (net->bias) x += net->syn[k][inputs * outputs + n];
                out[n] = activate(activation, x);
            }
            if (activation == BACKPROP_SOFTMAX) softmax(out, outputs);
        }
    }
}

static real trimmed(real delta, real most) {
    return delta > most ? most : delta < -most ? -most : delta;
}

/* error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, delta[k] = error[k] slope(l[k]) */
static void backward(const network *net) {
    const int64_t of_output =
        net->settings->loss == BACKPROP_CROSS_ENTROPY ? SLOPE_CANCELS : net->settings->output;
    for (int64_t k = net->last; k > 0; k--) {
        const int64_t activation = k < net->last ? net->settings->activation : of_output;
        const int64_t units = net->layers[k];
        for (int64_t i = 0; i < net->samples; i++) {
            const real *restrict l = net->l[k] + i * units;
            real *restrict error = net->error[k] + i * units;
            real *restrict delta = net->delta[k] + i * units;
            for (int64_t m = 0; m < units; m++) {
                if (k == net->last) {
                    error[m] = net->y[i * units + m] - l[m];
                } else { /* m never gets to the bias unit's row: no error goes there */
                    const int64_t outputs = net->layers[k + 1];
                    const real *restrict next = net->delta[k + 1] + i * outputs;
                    const real *restrict weights = net->syn[k] + m * outputs;
                    real sum = 0;
                    for (int64_t n = 0; n < outputs; n++) sum += next[n] * weights[n];
                    error[m] = sum;
                }
                delta[m] = trimmed(error[m] * slope(activation, l[m]), net->trim);
            }
        }
    }
}

/* The descent of one weight of syn[k]: a step along it, or, if more is to be done with it,
 * it is kept for improve(). */
static void descend(const network *net, int64_t k, int64_t index, real descent) {
    if (net->descent)
        net->descent[k][index] = descent;
    else
        net->syn[k][index] += net->alpha * descent;
}

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

/* Scales the descent of all weights, so that the root of the sum of its squares is at most
 * trim_norm. */
static void shrink(const network *net) {
    const int64_t count = weight_count(net->settings);
    const real most = (real)net->settings->trim_norm;
    real squares = 0;
    for (int64_t i = 0; i < count; i++) squares += net->descents[i] * net->descents[i];
    const real norm = SQRT(squares);
    if (!(norm > most)) return;
    const real factor = most / norm;
    for (int64_t i = 0; i < count; i++) net->descents[i] *= factor;
}

/* descent[k] -= l2 syn[k] + l1 sign(syn[k]), without the bias unit's row. */
static void decay_layer(const network *net, int64_t k) {
    const int64_t count = net->layers[k] * net->layers[k + 1];
    const real l1 = (real)net->settings->l1, l2 = (real)net->settings->l2;
    for (int64_t i = 0; i < count; i++) {
        const real w = net->syn[k][i];
        net->descent[k][i] -= l2 * w + l1 * (real)((w > 0) - (w < 0));
    }
}

/* syn[k] += alpha times the descent; with momentum, times the new velocity; with Nesterov's,
 * times what the velocity will be if the next descent is the same. */
static void move_layer(const network *net, int64_t k) {
    const int64_t count = size(net->settings, k);
    const real momentum = (real)net->settings->momentum;
    for (int64_t i = 0; i < count; i++) {
        real step = net->descent[k][i];
        if (momentum != 0) {
            const real descent = step;
            step = net->velocity[k][i] = momentum * net->velocity[k][i] + descent;
            if (net->settings->nesterov) step = descent + momentum * step;
        }
        net->syn[k][i] += net->alpha * step;
    }
}

/* From the descent of all weights to the new state. */
static void improve(const network *net) {
    const backprop_settings *s = net->settings;
    if (s->trim_norm > 0) shrink(net);
    for (int64_t k = 0; k < net->last; k++) {
        if (s->l1 != 0 || s->l2 != 0) decay_layer(net, k);
        move_layer(net, k);
    }
}

/* One update, from the batch. No weight changes before all of backward has used the old ones. */
static void iterate(const network *net) {
    forward(net);
    backward(net);
    for (int64_t k = 0; k < net->last; k++) update_layer(net, k);
    if (net->descent) improve(net);
}

/* The mean of |y - l[K]| in a forward pass of all samples. */
static real mean_error(network *net) {
    use_rows(net, 0, net->settings->samples);
    forward(net);
    const int64_t count = net->samples * net->layers[net->last];
    real sum = 0;
    for (int64_t i = 0; i < count; i++) sum += FABS(net->y[i] - net->l[net->last][i]);
    return sum / (real)count;
}

int EXPORT(backprop_train)(const backprop_settings *settings, const real *X, const real *y,
                           const real *state, int64_t checkpoint_count, const int64_t *checkpoints,
                           real *state_out, real *error_out) {
    const size_t numbers = state_count(settings);
    const size_t units = (size_t)(settings->samples * unit_count(settings));
    network net;
    real *memory = malloc((numbers + 3 * units) * sizeof *memory);
    if (!memory || !open_network(&net, settings, X, y)) {
        free(memory);
        return BACKPROP_NO_MEMORY;
    }
    real *now = memory, *l = now + numbers;
    lay_out(&net, settings->samples, now, l, l + units, l + 2 * units);
    memcpy(now, state, numbers * sizeof *now);

    int64_t iteration = 0;
    for (int64_t c = 0; c < checkpoint_count; c++) {
        for (; iteration < checkpoints[c]; iteration++) {
            use_batch(&net, iteration);
            iterate(&net);
        }
        error_out[c] = mean_error(&net);
        memcpy(state_out + (size_t)c * numbers, now, numbers * sizeof *now);
    }
    close_network(&net);
    free(memory);
    return BACKPROP_OK;
}

int EXPORT(backprop_step)(const backprop_settings *settings, const real *X, const real *y,
                          const real *state, real *l, real *error, real *delta, real *state_out) {
    network net;
    if (!open_network(&net, settings, X, y)) return BACKPROP_NO_MEMORY;
    use_batch(&net, settings->iteration);
    lay_out(&net, net.samples, state_out, l, error, delta);
    memcpy(state_out, state, state_count(settings) * sizeof *state);
    iterate(&net);
    close_network(&net);
    return BACKPROP_OK;
}
