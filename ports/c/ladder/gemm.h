/* What general.c computes with: the loops of kernels.h for each set of instructions, BLAS, and the
 * choice between them. Compiled with -DBITS=64 or 32; with BLAS(name) defined where there is one.
 */
#ifndef GEMM_H
#define GEMM_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef BLAS
#include <cblas.h>
#endif

#if BITS == 64
typedef double real;
typedef uint64_t whole; /* as wide as real */
#define PRODUCT BLAS(cblas_dgemm)
#else
typedef float real;
typedef uint32_t whole;
#define PRODUCT BLAS(cblas_sgemm)
#endif

/* Rows of matrices begin at whole cache lines, in bytes and in numbers; no vector is longer. */
enum { LINE = 64, LANES_OF_LINE = LINE / sizeof(real) };

/* The blocks of a product in the port's own loops, in numbers: ROW x INNER of a is for the second
 * cache. ROW_BLOCK is a multiple of the height of every tile, COLUMN_BLOCK of every width. From
 * LARGE numbers on, a is copied block by block. */
enum { ROW_BLOCK = 48, INNER_BLOCK = 512, COLUMN_BLOCK = 1024, LARGE = 1 << 18 };
enum { ROOM = INNER_BLOCK * (ROW_BLOCK + COLUMN_BLOCK) };

/* One set of instructions. LEVEL(multiply) and so on in kernels.h say what the loops do. */
typedef struct {
    const char *name, *title; /* in BACKPROP_CPU, and to be shown */
    double limit;             /* of multiply-adds: larger ones go to BLAS on one thread */
    void (*multiply)(int64_t rows, int64_t columns, int64_t inner, const real *a, int64_t a_row,
                     int64_t a_step, const real *b, int64_t b_row, int64_t b_step, real *c,
                     int64_t c_row, real factor, int add, real *room);
    void (*activate)(int64_t count, real *l);
    void (*subtract)(int64_t count, const real *y, const real *l, real *error);
    void (*slope)(int64_t count, const real *error, const real *l, real *delta);
} kernels;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Numbers from one row of a matrix to the next: whole lines, and not a multiple of 1024 bytes, at
 * which distance many rows would compete for the same places of a cache. */
static int64_t padded(int64_t columns) {
    const int64_t lines = (columns + LANES_OF_LINE - 1) / LANES_OF_LINE;
    return (lines % 16 ? lines : lines + 1) * LANES_OF_LINE;
}

/* 1 / (1 + exp(-x)), with an exp that becomes vector instructions: no call, no branch.
 *
 * exp(t) = 2^k exp(r), with k the nearest whole number to t / log 2 and r the rest, at most
 * log(2) / 2, where the Taylor series is short. Adding and subtracting MAGIC rounds to a whole
 * number, and leaves it in the lowest bits of the sum. From these the bits of 2^(k-1) are made: 2^k
 * itself could overflow where exp(t) does not.
 *
 * Beyond `most` the result overflows to infinity, as it must, and the sigmoid is 0. Below `lowest`
 * it stays exp(lowest): 1 + that is 1, as with any smaller number. NaN passes through. */
static inline __attribute__((always_inline)) real exponential(real t) {
#if BITS == 64
    const real MAGIC = 0x1.8p52, most = 710, lowest = -707;
    const real LOG2_HIGH = 0x1.62e42fefa2p-1, LOG2_LOW = 0x1.9ef35793c7673p-41;
    enum { MANTISSA = 52, BIAS = 1023 };
#else
    const real MAGIC = 0x1.8p23f, most = 89, lowest = -86;
    const real LOG2_HIGH = 0x1.62e4p-1f, LOG2_LOW = 0x1.7f7d1cp-20f;
    enum { MANTISSA = 23, BIAS = 127 };
#endif
    t = t > most ? most : t;
    t = t < lowest ? lowest : t;
    const real shifted = t * (real)1.4426950408889634 + MAGIC, k = shifted - MAGIC;
    /* k times LOG2_HIGH is exact, since its last bits are 0, and so is high. The rounding of r only
     * counts in its powers; what 1 + high loses is added later. */
    const real high = t - k * LOG2_HIGH, low = k * LOG2_LOW, r = high - low;
#define TERM(n_factorial) (real)(1.0 / n_factorial)
#if BITS == 64
    real sum = TERM(6227020800.0);
    sum = sum * r + TERM(479001600.0);
    sum = sum * r + TERM(39916800.0);
    sum = sum * r + TERM(3628800.0);
    sum = sum * r + TERM(362880.0);
    sum = sum * r + TERM(40320.0);
    sum = sum * r + TERM(5040.0);
#else
    real sum = TERM(5040.0);
#endif
    sum = sum * r + TERM(720.0);
    sum = sum * r + TERM(120.0);
    sum = sum * r + TERM(24.0);
    sum = sum * r + TERM(6.0);
    sum = sum * r + TERM(2.0);
    const real one = 1 + high;
    sum = one + ((high - (one - 1)) + (r * r * sum - low));
#undef TERM
    whole power;
    memcpy(&power, &shifted, sizeof power);
    power = (power << MANTISSA) + ((whole)(BIAS - 1) << MANTISSA);
    real half;
    memcpy(&half, &power, sizeof half);
    return sum * half * 2;
}

static inline __attribute__((always_inline)) real sigmoid(real x) {
    return 1 / (1 + exponential(-x));
}

#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#if defined __x86_64__
/* Where BLAS begins to be faster: measured by crossover.c, README.md has its table. */
#define LEVEL(name) avx512_##name
#define LIMIT 0x1p26
#define NAME "avx512"
#define TITLE "AVX-512"
#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")))
#define BYTES 64
#define HEIGHT 8
#include "kernels.h"

#define LEVEL(name) avx2_##name
#define LIMIT 0x1p26
#define NAME "avx2"
#define TITLE "AVX2"
#define TARGET __attribute__((target("avx2,fma")))
#define BYTES 32
#define HEIGHT 6
#include "kernels.h"
#endif

/* What every processor of the family has: SSE2, or NEON on ARM. */
#define LEVEL(name) portable_##name
#define LIMIT 0x1p12
#define NAME "portable"
#define TITLE "portable loops"
#define TARGET
#define BYTES 16
#define HEIGHT 6
#include "kernels.h"

/* How products are computed: by the loops of a level, by BLAS, or by either, after their size. */
typedef struct {
    const kernels *level;
    enum { BY_SIZE, OWN, BY_BLAS } products;
    double limit; /* by size: products of more multiply-adds go to BLAS */
} method;

/* The best level that this processor has, or the requested one; otherwise the reason why
 * not. */
static const char *find_level(const char *wanted, const kernels **level) {
    const struct {
        const kernels *level;
        int here;
    } levels[] = {
#if defined __x86_64__
        {&avx512_level, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl")},
        {&avx2_level, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
        {&portable_level, 1},
    };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        *level = levels[i].level;
        if (wanted && strcmp(wanted, (*level)->name) != 0) continue;
        if (levels[i].here) return NULL;
        if (wanted) return "BACKPROP_CPU names instructions that this processor does not have.";
    }
    return "BACKPROP_CPU must be avx512, avx2 or portable, if this family of processors has it.";
}

/* With more threads, BLAS is faster from products this many times smaller on. */
enum { THREADS_WIN = 16 };

/* What the environment asks for (BACKPROP_CPU, BACKPROP_GEMM), or the best; NULL if that
 * works. */
static const char *find_method(method *how) {
    const char *wanted = getenv("BACKPROP_GEMM");
    if (!wanted || !strcmp(wanted, "auto"))
        how->products = BY_SIZE;
    else if (!strcmp(wanted, "own"))
        how->products = OWN;
    else if (!strcmp(wanted, "blas"))
        how->products = BY_BLAS;
    else
        return "BACKPROP_GEMM must be own, blas or auto.";
#ifndef BLAS
    if (how->products == BY_BLAS) return "BACKPROP_GEMM=blas, but it was built without a BLAS.";
    how->products = OWN;
#endif
    const char *missing = find_level(getenv("BACKPROP_CPU"), &how->level);
    how->limit = how->level->limit;
#ifdef OPENBLAS
    /* The port's own loops use one thread. */
    if (BLAS(openblas_get_num_threads)() > 1) how->limit /= THREADS_WIN;
#endif
    return missing;
}

/* A matrix, or its transpose: rows are `row` numbers apart, and padded to whole vectors. */
typedef struct {
    real *at;
    int64_t row;
    int transposed;
} matrix;

/* The port's own loops copy a transposed b, which does not pay for so few rows of a. */
enum { FEW = 8 };

/* c = a b, or c += factor a b, with a rows x inner and b inner x columns. `room` has ROOM numbers.
 */
static void multiply(const method *how, int64_t rows, int64_t columns, int64_t inner, matrix a,
                     matrix b, matrix c, real factor, int add, real *room) {
#ifdef BLAS
    const int large = (double)rows * (double)columns * (double)inner > how->limit;
    if (how->products == BY_BLAS ||
        (how->products == BY_SIZE && (large || (b.transposed && rows < FEW)))) {
        PRODUCT(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans,
                b.transposed ? CblasTrans : CblasNoTrans, (int)rows, (int)columns, (int)inner,
                factor, a.at, (int)a.row, b.at, (int)b.row, (real)add, c.at, (int)c.row);
        return;
    }
#endif
    how->level->multiply(rows, columns, inner, a.at, a.transposed ? 1 : a.row,
                         a.transposed ? a.row : 1, b.at, b.transposed ? 1 : b.row,
                         b.transposed ? b.row : 1, c.at, c.row, factor, add, room);
}

#endif
