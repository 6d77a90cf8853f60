/* The contract for the rungs of the 3-4-1 network, and the choice of a processor's code. */
#include <math.h>

#include "contract.h"
#include "rung.h"

updates_function updates_portable;
#ifdef __x86_64__
updates_function updates_avx2, updates_avx512;
#else
#define updates_avx2 updates_portable
#define updates_avx512 updates_portable
#endif

static updates_function *chosen(void) {
    updates_function *all[] = {
        [PORTABLE] = updates_portable, [AVX2] = updates_avx2, [AVX512] = updates_avx512};
    return all[processor()];
}

int backprop_train_f64(const backprop_settings *settings, const double *X, const double *y,
                       const double *state, int64_t checkpoint_count, const int64_t *checkpoints,
                       double *state_out, double *error_out) {
    if (!backprop_valid_run(settings, checkpoint_count, checkpoints)) return BACKPROP_FAILED;
    if (!fits(settings) || settings->networks > 1) return BACKPROP_UNSUPPORTED;
    const problem p = {X, y, settings->alpha};
    updates_function *updates = chosen();
    double now[SYN], next[SYN];
    trace t;
    memcpy(now, state, sizeof now);
    for (int64_t c = 0, done = 0; c < checkpoint_count; done = checkpoints[c++]) {
        updates(&p, now, checkpoints[c] - done, NULL);
        memcpy(state_out + c * SYN, now, sizeof now);
        /* The errors come from the next update's forward pass. */
        memcpy(next, now, sizeof now);
        updates(&p, next, 1, &t);
        const double *e = t.error + SAMPLES * HIDDEN;
        error_out[c] = (fabs(e[0]) + fabs(e[1]) + fabs(e[2]) + fabs(e[3])) / SAMPLES;
    }
    return BACKPROP_OK;
}

int backprop_step_f64(const backprop_settings *settings, const double *X, const double *y,
                      const double *state, double *l, double *error, double *delta,
                      double *state_out) {
    if (!backprop_valid(settings, 1)) return BACKPROP_FAILED;
    if (!fits(settings)) return BACKPROP_UNSUPPORTED;
    const problem p = {X, y, settings->alpha};
    trace t;
    memcpy(state_out, state, SYN * sizeof *state);
    chosen()(&p, state_out, 1, &t);
    memcpy(l, t.l, sizeof t.l);
    memcpy(error, t.error, sizeof t.error);
    memcpy(delta, t.delta, sizeof t.delta);
    return BACKPROP_OK;
}

const char *backprop_device(void) { return processor_name(); }

const char *backprop_reason(void) { return DOES_NOT_FIT; }
