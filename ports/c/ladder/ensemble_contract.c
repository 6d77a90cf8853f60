/* The contract for the rung "ensemble", compiled once for each dtype. */

#include "contract.h"
#include "ensemble.h"

#if BITS == 64
#define OF_DTYPE(name) name##_f64
#else
#define OF_DTYPE(name) name##_f32
#endif

train_function OF_DTYPE(train_portable);
#ifdef __x86_64__
train_function OF_DTYPE(train_avx2), OF_DTYPE(train_avx512);
#else
#define train_avx2_f64 train_portable_f64
#define train_avx512_f64 train_portable_f64
#define train_avx2_f32 train_portable_f32
#define train_avx512_f32 train_portable_f32
#endif

static int run(const backprop_settings *settings, ensemble e) {
    train_function *all[] = {[PORTABLE] = OF_DTYPE(train_portable),
                             [AVX2] = OF_DTYPE(train_avx2),
                             [AVX512] = OF_DTYPE(train_avx512)};
    if (!fits(settings)) return BACKPROP_UNSUPPORTED;
    e.alpha = (real)settings->alpha;
    all[processor()](&e);
    return BACKPROP_OK;
}

int OF_DTYPE(backprop_train)(const backprop_settings *settings, const real *X, const real *y,
                             const real *state, int64_t checkpoint_count,
                             const int64_t *checkpoints, real *state_out, real *error_out) {
    if (!backprop_valid_run(settings, checkpoint_count, checkpoints)) return BACKPROP_FAILED;
    const ensemble e = {.X = X,
                        .y = y,
                        .state = state,
                        .networks = settings->networks > 1 ? settings->networks : 1,
                        .checkpoint_count = checkpoint_count,
                        .checkpoints = checkpoints,
                        .state_out = state_out,
                        .error_out = error_out};
    return run(settings, e);
}

int OF_DTYPE(backprop_step)(const backprop_settings *settings, const real *X, const real *y,
                            const real *state, real *l, real *error, real *delta, real *state_out) {
    if (!backprop_valid(settings, 1)) return BACKPROP_FAILED;
    const int64_t one = 1;
    trace first = {l, error, delta};
    const ensemble e = {.X = X,
                        .y = y,
                        .state = state,
                        .networks = 1,
                        .checkpoint_count = 1,
                        .checkpoints = &one,
                        .state_out = state_out,
                        .first = &first};
    return run(settings, e);
}

#if BITS == 64 /* once in the library */
const char *backprop_device(void) { return processor_name(); }

const char *backprop_reason(void) { return DOES_NOT_FIT; }
#endif
