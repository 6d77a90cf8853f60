/* Checks that backprop.h allows a request, for ports in C, C++ and CUDA C++ (on the host).
 *
 * This reads only the settings, their layers and the checkpoints. So a port that checks first
 * touches no buffer of an invalid request. Real numbers may be anything.
 */
#ifndef BACKPROP_VALID_H
#define BACKPROP_VALID_H
#include "backprop.h"

/* a + b and a * b of counts, or BACKPROP_MOST + 1 if that is too many. */
static inline int64_t backprop_sum(int64_t a, int64_t b) {
    return a > BACKPROP_MOST - b ? BACKPROP_MOST + 1 : a + b;
}
static inline int64_t backprop_product(int64_t a, int64_t b) {
    return b > 0 && a > BACKPROP_MOST / b ? BACKPROP_MOST + 1 : a * b;
}

static inline int backprop_flag(int64_t flag) { return flag == 0 || flag == 1; }

static inline int backprop_between(int64_t least, int64_t count, int64_t most) {
    return count >= least && count <= most;
}

/* 1 if no array of one network, or of a batch of all samples, has more than BACKPROP_MOST numbers.
 */
static inline int64_t backprop_numbers(const backprop_settings *s) {
    int64_t weights = 0, units = 0;
    for (int64_t k = 0; k < s->layer_count; k++) {
        if (!backprop_between(1, s->layers[k], BACKPROP_MOST - 1)) return BACKPROP_MOST + 1;
        units = backprop_sum(units, s->layers[k]);
        if (k == 0) continue;
        weights = backprop_sum(weights, backprop_product(s->layers[k - 1] + s->bias, s->layers[k]));
    }
    /* The parameters, twice as many of the optimiser, and running averages. */
    const int64_t state = backprop_product(backprop_sum(weights, 4 * units), 3);
    return backprop_sum(state, backprop_product(units, s->samples));
}

/* `least_samples` is 0 for initial weights, which have no samples, and otherwise 1. */
static inline int backprop_valid(const backprop_settings *s, int64_t least_samples) {
    const int64_t flags[] = {s->bias, s->nesterov, s->shuffle, s->batch_norm, s->adam};
    for (int i = 0; i < 5; i++)
        if (!backprop_flag(flags[i])) return 0;
    const int softmax = s->output == BACKPROP_SOFTMAX;
    return backprop_between(2, s->layer_count, BACKPROP_MOST_LAYERS) &&
           backprop_between(least_samples, s->samples, BACKPROP_MOST) &&
           backprop_between(0, s->batch_size, BACKPROP_MOST) &&
           backprop_between(0, s->iteration, BACKPROP_MOST) &&
           backprop_between(0, s->networks, BACKPROP_MOST) && s->philox_seed >= 0 &&
           backprop_between(0, s->activation, BACKPROP_ACTIVATIONS - 1) &&
           s->activation != BACKPROP_SOFTMAX &&
           backprop_between(0, s->output, BACKPROP_ACTIVATIONS - 1) &&
           backprop_between(BACKPROP_SQUARED, s->loss, BACKPROP_CROSS_ENTROPY) &&
           (!softmax || s->loss == BACKPROP_CROSS_ENTROPY) && backprop_numbers(s) <= BACKPROP_MOST;
}

/* For a free run: the checkpoints rise, and there is room for all states. */
static inline int backprop_valid_run(const backprop_settings *s, int64_t checkpoint_count,
                                     const int64_t *checkpoints) {
    if (!backprop_valid(s, 1) || !backprop_between(1, checkpoint_count, BACKPROP_MOST)) return 0;
    const int64_t networks = s->networks > 1 ? s->networks : 1;
    const int64_t states = backprop_product(networks, checkpoint_count);
    if (backprop_product(backprop_numbers(s), states) > BACKPROP_MOST) return 0;
    for (int64_t c = 0; c < checkpoint_count; c++)
        if (!backprop_between(c ? checkpoints[c - 1] + 1 : 0, checkpoints[c], BACKPROP_MOST))
            return 0;
    return 1;
}

#endif
