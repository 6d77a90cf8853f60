/* On the host: what the contract says of a network, as the kernels get it. */
#pragma once
#include "device.cuh"
#include "network.cuh"
#include <algorithm>

/* `rows` is how many samples of l and delta have room. */
inline Layout lay_out(const backprop_settings &s, int64_t batch, int64_t rows) {
    if (s.layer_count > MAX_LAYERS) throw Refusal{BACKPROP_UNSUPPORTED, "more than 64 layers"};
    if (s.networks > 1) throw Refusal{BACKPROP_UNSUPPORTED, "more than one network"};
    Layout layout = {};
    const int last = layout.last = static_cast<int>(s.layer_count) - 1;
    int64_t at = 0, l_at = 0;
    auto matrix = [&](int64_t size) {
        layout.at[layout.matrices++] = small(at);
        at += size;
    };
    for (int k = 0; k <= last; k++) {
        layout.layers[k] = small(s.layers[k]);
        small(s.samples * s.layers[k]);
        if (k < last) matrix((s.layers[k] + s.bias) * s.layers[k + 1]);
        layout.l_at[k] = small(l_at);
        if (k > 0) l_at += rows * s.layers[k];
    }
    layout.l_at[last + 1] = small(l_at);
    small(3 * l_at);        /* what a single step keeps */
    for (int of : {0, 1}) { /* gamma, and then beta */
        for (int k = 1; k < last && s.batch_norm; k++) {
            matrix(s.layers[k]);
            if (of == 0) layout.hidden += layout.layers[k];
        }
    }
    layout.at[layout.matrices] = small(at);
    const int memories = s.adam ? 2 : s.momentum != 0 ? 1 : 0;
    layout.state_size = small(at * (1 + memories) + 2 * layout.hidden);
    layout.samples = small(s.samples);
    layout.batch = small(batch);
    layout.batches = small((s.samples + batch - 1) / batch);
    return layout;
}

template <class T> Rules<T> rules(const backprop_settings &s) {
    Rules<T> r = {};
    r.bias = static_cast<int>(s.bias);
    r.activation = static_cast<int>(s.activation);
    r.output = static_cast<int>(s.output);
    r.cross_entropy = s.loss == BACKPROP_CROSS_ENTROPY;
    r.shuffle = s.shuffle != 0;
    r.nesterov = s.nesterov != 0;
    r.adam = s.adam != 0;
    r.batch_norm = s.batch_norm != 0;
    r.philox_seed = static_cast<uint64_t>(s.philox_seed);
    /* Exact: a product with a power of two. No word is below 0, and all are below 2^32. */
    const double dropout = s.dropout > 0 ? std::min(s.dropout, 1.0) : 0;
    r.dropped_below = static_cast<int64_t>(std::ceil(std::ldexp(dropout, 32)));
    r.kept_scale = 1 / (1 - static_cast<T>(s.dropout));
    r.norm_epsilon = static_cast<T>(s.norm_epsilon);
    r.norm_rate = static_cast<T>(s.norm_rate);
    r.alpha = static_cast<T>(s.alpha);
    r.trim_value = static_cast<T>(s.trim_value);
    r.trim_norm = static_cast<T>(s.trim_norm);
    r.l1 = static_cast<T>(s.l1);
    r.l2 = static_cast<T>(s.l2);
    r.momentum = static_cast<T>(s.momentum);
    r.beta1 = static_cast<T>(s.beta1);
    r.beta2 = static_cast<T>(s.beta2);
    r.adam_epsilon = static_cast<T>(s.adam_epsilon);
    return r;
}
