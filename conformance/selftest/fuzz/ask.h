/* How contract.c asks a port, for one dtype: `real`, and OF_DTYPE(name) for its functions. */

/* A rung may be without some: it has none of that address then. */
#define MAY_BE_MISSING(name) __typeof__(OF_DTYPE(name)) OF_DTYPE(name) __attribute__((weak))
MAY_BE_MISSING(backprop_train);
MAY_BE_MISSING(backprop_step);
MAY_BE_MISSING(backprop_predict);
MAY_BE_MISSING(backprop_initial);
#undef MAY_BE_MISSING

static real *OF_DTYPE(filled)(bytes *b, int64_t numbers) {
    real *to = array((size_t)numbers, sizeof *to);
    for (int64_t i = 0; i < numbers; i++) to[i] = (real)number(b);
    return to;
}

/* Asks once. The outputs hold the byte `before` at first; they are copied to `out`, one after the
 * other. */
static int OF_DTYPE(ask)(const request *r, const int64_t *checkpoints, const sizes *n, bytes b,
                         int before, real *out) {
    real *X = OF_DTYPE(filled)(&b, n->X), *y = OF_DTYPE(filled)(&b, n->y);
    real *state = OF_DTYPE(filled)(&b, n->state), *to[4];
    for (int i = 0; i < 4; i++) {
        to[i] = array((size_t)n->outputs[i], sizeof(real));
        memset(to[i], before, (size_t)n->outputs[i] * sizeof(real));
    }
    int status = BACKPROP_UNSUPPORTED;
    if (r->function == TRAIN && OF_DTYPE(backprop_train))
        status = OF_DTYPE(backprop_train)(&r->s, X, y, state, r->checkpoint_count, checkpoints,
                                          to[0], to[1]);
    else if (r->function == STEP && OF_DTYPE(backprop_step))
        status = OF_DTYPE(backprop_step)(&r->s, X, y, state, to[0], to[1], to[2], to[3]);
    else if (r->function == PREDICT && OF_DTYPE(backprop_predict))
        status = OF_DTYPE(backprop_predict)(&r->s, X, state, to[0]);
    else if (r->function == INITIAL && OF_DTYPE(backprop_initial))
        status = OF_DTYPE(backprop_initial)(&r->s, r->numpy_seed, to[0]);
    for (int i = 0; i < 4; i++) {
        memcpy(out, to[i], (size_t)n->outputs[i] * sizeof(real));
        out += n->outputs[i];
        release(to[i], (size_t)n->outputs[i], sizeof(real));
    }
    release(X, (size_t)n->X, sizeof *X);
    release(y, (size_t)n->y, sizeof *y);
    release(state, (size_t)n->state, sizeof *state);
    return status;
}

static void OF_DTYPE(judge)(const request *r, const int64_t *checkpoints, const sizes *n, bytes b,
                            int valid) {
    static real first[MOST_OUTPUTS], second[MOST_OUTPUTS];
    size_t written = 0;
    for (int i = 0; i < 4; i++) written += (size_t)n->outputs[i];
    const int status = OF_DTYPE(ask)(r, checkpoints, n, b, 0x55, first);
    if (!valid && status == BACKPROP_OK) abort();
    if (!valid || status == BACKPROP_UNSUPPORTED) return;
    if (status != BACKPROP_OK) abort();
    if (OF_DTYPE(ask)(r, checkpoints, n, b, 0xAA, second) != BACKPROP_OK) abort();
    if (memcmp(first, second, written * sizeof *first) != 0) abort();
}
