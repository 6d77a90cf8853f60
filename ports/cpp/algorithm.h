/* The algorithm: forward, backward, update, and what uses them. */
#ifndef ALGORITHM_H
#define ALGORITHM_H
#include "layers.h"
#include "network.h"
#include "optimise.h"
#include <atomic>
#include <future>
#include <vector>
#ifdef __linux__
#include <sched.h>
#endif

namespace backprop {

/* Instead of the number of an update. */
constexpr Index inference = -1;

/* [forward] */
/* l[k+1] = activation([l[k], 1] syn[k]) */
template <typename T> void forward(Network<T> &net, Index iteration) {
    const Settings &s = net.settings;
    auto &l = net.l, &syn = net.syn, &bias = net.bias;
    for (Index k = 0; k < net.last; k++) {
        const bool hidden = k + 1 < net.last;
        l[k + 1].noalias() = l[k] * syn[k];
        if (s.bias) l[k + 1].rowwise() += bias[k].row(0);
        if (hidden && s.batch_norm && iteration == inference)
            normalise_for_inference(net.norm[k], s, l[k + 1]);
        else if (hidden && s.batch_norm)
            normalise(net.norm[k], s, l[k + 1]);
        activate(hidden ? s.activation : s.output, l[k + 1]);
        if (hidden && s.dropout > 0 && iteration != inference) drop_out(net, k + 1, iteration);
    }
}
/* [/forward] */

/* error[K] = y - l[K], error[k] = delta[k+1] syn[k]^T, delta[k] = error[k] slope(l[k]), and then
 * back through everything else between weighted inputs and output. */
template <typename T> void backward(Network<T> &net) {
    const Settings &s = net.settings;
    auto &l = net.l, &syn = net.syn, &error = net.error, &delta = net.delta;
    /* [hidden-delta] */
    for (Index k = net.last; k > 0; k--) {
        const bool hidden = k < net.last;
        /* [output-delta] */
        if (hidden)
            error[k].noalias() = delta[k + 1] * syn[k].transpose();
        else
            error[k] = net.y - l[k];

        if (!hidden && s.loss == BACKPROP_CROSS_ENTROPY) {
            delta[k] = error[k]; /* the loss's slope and the activation's cancel each other */
        } else if (hidden && s.dropout > 0) {
            apply_slope(s.activation, error[k], net.active[k - 1].topRows(net.samples), delta[k]);
            delta[k].array() *= net.factor[k - 1].array().topRows(net.samples);
        } else {
            apply_slope(hidden ? s.activation : s.output, error[k], l[k], delta[k]);
        }
        /* [/output-delta] */
        if (hidden && s.batch_norm) normalise_back(net.norm[k - 1], delta[k]);
        if (s.trim_value > 0) {
            const T most = static_cast<T>(s.trim_value);
            delta[k] = delta[k].cwiseMin(most).cwiseMax(-most);
        }
    }
    /* [/hidden-delta] */
}

/* [update] */
/* syn[k] += alpha [l[k], 1]^T delta[k+1], or the step made from that descent. */
template <typename T> void update(Network<T> &net, Index iteration) {
    auto &l = net.l, &delta = net.delta;
    for (Index k = 0; k < net.last; k++) {
        net.syn_descent[k].noalias() = l[k].transpose() * delta[k + 1];
        if (net.settings.bias) net.bias_descent[k] = delta[k + 1].colwise().sum();
    }
    improve(net, iteration);
}
/* [/update] */

/* One update. No weight changes before backward has used all the old ones. */
template <typename T> void iterate(Network<T> &net, Index iteration) {
    net.use_batch(iteration);
    forward(net, iteration);
    backward(net);
    update(net, iteration);
}

/* l[K] of all samples. */
template <typename T> const View<T> &infer(Network<T> &net) {
    net.use_all();
    forward(net, inference);
    return net.l[net.last];
}

/* The state and the error at each checkpoint. */
template <typename T>
void train(const Settings &s, const T *X, const T *y, const T *state, Index checkpoint_count,
           const std::int64_t *checkpoints, T *state_out, T *error_out) {
    const Counts counts{s};
    Row<T> now = Eigen::Map<const Row<T>>{state, counts.state};
    Matrix<T> room(3, s.samples * counts.units); /* for l, error and delta */
    Network<T> net{s, X, y, now.data(), &room(0, 0), &room(1, 0), &room(2, 0)};
    /* [checkpoint] */
    Index iteration = 0;
    for (Index c = 0; c < checkpoint_count; c++) {
        for (; iteration < checkpoints[c]; iteration++) iterate(net, iteration);
        error_out[c] = (net.y - infer(net)).cwiseAbs().mean();
        RowView<T>{state_out + c * counts.state, counts.state} = now;
    }
    /* [/checkpoint] */
}

/* The cores that this process may use. */
inline Index core_count() {
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
    return 1;
}

/* Each network of an ensemble, as if it were alone. They share nothing that changes: a thread takes
 * the next one until none is left. If one fails, `get` throws what it threw, and no thread is left
 * then: at its end, a future waits for its own. */
template <typename T>
void train_all(const Settings &s, const T *X, const T *y, const T *state, Index checkpoint_count,
               const std::int64_t *checkpoints, T *state_out, T *error_out) {
    const Index networks = std::max<Index>(s.networks, 1), numbers = Counts{s}.state;
    std::atomic<Index> next = 0;
    const auto take = [&] {
        for (Index i; (i = next++) < networks;)
            train(s, X, y, state + i * numbers, checkpoint_count, checkpoints,
                  state_out + i * numbers * checkpoint_count, error_out + i * checkpoint_count);
    };
    const Index threads = networks > 1 ? std::min(networks, core_count()) : 1;
    std::vector<std::future<void>> others;
    for (Index thread = 1; thread < threads; thread++)
        others.push_back(std::async(std::launch::async, take));
    take();
    for (auto &other : others) other.get();
}

/* One update, with every intermediate straight into the caller's buffers. */
template <typename T>
void step(const Settings &s, const T *X, const T *y, const T *state, T *l, T *error, T *delta,
          T *state_out) {
    const Counts counts{s};
    RowView<T>{state_out, counts.state} = Eigen::Map<const Row<T>>{state, counts.state};
    Network<T> net{s, X, y, state_out, l, error, delta};
    iterate(net, s.iteration);
}

template <typename T> void predict(const Settings &s, const T *X, const T *state, T *output) {
    const Counts counts{s};
    Row<T> now = Eigen::Map<const Row<T>>{state, counts.state}, l(s.samples * counts.units);
    /* Nothing goes back: there is no y, and no errors and deltas are needed. */
    Network<T> net{s, X, X, now.data(), l.data(), l.data(), l.data()};
    View<T>{output, s.samples, s.layers[net.last]} = infer(net);
}

/* The state that a run starts from, with weights drawn from a seed; those from bias units are 0.
 * std::mt19937 begins and goes on as the generator of SPEC.md does. */
template <typename T> void initial(const Settings &s, std::int64_t numpy_seed, T *state_out) {
    const Counts counts{s};
    RowView<T> state{state_out, counts.state};
    std::mt19937 generator{static_cast<std::uint32_t>(numpy_seed)};
    state.setZero();
    for (Index k = 0, at = 0; k + 1 < s.layer_count; k++) {
        const Index weights = s.layers[k] * s.layers[k + 1];
        for (T &weight : state.segment(at, weights))
            weight = static_cast<T>(2 * number(generator) - 1);
        at += weights + s.bias * s.layers[k + 1];
    }
    state.segment(counts.weights, counts.normal).setOnes(); /* gamma */
    state.tail(counts.normal).setOnes();                    /* the running variances */
}

} // namespace backprop
#endif
