/* Looks for races in the kernels, emulated by the host. The build of the port runs it.
 *
 * Networks that use everything are trained with several numbers of threads, which run in several
 * orders: all must give the same bits, and watch.cpp must not see a race. Then one barrier after
 * the other is left out, and a race must be found: so each is needed, and the check would notice
 * if it were missing. Then the emulation itself must notice barriers and shuffles that not all
 * threads come to, and blocks that share what they write; and the host's side must free its memory
 * when there is no more.
 */
#include "emulate.h"
extern "C" {
#include "backprop.h"
const char *backprop_reason(void);
}
#include <cstdio>

namespace {

struct Example {
    std::vector<int64_t> layers;
    backprop_settings settings; /* without sizes of layers */
};

std::vector<Example> examples() {
    backprop_settings plain = {};
    plain.alpha = 0.5;
    plain.samples = 5;

    backprop_settings random = plain; /* all that draws, and softmax */
    random.bias = 1;
    random.output = BACKPROP_SOFTMAX;
    random.loss = BACKPROP_CROSS_ENTROPY;
    random.batch_size = 2;
    random.trim_norm = 0.1;
    random.trim_value = 0.2;
    random.l1 = random.l2 = 0.1;
    random.momentum = 0.5;
    random.shuffle = 1;
    random.dropout = 0.4;
    random.philox_seed = 7;

    backprop_settings all = random; /* and batch normalisation, and Adam in place of momentum */
    all.activation = BACKPROP_TANH;
    all.batch_norm = 1;
    all.norm_epsilon = all.norm_rate = 0.1;
    all.momentum = 0;
    all.adam = 1;
    all.beta1 = 0.9;
    all.beta2 = 0.99;
    all.adam_epsilon = 0.1;

    backprop_settings norm = plain, batches = plain, shuffled = plain;
    norm.batch_norm = 1;
    norm.norm_epsilon = norm.norm_rate = 0.1;
    norm.batch_size = 3;
    batches.batch_size = 2;
    shuffled.batch_size = 2;
    shuffled.shuffle = 1;
    return {{{3, 4, 4, 2}, all}, {{3, 4, 4, 2}, random}, {{3, 4, 2}, norm},
            {{3, 4, 1}, plain},  {{3, 2}, batches},      {{3, 2}, shuffled}};
}

[[noreturn]] void fail(const std::string &why) {
    std::fprintf(stderr, "check_races: %s\n", why.c_str());
    std::exit(1);
}

template <class T> struct Calls;
template <> struct Calls<double> {
    static constexpr auto train = backprop_train_f64;
    static constexpr auto step = backprop_step_f64;
    static constexpr auto predict = backprop_predict_f64;
    static constexpr auto initial = backprop_initial_f64;
};
template <> struct Calls<float> {
    static constexpr auto train = backprop_train_f32;
    static constexpr auto step = backprop_step_f32;
    static constexpr auto predict = backprop_predict_f32;
    static constexpr auto initial = backprop_initial_f32;
};

/* All results for one network, one after the other; none if a call fails, with its status. */
template <class T> std::vector<T> results(const Example &example, int &status) {
    backprop_settings s = example.settings;
    s.layers = example.layers.data();
    s.layer_count = static_cast<int64_t>(example.layers.size());
    const size_t room = 1000; /* more than any result has */
    std::minstd_rand random;
    std::vector<T> X(room), y(room), state(room), out(8 * room);
    for (T &x : X) x = static_cast<T>(random() % 1000) / 1000;
    for (T &x : y) x = static_cast<T>(random() % 1000) / 1000;
    const int64_t checkpoints[] = {0, 1, 4};
    T *at = out.data();
    status = Calls<T>::initial(&s, 1, state.data());
    if (!status)
        status = Calls<T>::train(&s, X.data(), y.data(), state.data(), 3, checkpoints, at,
                                 at + 3 * room);
    s.iteration = 2;
    at += 4 * room;
    if (!status)
        status = Calls<T>::step(&s, X.data(), y.data(), state.data(), at, at + room / 2, at + room,
                                at + 3 * room / 2);
    at += 2 * room;
    if (!status) status = Calls<T>::predict(&s, X.data(), state.data(), at);
    if (status) out.clear();
    return out;
}

template <class T> std::vector<T> results(const Example &example) {
    int status;
    std::vector<T> found = results<T>(example, status);
    if (status) fail(backprop_reason());
    return found;
}

/* The same bits, whatever the number and the order of threads, and where the arrays lie. */
template <class T> void check_orders(const Example &example) {
    using emulate::Order;
    emulate::options = {};
    const std::vector<T> expected = results<T>(example);
    for (int threads : {1, 2, 3, 7, 32, 512}) {
        for (Order order : {Order::FORWARD, Order::REVERSE, Order::SHUFFLED}) {
            for (int shared_bytes : {0, 48 * 1024}) {
                emulate::options = {};
                emulate::options.order = order;
                emulate::options.most_threads = threads;
                emulate::options.shared_bytes = shared_bytes;
                const std::vector<T> found = results<T>(example);
                if (std::memcmp(found.data(), expected.data(), found.size() * sizeof(T)))
                    fail("another result in another order of threads");
            }
        }
    }
}

/* Every barrier that any network has come to is needed. */
size_t check_barriers() {
    const auto barriers = emulate::barriers;
    for (const auto &barrier : barriers) {
        emulate::options = {};
        emulate::options.without = barrier;
        emulate::options.most_threads = 3;
        std::string race;
        for (const Example &example : examples()) {
            int status;
            results<double>(example, status);
            if (status && race.empty()) race = backprop_reason();
        }
        if (race.empty()) fail("without the barrier of " + emulate::name(barrier) + " no race");
        std::printf("without the barrier of %s: %s\n", emulate::name(barrier).c_str(),
                    race.c_str());
    }
    return barriers.size();
}

constexpr unsigned ALL_LANES = 0xFFFFFFFF;

void only_some(int *) {
    if (threadIdx.x != 1) __syncthreads();
}

void two_places(int *) {
    if (threadIdx.x == 1)
        __syncthreads();
    else
        __syncthreads();
}

void lanes_part(int *) {
    if (threadIdx.x != 1) __shfl_xor_sync(ALL_LANES, 1, 1);
}

void two_shuffles(int *) {
    if (threadIdx.x == 1)
        __shfl_xor_sync(ALL_LANES, 1, 1);
    else
        __shfl_xor_sync(ALL_LANES, 1, 1);
}

void barrier_or_shuffle(int *) {
    if (threadIdx.x < 16)
        __syncthreads();
    else
        __shfl_xor_sync(ALL_LANES, 1, 1);
}

void half_a_warp(int *) { __shfl_xor_sync(0xFFFF, 1, 1); }

void beyond_the_block(int *) { __shfl_xor_sync(ALL_LANES, 1, 16); }

void blocks_write(int *place) {
    if (threadIdx.x == 0) *place = static_cast<int>(blockIdx.x);
}

void blocks_read(int *place) {
    if (threadIdx.x == 0) place[blockIdx.x + 1] = place[blockIdx.x];
}

/* What a launch of two blocks ends with. */
std::string problem_of(void (*kernel)(int *), unsigned threads) {
    emulate::options = {};
    void *place = nullptr;
    cudaMalloc(&place, 64);
    void *arguments[] = {&place};
    cudaLaunchKernel(kernel, dim3(2), dim3(threads), arguments, 0, nullptr);
    const bool failed = cudaDeviceSynchronize() != cudaSuccess;
    cudaFree(place);
    return failed ? emulate::problem : "";
}

/* What must not be is an error, and says where. */
void check_emulation() {
    struct Wrong {
        void (*kernel)(int *);
        unsigned threads;
        const char *says;
    };
    const Wrong all[] = {{only_some, 3, "thread 1 at its end"},
                         {two_places, 3, "thread 1 at the barrier of "},
                         {lanes_part, 32, "thread 1 at its end"},
                         {two_shuffles, 32, "thread 1 at the shuffle of "},
                         {barrier_or_shuffle, 32, "thread 16 at the shuffle of "},
                         {half_a_warp, 32, "of a part of a warp"},
                         {beyond_the_block, 8, "a lane that is not there"},
                         {blocks_write, 1, "block 1 writes what block 0 has written"},
                         {blocks_read, 1, "block 1 reads what block 0 has written"}};
    for (const Wrong &wrong : all) {
        const std::string problem = problem_of(wrong.kernel, wrong.threads);
        std::printf("a kernel that is wrong: %s\n", problem.c_str());
        if (problem.find(wrong.says) == std::string::npos)
            fail(std::string("nobody notices: ") + wrong.says);
    }
}

/* Without memory a call says so, and keeps none. */
void check_memory() {
    const Example example = examples()[0];
    int status = BACKPROP_NO_MEMORY;
    for (int allocation = 1; status; allocation++) {
        emulate::options = {};
        emulate::options.failing_allocation = allocation;
        results<double>(example, status);
        if (status && status != BACKPROP_NO_MEMORY) fail("no memory, but another status");
        if (!emulate::arrays.empty() || emulate::objects) fail("memory of the GPU is not freed");
    }
}

} // namespace

int main() {
    for (const Example &example : examples()) {
        check_orders<double>(example);
        check_orders<float>(example);
    }
    const size_t barriers = check_barriers();
    check_emulation();
    check_memory();
    std::printf("no race on %zu networks; each of %zu barriers is needed\n", examples().size(),
                barriers);
}
