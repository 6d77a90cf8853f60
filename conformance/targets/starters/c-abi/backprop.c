/* A port to begin with: it builds, and its answers are zeros. For a language other than C, replace
 * this file with one that exports the same two functions, and change port.toml to build it.
 * backprop.h says what they get and what they must write; SPEC.md, section 2, has the formulas.
 */
#include "backprop.h"
#include <string.h>

static void zeros(int64_t count, double *out) {
    for (int64_t i = 0; i < count; i++) {
        out[i] = 0;
    }
}

/* How many numbers syn[0] ... syn[K-1] have; a network has layers 0 ... K. */
static int64_t weights(const backprop_settings *s) {
    int64_t count = 0;
    for (int64_t k = 0; k + 1 < s->layer_count; k++) {
        count += s->layers[k] * s->layers[k + 1];
    }
    return count;
}

/* How many numbers l[1] ... l[K] have; error and delta have as many. */
static int64_t outputs(const backprop_settings *s) {
    int64_t count = 0;
    for (int64_t k = 1; k < s->layer_count; k++) {
        count += s->samples * s->layers[k];
    }
    return count;
}

int backprop_step_f64(const backprop_settings *settings, const double *X, const double *y,
                      const double *state, double *l, double *error, double *delta,
                      double *state_out) {
    (void)X, (void)y;
    zeros(outputs(settings), l);
    zeros(outputs(settings), error);
    zeros(outputs(settings), delta);
    memcpy(state_out, state, weights(settings) * sizeof *state);
    return BACKPROP_OK;
}

int backprop_train_f64(const backprop_settings *settings, const double *X, const double *y,
                       const double *state, int64_t checkpoint_count, const int64_t *checkpoints,
                       double *state_out, double *error_out) {
    (void)X, (void)y, (void)checkpoints;
    for (int64_t c = 0; c < checkpoint_count; c++) {
        memcpy(state_out + c * weights(settings), state, weights(settings) * sizeof *state);
    }
    zeros(checkpoint_count, error_out);
    return BACKPROP_OK;
}
