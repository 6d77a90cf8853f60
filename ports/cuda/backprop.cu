/* Backpropagation in CUDA C++, behind the contract of conformance/contract/backprop.h.
 *
 * This file has the host's side: arrays to the GPU, a launch, results back, and the exported
 * functions. The algorithm is in kernel.cuh and what that includes, which is all that runs on the
 * GPU. settings.cuh has settings and sizes, device.cuh what the ladder shares: memory, launches, a
 * clock, and the exported functions that have nothing to do with networks.
 */
#include "kernel.cuh"
#include "settings.cuh"
#include <random>

namespace {

template <class T> using Kernel = void (*)(Job<T>);

/* Launch one block, with `numbers` in shared memory if they fit, and wait for its end. It has as
 * many threads as the largest phase has elements. */
template <class T>
void launch_block(Kernel<T> in_shared, Kernel<T> in_global, Job<T> job, const DeviceArray<T> &room,
                  size_t numbers, int rows) {
    const bool fits = !room.data;
    const size_t bytes = fits ? numbers * sizeof(T) : 0;
    const Kernel<T> kernel = fits ? in_shared : in_global;
    job.room = room.data;
    if (fits) allow_shared(kernel, bytes);
    const Layout &layout = job.layout;
    const int widest = *std::max_element(layout.layers + 1, layout.layers + layout.last + 1);
    const int elements = std::max(layout.parameters(), rows * widest);
    launch(kernel, 1, block_threads(kernel, elements, MAX_THREADS), bytes, nullptr, job);
    wait_for_gpu();
}

/* How many numbers of global memory replace shared memory: none, if that is large enough. */
template <class T> size_t room_for(size_t numbers) {
    return numbers * sizeof(T) <= most_shared_bytes() ? 0 : numbers;
}

/* Training from iteration `start`. With `kept`, l, error and delta of the one update go there; it
 * has three times `rows` samples of all units. Without error_out, no error is computed. */
template <class T>
void run(const backprop_settings &s, const T *X, const T *y, const T *state, int64_t start,
         int64_t checkpoint_count, const int64_t *checkpoints, T *state_out, T *error_out,
         T *const kept[3]) {
    const int64_t batch = s.batch_size ? std::min(s.batch_size, s.samples) : s.samples;
    const int64_t first = start % ((s.samples + batch - 1) / batch) * batch;
    const int64_t rows = kept ? std::min(batch, s.samples - first) : batch;

    Job<T> job = {};
    const Layout &layout = job.layout = lay_out(s, batch, rows);
    job.rules = rules<T>(s);
    const size_t parameters = layout.parameters(), units = layout.units();
    const size_t samples = layout.samples, state_size = layout.state_size;
    const size_t ordered = s.shuffle ? samples : 0;

    const size_t numbers = parameters + 2 * units;
    const DeviceArray<T> on_X(samples * layout.layers[0]), on_y(samples * layout.outputs());
    const DeviceArray<T> on_state(state_size), on_descent(parameters), room(room_for<T>(numbers));
    const DeviceArray<T> on_normal(s.batch_norm ? units : 0), on_deviation(layout.hidden);
    const DeviceArray<int> on_order(ordered), on_drawn(ordered);
    const DeviceArray<int64_t> on_checkpoints(checkpoint_count);
    const DeviceArray<T> on_state_out(checkpoint_count * state_size);
    const DeviceArray<T> on_error_out(error_out ? checkpoint_count : 0);
    const DeviceArray<T> on_kept(kept ? 3 * units : 0);
    job.X = on_X.data;
    job.y = on_y.data;
    job.state = on_state.data;
    job.descent = on_descent.data;
    job.normal = on_normal.data;
    job.deviation = on_deviation.data;
    job.order = on_order.data;
    job.drawn = on_drawn.data;
    job.start = start;
    job.checkpoint_count = checkpoint_count;
    job.checkpoints = on_checkpoints.data;
    job.state_out = on_state_out.data;
    job.error_out = on_error_out.data;
    job.kept = on_kept.data;

    Clock clock;
    on_X.fill(X);
    on_y.fill(y);
    on_state.fill(state);
    on_checkpoints.fill(checkpoints);
    clock.mark();
    launch_block<T>(train<T, Room::SHARED>, train<T, Room::GLOBAL>, job, room, numbers,
                    static_cast<int>(rows));
    clock.mark();
    on_state_out.copy(state_out);
    if (error_out) on_error_out.copy(error_out);
    for (int i = 0; kept && i < 3; i++) on_kept.copy(kept[i], i * units, units);
    clock.mark();
    clock.read();
}

template <class T> void predict(const backprop_settings &s, const T *X, const T *state, T *output) {
    Job<T> job = {};
    const Layout &layout = job.layout = lay_out(s, s.samples, s.samples);
    job.rules = rules<T>(s);
    const size_t samples = layout.samples;
    const size_t numbers = static_cast<size_t>(layout.parameters()) + layout.units();
    const DeviceArray<T> on_X(samples * layout.layers[0]), on_state(layout.state_size);
    const DeviceArray<T> on_output(samples * layout.outputs()), room(room_for<T>(numbers));
    job.X = on_X.data;
    job.state = on_state.data;
    job.output = on_output.data;
    Clock clock;
    on_X.fill(X);
    on_state.fill(state);
    clock.mark();
    launch_block<T>(infer<T, Room::SHARED>, infer<T, Room::GLOBAL>, job, room, numbers,
                    layout.samples);
    clock.mark();
    on_output.copy(output);
    clock.mark();
    clock.read();
}

/* On the host: each word of MT19937 is made from earlier ones, so that it would keep one thread
 * busy and the others waiting. */
template <class T> void initial(const backprop_settings &s, int64_t numpy_seed, T *state_out) {
    std::mt19937 generator(static_cast<uint32_t>(numpy_seed));
    backprop_settings sized = s;
    sized.samples = 1; /* there are none, and a layout has some */
    const Layout layout = lay_out(sized, 1, 1);
    std::fill_n(state_out, layout.state_size, static_cast<T>(0));
    for (int k = 0; k < layout.last; k++) {
        /* Those from a bias unit, the last row, are 0, and not drawn. */
        for (int e = 0; e < layout.layers[k] * layout.layers[k + 1]; e++) {
            const auto a = static_cast<double>(generator() >> 5);
            const auto b = static_cast<double>(generator() >> 6);
            const double r = (a * 67108864 + b) / 9007199254740992; /* 2^26, 2^53 */
            state_out[layout.at[k] + e] = static_cast<T>(2 * r - 1);
        }
    }
    /* gamma and the running variances, the last of all, are 1. */
    std::fill_n(state_out + layout.at[layout.last], layout.hidden, static_cast<T>(1));
    std::fill_n(state_out + layout.state_size - layout.hidden, layout.hidden, static_cast<T>(1));
}

} // namespace

extern "C" {
#define EXPORT(T, suffix)                                                                          \
    int backprop_train_##suffix(const backprop_settings *settings, const T *X, const T *y,         \
                                const T *state, int64_t checkpoint_count,                          \
                                const int64_t *checkpoints, T *state_out, T *error_out) {          \
        return status([=] {                                                                        \
            demand(backprop_valid_run(settings, checkpoint_count, checkpoints));                   \
            run<T>(*settings, X, y, state, 0, checkpoint_count, checkpoints, state_out, error_out, \
                   nullptr);                                                                       \
        });                                                                                        \
    }                                                                                              \
    int backprop_step_##suffix(const backprop_settings *settings, const T *X, const T *y,          \
                               const T *state, T *l, T *error, T *delta, T *state_out) {           \
        return status([=] {                                                                        \
            demand(backprop_valid(settings, 1));                                                   \
            const int64_t start = settings->iteration, checkpoint = start + 1;                     \
            T *const kept[] = {l, error, delta};                                                   \
            run<T>(*settings, X, y, state, start, 1, &checkpoint, state_out, nullptr, kept);       \
        });                                                                                        \
    }                                                                                              \
    int backprop_predict_##suffix(const backprop_settings *settings, const T *X, const T *state,   \
                                  T *output) {                                                     \
        return status([=] {                                                                        \
            demand(backprop_valid(settings, 1));                                                   \
            predict<T>(*settings, X, state, output);                                               \
        });                                                                                        \
    }                                                                                              \
    int backprop_initial_##suffix(const backprop_settings *settings, int64_t numpy_seed,           \
                                  T *state_out) {                                                  \
        return status([=] {                                                                        \
            demand(backprop_valid(settings, 0));                                                   \
            initial<T>(*settings, numpy_seed, state_out);                                          \
        });                                                                                        \
    }

EXPORT(double, f64)
EXPORT(float, f32)
}
