/* Measures from which size on a product should go to BLAS, on this machine:
 *
 *     python find_blas.py blas.flags
 *     gcc -std=c11 -O3 -ffp-contract=fast -DBITS=64 @blas.flags crossover.c @blas.flags
 *     OPENBLAS_NUM_THREADS=1 ./a.out
 *
 * (-DBITS=32 for float32). It takes a minute or two, and prints a line for each network of `hidden`
 * units before a layer of `outputs`: the nanoseconds of its forward, backward and update product in
 * the port's own loops and in BLAS. At the end it says what each limit would cost.
 */
#include "gemm.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#ifndef BLAS
#error "there is no BLAS to compare with"
#endif

/* Of one thread, time of the processor: other programs then do not count. */
static double now(void) {
    if (BLAS(openblas_get_num_threads)() == 1) return 1e9 * (double)clock() / CLOCKS_PER_SEC;
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* The three products of a layer with `outputs` units after one of `inputs`, for `samples`. */
enum { FORWARD, BACKWARD, UPDATE, PRODUCTS };
typedef struct {
    int64_t samples, inputs, outputs;
    matrix l, next, syn; /* l[k]; l[k+1] or delta[k+1]; syn[k] */
    real *room;
} layer;

static void product(const method *how, int which, layer x) {
    matrix back = x.syn, l = x.l;
    back.transposed = l.transposed = 1;
    switch (which) {
        case FORWARD:
            multiply(how, x.samples, x.outputs, x.inputs, x.l, x.syn, x.next, 1, 0, x.room);
            break;
        case BACKWARD:
            multiply(how, x.samples, x.inputs, x.outputs, x.next, back, x.l, 1, 0, x.room);
            break;
        default:
            multiply(how, x.inputs, x.outputs, x.samples, l, x.next, x.syn, (real)1e-9, 1, x.room);
    }
}

/* Nanoseconds of one product: the least mean of several rounds, each of half a ms or more. */
static double measure(const method *how, int which, layer x) {
    double least_ns = INFINITY, count = 1;
    for (int round = 0; round < 9;) {
        const double start = now();
        for (int i = 0; i < (int)count; i++) product(how, which, x);
        const double took = now() - start;
        if (took < 5e5) {
            count = ceil(count * fmin(100, 7e5 / took));
            continue;
        }
        least_ns = fmin(least_ns, took / count);
        round++;
    }
    return least_ns;
}

static matrix filled(int64_t rows, int64_t columns) {
    const int64_t row = padded(columns);
    real *at = aligned_alloc(LINE, (size_t)(rows * row) * sizeof(real));
    if (!at) exit(1);
    for (int64_t i = 0; i < rows * row; i++) at[i] = (real)1e-3;
    return (matrix){at, row, 0};
}

enum { LIMITS = 40 };

int main(void) {
    const int64_t sizes[] = {4, 16, 64, 256, 1024}, batches[] = {4, 16, 64, 256, 1024, 4096};
    method own, blas;
    const char *wrong = find_method(&own);
    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
        return 2;
    }
    blas = own;
    own.products = OWN, blas.products = BY_BLAS;
    double worst[LIMITS] = {0}, sum[LIMITS] = {0};
    int measured = 0;
    printf("%s, %d bits; ns in own loops / in BLAS\n", own.level->title, BITS);
    printf("%6s %7s %6s  %21s  %21s  %21s\n", "hidden", "outputs", "batch", "forward", "backward",
           "update");
    for (int h = 0; h < 5; h++) {
        for (int wide = 0; wide < 2; wide++) {
            for (int b = 0; b < 6; b++) {
                const int64_t outputs = wide ? sizes[h] : 10;
                layer x = {batches[b],
                           sizes[h],
                           outputs,
                           filled(batches[b], sizes[h]),
                           filled(batches[b], outputs),
                           filled(sizes[h], outputs),
                           NULL};
                x.room = filled(1, ROOM).at;
                const double work = (double)x.samples * (double)x.inputs * (double)x.outputs;
                printf("%6d %7d %6d", (int)x.inputs, (int)outputs, (int)x.samples);
                for (int which = 0; which < PRODUCTS; which++, measured++) {
                    const double a = measure(&own, which, x), z = measure(&blas, which, x);
                    printf("  %10.0f/%-10.0f", a, z);
                    const int few = which == BACKWARD && x.samples < FEW;
                    for (int i = 0; i < LIMITS; i++) {
                        const double chosen = few || work > ldexp(1, i) ? z : a;
                        const double lost = log(chosen / fmin(a, z));
                        sum[i] += lost;
                        worst[i] = fmax(worst[i], lost);
                    }
                }
                printf("\n");
                fflush(stdout);
                free(x.l.at), free(x.next.at), free(x.syn.at), free(x.room);
            }
        }
    }
    printf("BLAS for more multiply-adds than: times the better of both, on average and at worst\n");
    for (int i = 8; i < LIMITS; i++)
        printf("2^%-2d  %5.2f  %5.2f\n", i, exp(sum[i] / measured), exp(worst[i]));
    return 0;
}
