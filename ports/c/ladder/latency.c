/* Rung "latency": the chain of operations that wait for one another, made short.
 *
 * An iteration of so small a network has little work and much waiting: most of a processor's units
 * idle while a number is on its way. What is on that way here, from one iteration to the next:
 *
 *     z1 -> l1 -> z2 -> l2 -> l2_delta -> z1
 *
 * Everything else is computed beside it. Lane i of a vector belongs to sample i, and there is a
 * vector for each hidden unit j, so that sums over hidden units add vectors lane by lane.
 *
 *  - Weighted inputs are scaled: z = -x / ln(2), so that exp(-x) is 2^z, whose whole part is exact.
 *  - z1 is not computed from syn0. An update adds alpha X^T l1_delta to syn0, and so it adds
 *    (X X^T) l1_delta times a constant to z1. All of this but the factor l2_delta is known before
 *    l2 is, and so what is left after it is one matrix (4 x 4 for each unit) times a vector.
 *  - syn0 itself is not needed until the end. Its deltas are summed up, and from time to time it
 *    gets their sum, and z1 is computed from it again, so that the two cannot drift apart.
 *  - With e = 2^z and d = 1 + e, everything else that l2_delta needs is computed from e and d
 *    while the division is still under way.
 *  - With AVX-512, 2^z needs half the polynomial, since a register holds a table of 2^(n/16).
 */
#include "rung.h"
#ifdef __AVX__
#include <immintrin.h>
#endif

#define INLINED static inline __attribute__((always_inline))

typedef double vector __attribute__((vector_size(32)));
typedef int64_t whole __attribute__((vector_size(32)));

/* 2^z = scale + scale f q. `limit` bounds the scale from 2^-limit to 2^limit, where a sigmoid is 1
 * or as good as 0. It is within 1.5 units in the last place: half a unit is the scale's. */
typedef struct {
    vector scale, scale_f, q;
} power;

enum { TOGETHER = 64 }; /* the updates after which syn0 gets its sum; more gain nothing */
static const double LOG2_E = 0x1.71547652b82fep+0, LN_2 = 0x1.62e42fefa39efp-1;

INLINED vector load(const double *from) {
    vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINED vector within(vector v, double low, double high) {
#ifdef __AVX__
    const __m256d raised = _mm256_max_pd((__m256d)v, _mm256_set1_pd(low));
    return (vector)_mm256_min_pd(raised, _mm256_set1_pd(high));
#else
    for (int i = 0; i < SAMPLES; i++) v[i] = v[i] < low ? low : v[i] > high ? high : v[i];
    return v;
#endif
}

#ifdef __AVX512VL__
/* Number n is 2^(n/16), with n << 48 taken from its bits; see below. */
static const int64_t POWERS[16] = {
    0x3ff0000000000000, 0x3fefb5586cf9890f, 0x3fef72b83c7d517b, 0x3fef387a6e756238,
    0x3fef06fe0a31b715, 0x3feedea64c123422, 0x3feebfdad5362a27, 0x3feeab07dd485429,
    0x3feea09e667f3bcd, 0x3feea11473eb0187, 0x3feeace5422aa0db, 0x3feec49182a3f090,
    0x3feee89f995ad3ad, 0x3fef199bdd85529c, 0x3fef5818dcfba487, 0x3fefa4afa2a490da,
};

/* Numbers at the four lanes' last four bits. */
INLINED vector look_up(whole index) {
    const __m512i at = _mm512_castsi256_si512((__m256i)index);
    const __m512d low = _mm512_loadu_pd(POWERS), high = _mm512_loadu_pd(POWERS + 8);
    return (vector)_mm512_castpd512_pd256(_mm512_permutex2var_pd(low, at, high));
}

INLINED power power_of_two(vector z, double limit) {
    /* A number this large only has room for sixteenths: adding it rounds to one of them. */
    const double large = 0x1.8p48;
    const vector shifted = z + large, f = z - (shifted - large);
    /* Its last bits count sixteenths: four that look a number up, and before them an exponent. To
     * shift them to where a double has its exponent moves these four along, into the fraction;
     * that is why the table has them taken away. */
    const whole bits = (whole)within(shifted, large - limit, large + limit);
    const vector scale = (vector)((whole)look_up(bits) + (bits << 48));
    /* (2^f - 1) / f for |f| <= 1/32, never off by more than 7e-18 */
    const vector f2 = f * f;
    const vector c01 = f * 0x1.ebfbdff82c553p-3 + 0x1.62e42fefa39fdp-1;
    const vector c23 = f * 0x1.3b2ab6fe276e0p-7 + 0x1.c6b08d6e8b72dp-5;
    const vector c45 = f * 0x1.430818a097ef7p-13 + 0x1.5d89bde3e6b0cp-10;
    return (power){scale, scale * f, c01 + f2 * (c23 + f2 * c45)};
}

#else
INLINED power power_of_two(vector z, double limit) {
    /* A number this large has no room for a fraction: to add it rounds to a whole number. */
    const double large = 0x1.8p52;
    const vector shifted = z + large, f = z - (shifted - large);
    const vector scale =
        (vector)(((whole)within(shifted, large - limit, large + limit) << 52) + (1023LL << 52));
    /* (2^f - 1) / f for |f| <= 1/2, never off by more than 3.4e-18 */
    const vector f2 = f * f, f4 = f2 * f2, f8 = f4 * f4;
    const vector c01 = f * 0x1.ebfbdff82c5a4p-3 + 0x1.62e42fefa39efp-1;
    const vector c23 = f * 0x1.3b2ab6fba010ap-7 + 0x1.c6b08d7049fe8p-5;
    const vector c45 = f * 0x1.4309130edc3b6p-13 + 0x1.5d87fe78cd74fp-10;
    const vector c67 = f * 0x1.62bfc7940c57ep-20 + 0x1.ffcbfba9661edp-17;
    const vector c89 = f * 0x1.e61b608d8bcadp-28 + 0x1.b5267d0087eb7p-24;
    const vector q =
        (c01 + f2 * c23) + f4 * (c45 + f2 * c67) + f8 * (c89 + f2 * 0x1.e79ba7853ab44p-32);
    return (power){scale, scale * f, q};
}
#endif

/* Lane i of the result is lane i ^ 1, i ^ 2 or i ^ 3. */
INLINED vector swap1(vector v) { return __builtin_shufflevector(v, v, 1, 0, 3, 2); }
INLINED vector swap2(vector v) { return __builtin_shufflevector(v, v, 2, 3, 0, 1); }
INLINED vector swap3(vector v) { return __builtin_shufflevector(v, v, 3, 2, 1, 0); }

/* Lane j of the result is the sum of all lanes of row j. */
INLINED vector row_sums(const vector *v) {
    const vector ab = __builtin_shufflevector(v[0], v[1], 0, 4, 2, 6) +
                      __builtin_shufflevector(v[0], v[1], 1, 5, 3, 7);
    const vector cd = __builtin_shufflevector(v[2], v[3], 0, 4, 2, 6) +
                      __builtin_shufflevector(v[2], v[3], 1, 5, 3, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) +
           __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

/* Lane j of v in all lanes. */
INLINED void broadcast(vector *out, vector v) {
    out[0] = __builtin_shufflevector(v, v, 0, 0, 0, 0);
    out[1] = __builtin_shufflevector(v, v, 1, 1, 1, 1);
    out[2] = __builtin_shufflevector(v, v, 2, 2, 2, 2);
    out[3] = __builtin_shufflevector(v, v, 3, 3, 3, 3);
}

/* All of an update again in the order of the contract, where a row belongs to a sample. */
static void write_trace(trace *t, const problem *p, const vector *l1, vector l2, vector l2_delta,
                        const vector *scaled_syn1, const vector *u) {
    for (int i = 0; i < SAMPLES; i++) {
        for (int j = 0; j < HIDDEN; j++) {
            t->l[i * HIDDEN + j] = l1[j][i];
            t->error[i * HIDDEN + j] = l2_delta[i] * (-LN_2 * scaled_syn1[j][i]);
            t->delta[i * HIDDEN + j] = l2_delta[i] * (-LN_2 * u[j][i]);
        }
        t->l[SAMPLES * HIDDEN + i] = l2[i];
        t->error[SAMPLES * HIDDEN + i] = p->y[i] - l2[i];
        t->delta[SAMPLES * HIDDEN + i] = l2_delta[i];
    }
}

void UPDATES(const problem *p, double *syn, int64_t count, trace *last) {
    const double alpha = p->alpha;
    const vector y = load(p->y);
    vector X[INPUTS]; /* column m of X */
    for (int m = 0; m < INPUTS; m++)
        X[m] = (vector){p->X[m], p->X[INPUTS + m], p->X[2 * INPUTS + m], p->X[3 * INPUTS + m]};
    /* [update] */
    /* alpha X X^T as its diagonals: lane i of G[n] is from row i and column i ^ n. */
    vector G[SAMPLES] = {};
    for (int m = 0; m < INPUTS; m++) {
        G[0] += alpha * X[m] * X[m], G[1] += alpha * X[m] * swap1(X[m]);
        G[2] += alpha * X[m] * swap2(X[m]), G[3] += alpha * X[m] * swap3(X[m]);
    }
    /* [/update] */
    vector syn1 = load(syn + INPUTS * HIDDEN), scaled_syn1[HIDDEN] = {};
    vector z1[HIDDEN], l1[HIDDEN] = {}, l2 = y, l2_delta = y;
    vector u[HIDDEN] = {},
           M[HIDDEN][SAMPLES]; /* what z1[j] gets, and X X^T times that, without l2_delta */
    while (count > 0) {
        const int64_t now = count < TOGETHER ? count : TOGETHER;
        vector sum[HIDDEN] = {}; /* of l1_delta / -ln(2) since syn0 was up to date */
        /* [forward] */
        for (int j = 0; j < HIDDEN; j++)
            z1[j] = -LOG2_E * (X[0] * syn[j] + X[1] * syn[HIDDEN + j] + X[2] * syn[2 * HIDDEN + j]);
        /* [/forward] */
        for (int64_t iteration = 0; iteration < now; iteration++) {
            /* [forward] */
            broadcast(scaled_syn1, -LOG2_E * syn1);
            for (int j = 0; j < HIDDEN; j++) {
                const power e = power_of_two(z1[j], 1000);
                l1[j] = 1 / ((1 + e.scale) + e.scale_f * e.q);
            }
            const vector z2 = (scaled_syn1[0] * l1[0] + scaled_syn1[1] * l1[1]) +
                              (scaled_syn1[2] * l1[2] + scaled_syn1[3] * l1[3]);
            const power e = power_of_two(z2, 500); /* so that its square is also finite */
            const vector d2 = (1 + e.scale) + e.scale_f * e.q, e2 = e.scale + e.scale_f * e.q;
            /* [/forward] */
            /* [hidden-delta] */
            for (int j = 0; j < HIDDEN; j++) {
                u[j] = scaled_syn1[j] * (l1[j] - l1[j] * l1[j]);
                M[j][0] = G[0] * u[j], M[j][1] = G[1] * swap1(u[j]);
                M[j][2] = G[2] * swap2(u[j]), M[j][3] = G[3] * swap3(u[j]);
            }
            /* [/hidden-delta] */
            /* [output-delta] */
            /* (y - l2) l2 (1 - l2), with y - l2 = (y d2 - 1) l2 and 1 - l2 = e2 l2 */
            const vector rest = (y * d2 - 1) * e2;
            /* [forward] */
            l2 = 1 / d2;
            /* [/forward] */
            l2_delta = (l2 * l2) * (l2 * rest);
            /* [/output-delta] */
            /* [update] */
            const vector delta1 = swap1(l2_delta), delta2 = swap2(l2_delta), delta3 = swap1(delta2);
            vector product[HIDDEN];
            for (int j = 0; j < HIDDEN; j++) {
                z1[j] = ((z1[j] + M[j][0] * l2_delta) + M[j][1] * delta1) +
                        (M[j][2] * delta2 + M[j][3] * delta3);
                /* [hidden-delta] */
                sum[j] += u[j] * l2_delta;
                /* [/hidden-delta] */
                product[j] = l1[j] * l2_delta;
            }
            syn1 += alpha * row_sums(product);
            /* [/update] */
        }
        /* [update] */
        for (int m = 0; m < INPUTS; m++) {
            vector products[HIDDEN];
            for (int j = 0; j < HIDDEN; j++) products[j] = X[m] * sum[j];
            const vector row = load(syn + m * HIDDEN) - (alpha * LN_2) * row_sums(products);
            memcpy(syn + m * HIDDEN, &row, sizeof row);
        }
        /* [/update] */
        count -= now;
    }
    memcpy(syn + INPUTS * HIDDEN, &syn1, sizeof syn1);
    if (last) write_trace(last, p, l1, l2, l2_delta, scaled_syn1, u);
}
