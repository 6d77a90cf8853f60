/* Finds races: who reads and writes which element of the "GPU's" memory between two barriers, or,
 * of different blocks, in one launch.
 *
 * g++ -fsanitize=thread puts a call before each access of a program to memory, to functions that
 * ThreadSanitizer would have. Here they are these instead, which know of fibres and barriers. Two
 * threads race if both touch an element between two barriers and one of them writes: that shows
 * whichever comes first, so that one run finds each race on its path, and every run the same ones.
 * An access is also an error if it is beyond the end of an array, or of memory that a GPU does not
 * see.
 */
#include "emulate.h"
#include <cstdint>
#include <unordered_map>

extern "C" char __executable_start, _end; /* the program's own constants and variables */

namespace {

enum { NOBODY = -1, SEVERAL = -2 };

/* Who touched four bytes: a thread in a phase of its block, and a block in a launch. */
struct Touch {
    struct Who {
        long when = 0;
        int reader = NOBODY, writer = NOBODY;
    };
    Who thread, block;
};
std::unordered_map<uintptr_t, Touch> touched;
bool busy = false; /* this file's own accesses may also come by, through functions of headers */

std::string name(const char *kind, int number) {
    return number == SEVERAL ? "others have" : kind + std::to_string(number) + " has";
}

void report(const std::string &what) {
    if (!emulate::problem.empty()) return;
    const bool at_start = emulate::last_barrier.line() == 0;
    const std::string barrier = at_start ? "the start" : emulate::name(emulate::last_barrier);
    emulate::problem = what + " (after " + barrier + ")";
}

/* Whether `bytes` at p are the GPU's, and so to be watched. */
bool of_gpu(char *p, size_t bytes, int me) {
    const char *room = reinterpret_cast<char *>(shared), *stack = emulate::fibres[me].stack.get();
    if (p >= room && p < room + sizeof shared) {
        if (p + bytes <= room + emulate::shared_bytes) return true;
        report("thread " + std::to_string(me) + " is beyond the end of shared memory");
        return false;
    }
    if (p >= stack && p < stack + emulate::STACK) return false;
    if (p >= &__executable_start && p < &_end) return false;
    auto array = emulate::arrays.upper_bound(p);
    if (array != emulate::arrays.begin() && p < std::prev(array)->first + std::prev(array)->second)
        return true;
    report("thread " + std::to_string(me) + " is outside of all arrays of the GPU");
    return false;
}

/* `me` touches it at the time `now`, within which nothing orders what the others do. */
void touch(Touch::Who &t, long now, bool writes, const char *kind, int me) {
    if (t.when != now) t = {now, NOBODY, NOBODY};
    const bool after_write = t.writer != NOBODY && t.writer != me;
    if (after_write || (writes && t.reader != NOBODY && t.reader != me))
        report(kind + std::to_string(me) + (writes ? " writes" : " reads") + " what " +
               name(kind, after_write ? t.writer : t.reader) +
               (after_write ? " written" : " read") + ", with no barrier between");
    if (writes)
        t.writer = me;
    else
        t.reader = t.reader == NOBODY || t.reader == me ? me : SEVERAL;
}

void access(void *pointer, size_t bytes, bool writes) {
    const int me = emulate::running;
    if (me < 0 || busy) return;
    busy = true;
    char *p = static_cast<char *>(pointer), *room = reinterpret_cast<char *>(shared);
    const bool of_block = p >= room && p < room + sizeof shared;
    if (of_gpu(p, bytes, me)) {
        const uintptr_t first = reinterpret_cast<uintptr_t>(p) / 4;
        for (uintptr_t place = first; place < first + (bytes + 3) / 4; place++) {
            Touch &t = touched[place];
            touch(t.thread, emulate::phase, writes, "thread ", me);
            if (!of_block) touch(t.block, emulate::launched, writes, "block ", emulate::block);
        }
    }
    busy = false;
}

} // namespace

#define WATCH(bytes)                                                                               \
    void __tsan_read##bytes(void *p) { access(p, bytes, false); }                                  \
    void __tsan_write##bytes(void *p) { access(p, bytes, true); }                                  \
    void __tsan_unaligned_read##bytes(void *p) { access(p, bytes, false); }                        \
    void __tsan_unaligned_write##bytes(void *p) { access(p, bytes, true); }

extern "C" {
WATCH(1) WATCH(2) WATCH(4) WATCH(8) WATCH(16) void __tsan_read_range(void *p, unsigned long bytes) {
    access(p, bytes, false);
}
void __tsan_write_range(void *p, unsigned long bytes) { access(p, bytes, true); }
void __tsan_vptr_update(void **, void *) {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_init() {}
}
