/* Work that is done on all cores that the process may use.
 *
 * backprop.c hands out the networks of an ensemble by it, ladder/ensemble.c blocks of them. Parts
 * share nothing that changes: a thread waits for no other until the end, and the result does not
 * depend on their number. */
#ifndef CORES_H
#define CORES_H
#ifdef __linux__
#include <sched.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { MOST_CORES = 256 };

typedef int part_of_work(const void *context, int64_t part);

typedef struct {
    part_of_work *work;
    const void *context;
    int64_t parts;
    _Atomic int64_t next; /* the first part that nobody has taken */
    _Atomic int status;   /* the largest that a part returned, from 0 on */
} shared_work;

/* What each thread does: it takes parts until none is left. */
static void *take_parts(void *argument) {
    shared_work *all = argument;
    for (int64_t part; (part = atomic_fetch_add(&all->next, 1)) < all->parts;) {
        const int status = all->work(all->context, part);
        int most = atomic_load(&all->status);
        while (status > most && !atomic_compare_exchange_weak(&all->status, &most, status)) {
        }
    }
    return NULL;
}

static int64_t core_count(void) {
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
    return 1;
}

/* Does work(context, part) for each part from 0 to parts - 1, and returns the largest status. The
 * caller's thread takes part, and all others have ended afterwards. A thread that cannot be
 * started is not needed. */
static int on_all_cores(part_of_work *work, const void *context, int64_t parts) {
    shared_work all = {.work = work, .context = context, .parts = parts};
    const int64_t cores = parts > 1 ? core_count() : 1, most = parts < cores ? parts : cores;
    pthread_t threads[MOST_CORES];
    int started = 0;
    while (started < MOST_CORES && started + 1 < most &&
           pthread_create(&threads[started], NULL, take_parts, &all) == 0)
        started++;
    take_parts(&all);
    while (started > 0) pthread_join(threads[--started], NULL);
    return atomic_load(&all.status);
}

#endif
