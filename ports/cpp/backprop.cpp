/* Backpropagation in C++ with Eigen, behind the contract of conformance/contract/backprop.h.
 *
 * This file has the exported functions. algorithm.h has the algorithm, layers.h what a layer does
 * besides the matrix product, optimise.h what is done with a descent, network.h the matrices,
 * random.h the generators.
 */
#include "algorithm.h"
#include <new>

extern "C" {
#include "backprop_valid.h"
}

namespace {

/* Runs what was asked for, if that is a request that the contract allows. No exception may get
 * into C. */
template <typename Run> int status(int valid, Run run) noexcept {
    if (!valid) return BACKPROP_FAILED;
    try {
        run();
        return BACKPROP_OK;
    } catch (const std::bad_alloc &) {
        return BACKPROP_NO_MEMORY;
    } catch (...) {
        return BACKPROP_FAILED;
    }
}

} // namespace

#define EXPORT(T, suffix)                                                                          \
    int backprop_train_##suffix(const backprop_settings *settings, const T *X, const T *y,         \
                                const T *state, int64_t checkpoint_count,                          \
                                const int64_t *checkpoints, T *state_out, T *error_out) {          \
        return status(backprop_valid_run(settings, checkpoint_count, checkpoints), [=] {           \
            backprop::train_all(*settings, X, y, state, checkpoint_count, checkpoints, state_out,  \
                                error_out);                                                        \
        });                                                                                        \
    }                                                                                              \
    int backprop_step_##suffix(const backprop_settings *settings, const T *X, const T *y,          \
                               const T *state, T *l, T *error, T *delta, T *state_out) {           \
        return status(backprop_valid(settings, 1), [=] {                                           \
            backprop::step(*settings, X, y, state, l, error, delta, state_out);                    \
        });                                                                                        \
    }                                                                                              \
    int backprop_predict_##suffix(const backprop_settings *settings, const T *X, const T *state,   \
                                  T *output) {                                                     \
        return status(backprop_valid(settings, 1),                                                 \
                      [=] { backprop::predict(*settings, X, state, output); });                    \
    }                                                                                              \
    int backprop_initial_##suffix(const backprop_settings *settings, int64_t numpy_seed,           \
                                  T *state_out) {                                                  \
        return status(backprop_valid(settings, 0),                                                 \
                      [=] { backprop::initial(*settings, numpy_seed, state_out); });               \
    }

EXPORT(double, f64)
EXPORT(float, f32)
