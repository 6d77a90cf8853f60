/* A fuzzer of the contract: bytes become a request, valid or not, and a port answers it.
 *
 * Each buffer lies alone on the heap and has just the numbers of the contract, so that
 * AddressSanitizer sees any access outside; array.h has what is done where it does not look. Of a
 * request that backprop.h does not allow, there is no buffer at all. A valid one is asked twice,
 * with other bytes in the outputs before: the same must come out, since a port writes all of them,
 * and its answer depends on nothing else.
 */
#include "array.h"
#include "backprop_valid.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LAYERS = 5, MOST_UNITS = 6, MOST_SAMPLES = 9, MOST_CHECKPOINTS = 4 };
enum { MOST_NUMBERS = 2000, MOST_UPDATES = 30, MOST_NETWORKS = 4 };
enum { MOST_OUTPUTS = MOST_NUMBERS * MOST_NETWORKS * MOST_CHECKPOINTS + 16 };
enum { TRAIN, STEP, PREDICT, INITIAL, FUNCTIONS };

/* What goes wrong in sums and products, or is just beyond a bound. */
static const int64_t odd[16] = {
    0,         -1,        -2,           INT64_MIN,       INT64_MAX, INT64_MAX - 1,
    1LL << 62, 1LL << 41, 1LL << 40,    (1LL << 40) + 1, 1LL << 32, 1LL << 31,
    1LL << 20, 1LL << 16, -(1LL << 31), 65537,
};
static const double odd_reals[16] = {
    0,       -0.0,     NAN,     INFINITY, -INFINITY, DBL_MAX,      -DBL_MAX, DBL_MIN,
    FLT_MAX, -FLT_MAX, FLT_MIN, 1e-320,   1e300,     4294967296.0, 1,        -1,
};

/* The bytes that are left; 0 when none is. */
typedef struct {
    const uint8_t *at, *end;
} bytes;

static uint8_t next(bytes *b) { return b->at < b->end ? *b->at++ : 0; }

/* Most bytes give a count from `least` on, of `many`; the others an odd one. */
static int64_t count(bytes *b, int64_t least, int64_t many) {
    const uint8_t byte = next(b);
    return byte < 240 ? least + byte % many : odd[byte - 240];
}

static double number(bytes *b) {
    const uint8_t byte = next(b);
    return byte < 240 ? (byte - 120) / 32.0 : odd_reals[byte - 240];
}

typedef struct {
    backprop_settings s;
    int64_t layers[MOST_LAYERS];
    int64_t checkpoint_count, checkpoints[MOST_CHECKPOINTS], numpy_seed;
    int function, in_float;
} request;

static request decoded(bytes *b) {
    request r = {0};
    backprop_settings *s = &r.s;
    r.function = next(b) % FUNCTIONS;
    r.in_float = next(b) & 1;
    s->layer_count = count(b, 1, MOST_LAYERS);
    for (int k = 0; k < MOST_LAYERS; k++) r.layers[k] = count(b, 1, MOST_UNITS);
    s->samples = r.function == INITIAL ? count(b, 0, 2) : count(b, 1, MOST_SAMPLES);
    s->batch_size = count(b, 0, MOST_SAMPLES + 2);
    s->iteration = count(b, 0, 20);
    s->activation = count(b, 0, BACKPROP_ACTIVATIONS - 1); /* softmax is not valid here */
    s->output = count(b, 0, BACKPROP_ACTIVATIONS);
    s->loss = count(b, 0, 2);
    int64_t *flags[] = {&s->bias, &s->nesterov, &s->shuffle, &s->batch_norm, &s->adam};
    for (int i = 0; i < 5; i++) *flags[i] = count(b, 0, 2);
    s->philox_seed = count(b, 0, 100);
    s->networks = count(b, 0, 4);
    double *reals[] = {&s->alpha,     &s->trim_value, &s->trim_norm, &s->l1,
                       &s->l2,        &s->momentum,   &s->dropout,   &s->norm_epsilon,
                       &s->norm_rate, &s->beta1,      &s->beta2,     &s->adam_epsilon};
    for (int i = 0; i < 12; i++) *reals[i] = number(b);
    r.numpy_seed = count(b, 0, 100);
    r.checkpoint_count = count(b, 1, MOST_CHECKPOINTS);
    for (int c = 0; c < MOST_CHECKPOINTS; c++) {
        /* Most rise a little from the one before. */
        const int64_t before = c > 0 ? r.checkpoints[c - 1] : 0, more = count(b, c > 0, 8);
        const int small = before >= 0 && before < 100 && more > 0 && more < 8;
        r.checkpoints[c] = small ? before + more : more;
    }
    return r;
}

/* How many numbers each buffer has; 0 in all for a request that is not valid. */
typedef struct {
    int64_t X, y, state, outputs[4];
} sizes;

static sizes sizes_of(const request *r) {
    const backprop_settings *s = &r->s;
    const int64_t last = s->layer_count - 1;
    int64_t weights = 0, units = 0, batch = s->samples;
    for (int64_t k = 0; k < last; k++) {
        weights += (s->layers[k] + s->bias) * s->layers[k + 1];
        units += s->layers[k + 1];
    }
    const int64_t normal = s->batch_norm ? 2 * (units - s->layers[last]) : 0;
    const int64_t copies = s->adam ? 3 : s->momentum != 0 ? 2 : 1;
    const int64_t state = (weights + normal) * copies + normal;
    if (s->batch_size > 0 && s->samples > 0) {
        const int64_t batches = (s->samples - 1) / s->batch_size + 1;
        const int64_t rest = s->samples - s->iteration % batches * s->batch_size;
        batch = rest < s->batch_size ? rest : s->batch_size;
    }
    const int64_t networks = r->function == TRAIN && s->networks > 1 ? s->networks : 1;
    const int64_t runs = r->function == TRAIN ? networks * r->checkpoint_count : 1;
    sizes n = {.X = s->samples * s->layers[0],
               .y = s->samples * s->layers[last],
               .state = state * networks};
    switch (r->function) {
        case TRAIN: n.outputs[0] = state * runs, n.outputs[1] = runs; break;
        case STEP:
            for (int i = 0; i < 3; i++) n.outputs[i] = batch * units;
            n.outputs[3] = state;
            break;
        case PREDICT: n.outputs[0] = n.y; break;
        default: n.outputs[0] = state;
    }
    return n;
}

/* A list, as far as the bytes reach. */
static size_t listed(int64_t count, int64_t most) {
    return count < 0 ? 0 : (size_t)(count < most ? count : most);
}

#define real double
#define OF_DTYPE(name) name##_f64
#include "ask.h"
#undef real
#undef OF_DTYPE
#define real float
#define OF_DTYPE(name) name##_f32
#include "ask.h"

/* Some that are valid are left out: they need much memory or time, or a longer list. */
static int may_be_asked(const request *r, int valid) {
    const int train = r->function == TRAIN;
    if (r->s.layer_count > MOST_LAYERS && r->s.layer_count <= BACKPROP_MOST_LAYERS) return 0;
    if (train && r->checkpoint_count > MOST_CHECKPOINTS && r->checkpoint_count <= BACKPROP_MOST)
        return 0;
    if (!valid) return 1;
    if (backprop_numbers(&r->s) > MOST_NUMBERS) return 0;
    return !train || (r->s.networks <= MOST_NETWORKS &&
                      r->checkpoints[r->checkpoint_count - 1] <= MOST_UPDATES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bytes b = {data, data + size};
    request r = decoded(&b);
    int64_t *layers = array(listed(r.s.layer_count, MOST_LAYERS), sizeof *layers);
    int64_t *checkpoints = array(listed(r.checkpoint_count, MOST_CHECKPOINTS), sizeof *checkpoints);
    memcpy(layers, r.layers, listed(r.s.layer_count, MOST_LAYERS) * sizeof *layers);
    memcpy(checkpoints, r.checkpoints,
           listed(r.checkpoint_count, MOST_CHECKPOINTS) * sizeof *checkpoints);
    r.s.layers = layers;
    if (may_be_asked(&r, 0)) {
        const int valid = r.function == TRAIN
                              ? backprop_valid_run(&r.s, r.checkpoint_count, checkpoints)
                              : backprop_valid(&r.s, r.function != INITIAL);
        const sizes n = valid && may_be_asked(&r, 1) ? sizes_of(&r) : (sizes){0};
        if (may_be_asked(&r, valid)) {
            if (r.in_float)
                judge_f32(&r, checkpoints, &n, b, valid);
            else
                judge_f64(&r, checkpoints, &n, b, valid);
        }
    }
    release(layers, listed(r.s.layer_count, MOST_LAYERS), sizeof *layers);
    release(checkpoints, listed(r.checkpoint_count, MOST_CHECKPOINTS), sizeof *checkpoints);
    return 0;
}
