/* Where the buffers lie that contract.c hands to a port: each alone, with just the numbers of the
 * contract; one without numbers is an address that nobody may touch.
 *
 * They are on the heap, and AddressSanitizer sees an access outside in code that was compiled for
 * it. With -DGUARD_PAGES, for a port that another compiler made, the processor sees it: an array
 * ends where a page begins that cannot be touched, and another one is before its first. Between
 * that and the array, since it begins within a page, is a pattern: a write there is found when the
 * array is released, and a read is not.
 */
#ifndef ARRAY_H
#define ARRAY_H
#include <stdlib.h>

#ifdef GUARD_PAGES
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATTERN = 0xA5 };

/* In bytes: a page, all pages of an array but those two, and what lies in them before it. */
typedef struct {
    size_t page, pages, before;
} place;

static place place_of(size_t numbers, size_t each) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = numbers * each;
    const size_t pages = (bytes + page - 1) / page * page;
    return (place){page, pages, pages - bytes};
}

static void *array(size_t numbers, size_t each) {
    const place p = place_of(numbers, each);
    unsigned char *all =
        mmap(NULL, p.pages + 2 * p.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) abort();
    if (p.pages && mprotect(all + p.page, p.pages, PROT_READ | PROT_WRITE)) abort();
    memset(all + p.page, PATTERN, p.before);
    return all + p.page + p.before;
}

static void release(void *array, size_t numbers, size_t each) {
    const place p = place_of(numbers, each);
    unsigned char *first = (unsigned char *)array - p.before;
    for (size_t i = 0; i < p.before; i++)
        if (first[i] != PATTERN) abort();
    if (munmap(first - p.page, p.pages + 2 * p.page)) abort();
}

#else
static void *array(size_t numbers, size_t each) { return malloc(numbers * each); }

static void release(void *array, size_t numbers, size_t each) {
    (void)numbers, (void)each; /* the heap knows */
    free(array);
}
#endif
#endif
