/* From the descents of all parameters to a step: trimming, decay, momentum, Adam. */
#ifndef OPTIMISE_H
#define OPTIMISE_H
#include "network.h"

/* Scales all descents, so that the root of the sum of their squares is at most trim_norm. */
static void shrink(const network *net) {
    const int64_t count = parameter_count(net->settings);
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

/* Each parameter += alpha times its descent; with momentum, times the new velocity; with
 * Nesterov's, times what the velocity will be if the next descent is the same. */
static void move(const network *net) {
    const int64_t count = parameter_count(net->settings);
    const real momentum = (real)net->settings->momentum;
    real *velocity = net->parameters + count;
    for (int64_t i = 0; i < count; i++) {
        real step = net->descents[i];
        if (momentum != 0) {
            const real descent = step;
            step = velocity[i] = momentum * velocity[i] + descent;
            if (net->settings->nesterov) step = descent + momentum * step;
        }
        net->parameters[i] += net->alpha * step;
    }
}

/* The same with Adam: m and v are averages of descents and of their squares, which began at 0. */
static void move_by_adam(const network *net) {
    const backprop_settings *s = net->settings;
    const int64_t count = parameter_count(s);
    const real beta1 = (real)s->beta1, beta2 = (real)s->beta2, t = (real)(net->iteration + 1);
    const real first = 1 - POW(beta1, t), second = 1 - POW(beta2, t);
    real *m = net->parameters + count, *v = m + count;
    for (int64_t i = 0; i < count; i++) {
        const real d = net->descents[i];
        m[i] = beta1 * m[i] + (1 - beta1) * d;
        v[i] = beta2 * v[i] + (1 - beta2) * (d * d);
        const real root = SQRT(v[i] / second) + (real)s->adam_epsilon;
        net->parameters[i] += net->alpha * (m[i] / first / root);
    }
}

/* From the descents of all parameters to the new state. */
static void improve(const network *net) {
    const backprop_settings *s = net->settings;
    if (s->trim_norm > 0) shrink(net);
    for (int64_t k = 0; k < net->last && (s->l1 != 0 || s->l2 != 0); k++) decay_layer(net, k);
    if (s->adam)
        move_by_adam(net);
    else
        move(net);
}

#endif
