/* Looks for races in the kernels of a rung, emulated by the host, and for barriers and shuffles
 * that are not needed. The build of each rung runs it.
 *
 * Networks are trained with several sizes of blocks, whose threads run in several orders, as the
 * blocks do: all must give the same bits, and watch.cpp must not see a race. Then one barrier after
 * the other is left out, and a race must be found; and one shuffle after the other, and the numbers
 * must change. Then memory runs out, and the host's side must free what it has.
 */
#include "../emulate.h"
extern "C" {
#include "backprop.h"
const char *backprop_reason(void);
}
#include <cstdio>

namespace {

struct Example {
    std::vector<int64_t> layers;
    int64_t samples, networks;
    std::vector<int64_t> checkpoints;
};

/* The article's, with enough updates for a graph and some over; one that takes several tiles and
 * blocks and fills none; an ensemble that fills no block. */
const Example EXAMPLES[] = {{{3, 4, 1}, 4, 1, {0, 1, 4, 205}},
                            {{20, 18, 17}, 19, 1, {0, 1, 3}},
                            {{2, 1, 3}, 1, 1, {2}},
                            {{3, 4, 1}, 4, 37, {0, 1, 4}}};

[[noreturn]] void fail(const std::string &why) {
    std::fprintf(stderr, "check: %s\n", why.c_str());
    std::exit(1);
}

int train(const backprop_settings &s, const double *X, const double *y, const double *state,
          const std::vector<int64_t> &at, double *state_out, double *error_out) {
    return backprop_train_f64(&s, X, y, state, static_cast<int64_t>(at.size()), at.data(),
                              state_out, error_out);
}
int train(const backprop_settings &s, const float *X, const float *y, const float *state,
          const std::vector<int64_t> &at, float *state_out, float *error_out) {
    return backprop_train_f32(&s, X, y, state, static_cast<int64_t>(at.size()), at.data(),
                              state_out, error_out);
}
int step(const backprop_settings &s, const double *X, const double *y, const double *state,
         double *l, double *error, double *delta, double *state_out) {
    return backprop_step_f64(&s, X, y, state, l, error, delta, state_out);
}
int step(const backprop_settings &s, const float *X, const float *y, const float *state, float *l,
         float *error, float *delta, float *state_out) {
    return backprop_step_f32(&s, X, y, state, l, error, delta, state_out);
}

/* All results for one example, one after the other. */
template <class T> std::vector<T> results(const Example &example, int &status) {
    const std::vector<int64_t> &n = example.layers;
    backprop_settings s = {};
    s.layer_count = 3;
    s.layers = n.data();
    s.samples = example.samples;
    s.alpha = 0.5;
    s.networks = example.networks;
    std::minstd_rand random;
    auto drawn = [&](int64_t count) {
        std::vector<T> numbers(static_cast<size_t>(count));
        for (T &x : numbers) x = static_cast<T>(random() % 1000) / 1000;
        return numbers;
    };
    const int64_t weights = n[0] * n[1] + n[1] * n[2], units = s.samples * (n[1] + n[2]);
    const int64_t records = s.networks * static_cast<int64_t>(example.checkpoints.size());
    const std::vector<T> X = drawn(s.samples * n[0]), y = drawn(s.samples * n[2]);
    const std::vector<T> state = drawn(s.networks * weights);
    std::vector<T> out(static_cast<size_t>(records * (weights + 1) + 3 * units + weights));
    T *error_out = out.data() + records * weights, *l = error_out + records;
    status = train(s, X.data(), y.data(), state.data(), example.checkpoints, out.data(), error_out);
    if (!status)
        status =
            step(s, X.data(), y.data(), state.data(), l, l + units, l + 2 * units, l + 3 * units);
    return out;
}

template <class T> bool differ(const std::vector<T> &a, const std::vector<T> &b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) != 0;
}

/* The same bits, whatever the size of blocks and the order of threads and blocks. Returns how many
 * ways there were. */
template <class T> int check_orders(const Example &example) {
    using emulate::Order;
    int status, ways = 0;
    emulate::options = {};
    const std::vector<T> expected = results<T>(example, status);
    if (status == BACKPROP_UNSUPPORTED) return 0;
    if (status) fail(backprop_reason());
    for (int threads : {1, 3, 32, 64, emulate::MOST_THREADS}) {
        for (Order order : {Order::FORWARD, Order::REVERSE, Order::SHUFFLED}) {
            emulate::options = {};
            emulate::options.order = order;
            emulate::options.most_threads = threads;
            const std::vector<T> found = results<T>(example, status);
            /* A rung may need a block of a certain size. */
            const std::string reason = status ? backprop_reason() : "";
            if (threads < emulate::MOST_THREADS &&
                (reason == "launch: invalid argument" || status == BACKPROP_UNSUPPORTED))
                continue;
            if (status) fail(reason);
            if (differ(found, expected)) fail("another result in another order");
            ways++;
        }
    }
    return ways;
}

/* Every barrier that any network has come to is needed: without it there is a race. */
void check_barriers() {
    const auto barriers = emulate::barriers;
    for (const auto &barrier : barriers) {
        std::string race;
        for (const Example &example : EXAMPLES) {
            int status;
            emulate::options = {};
            emulate::options.without = barrier;
            results<double>(example, status);
            if (status == BACKPROP_FAILED && race.empty()) race = backprop_reason();
        }
        if (race.empty()) fail("without the barrier of " + emulate::name(barrier) + " no race");
        std::fprintf(stderr, "without the barrier of %s: %s\n", emulate::name(barrier).c_str(),
                     race.c_str());
    }
}

/* So is every shuffle: without it the numbers are others. */
void check_shuffles() {
    const auto shuffles = emulate::shuffles;
    for (const auto &shuffle : shuffles) {
        bool noticed = false;
        for (const Example &example : EXAMPLES) {
            int status;
            emulate::options = {};
            const std::vector<double> expected = results<double>(example, status);
            emulate::options.without = shuffle;
            noticed |= differ(results<double>(example, status), expected);
        }
        if (!noticed) fail("without the shuffle of " + emulate::name(shuffle) + " nothing changes");
    }
}

/* Without memory a call says so, and keeps none. Returns how many allocations there are. */
int check_memory() {
    for (int allocation = 1;; allocation++) {
        int status;
        emulate::options = {};
        emulate::options.failing_allocation = allocation;
        results<double>(EXAMPLES[0], status);
        if (!emulate::arrays.empty()) fail("memory of the GPU is not freed");
        if (emulate::objects) fail("a stream, an event or a graph is not destroyed");
        if (!status) return allocation - 1;
        if (status != BACKPROP_NO_MEMORY) fail("no memory, but another status");
    }
}

} // namespace

int main() {
    int networks = 0, ways = 0;
    for (const Example &example : EXAMPLES) {
        const int found = check_orders<double>(example) + check_orders<float>(example);
        networks += found > 0;
        ways += found;
    }
    if (networks == 0) fail("the rung declines all networks");
    check_barriers();
    check_shuffles();
    const int allocations = check_memory();
    std::printf("no race on %d networks, the same bits in %d ways; each of %zu barriers and %zu "
                "shuffles is needed; each of %d allocations may fail\n",
                networks, ways, emulate::barriers.size(), emulate::shuffles.size(), allocations);
}
