/* Rung "simd": the same lines on vectors of four numbers, with the compiler's vector extensions.
 *
 * A row of syn0, and a sample's row of l1, is one vector: lane j belongs to hidden unit j. Forward
 * and both updates then add vectors lane by lane. Only l2 is a sum over lanes: four rows are
 * transposed, so that lane i belongs to sample i, and added.
 */
#include "rung.h"

#define INLINED static inline __attribute__((always_inline))

typedef double vector __attribute__((vector_size(32)));
typedef int64_t whole __attribute__((vector_size(32)));

INLINED vector all(double x) { return (vector){x, x, x, x}; }
INLINED vector load(const double *from) {
    vector v;
    memcpy(&v, from, sizeof v);
    return v;
}
INLINED vector choose(whole where, vector a, vector b) {
    return (vector)((where & (whole)a) | (~where & (whole)b));
}

/* exp(x) = 2^k exp(r), with k whole and |r| <= ln(2) / 2. */
INLINED vector exponential(vector x) {
    /* Beyond, it is 0 and infinite all the same. */
    x = choose(x < -746, all(-746), choose(x > 710, all(710), x));
    /* A number this large has no room for a fraction: to add it rounds to a whole number. */
    const double large = 0x1.8p52;
    const vector shifted = x * 0x1.71547652b82fep+0 + large, k = shifted - large;
    /* ln(2) in two parts; the first is so short that its product with k is exact. What r lacks of
     * x - k ln(2), which is `rest`, is added to the smallest terms, where it is not lost. */
    const vector near = x - k * 0x1.62e42fefa38p-1, rest = k * 0x1.ef35793c7673p-45;
    const vector r = near - rest, r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    /* (exp(r) - 1 - r) / r^2, by a polynomial with which exp(r) is never off by more than 3.4e-18.
     * Pairs first, and then pairs of pairs, so that few products wait for one another. */
    const vector c01 = r * 0x1.55555555554b3p-3 + 0x1.000000000000bp-1;
    const vector c23 = r * 0x1.111111112fa35p-7 + 0x1.5555555550136p-5;
    const vector c45 = r * 0x1.a01a01115d333p-13 + 0x1.6c16c1856ff41p-10;
    const vector c67 = r * 0x1.71df495468616p-19 + 0x1.a01997210ad5cp-16;
    const vector c89 = r * 0x1.ad5937d2af560p-26 + 0x1.28afcf642f1e3p-22;
    const vector q = (c01 + r2 * c23) + r4 * (c45 + r2 * c67) + r8 * c89;
    const vector p = near + (r2 * q - rest); /* exp(r) - 1 */
    /* 2^k in two halves, since it may be too large or small for a double where exp(x) is not. The
     * bits of `large` are taken away, so that k is left; a double's exponent begins at bit 52. */
    const whole n = (whole)shifted - 0x4338000000000000;
    const whole half = (whole)(((n + 2048) & 0xffe) << 51) - (1024LL << 52) + (1023LL << 52);
    const whole other = (n << 52) - half + (2046LL << 52);
    return ((vector)half + (vector)half * p) * (vector)other;
}

/* [forward] */
INLINED vector sigmoid(vector x) { return 1 / (1 + exponential(-x)); }
/* [/forward] */

/* Lane i of the result is the sum of all lanes of row i. */
INLINED vector row_sums(vector a, vector b, vector c, vector d) {
    const vector ab =
        __builtin_shufflevector(a, b, 0, 4, 2, 6) + __builtin_shufflevector(a, b, 1, 5, 3, 7);
    const vector cd =
        __builtin_shufflevector(c, d, 0, 4, 2, 6) + __builtin_shufflevector(c, d, 1, 5, 3, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) +
           __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
}

void UPDATES(const problem *p, double *syn, int64_t count, trace *last) {
    const double alpha = p->alpha, *X = p->X;
    const vector y = load(p->y);
    vector syn0[INPUTS], syn1 = load(syn + INPUTS * HIDDEN);
    vector l1[SAMPLES], l2, l1_error[SAMPLES], l2_error, l1_delta[SAMPLES], l2_delta;
    for (int m = 0; m < INPUTS; m++) syn0[m] = load(syn + m * HIDDEN);
    for (int64_t iteration = 0; iteration < count; iteration++) {
        /* [forward] */
        for (int i = 0; i < SAMPLES; i++) {
            const double *row = X + i * INPUTS;
            l1[i] = sigmoid(row[0] * syn0[0] + row[1] * syn0[1] + row[2] * syn0[2]);
        }
        l2 = sigmoid(row_sums(l1[0] * syn1, l1[1] * syn1, l1[2] * syn1, l1[3] * syn1));
        /* [/forward] */
        /* [output-delta] */
        l2_error = y - l2;
        l2_delta = l2_error * (l2 * (1 - l2));
        /* [/output-delta] */
        /* [hidden-delta] */
        for (int i = 0; i < SAMPLES; i++) {
            l1_error[i] = l2_delta[i] * syn1;
            l1_delta[i] = l1_error[i] * (l1[i] * (1 - l1[i]));
        }
        /* [/hidden-delta] */
        /* [update] */
        for (int m = 0; m < INPUTS; m++)
            syn0[m] += alpha * (X[m] * l1_delta[0] + X[INPUTS + m] * l1_delta[1] +
                                X[2 * INPUTS + m] * l1_delta[2] + X[3 * INPUTS + m] * l1_delta[3]);
        syn1 += alpha * (l1[0] * l2_delta[0] + l1[1] * l2_delta[1] + l1[2] * l2_delta[2] +
                         l1[3] * l2_delta[3]);
        /* [/update] */
    }
    memcpy(syn, syn0, sizeof syn0);
    memcpy(syn + INPUTS * HIDDEN, &syn1, sizeof syn1);
    if (last)
        record(last, (double *)l1, (double *)&l2, (double *)l1_error, (double *)&l2_error,
               (double *)l1_delta, (double *)&l2_delta);
}
