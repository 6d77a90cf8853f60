/* The threads of a block as fibres of one host thread.
 *
 * A fibre is a function with a stack of its own, which gives way at a barrier and goes on there
 * later. Between two barriers a thread runs alone: first one, then the next, in an order that can
 * be chosen. Threads that come to different barriers, or end while others wait, are an error.
 */
#pragma once
#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <memory>
#include <random>
#include <source_location>
#include <string>
#include <ucontext.h>
#include <vector>

namespace emulate {

constexpr int MOST_THREADS = 1024;
constexpr size_t STACK = 64 * 1024;

enum class Order { FORWARD, REVERSE, SHUFFLED };

/* For checks of the port. */
struct Options {
    Order order = Order::FORWARD;
    std::source_location without; /* a barrier to be left out */
    int most_threads = MOST_THREADS;
    /* Of shared memory in a block. Each GPU gives 48 KiB, and most of them more if they are asked:
     * here larger networks are for the kernels that work in global memory. */
    int shared_bytes = 48 * 1024;
    int failing_allocation = 0; /* the how manieth next one fails */
};
inline Options options;

struct Fibre {
    std::unique_ptr<char[]> stack;
    ucontext_t start;
    jmp_buf place; /* where it gave way */
    bool begun, ended;
    std::source_location at; /* the barrier where it waits */
};
inline Fibre fibres[MOST_THREADS];

inline int running = -1; /* the thread that runs, or -1 outside of a launch */
inline long phase = 0;   /* counts what lies between two barriers */
inline std::source_location last_barrier;
inline std::vector<std::source_location> barriers; /* that any launch came to */
inline std::string problem;                        /* the first one of a launch */

inline jmp_buf scheduler;
inline void (*body)(); /* what each thread runs */

inline bool same(const std::source_location &a, const std::source_location &b) {
    return a.line() == b.line() &&
           (a.file_name() == b.file_name() || !std::strcmp(a.file_name(), b.file_name()));
}

inline std::string name(const std::source_location &at) {
    const std::string path = at.file_name();
    return path.substr(path.rfind('/') + 1) + ":" + std::to_string(at.line());
}

inline void begin() {
    body();
    fibres[running].ended = true;
    _longjmp(scheduler, 1);
}

inline void wait_at(const std::source_location &barrier) {
    if (same(barrier, options.without)) return;
    Fibre &fibre = fibres[running];
    fibre.at = barrier;
    if (_setjmp(fibre.place) == 0) _longjmp(scheduler, 1);
}

/* Let thread t run until it comes to a barrier or to its end. swapcontext could do that alone, but
 * takes a system call each time, for signal masks. */
inline __attribute__((noinline)) void resume(int t) {
    if (_setjmp(scheduler) == 0) {
        running = t;
        if (fibres[t].begun) _longjmp(fibres[t].place, 1);
        fibres[t].begun = true;
        setcontext(&fibres[t].start);
    }
    running = -1;
}

/* Whether all threads are where the first one is. */
inline bool together(int threads) {
    auto where = [](const Fibre &f) {
        return f.ended ? "its end" : "the barrier of " + name(f.at);
    };
    const Fibre &first = fibres[0];
    for (int t = 1; t < threads; t++) {
        const Fibre &other = fibres[t];
        if (first.ended && other.ended) continue;
        if (first.ended == other.ended && same(first.at, other.at)) continue;
        problem = "thread 0 is at " + where(first) + ", but thread " + std::to_string(t) + " at " +
                  where(other);
        return false;
    }
    return true;
}

/* Put thread t before its first step. */
inline __attribute__((noinline)) void prepare(int t) {
    Fibre &fibre = fibres[t];
    if (!fibre.stack) fibre.stack.reset(new char[STACK]);
    fibre.begun = fibre.ended = false;
    getcontext(&fibre.start);
    fibre.start.uc_stack.ss_sp = fibre.stack.get();
    fibre.start.uc_stack.ss_size = STACK;
    makecontext(&fibre.start, begin, 0);
}

/* Run all threads to their end; false if there was a problem. */
inline bool run_block(int threads) {
    std::minstd_rand random;
    std::vector<int> order(threads);
    for (int t = 0; t < threads; t++) {
        prepare(t);
        order[t] = options.order == Order::REVERSE ? threads - 1 - t : t;
    }
    problem.clear();
    last_barrier = {};
    do {
        if (options.order == Order::SHUFFLED) std::shuffle(order.begin(), order.end(), random);
        phase++;
        for (int t : order) resume(t);
        if (!together(threads)) return false;
        last_barrier = fibres[0].at;
        auto is_last = [](const std::source_location &other) { return same(other, last_barrier); };
        if (!fibres[0].ended && std::none_of(barriers.begin(), barriers.end(), is_last))
            barriers.push_back(last_barrier);
    } while (!fibres[0].ended);
    return problem.empty();
}

} // namespace emulate
