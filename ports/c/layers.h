/* What a layer does besides the matrix product, each operation beside its derivative. */
#ifndef LAYERS_H
#define LAYERS_H
#include "network.h"

/* In place of an activation: its slope and that of the loss cancel each other. */
enum { SLOPE_CANCELS = -1 };

/* [forward] */
static real sigmoid(real x) { return 1 / (1 + EXP(-x)); }
/* [/forward] */

/* An output from its weighted inputs; softmax() does a whole row, once it is there. */
static real activate(int64_t activation, real x) {
    switch (activation) {
        case BACKPROP_TANH: return TANH(x);
        case BACKPROP_RELU: return x > 0 ? x : 0;
        case BACKPROP_SOFTMAX: return x;
        default: return sigmoid(x);
    }
}

/* [output-delta] */
/* The activation's derivative, from its output. */
static real slope(int64_t activation, real output) {
    switch (activation) {
        case BACKPROP_TANH: return 1 - output * output;
        case BACKPROP_RELU: return output > 0 ? 1 : 0;
        case SLOPE_CANCELS: return 1;
        default: return output * (1 - output);
    }
}
/* [/output-delta] */

/* A whole row x at once. Without its maximum, no exp can overflow. */
static void softmax(real *x, int64_t count) {
    real largest = x[0], sum = 0;
    for (int64_t n = 1; n < count; n++)
        if (x[n] > largest) largest = x[n];
    for (int64_t n = 0; n < count; n++) sum += x[n] = EXP(x[n] - largest);
    for (int64_t n = 0; n < count; n++) x[n] /= sum;
}

/* The mean of column n. */
static real average(const real *x, int64_t rows, int64_t columns, int64_t n) {
    real sum = 0;
    for (int64_t i = 0; i < rows; i++) sum += x[i * columns + n];
    return sum / (real)rows;
}

/* Column n of x, the weighted inputs of layer k, gets mean beta and deviation gamma; the
 * running averages take in one more batch. z is kept for backward. */
static void normalise_unit(const network *net, int64_t k, real *x, int64_t n) {
    const int64_t rows = net->samples, units = net->layers[k];
    const real epsilon = (real)net->settings->norm_epsilon, rate = (real)net->settings->norm_rate;
    real *z = net->normal[k];
    const real mean = average(x, rows, units, n);
    for (int64_t i = 0; i < rows; i++) {
        const real centred = x[i * units + n] - mean;
        z[i * units + n] = centred * centred;
    }
    const real variance = average(z, rows, units, n), deviation = SQRT(variance + epsilon);
    for (int64_t i = 0; i < rows; i++) {
        z[i * units + n] = (x[i * units + n] - mean) / deviation;
        x[i * units + n] = net->gamma[k][n] * z[i * units + n] + net->beta[k][n];
    }
    net->deviation[k][n] = deviation;
    net->mean[k][n] += rate * (mean - net->mean[k][n]);
    net->variance[k][n] += rate * (variance - net->variance[k][n]);
}

/* The same with running averages instead of the batch's own. */
static void normalise_unit_for_inference(const network *net, int64_t k, real *x, int64_t n) {
    const int64_t units = net->layers[k];
    const real deviation = SQRT(net->variance[k][n] + (real)net->settings->norm_epsilon);
    for (int64_t i = 0; i < net->samples; i++) {
        const real z = (x[i * units + n] - net->mean[k][n]) / deviation;
        x[i * units + n] = net->gamma[k][n] * z + net->beta[k][n];
    }
}

static void normalise(const network *net, int64_t k, real *x) {
    for (int64_t n = 0; n < net->layers[k]; n++) {
        if (net->iteration == INFERENCE)
            normalise_unit_for_inference(net, k, x, n);
        else
            normalise_unit(net, k, x, n);
    }
}

/* Back through normalise(): column n of delta, the error of its output, becomes that of
 * x. Mean and deviation depend on every row, and so each row's error depends on all rows. */
static void normalise_back(const network *net, int64_t k, real *gamma_descent, real *beta_descent) {
    const int64_t rows = net->samples, units = net->layers[k];
    for (int64_t n = 0; n < units; n++) {
        const real gamma = net->gamma[k][n], deviation = net->deviation[k][n];
        real sum = 0, product = 0; /* of the error, and of it with z */
        for (int64_t i = 0; i < rows; i++) {
            sum += net->delta[k][i * units + n];
            product += net->delta[k][i * units + n] * net->normal[k][i * units + n];
        }
        gamma_descent[n] = product;
        beta_descent[n] = sum;
        const real mean = gamma * sum / (real)rows, along = gamma * product / (real)rows;
        for (int64_t i = 0; i < rows; i++) {
            real *delta = net->delta[k] + i * units + n;
            const real z = net->normal[k][i * units + n];
            *delta = (gamma * *delta - mean - z * along) / deviation;
        }
    }
}

/* Leaves units of layer k out at random, and scales the others to make up for them. The
 * activation's output is kept, since the slope is taken from it. */
static void drop(const network *net, int64_t k) {
    const backprop_settings *s = net->settings;
    const int64_t count = net->samples * net->layers[k];
    const double least = s->dropout * 4294967296.0; /* 2^32 */
    const real scale = 1 / (1 - (real)s->dropout);
    philox_stream stream = open_stream(s->philox_seed, net->iteration, k, FOR_DROPOUT);
    for (int64_t i = 0; i < count; i++) {
        net->active[k][i] = net->out[k][i];
        net->factor[k][i] = word(&stream, i) >= least ? scale : 0;
        net->out[k][i] *= net->factor[k][i];
    }
}

#endif
