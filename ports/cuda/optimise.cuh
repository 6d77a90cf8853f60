/* From the deltas of a batch to the new parameters, by all threads of a block.
 *
 * The elements of each parameter matrix are dealt out as kernel.cuh says; the same thread has an
 * element's descent, memory and update, whatever matrix it is of.
 */
#pragma once
#include "network.cuh"

/* descent[k] = [l[k], 1]^T delta[k+1]. Element e = (m, n) belongs to the weight from unit m of
 * layer k to unit n of layer k + 1: a sum over the batch, column m of l[k] times column n of
 * delta[k+1]. No barrier between layers: no l or delta changes. The descents of gamma and beta
 * are there already, from backward. */
template <class T> __device__ void descend(const Network<T> &net, const Batch &batch) {
    /* [update] */
    for (int k = 0; k < net.layout.last; k++) {
        const int inputs = net.layout.layers[k], outputs = net.layout.layers[k + 1];
        const T *l = net.l + net.layout.l_at[k], *delta = net.delta + net.layout.l_at[k + 1];
        for (int e = threadIdx.x; e < (inputs + net.rules.bias) * outputs; e += blockDim.x) {
            const int m = e / outputs, n = e % outputs;
            T total = 0;
            if (m == inputs) { /* the bias unit, which is 1 */
                for (int i = 0; i < batch.rows; i++) total += delta[i * outputs + n];
            } else if (k == 0) {
                for (int i = 0; i < batch.rows; i++)
                    total += net.X[batch.place(i) * inputs + m] * delta[i * outputs + n];
            } else {
                for (int i = 0; i < batch.rows; i++)
                    total += l[i * inputs + m] * delta[i * outputs + n];
            }
            net.descent[net.layout.at[k] + e] = total;
        }
    }
    /* [/update] */
}

/* Trimming by norm: what all descents are to be multiplied by. Every thread adds up all squares
 * for itself, in index order. So all have the same factor without handing it round, which would
 * take another barrier. */
template <class T> __device__ T norm_factor(const Network<T> &net) {
    if (!(net.rules.trim_norm > 0)) return 1;
    /* Read after write: the norm is made of the descents of every owner. */
    __syncthreads();
    T total = 0;
    for (int e = 0; e < net.layout.parameters(); e++) total += net.descent[e] * net.descent[e];
    const T norm = sqrt(total);
    return norm > net.rules.trim_norm ? net.rules.trim_norm / norm : 1;
}

/* Momentum or Adam: the step of element e, over alpha, from its descent d. `memory` is one or two
 * numbers for each parameter: the velocities, or Adam's m and then v. `first` and `second` make up
 * for averages that began at 0. */
template <class T> __device__ T step_along(const Network<T> &net, int e, T d, T first, T second) {
    const Rules<T> &rules = net.rules;
    if (rules.adam) {
        T &m = net.memory[e], &v = net.memory[net.layout.parameters() + e];
        m = rules.beta1 * m + (1 - rules.beta1) * d;
        v = rules.beta2 * v + (1 - rules.beta2) * (d * d);
        return (m / first) / (sqrt(v / second) + rules.adam_epsilon);
    }
    if (rules.momentum != 0) {
        T &v = net.memory[e];
        v = rules.momentum * v + d;
        return rules.nesterov ? d + rules.momentum * v : v;
    }
    return d;
}

/* The update: all parameters += alpha descent, after decay and momentum or Adam. Each matrix is
 * dealt out as for its descent (gamma and beta of a layer, as its units), so that a thread finds
 * here the descents that it wrote. No barrier between matrices: parameter, descent and memory are
 * of one owner. */
template <class T> __device__ void improve(const Network<T> &net, T factor, int64_t iteration) {
    T first = 1, second = 1;
    if (net.rules.adam) { /* every thread makes the corrections for itself */
        first -= pow(net.rules.beta1, static_cast<T>(iteration + 1));
        second -= pow(net.rules.beta2, static_cast<T>(iteration + 1));
    }
    /* [update] */
    for (int p = 0; p < net.layout.matrices; p++) {
        const int start = net.layout.at[p];
        /* Decay is of weights, and not of those from bias units, the last row. */
        const int decayed =
            p < net.layout.last ? net.layout.layers[p] * net.layout.layers[p + 1] : 0;
        for (int e = threadIdx.x; e < net.layout.at[p + 1] - start; e += blockDim.x) {
            const T w = net.parameters[start + e];
            T d = factor * net.descent[start + e];
            if (e < decayed)
                d -= net.rules.l2 * w + net.rules.l1 * static_cast<T>((w > 0) - (w < 0));
            d = step_along(net, start + e, d, first, second);
            net.parameters[start + e] = w + net.rules.alpha * d;
        }
    }
    /* [/update] */
}
