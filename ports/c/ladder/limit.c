/* The least time that an iteration of the rung "latency" can take: the operations of its chain,
 * from one z1 to the next, each of which waits for the one before, times what each takes on this
 * processor. It is measured here, in nanoseconds, so that no clock frequency need be known.
 *
 * Prints a JSON object: {"limit_ns": ..., "links": [{"name", "count", "ns"}, ...]}.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* As wide as the processor's vectors. CHANGED makes the compiler believe that v changes, so that it
 * computes each v from the last one. */
#ifdef __x86_64__
#define AS_WIDE __attribute__((target("avx2,fma")))
#define CHANGED(v) __asm__ volatile("" : "+x"(v))
typedef double vector __attribute__((vector_size(32)));
#define EXCHANGED(v) __builtin_shufflevector(v, v, 2, 3, 0, 1)
#else
#define AS_WIDE
#define CHANGED(v) __asm__ volatile("" : "+w"(v))
typedef double vector __attribute__((vector_size(16)));
#define EXCHANGED(v) __builtin_shufflevector(v, v, 1, 0)
#endif

enum { LENGTH = 2000, TRIALS = 101 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Defines a function: the time in nanoseconds of an operation on v, one of many in a row. It is the
 * least of many trials, since whatever disturbs one makes it longer. */
#define TIMED(name, operation)                                                                     \
    AS_WIDE static double name(void) {                                                             \
        double least = 1e9;                                                                        \
        vector v = (vector){} + 1, one = v, little = v * 0x1p-60;                                  \
        CHANGED(one);                                                                              \
        CHANGED(little);                                                                           \
        for (int trial = 0; trial < TRIALS; trial++) {                                             \
            const double start = seconds();                                                        \
            for (int n = 0; n < LENGTH; n++) {                                                     \
                FOUR(operation) FOUR(operation) FOUR(operation)                                    \
            }                                                                                      \
            const double ns = (seconds() - start) * 1e9 / (12 * LENGTH);                           \
            if (ns < least) least = ns;                                                            \
        }                                                                                          \
        return least;                                                                              \
    }
#define FOUR(operation) ONE(operation) ONE(operation) ONE(operation) ONE(operation)
#define ONE(operation)                                                                             \
    v = operation;                                                                                 \
    CHANGED(v);

TIMED(addition, v + little)
TIMED(product, v *one)
TIMED(product_and_sum, v *one + little)
TIMED(division, one / v)
TIMED(exchange, EXCHANGED(v))

int main(void) {
    int powers = 5; /* products and sums on the way through 2^z */
#ifdef __x86_64__
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        fputs("the limit is measured with AVX2, which this processor does not have\n", stderr);
        return 1;
    }
    if (__builtin_cpu_supports("avx512vl")) powers = 4;
#endif
    /* z1 to l1: 3 additions to split z, the power, a division. l1 to z2: a product, a product and
     * sum, an addition. z2 to l2 as before. l2 to l2_delta: 2 products. l2_delta to z1: its halves
     * exchanged, a product, a product and sum, an addition. */
    const struct {
        const char *name;
        int count;
        double ns;
    } links[] = {
        {"addition", 3 + 1 + 3 + 1, addition()},
        {"product", 1 + 2 + 1, product()},
        {"product and sum", powers + 1 + powers + 1, product_and_sum()},
        {"division", 1 + 1, division()},
        {"exchange of halves", 1, exchange()},
    };
    enum { LINKS = sizeof links / sizeof *links };
    double limit = 0;
    for (int n = 0; n < LINKS; n++) limit += links[n].count * links[n].ns;
    printf("{\"limit_ns\": %.3f, \"links\": [", limit);
    for (int n = 0; n < LINKS; n++)
        printf("%s{\"name\": \"%s\", \"count\": %d, \"ns\": %.4f}", n ? ", " : "", links[n].name,
               links[n].count, links[n].ns);
    puts("]}");
    return 0;
}
