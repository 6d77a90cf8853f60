/* What ensemble_contract.c hands to ensemble.c, which is compiled for each dtype and processor. */
#ifndef ENSEMBLE_H
#define ENSEMBLE_H
#include "article.h"
#include <stddef.h>

#if BITS == 64
typedef double real;
#else
typedef float real;
#endif

/* All that an update of one network computes, in the order of the contract. */
typedef struct {
    real *l, *error, *delta;
} trace;

/* `networks` networks, laid out as backprop.h has them. error_out may be NULL; `first`, unless it
 * is NULL, gets the first update of the one network that there is then. */
typedef struct {
    const real *X, *y, *state;
    real alpha;
    int64_t networks, checkpoint_count;
    const int64_t *checkpoints;
    real *state_out, *error_out;
    trace *first;
} ensemble;

typedef void train_function(const ensemble *e);
#ifdef TRAIN
train_function TRAIN;
#endif

#endif
