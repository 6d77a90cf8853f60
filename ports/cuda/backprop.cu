/* Backpropagation in CUDA C++, behind the contract of conformance/backprop.h.
 *
 * This file has the host's side: arrays to the GPU, a launch, results back, and the exported
 * functions. The algorithm is in kernel.cuh and what that includes, which is all that runs on the
 * GPU. settings.cuh has settings and sizes, device.cuh memory and launches.
 */
#include "device.cuh"
#include <new>
#include <random>
#include <string>

namespace {

/* What the contract's functions return pointers to. */
std::string last_reason, device_name;

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

    const DeviceArray<T> on_X(X, samples * layout.layers[0]), on_y(y, samples * layout.outputs());
    const DeviceArray<T> on_state(state, state_size), on_descent(parameters);
    const DeviceArray<T> on_normal(s.batch_norm ? units : 0), on_deviation(layout.hidden);
    const DeviceArray<int> on_order(ordered), on_drawn(ordered);
    const DeviceArray<int64_t> on_checkpoints(checkpoints, checkpoint_count);
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

    launch<T>(train<T, Room::SHARED>, train<T, Room::GLOBAL>, job, parameters + 2 * units,
              static_cast<int>(rows));
    on_state_out.copy(state_out);
    if (error_out) on_error_out.copy(error_out);
    for (int i = 0; kept && i < 3; i++) on_kept.copy(kept[i], i * units, units);
}

template <class T> void predict(const backprop_settings &s, const T *X, const T *state, T *output) {
    Job<T> job = {};
    const Layout &layout = job.layout = lay_out(s, s.samples, s.samples);
    job.rules = rules<T>(s);
    const size_t samples = layout.samples;
    const DeviceArray<T> on_X(X, samples * layout.layers[0]), on_state(state, layout.state_size);
    const DeviceArray<T> on_output(samples * layout.outputs());
    job.X = on_X.data;
    job.state = on_state.data;
    job.output = on_output.data;
    const size_t numbers = static_cast<size_t>(layout.parameters()) + layout.units();
    launch<T>(infer<T, Room::SHARED>, infer<T, Room::GLOBAL>, job, numbers, layout.samples);
    on_output.copy(output);
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
            const double a = generator() >> 5, b = generator() >> 6;
            const double r = (a * 67108864 + b) / 9007199254740992; /* 2^26, 2^53 */
            state_out[layout.at[k] + e] = static_cast<T>(2 * r - 1);
        }
    }
    /* gamma and the running variances, the last of all, are 1. */
    std::fill_n(state_out + layout.at[layout.last], layout.hidden, static_cast<T>(1));
    std::fill_n(state_out + layout.state_size - layout.hidden, layout.hidden, static_cast<T>(1));
}

/* No exception may get into C. */
template <class Call> int status(Call call) noexcept {
    try {
        call();
        return BACKPROP_OK;
    } catch (const Refusal &refusal) {
        last_reason = refusal.reason;
        return refusal.status;
    } catch (const std::bad_alloc &) {
        last_reason = "no memory of the host is left";
        return BACKPROP_NO_MEMORY;
    }
}

} // namespace

extern "C" {
#define EXPORT(T, suffix)                                                                          \
    int backprop_train_##suffix(const backprop_settings *settings, const T *X, const T *y,         \
                                const T *state, int64_t checkpoint_count,                          \
                                const int64_t *checkpoints, T *state_out, T *error_out) {          \
        return status([=] {                                                                        \
            run<T>(*settings, X, y, state, 0, checkpoint_count, checkpoints, state_out, error_out, \
                   nullptr);                                                                       \
        });                                                                                        \
    }                                                                                              \
    int backprop_step_##suffix(const backprop_settings *settings, const T *X, const T *y,          \
                               const T *state, T *l, T *error, T *delta, T *state_out) {           \
        return status([=] {                                                                        \
            const int64_t start = settings->iteration, checkpoint = start + 1;                     \
            T *const kept[] = {l, error, delta};                                                   \
            run<T>(*settings, X, y, state, start, 1, &checkpoint, state_out, nullptr, kept);       \
        });                                                                                        \
    }                                                                                              \
    int backprop_predict_##suffix(const backprop_settings *settings, const T *X, const T *state,   \
                                  T *output) {                                                     \
        return status([=] { predict<T>(*settings, X, state, output); });                           \
    }                                                                                              \
    int backprop_initial_##suffix(const backprop_settings *settings, int64_t numpy_seed,           \
                                  T *state_out) {                                                  \
        return status([=] { initial<T>(*settings, numpy_seed, state_out); });                      \
    }

EXPORT(double, f64)
EXPORT(float, f32)

const char *backprop_reason(void) { return last_reason.c_str(); }

/* Beside the contract, for has_device.py: is there a device that the kernels run on? */
int backprop_detect(void) {
    return status([] {
        int device;
        check(cudaGetDevice(&device), "no CUDA device");
        check(cudaFree(nullptr), "no CUDA device"); /* finds out more than asking the driver does */
        cudaFuncAttributes attributes;
        check(cudaFuncGetAttributes(&attributes, train<double, Room::SHARED>), "no CUDA device");
    });
}

const char *backprop_device(void) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return "no CUDA device";
    device_name = std::string(properties.name) + " (compute capability " +
                  std::to_string(properties.major) + "." + std::to_string(properties.minor) + ")";
    return device_name.c_str();
}
}
