/* The threads of a block as fibres of one host thread.
 *
 * A fibre is a function with a stack of its own, which gives way at a barrier or a shuffle and goes
 * on there later. Until then a thread runs alone: first one, then the next, in an order that can
 * be chosen. Blocks run one after the other. Threads of a block that come to different barriers, or
 * end while others wait, are an error; so are lanes of a warp that come to different shuffles.
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

constexpr int MOST_THREADS = 1024, WARP = 32;
constexpr size_t STACK = 64 * 1024;

enum class Order { FORWARD, REVERSE, SHUFFLED };

/* For checks of the port. */
struct Options {
    Order order = Order::FORWARD; /* of threads, and of blocks */
    std::source_location without; /* a barrier or a shuffle to be left out */
    int most_threads = MOST_THREADS;
    /* Of shared memory in a block. Each GPU gives 48 KiB, and most of them more if they are asked:
     * here larger networks are for the kernels that work in global memory. */
    int shared_bytes = 48 * 1024;
    int failing_allocation = 0; /* the how manieth next one fails */
};
inline Options options;

/* Why a fibre gave way. */
enum class At { NOTHING, SHUFFLE, BARRIER, END };

struct Fibre {
    std::unique_ptr<char[]> stack;
    ucontext_t start;
    jmp_buf place; /* where it gave way */
    bool begun = false;
    At waits = At::NOTHING;
    std::source_location at; /* the barrier or shuffle where it waits */
    /* What it hands to the other lanes. A lane may come to the next shuffle before another has
     * read, but not to the one after that: so there are two, in turn. */
    char handed[2][sizeof(double)];
    unsigned shuffles; /* how many it came to */
};
inline Fibre fibres[MOST_THREADS];

inline int threads_of_block = 0, block = 0, blocks = 1; /* of the launch that runs */
inline int running = -1; /* the thread that runs, or -1 outside of a launch */
inline long phase = 0;   /* counts what lies between two barriers */
inline long launched = 0;
inline std::source_location last_barrier;
inline std::vector<std::source_location> barriers, shuffles; /* that any launch came to */
inline std::string problem;                                  /* the first one of a launch */

inline jmp_buf scheduler;
inline void (*body)(); /* what each thread runs */

inline bool same(const std::source_location &a, const std::source_location &b) {
    return a.line() == b.line() && a.column() == b.column() &&
           (a.file_name() == b.file_name() || !std::strcmp(a.file_name(), b.file_name()));
}

inline std::string name(const std::source_location &at) {
    const std::string path = at.file_name();
    return path.substr(path.rfind('/') + 1) + ":" + std::to_string(at.line());
}

inline void remember(std::vector<std::source_location> &places, const std::source_location &at) {
    auto is_it = [&](const std::source_location &other) { return same(other, at); };
    if (std::none_of(places.begin(), places.end(), is_it)) places.push_back(at);
}

inline void give_way(At why, const std::source_location &at) {
    Fibre &fibre = fibres[running];
    fibre.waits = why;
    fibre.at = at;
    if (_setjmp(fibre.place) == 0) _longjmp(scheduler, 1);
}

/* A fibre never ends: after a thread's end it waits to be the same thread of the next block. */
inline void begin() {
    for (;;) {
        body();
        give_way(At::END, {});
    }
}

/* Let thread t run until it gives way. swapcontext could do that alone, but takes a system call
 * each time, for signal masks. */
inline __attribute__((noinline)) void resume(int t) {
    if (_setjmp(scheduler) == 0) {
        running = t;
        if (fibres[t].begun) _longjmp(fibres[t].place, 1);
        fibres[t].begun = true;
        setcontext(&fibres[t].start);
    }
    running = -1;
}

/* Put thread t before its first step. One that did not reach its end starts over on its
 * stack. */
inline __attribute__((noinline)) void prepare(int t) {
    Fibre &fibre = fibres[t];
    if (fibre.waits != At::END) {
        if (!fibre.stack) fibre.stack.reset(new char[STACK]);
        fibre.begun = false;
        getcontext(&fibre.start);
        fibre.start.uc_stack.ss_sp = fibre.stack.get();
        fibre.start.uc_stack.ss_size = STACK;
        makecontext(&fibre.start, begin, 0);
    }
    fibre.waits = At::NOTHING;
    fibre.shuffles = 0;
}

/* Whether threads first ... end - 1 are where the first of them is. */
inline bool together(int first, int end) {
    auto where = [](const Fibre &f) {
        if (f.waits == At::END) return std::string("its end");
        return (f.waits == At::BARRIER ? "the barrier of " : "the shuffle of ") + name(f.at);
    };
    const Fibre &one = fibres[first];
    for (int t = first + 1; t < end; t++) {
        const Fibre &other = fibres[t];
        if (one.waits == other.waits && (one.waits == At::END || same(one.at, other.at))) continue;
        problem = "thread " + std::to_string(first) + " is at " + where(one) + ", but thread " +
                  std::to_string(t) + " at " + where(other);
        return false;
    }
    return true;
}

/* Let all threads go on, in an order, until no warp is at a shuffle; false if one's lanes part. */
inline bool run_to_barrier(const std::vector<int> &order) {
    const int threads = threads_of_block;
    for (bool shuffled = true; shuffled;) {
        for (int t : order)
            if (fibres[t].waits == At::NOTHING) resume(t);
        shuffled = false;
        for (int first = 0; first < threads; first += WARP) {
            const int end = std::min(first + WARP, threads);
            auto at_shuffle = [](const Fibre &f) { return f.waits == At::SHUFFLE; };
            if (std::none_of(fibres + first, fibres + end, at_shuffle)) continue;
            if (!together(first, end)) return false;
            remember(shuffles, fibres[first].at);
            for (int t = first; t < end; t++) fibres[t].waits = At::NOTHING;
            shuffled = true;
        }
    }
    return true;
}

/* Run all threads of a block to their end; false if there was a problem. */
inline bool run_block(std::minstd_rand &random) {
    const int threads = threads_of_block;
    std::vector<int> order(threads);
    for (int t = 0; t < threads; t++) {
        prepare(t);
        order[t] = options.order == Order::REVERSE ? threads - 1 - t : t;
    }
    last_barrier = {};
    for (;;) {
        if (options.order == Order::SHUFFLED) std::shuffle(order.begin(), order.end(), random);
        phase++;
        if (!run_to_barrier(order) || !together(0, threads)) return false;
        if (fibres[0].waits == At::END) return problem.empty();
        last_barrier = fibres[0].at;
        remember(barriers, last_barrier);
        for (int t = 0; t < threads; t++) fibres[t].waits = At::NOTHING;
    }
}

} // namespace emulate
