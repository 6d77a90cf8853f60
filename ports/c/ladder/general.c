/* Backpropagation for networks of any size, in C11, behind the contract of
 * conformance/contract/backprop.h.
 *
 * All of the work is in three matrix products per layer. Small ones are loops that the
 * compiler turns into vector instructions (kernels.h), large ones go to BLAS, if there is
 * one (gemm.h chooses). Layers of sigmoid units and the squared error, with bias units and
 * mini-batches.
 *
 * Compiled twice: with -DBITS=64 for float64 and with -DBITS=32 for float32.
 *
 * The rows of each matrix are padded to whole vectors, so that no loop has a remainder.
 * What is computed in the padding is finite, and no number that counts depends on it.
 */
#include "backprop_valid.h"
#include "gemm.h"

#include <stdio.h>

#if BITS == 64
#define EXPORT(name) name##_f64
const char *general_reason; /* why the last call, in either dtype, did not succeed */
#else
#define EXPORT(name) name##_f32
extern const char *general_reason;
#endif

/* A network and its batch. Arrays of pointers have one entry per layer: l[k], error[k]
 * and delta[k] are samples x layers[k] (error and delta from k = 1 on), syn[k] is
 * (layers[k] + bias) x layers[k+1]. */
typedef struct {
    const backprop_settings *settings;
    method how;
    int64_t last;
    const int64_t *units; /* units[k] in layer k, without bias units */
    int64_t bias;         /* 1: column units[k] of l[k] is 1, except in the last layer */
    int64_t samples;      /* rows of the batch */
    int64_t *row; /* numbers from a row of l[k], error[k], delta[k] and syn[k-1] to the next */
    real **l, **error, **delta, **syn;
    real *X, *all_y, *y; /* all samples; y of the batch */
    real *room;          /* for multiply() */
    real **owned;        /* what close_network frees */
    int64_t owned_count;
} network;

/* Rows of zeros, which close_network frees; NULL if there is no memory. */
static real *take(network *net, int64_t rows, int64_t row) {
    const size_t size = (size_t)(rows * row) * sizeof(real);
    real *taken = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);
    if (taken) memset(taken, 0, size);
    return net->owned[net->owned_count++] = taken;
}

/* Copies a matrix, with as many numbers from one row to the next in each place. */
static void copy(int64_t rows, int64_t columns, real *to, int64_t to_row, const real *from,
                 int64_t from_row) {
    for (int64_t i = 0; i < rows; i++) /* the analyser does not see that take_all found memory */
        memcpy(to + i * to_row, from + i * from_row, /* NOLINT(clang-analyzer-core.NonNull*) */
               (size_t)columns * sizeof(real));
}

/* Column units[k] of the first rows of l[k] becomes 1: the bias unit, if there is one. */
static void set_bias(const network *net, int64_t k, int64_t rows) {
    for (int64_t i = 0; net->bias && i < rows; i++) net->l[k][i * net->row[k] + net->units[k]] = 1;
}

static void close_network(network *net) {
    for (int64_t i = 0; i < net->owned_count; i++) free(net->owned[i]);
    free(net->owned);
    free(net->l);
    free(net->row);
}

/* Takes the memory of a network with room for all samples; 0 if there is not enough. */
static int take_all(network *net, int keep_errors) {
    const size_t layers = (size_t)net->last + 1;
    const int64_t samples = net->settings->samples;
    net->row = calloc(layers, sizeof *net->row);
    net->l = calloc(4 * layers, sizeof *net->l);
    net->owned = calloc(4 * layers + 2, sizeof *net->owned);
    if (!net->row || !net->l || !net->owned) return 0;
    net->error = net->l + layers, net->delta = net->error + layers, net->syn = net->delta + layers;
    for (int64_t k = 0; k <= net->last; k++) {
        net->row[k] = padded(net->units[k] + (k < net->last ? net->bias : 0));
        net->l[k] = take(net, samples, net->row[k]);
        if (k == 0) continue;
        net->delta[k] = take(net, samples, net->row[k]);
        net->error[k] = keep_errors ? take(net, samples, net->row[k]) : net->delta[k];
        net->syn[k - 1] = take(net, net->units[k - 1] + net->bias, net->row[k]);
    }
    net->all_y = take(net, samples, net->row[net->last]);
    net->room = take(net, 1, ROOM);
    for (int64_t i = 0; i < net->owned_count; i++)
        if (!net->owned[i]) return 0;
    return 1;
}

/* Makes a network of these settings and samples; y may be NULL. Training has no use for error[k]
 * once there is delta[k], and has both in one place, unless keep_errors is 1. Returns a status;
 * close_network may follow in any case. */
static int open_network(network *net, const backprop_settings *s, const real *X, const real *y,
                        int keep_errors) {
    *net = (network){0};
    general_reason = NULL;
    if (!backprop_valid(s, 1)) return BACKPROP_FAILED;
    const int64_t last = s->layer_count - 1, samples = s->samples;
    *net = (network){.settings = s, .last = last, .units = s->layers, .bias = s->bias};
    if (s->activation != BACKPROP_SIGMOID || s->output != BACKPROP_SIGMOID ||
        s->loss != BACKPROP_SQUARED || s->trim_value > 0 || s->trim_norm > 0 || s->l1 != 0 ||
        s->l2 != 0 || s->momentum != 0 || s->shuffle || s->dropout > 0 || s->batch_norm ||
        s->adam || s->networks > 1) {
        general_reason =
            "only sigmoid layers, the squared error, bias units and plain batches, one network";
        return BACKPROP_UNSUPPORTED;
    }
    general_reason = find_method(&net->how);
    if (general_reason) return BACKPROP_FAILED;
    if (!take_all(net, keep_errors)) return BACKPROP_NO_MEMORY;
    net->X = net->l[0];
    copy(samples, s->layers[0], net->X, net->row[0], X, s->layers[0]);
    set_bias(net, 0, samples);
    if (y) copy(samples, s->layers[last], net->all_y, net->row[last], y, s->layers[last]);
    return BACKPROP_OK;
}

/* Copies all syn between the dense state of the contract and the network. */
static void load(const network *net, const real *state) {
    for (int64_t k = 0; k < net->last; k++) {
        const int64_t rows = net->units[k] + net->bias, columns = net->units[k + 1];
        copy(rows, columns, net->syn[k], net->row[k + 1], state, columns);
        state += rows * columns;
    }
}

static void save(const network *net, real *state) {
    for (int64_t k = 0; k < net->last; k++) {
        const int64_t rows = net->units[k] + net->bias, columns = net->units[k + 1];
        copy(rows, columns, state, columns, net->syn[k], net->row[k + 1]);
        state += rows * columns;
    }
}

/* Makes `count` samples the batch. */
static void use_rows(network *net, int64_t first, int64_t count) {
    net->samples = count;
    net->l[0] = net->X + first * net->row[0];
    net->y = net->all_y + first * net->row[net->last];
}

/* Makes batch `iteration` modulo the number of batches the batch; the last may be smaller. */
static void use_batch(network *net, int64_t iteration) {
    const int64_t samples = net->settings->samples, given = net->settings->batch_size;
    const int64_t most = given > 0 ? least(given, samples) : samples;
    const int64_t batches = (samples - 1) / most + 1, first = iteration % batches * most;
    use_rows(net, first, least(samples - first, most));
}

static matrix of(real *at, int64_t row) { return (matrix){at, row, 0}; }
static matrix transposed(real *at, int64_t row) { return (matrix){at, row, 1}; }

/* [forward] */
/* l[k+1] = sigmoid([l[k], 1] syn[k]), the 1 only with bias units */
static void forward(const network *net) {
    for (int64_t k = 0; k < net->last; k++) {
        const int64_t row = net->row[k], next = net->row[k + 1];
        multiply(&net->how, net->samples, net->units[k + 1], net->units[k] + net->bias,
                 of(net->l[k], row), of(net->syn[k], next), of(net->l[k + 1], next), 1, 0,
                 net->room);
        net->how.level->activate(net->samples * next, net->l[k + 1]);
        if (k + 1 < net->last) set_bias(net, k + 1, net->samples);
    }
}
/* [/forward] */

/* error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, and delta[k] = error[k] l[k] (1 - l[k]) */
static void backward(const network *net) {
    /* [hidden-delta] */
    for (int64_t k = net->last; k > 0; k--) {
        const int64_t row = net->row[k], count = net->samples * row;
        if (k == net->last) {
            /* [output-delta] */
            net->how.level->subtract(count, net->y, net->l[k], net->error[k]);
            /* [/output-delta] */
        } else { /* without the last row of syn[k]: no error goes to a bias unit */
            const int64_t next = net->row[k + 1];
            multiply(&net->how, net->samples, net->units[k], net->units[k + 1],
                     of(net->delta[k + 1], next), transposed(net->syn[k], next),
                     of(net->error[k], row), 1, 0, net->room);
        }
        /* [output-delta] */
        net->how.level->slope(count, net->error[k], net->l[k], net->delta[k]);
        /* [/output-delta] */
    }
    /* [/hidden-delta] */
}

/* One update, from the batch. No weight changes before backward has used all the old ones. */
static void iterate(const network *net) {
    forward(net);
    backward(net);
    /* [update] */
    for (int64_t k = 0; k < net->last; k++) { /* syn[k] += alpha [l[k], 1]^T delta[k+1] */
        const int64_t row = net->row[k], next = net->row[k + 1];
        multiply(&net->how, net->units[k] + net->bias, net->units[k + 1], net->samples,
                 transposed(net->l[k], row), of(net->delta[k + 1], next), of(net->syn[k], next),
                 (real)net->settings->alpha, 1, net->room);
    }
    /* [/update] */
}

/* [checkpoint] */
/* The mean of |y - l[K]| over all samples. */
static real mean_error(network *net) {
    const int64_t samples = net->settings->samples, outputs = net->units[net->last];
    use_rows(net, 0, samples);
    forward(net);
    real sum = 0;
    for (int64_t i = 0; i < samples; i++) {
        const real *y = net->y + i * net->row[net->last];
        const real *l = net->l[net->last] + i * net->row[net->last];
        for (int64_t n = 0; n < outputs; n++) sum += y[n] > l[n] ? y[n] - l[n] : l[n] - y[n];
    }
    return sum / (real)(samples * outputs);
}
/* [/checkpoint] */

int EXPORT(backprop_train)(const backprop_settings *settings, const real *X, const real *y,
                           const real *state, int64_t checkpoint_count, const int64_t *checkpoints,
                           real *state_out, real *error_out) {
    if (!backprop_valid_run(settings, checkpoint_count, checkpoints)) return BACKPROP_FAILED;
    network net;
    const int status = open_network(&net, settings, X, y, 0);
    if (status == BACKPROP_OK) {
        int64_t numbers = 0, iteration = 0;
        for (int64_t k = 0; k < net.last; k++)
            numbers += (net.units[k] + net.bias) * net.units[k + 1];
        load(&net, state);
        /* [checkpoint] */
        for (int64_t c = 0; c < checkpoint_count; c++) {
            for (; iteration < checkpoints[c]; iteration++) {
                use_batch(&net, iteration);
                iterate(&net);
            }
            error_out[c] = mean_error(&net);
            save(&net, state_out + c * numbers);
        }
        /* [/checkpoint] */
    }
    close_network(&net);
    return status;
}

int EXPORT(backprop_step)(const backprop_settings *settings, const real *X, const real *y,
                          const real *state, real *l, real *error, real *delta, real *state_out) {
    network net;
    const int status = open_network(&net, settings, X, y, 1);
    if (status == BACKPROP_OK) {
        load(&net, state);
        use_batch(&net, settings->iteration);
        iterate(&net);
        for (int64_t k = 1; k <= net.last; k++) {
            const int64_t units = net.units[k], row = net.row[k], count = net.samples * units;
            copy(net.samples, units, l, units, net.l[k], row), l += count;
            copy(net.samples, units, error, units, net.error[k], row), error += count;
            copy(net.samples, units, delta, units, net.delta[k], row), delta += count;
        }
        save(&net, state_out);
    }
    close_network(&net);
    return status;
}

int EXPORT(backprop_predict)(const backprop_settings *settings, const real *X, const real *state,
                             real *output) {
    network net;
    const int status = open_network(&net, settings, X, NULL, 0);
    if (status == BACKPROP_OK) {
        const int64_t outputs = net.units[net.last];
        load(&net, state);
        use_rows(&net, 0, settings->samples);
        forward(&net);
        copy(settings->samples, outputs, output, outputs, net.l[net.last], net.row[net.last]);
    }
    close_network(&net);
    return status;
}

#if BITS == 64
const char *backprop_reason(void) { return general_reason; }

const char *backprop_device(void) {
    static char said[100];
    char products[60] = "BLAS";
    method how;
    if (find_method(&how)) return "cpu";
#ifdef OPENBLAS
    const int threads = BLAS(openblas_get_num_threads)();
    char version[20] = "";
    sscanf(BLAS(openblas_get_config)(), "OpenBLAS %19s", version);
    snprintf(products, sizeof products, "OpenBLAS %s, %d thread%s", version, threads,
             threads > 1 ? "s" : "");
#endif
    snprintf(said, sizeof said, "cpu, %s, %s", how.level->title,
             how.products == OWN ? "own loops" : products);
    return said;
}
#endif
