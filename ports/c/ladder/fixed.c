/* Rung "fixed": the same loops, restructured for the compiler.
 *
 * The sizes are constants, so that every loop can be unrolled and the numbers kept in registers. A
 * loop takes all samples and hidden units at once (sample i and unit j are at i * HIDDEN + j), and
 * exp, a call, has a loop of its own. So the compiler makes vectors of all the others.
 */
#include <math.h>

#include "rung.h"

/* [forward] */
static inline double sigmoid(double x) { return 1 / (1 + exp(-x)); }
/* [/forward] */

void UPDATES(const problem *p, double *syn, int64_t count, trace *last) {
    enum { ALL = SAMPLES * HIDDEN };
    double syn0[INPUTS * HIDDEN], syn1[HIDDEN], X[SAMPLES * INPUTS], y[SAMPLES];
    double l1[ALL], l1_error[ALL], l1_delta[ALL], l2[SAMPLES], l2_error[SAMPLES], l2_delta[SAMPLES];
    const double alpha = p->alpha;
    memcpy(syn0, syn, sizeof syn0);
    memcpy(syn1, syn + INPUTS * HIDDEN, sizeof syn1);
    memcpy(X, p->X, sizeof X);
    memcpy(y, p->y, sizeof y);
    for (int64_t iteration = 0; iteration < count; iteration++) {
        /* [forward] */
        for (int i = 0; i < SAMPLES; i++)
            for (int j = 0; j < HIDDEN; j++)
                l1[i * HIDDEN + j] = X[i * INPUTS] * syn0[j] +
                                     X[i * INPUTS + 1] * syn0[HIDDEN + j] +
                                     X[i * INPUTS + 2] * syn0[2 * HIDDEN + j];
        for (int ij = 0; ij < ALL; ij++) l1[ij] = sigmoid(l1[ij]);
        for (int i = 0; i < SAMPLES; i++)
            l2[i] = l1[i * HIDDEN] * syn1[0] + l1[i * HIDDEN + 1] * syn1[1] +
                    l1[i * HIDDEN + 2] * syn1[2] + l1[i * HIDDEN + 3] * syn1[3];
        for (int i = 0; i < SAMPLES; i++) l2[i] = sigmoid(l2[i]);
        /* [/forward] */
        /* [output-delta] */
        for (int i = 0; i < SAMPLES; i++) {
            l2_error[i] = y[i] - l2[i];
            l2_delta[i] = l2_error[i] * (l2[i] * (1 - l2[i]));
        }
        /* [/output-delta] */
        /* [hidden-delta] */
        for (int i = 0; i < SAMPLES; i++)
            for (int j = 0; j < HIDDEN; j++) l1_error[i * HIDDEN + j] = l2_delta[i] * syn1[j];
        for (int ij = 0; ij < ALL; ij++) l1_delta[ij] = l1_error[ij] * (l1[ij] * (1 - l1[ij]));
        /* [/hidden-delta] */
        /* [update] */
        for (int m = 0; m < INPUTS; m++)
            for (int j = 0; j < HIDDEN; j++)
                syn0[m * HIDDEN + j] +=
                    alpha * (X[m] * l1_delta[j] + X[INPUTS + m] * l1_delta[HIDDEN + j] +
                             X[2 * INPUTS + m] * l1_delta[2 * HIDDEN + j] +
                             X[3 * INPUTS + m] * l1_delta[3 * HIDDEN + j]);
        for (int j = 0; j < HIDDEN; j++)
            syn1[j] +=
                alpha * (l1[j] * l2_delta[0] + l1[HIDDEN + j] * l2_delta[1] +
                         l1[2 * HIDDEN + j] * l2_delta[2] + l1[3 * HIDDEN + j] * l2_delta[3]);
        /* [/update] */
    }
    memcpy(syn, syn0, sizeof syn0);
    memcpy(syn + INPUTS * HIDDEN, syn1, sizeof syn1);
    if (last) record(last, l1, l2, l1_error, l2_error, l1_delta, l2_delta);
}
