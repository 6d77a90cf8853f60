/* Forward and backward through the layers of a batch, by all threads of a block.
 *
 * i is a sample of the batch, m a unit of layer k, n a unit of layer k + 1. Elements are dealt out
 * as kernel.cuh says. Batch normalisation deals out a layer's units instead: the owner of unit m
 * adds up column m in the order of its rows. Softmax deals out rows.
 *
 * A condition around a barrier is made of k and of settings, the same in all threads.
 */
#pragma once
#include "random.cuh"

/* Training, or inference: no dropout, and batch normalisation by the running averages. */
enum class Pass { TRAINING, INFERENCE };

template <class T> __device__ T activate(T x, int activation) {
    switch (activation) {
        /* [forward] */
        case BACKPROP_SIGMOID: return 1 / (1 + exp(-x));
        /* [/forward] */
        case BACKPROP_TANH: return tanh(x);
        case BACKPROP_RELU: return x > 0 ? x : 0;
        default: return x; /* softmax needs the whole row first */
    }
}

/* The activation's derivative, from its output. Softmax has none of its own. */
template <class T> __device__ T slope(T output, int activation) {
    switch (activation) {
        /* [output-delta] */
        /* [hidden-delta] */
        case BACKPROP_SIGMOID: return output * (1 - output);
        /* [/hidden-delta] */
        /* [/output-delta] */
        case BACKPROP_TANH: return 1 - output * output;
        default: return output > 0 ? 1 : 0;
    }
}

/* Delta trimming by value. */
template <class T> __device__ T trimmed(T delta, T limit) {
    if (limit > 0 && delta > limit) return limit;
    if (limit > 0 && delta < -limit) return -limit;
    return delta;
}

/* What element e of layer k hands on, from x, which its activation gets. With dropout, a dropped
 * unit's output is 0 and a kept one's is scaled; backward needs the slope of the output before
 * that, times the same factor. delta[k] is not in use until then, and keeps it. */
template <Pass PASS, class T>
__device__ T unit_output(const Network<T> &net, T x, int e, int k, int64_t iteration) {
    const bool hidden = k < net.layout.last;
    /* [forward] */
    T output = activate(x, hidden ? net.rules.activation : net.rules.output);
    /* [/forward] */
    if (PASS == Pass::TRAINING && hidden && net.rules.dropped_below != 0) {
        const uint32_t word = philox_word(e, iteration, k, FOR_DROPOUT, net.rules.philox_seed);
        const T factor = word >= net.rules.dropped_below ? net.rules.kept_scale : 0;
        net.delta[net.layout.l_at[k] + e] = factor * slope(output, net.rules.activation);
        output *= factor;
    }
    return output;
}

/* Batch normalisation of unit m of hidden layer k in inference, with the running averages. */
template <class T> __device__ T fixed_norm(const Network<T> &net, T x, int m, int k) {
    const int h = net.layout.gamma(k) + m - net.layout.gamma(1); /* among all hidden units */
    const T variance = net.averages[net.layout.hidden + h];
    const T z = (x - net.averages[h]) / sqrt(variance + net.rules.norm_epsilon);
    return net.parameters[net.layout.gamma(k) + m] * z + net.parameters[net.layout.beta(k) + m];
}

/* Batch normalisation of hidden layer k in training: from its weighted inputs, which l[k] holds,
 * to its outputs. Only the owner of a unit touches its column, gamma, beta and averages here. */
template <class T>
__device__ void normalise(const Network<T> &net, const Batch &batch, int k, int64_t iteration) {
    const int units = net.layout.layers[k];
    const T rows = static_cast<T>(batch.rows);
    T *l = net.l + net.layout.l_at[k], *normal = net.normal + net.layout.l_at[k];
    /* Read after write: a unit's owner needs its column, whose elements others own. */
    __syncthreads();
    for (int m = threadIdx.x; m < units; m += blockDim.x) {
        T mean = 0;
        for (int i = 0; i < batch.rows; i++) mean += l[i * units + m];
        mean /= rows;
        T variance = 0;
        for (int i = 0; i < batch.rows; i++) {
            const T centred = l[i * units + m] - mean;
            variance += centred * centred;
        }
        variance /= rows;
        const T deviation = sqrt(variance + net.rules.norm_epsilon);

        const T gamma = net.parameters[net.layout.gamma(k) + m];
        const T beta = net.parameters[net.layout.beta(k) + m];
        const int h = net.layout.gamma(k) + m - net.layout.gamma(1); /* among all hidden units */
        T &mean_now = net.averages[h], &variance_now = net.averages[net.layout.hidden + h];
        mean_now += net.rules.norm_rate * (mean - mean_now);
        variance_now += net.rules.norm_rate * (variance - variance_now);
        net.deviation[h] = deviation;
        for (int e = m; e < batch.rows * units; e += units) {
            const T z = (l[e] - mean) / deviation;
            normal[e] = z;
            l[e] = unit_output<Pass::TRAINING>(net, gamma * z + beta, e, k, iteration);
        }
    }
}

/* Back through normalise: from the error e of gamma z + beta, which delta[k] holds, to
 * delta[k]. The owner of a unit finds the z and the deviation here that it wrote itself. */
template <class T>
__device__ void normalise_back(const Network<T> &net, const Batch &batch, int k) {
    const int units = net.layout.layers[k];
    const T rows = static_cast<T>(batch.rows);
    T *delta = net.delta + net.layout.l_at[k];
    const T *normal = net.normal + net.layout.l_at[k];
    /* Read after write: a unit's owner needs its column, whose elements others own. */
    __syncthreads();
    for (int m = threadIdx.x; m < units; m += blockDim.x) {
        T of_gamma = 0, of_beta = 0;
        for (int e = m; e < batch.rows * units; e += units) {
            of_gamma += delta[e] * normal[e];
            of_beta += delta[e];
        }
        net.descent[net.layout.gamma(k) + m] = of_gamma;
        net.descent[net.layout.beta(k) + m] = of_beta;

        /* With g = e gamma: (g - avg(g) - z avg(g z)) / deviation. gamma and deviation are the
         * same in all rows, so that they may come last. */
        const int h = net.layout.gamma(k) + m - net.layout.gamma(1);
        const T scale = net.parameters[net.layout.gamma(k) + m] / net.deviation[h];
        of_gamma /= rows;
        of_beta /= rows;
        for (int e = m; e < batch.rows * units; e += units) {
            const T d = scale * (delta[e] - of_beta - normal[e] * of_gamma);
            delta[e] = trimmed(d, net.rules.trim_value);
        }
    }
}

/* Softmax: l[K] holds the weighted inputs. The owner of row i makes both sums and all outputs of
 * the row, in index order, and no other thread reads or writes that row meanwhile. */
template <class T> __device__ void softmax(const Network<T> &net, const Batch &batch) {
    const int outputs = net.layout.outputs();
    for (int i = threadIdx.x; i < batch.rows; i += blockDim.x) {
        T *row = net.l + net.layout.l_at[net.layout.last] + i * outputs;
        T largest = row[0], total = 0; /* without the largest, no exp can overflow */
        for (int n = 1; n < outputs; n++)
            if (row[n] > largest) largest = row[n];
        for (int n = 0; n < outputs; n++) total += row[n] = exp(row[n] - largest);
        for (int n = 0; n < outputs; n++) row[n] /= total;
    }
    /* Read after write: from here on the elements are dealt out again, to other threads than the
     * rows. */
    __syncthreads();
}

/* Compute l[1] ... l[K] of the batch. l[k+1] = s([l[k], 1] syn[k]): element e = (i, n) is the
 * output of unit n for sample i, row i of l[k] times column n of syn[k], and the bias unit's
 * weight to n. */
template <Pass PASS, class T>
__device__ void forward(const Network<T> &net, const Batch &batch, int64_t iteration) {
    /* [forward] */
    for (int k = 0; k < net.layout.last; k++) {
        const int inputs = net.layout.layers[k], outputs = net.layout.layers[k + 1];
        const T *syn = net.parameters + net.layout.at[k];
        T *l = net.l + net.layout.l_at[k + 1];
        const bool normalised = net.rules.batch_norm && k + 1 < net.layout.last;
        for (int e = threadIdx.x; e < batch.rows * outputs; e += blockDim.x) {
            const int i = e / outputs, n = e % outputs;
            T x = 0;
            if (k == 0) {
                const T *row = net.X + batch.place(i) * inputs;
                for (int m = 0; m < inputs; m++) x += row[m] * syn[m * outputs + n];
            } else {
                const T *row = net.l + net.layout.l_at[k] + i * inputs;
                for (int m = 0; m < inputs; m++) x += row[m] * syn[m * outputs + n];
            }
            if (net.rules.bias) x += syn[inputs * outputs + n];
            if (normalised && PASS == Pass::TRAINING) {
                l[e] = x;
            } else {
                if (normalised) x = fixed_norm(net, x, n, k + 1);
                l[e] = unit_output<PASS>(net, x, e, k + 1, iteration);
            }
        }
        if (normalised && PASS == Pass::TRAINING) normalise(net, batch, k + 1, iteration);
        /* Read after write: a row of l[k+1] has many owners, and the next layer, or softmax,
         * reads all of it; so does whoever takes the outputs of the last layer. With dropout and
         * batch normalisation, so do slopes in delta[k+1], which a unit's owner wrote. */
        __syncthreads();
    }
    /* [/forward] */
    if (net.rules.output == BACKPROP_SOFTMAX) softmax(net, batch);
}

/* Compute delta[K] ... delta[1] of the batch, and with batch normalisation the descents of gamma
 * and beta. error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, and delta[k] = error[k]
 * slope(l[k]), trimmed. Element e = (i, m) is unit m of layer k for sample i: row i of delta[k+1]
 * times row m of syn[k], which is column m of the transpose. No error goes to the bias unit, so
 * the last row of syn[k] is not read. */
template <class T> __device__ void backward(const Network<T> &net, const Batch &batch) {
    /* [hidden-delta] */
    for (int k = net.layout.last; k > 0; k--) {
        const int units = net.layout.layers[k], start = net.layout.l_at[k];
        const T *l = net.l + start;
        T *delta = net.delta + start;
        const bool normalised = net.rules.batch_norm && k < net.layout.last;
        for (int e = threadIdx.x; e < batch.rows * units; e += blockDim.x) {
            const int i = e / units, m = e % units;
            T error = 0, d;
            if (k == net.layout.last) {
                /* [output-delta] */
                error = net.y[batch.place(i) * units + m] - l[e];
                d = net.rules.cross_entropy ? error : error * slope(l[e], net.rules.output);
                /* [/output-delta] */
            } else {
                const int outputs = net.layout.layers[k + 1];
                const T *next = net.delta + net.layout.l_at[k + 1] + i * outputs;
                const T *syn = net.parameters + net.layout.at[k] + m * outputs;
                for (int n = 0; n < outputs; n++) error += next[n] * syn[n];
                /* With dropout, unit_output left the slope in delta[k], times its factor. */
                d = error *
                    (net.rules.dropped_below != 0 ? delta[e] : slope(l[e], net.rules.activation));
            }
            /* [output-delta] */
            if (net.error) net.error[start + e] = error;
            delta[e] = normalised ? d : trimmed(d, net.rules.trim_value);
            /* [/output-delta] */
        }
        if (normalised) normalise_back(net, batch, k);
        /* Read after write: the layer before this one, and the descent, read delta[k] of every
         * owner. After the last round, k = 1, it is write after read too: the update overwrites
         * the weights, and must not until every error has used them. */
        __syncthreads();
    }
    /* [/hidden-delta] */
}
