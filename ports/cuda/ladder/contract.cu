/* Any rung behind the contract of conformance/contract/backprop.h: the rung's file is included
 * before this.
 *
 *     nvcc -include ladder/one_block.cuh ladder/contract.cu
 */
#include "rung.cuh"
#include <initializer_list>

namespace {

/* The sizes, unless the network is not one for this rung. */
template <class T> Problem<T> sizes(const backprop_settings &s, int64_t checkpoint_count) {
    auto decline = [](const char *why) { throw Refusal{BACKPROP_UNSUPPORTED, why}; };
    const int64_t *n = s.layers;
    if (s.layer_count != 3) decline("This rung is for networks of three layers.");
    if (ARTICLE && !(n[0] == 3 && n[1] == 4 && n[2] == 1 && s.samples == 4))
        decline("This rung is for 3-4-1 networks that learn from 4 samples.");
    if (s.bias || s.activation || s.output || s.loss || s.trim_value != 0 || s.trim_norm != 0 ||
        s.l1 != 0 || s.l2 != 0 || s.momentum != 0 || s.dropout != 0 || s.batch_norm || s.adam ||
        s.shuffle || (s.batch_size && s.batch_size < s.samples))
        decline("This rung knows sigmoid layers, half the squared error and alpha, nothing else.");
    if (!ENSEMBLE && s.networks > 1) decline("This rung trains one network at a time.");
    Problem<T> p = {};
    p.samples = small(s.samples);
    p.inputs = small(n[0]);
    p.hidden = small(n[1]);
    p.outputs = small(n[2]);
    small(s.samples * n[0]);
    small(n[0] * n[1] + n[1] * n[2]);
    small(s.samples * (n[1] + n[2]));
    p.networks = small(s.networks > 1 ? s.networks : 1);
    p.checkpoint_count = small(checkpoint_count);
    p.alpha = static_cast<T>(s.alpha);
    return p;
}

/* Training; or, with `kept`, a single step, whose l, error and delta go there. */
template <class T>
void run(const backprop_settings &s, const T *X, const T *y, const T *state,
         int64_t checkpoint_count, const int64_t *checkpoints, T *state_out, T *error_out,
         std::initializer_list<T *> kept) {
    const bool step = kept.size() > 0;
    Problem<T> p = sizes<T>(s, checkpoint_count);
    if (step) p.networks = 1;
    const size_t recorded = static_cast<size_t>(p.networks) * p.checkpoint_count;
    const size_t weights = p.weights(), units = p.units();
    const DeviceArray<T> on_X(static_cast<size_t>(p.samples) * p.inputs);
    const DeviceArray<T> on_y(static_cast<size_t>(p.samples) * p.outputs);
    const DeviceArray<T> on_syn(p.networks * weights), on_state_out(recorded * weights);
    const DeviceArray<T> on_error_out(recorded), on_l(units), on_error(units), on_delta(units);
    const DeviceArray<int64_t> on_checkpoints(p.checkpoint_count);
    const DeviceArray<T> on_room(room(p));
    p.X = on_X.data;
    p.y = on_y.data;
    p.syn = on_syn.data;
    p.checkpoints = on_checkpoints.data;
    p.state_out = on_state_out.data;
    p.error_out = on_error_out.data;
    p.l = on_l.data;
    p.error = on_error.data;
    p.delta = on_delta.data;
    p.room = on_room.data;

    Clock clock;
    on_X.fill(X);
    on_y.fill(y);
    on_syn.fill(state);
    on_checkpoints.fill(checkpoints);
    clock.mark();
    train(p, Given<T>{X, y, checkpoints, step});
    wait_for_gpu();
    clock.mark();
    on_state_out.copy(state_out);
    if (!step) on_error_out.copy(error_out);
    const DeviceArray<T> *of_step[] = {&on_l, &on_error, &on_delta};
    for (size_t i = 0; i < kept.size(); i++) of_step[i]->copy(kept.begin()[i]);
    clock.mark();
    clock.read();
}

} // namespace

extern "C" {
#define EXPORT(T, suffix)                                                                          \
    int backprop_train_##suffix(const backprop_settings *settings, const T *X, const T *y,         \
                                const T *state, int64_t checkpoint_count,                          \
                                const int64_t *checkpoints, T *state_out, T *error_out) {          \
        return status([=] {                                                                        \
            demand(backprop_valid_run(settings, checkpoint_count, checkpoints));                   \
            run<T>(*settings, X, y, state, checkpoint_count, checkpoints, state_out, error_out,    \
                   {});                                                                            \
        });                                                                                        \
    }                                                                                              \
    int backprop_step_##suffix(const backprop_settings *settings, const T *X, const T *y,          \
                               const T *state, T *l, T *error, T *delta, T *state_out) {           \
        return status([=] {                                                                        \
            demand(backprop_valid(settings, 1));                                                   \
            const int64_t checkpoint = 1;                                                          \
            run<T>(*settings, X, y, state, 1, &checkpoint, state_out, nullptr, {l, error, delta}); \
        });                                                                                        \
    }

EXPORT(double, f64)
EXPORT(float, f32)
}
