/* Rung "ensemble": many 3-4-1 networks side by side, a network in each lane of a vector.
 *
 * One network keeps a core waiting: each of its operations needs the one before. Networks do not
 * wait for one another, so nothing is exchanged between lanes, and the number of operations
 * counts, not the length of their chain. Every weight of LANES networks is one vector, and stays
 * in the registers, or next to them, for a whole run. Blocks of LANES networks are dealt out to
 * the cores. Sums are added in the order of the reference.
 */
#define _GNU_SOURCE /* for the cores that a process may use */
#include <math.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "../cores.h"
#include "ensemble.h"

#if defined __AVX512F__
#define BYTES 64
#elif defined __AVX__
#define BYTES 32
#else
#define BYTES 16
#endif

/* The networks in a vector, and the vectors that a thread takes at a time. */
enum { LANES = BYTES / sizeof(real), TOGETHER = 16 };

#define INLINED static inline __attribute__((always_inline))

typedef real vector __attribute__((vector_size(BYTES)));
#if BITS == 64
typedef int64_t whole __attribute__((vector_size(BYTES)));
enum { FRACTION = 52, BIAS = 1023, MOST = 1000 };
#define LARGE 0x1.8p52
#define LOG2_E 0x1.71547652b82fep+0
#define OF(operation) _mm512_##operation##_pd
#ifdef __AVX512F__
typedef __m512d wide;
#endif
#else
typedef int32_t whole __attribute__((vector_size(BYTES)));
enum { FRACTION = 23, BIAS = 127, MOST = 125 };
#define LARGE 0x1.8p23f
#define LOG2_E 0x1.715476p+0f
#define OF(operation) _mm512_##operation##_ps
#ifdef __AVX512F__
typedef __m512 wide;
#endif
#endif

/* (2^f - 1) / f for |f| <= 1/2, off by less than 4e-18 in float64, and 2e-8 in float32. */
INLINED vector polynomial(vector f) {
    const vector f2 = f * f, f4 = f2 * f2;
#if BITS == 64
    const vector c01 = f * 0x1.ebfbdff82c5a4p-3 + 0x1.62e42fefa39efp-1;
    const vector c23 = f * 0x1.3b2ab6fba010ap-7 + 0x1.c6b08d7049fe8p-5;
    const vector c45 = f * 0x1.4309130edc3b6p-13 + 0x1.5d87fe78cd74fp-10;
    const vector c67 = f * 0x1.62bfc7940c57ep-20 + 0x1.ffcbfba9661edp-17;
    const vector c89 = f * 0x1.e61b608d8bcadp-28 + 0x1.b5267d0087eb7p-24;
    return (c01 + f2 * c23) + f4 * ((c45 + f2 * c67) + f4 * (c89 + f2 * 0x1.e79ba7853ab44p-32));
#else
    const vector c01 = f * 0x1.ebfbe0p-3f + 0x1.62e430p-1f;
    const vector c23 = f * 0x1.3b2a54p-7f + 0x1.c6af6cp-5f;
    const vector c45 = f * 0x1.44138ap-13f + 0x1.5f0890p-10f;
    return (c01 + f2 * c23) + f4 * c45;
#endif
}

#ifdef __AVX512F__
/* 1 + 2^z. The instruction that multiplies by a power of 2 also knows where it is 0 or infinite. */
INLINED vector one_and_power(vector z) {
    const vector k = (vector)OF(roundscale)((wide)z, _MM_FROUND_TO_NEAREST_INT), f = z - k;
    return 1 + (vector)OF(scalef)((wide)(1 + f * polynomial(f)), (wide)k);
}
#else
INLINED vector choose(whole where, vector a, vector b) {
    return (vector)((where & (whole)a) | (~where & (whole)b));
}

/* 1 + 2^z. Beyond 2^MOST, a sigmoid is as good as 0, and below 2^-MOST it is 1. */
INLINED vector one_and_power(vector z) {
    const vector zero = {};
    z = choose(z < -MOST, zero - MOST, choose(z > MOST, zero + MOST, z));
    /* A number this large has no room for a fraction: to add it rounds to a whole number. */
    const vector shifted = z + LARGE, f = z - (shifted - LARGE);
    const vector scale =
        (vector)(((whole)shifted << FRACTION) + (((whole)zero + BIAS) << FRACTION));
    return (1 + scale) + scale * f * polynomial(f);
}
#endif

/* [forward] */
INLINED vector sigmoid(vector x) { return 1 / one_and_power(x * -LOG2_E); }
/* [/forward] */

/* [forward] */
/* Forward for one sample in LANES networks; the names are the reference's. */
typedef struct {
    vector l1[HIDDEN], l2, l2_error;
} pass;

INLINED pass forward(const real *x, real y, const vector *syn0, const vector *syn1) {
    pass p;
    vector sum = {};
    for (int j = 0; j < HIDDEN; j++) {
        p.l1[j] = sigmoid(x[0] * syn0[j] + x[1] * syn0[HIDDEN + j] + x[2] * syn0[2 * HIDDEN + j]);
        sum += p.l1[j] * syn1[j];
    }
    p.l2 = sigmoid(sum);
    /* [output-delta] */
    p.l2_error = y - p.l2;
    /* [/output-delta] */
    return p;
}
/* [/forward] */

/* First all of forward, and then unit by unit backward and the update: so the few vectors that are
 * needed next are in registers. syn1[j] is changed when all of unit j's errors are made. */
INLINED void update(const ensemble *e, vector *syn) {
    vector l1[SAMPLES][HIDDEN], l2_delta[SAMPLES], *syn1 = syn + INPUTS * HIDDEN;
    /* [output-delta] */
    for (int i = 0; i < SAMPLES; i++) {
        const pass p = forward(e->X + i * INPUTS, e->y[i], syn, syn1);
        memcpy(l1[i], p.l1, sizeof p.l1);
        l2_delta[i] = p.l2_error * (p.l2 * (1 - p.l2));
    }
    /* [/output-delta] */
    /* [hidden-delta] */
    /* [update] */
    for (int j = 0; j < HIDDEN; j++) {
        vector descent[INPUTS + 1] = {};
        for (int i = 0; i < SAMPLES; i++) {
            const vector l1_delta = l2_delta[i] * syn1[j] * (l1[i][j] * (1 - l1[i][j]));
            for (int m = 0; m < INPUTS; m++) descent[m] += e->X[i * INPUTS + m] * l1_delta;
            descent[INPUTS] += l1[i][j] * l2_delta[i];
        }
        for (int m = 0; m < INPUTS; m++) syn[m * HIDDEN + j] += e->alpha * descent[m];
        syn1[j] += e->alpha * descent[INPUTS];
    }
    /* [/update] */
    /* [/hidden-delta] */
}

/* What an update from these weights computes in lane 0, in the order of the contract. */
static void write_trace(const ensemble *e, const vector *syn, trace *t) {
    const int last = SAMPLES * HIDDEN;
    const vector *syn1 = syn + INPUTS * HIDDEN;
    for (int i = 0; i < SAMPLES; i++) {
        const pass p = forward(e->X + i * INPUTS, e->y[i], syn, syn1);
        const vector l2_delta = p.l2_error * (p.l2 * (1 - p.l2));
        for (int j = 0; j < HIDDEN; j++) {
            const vector l1_error = l2_delta * syn1[j];
            t->l[i * HIDDEN + j] = p.l1[j][0];
            t->error[i * HIDDEN + j] = l1_error[0];
            t->delta[i * HIDDEN + j] = (l1_error * (p.l1[j] * (1 - p.l1[j])))[0];
        }
        t->l[last + i] = p.l2[0];
        t->error[last + i] = p.l2_error[0];
        t->delta[last + i] = l2_delta[0];
    }
}

/* Networks first ... first + LANES - 1, as far as they exist; lanes beyond the last one
 * compute it again, and are not written. */
static void block(const ensemble *e, int64_t first) {
    const int64_t rest = e->networks - first, lanes = rest < LANES ? rest : LANES;
    vector syn[SYN];
    for (int lane = 0; lane < LANES; lane++) {
        const real *from = e->state + (first + (lane < lanes ? lane : lanes - 1)) * SYN;
        for (int w = 0; w < SYN; w++) syn[w][lane] = from[w];
    }
    if (e->first) write_trace(e, syn, e->first);
    /* [checkpoint] */
    for (int64_t c = 0, done = 0; c < e->checkpoint_count; done = e->checkpoints[c++]) {
        for (int64_t n = done; n < e->checkpoints[c]; n++) update(e, syn);
        real total[LANES] = {0};
        for (int i = 0; i < SAMPLES; i++) {
            const pass p = forward(e->X + i * INPUTS, e->y[i], syn, syn + INPUTS * HIDDEN);
            for (int lane = 0; lane < LANES; lane++) total[lane] += (real)fabs(p.l2_error[lane]);
        }
        for (int lane = 0; lane < lanes; lane++) {
            const int64_t to = (first + lane) * e->checkpoint_count + c;
            for (int w = 0; w < SYN; w++) e->state_out[to * SYN + w] = syn[w][lane];
            if (e->error_out) e->error_out[to] = total[lane] / SAMPLES;
        }
    }
    /* [/checkpoint] */
}

static int some_blocks(const void *context, int64_t part) {
    const ensemble *e = context;
    const int64_t first = part * TOGETHER * LANES, end = first + TOGETHER * LANES;
    for (int64_t n = first; n < end && n < e->networks; n += LANES) block(e, n);
    return 0;
}

void TRAIN(const ensemble *e) {
    const int64_t parts = (e->networks + TOGETHER * LANES - 1) / (TOGETHER * LANES);
    on_all_cores(some_blocks, e, parts);
}
