/* What a rung for the 3-4-1 network is: one function. contract.c calls it behind the contract, and
 * build.sh compiles it for several processors.
 */
#ifndef RUNG_H
#define RUNG_H
#include "article.h"
#include <string.h>

/* X is SAMPLES x INPUTS, y SAMPLES x 1. */
typedef struct {
    const double *X, *y;
    double alpha;
} problem;

/* All that an update computes, in the order of the contract: a row for each sample. */
typedef struct {
    double l[SAMPLES * (HIDDEN + 1)], error[SAMPLES * (HIDDEN + 1)], delta[SAMPLES * (HIDDEN + 1)];
} trace;

/* Its first part is of layer 1, the second of layer 2. */
static inline void record(trace *t, const double *l1, const double *l2, const double *l1_error,
                          const double *l2_error, const double *l1_delta, const double *l2_delta) {
    const double *from[][2] = {{l1, l2}, {l1_error, l2_error}, {l1_delta, l2_delta}};
    double *to[] = {t->l, t->error, t->delta};
    for (int part = 0; part < 3; part++) {
        memcpy(to[part], from[part][0], SAMPLES * HIDDEN * sizeof(double));
        memcpy(to[part] + SAMPLES * HIDDEN, from[part][1], SAMPLES * sizeof(double));
    }
}

/* Do `count` updates of syn (syn0, then syn1) in place; `last` gets all of the last one, unless it
 * is NULL. UPDATES is the function's name, one for each processor. */
typedef void updates_function(const problem *p, double *syn, int64_t count, trace *last);
#ifdef UPDATES
updates_function UPDATES;
#endif

#endif
