/* What a layer does besides the matrix product, each operation beside its derivative. */
#ifndef LAYERS_H
#define LAYERS_H
#include "network.h"
#include <cmath>

namespace backprop {

/* Turns weighted inputs into outputs, in place. */
template <typename T> void activate(std::int64_t activation, View<T> &x) {
    switch (activation) {
        case BACKPROP_TANH: x.array() = x.array().tanh(); break;
        case BACKPROP_RELU: x.array() = x.array().max(0); break;
        case BACKPROP_SOFTMAX: /* without the row's maximum, no exp can overflow */
            for (auto row : x.rowwise()) {
                row.array() = (row.array() - row.maxCoeff()).exp();
                row /= row.sum();
            }
            break;
        default: /* Eigen's own exp() and logistic(): see README.md */
            /* [forward] */
            x = x.unaryExpr([](T input) { return 1 / (1 + std::exp(-input)); });
            /* [/forward] */
    }
}

/* [output-delta] */
/* [hidden-delta] */
/* delta = error times the activation's derivative, from its output. */
template <typename T, typename Output>
void apply_slope(std::int64_t activation, const View<T> &error, const Output &output,
                 View<T> &delta) {
    const auto l = output.array();
    switch (activation) {
        case BACKPROP_TANH: delta.array() = error.array() * (1 - l.square()); break;
        case BACKPROP_RELU: delta.array() = (l > 0).select(error.array(), 0); break;
        default: delta.array() = error.array() * l * (1 - l);
    }
}
/* [/hidden-delta] */
/* [/output-delta] */

/* x, the weighted inputs of a layer, get mean beta and deviation gamma; the running
 * averages take in one more batch. z is kept for backward. */
template <typename T> void normalise(Norm<T> &norm, const Settings &s, View<T> &weighted) {
    const T epsilon = static_cast<T>(s.norm_epsilon), rate = static_cast<T>(s.norm_rate);
    auto x = weighted.array();
    auto z = norm.z.array().topRows(x.rows());
    norm.mu = x.colwise().mean();
    x.rowwise() -= norm.mu;
    norm.v = x.square().colwise().mean();
    norm.deviation = (norm.v + epsilon).sqrt();
    z = x.rowwise() / norm.deviation;
    x = (z.rowwise() * norm.gamma).rowwise() + norm.beta;
    norm.mean += rate * (norm.mu - norm.mean);
    norm.variance += rate * (norm.v - norm.variance);
}

/* The same with running averages instead of the batch's own. */
template <typename T>
void normalise_for_inference(Norm<T> &norm, const Settings &s, View<T> &weighted) {
    auto x = weighted.array();
    norm.deviation = (norm.variance + static_cast<T>(s.norm_epsilon)).sqrt();
    x.rowwise() -= norm.mean;
    x.rowwise() /= norm.deviation;
    x.rowwise() *= norm.gamma;
    x.rowwise() += norm.beta;
}

/* Back through normalise(): delta, the error of its output, becomes that of x. Mean and
 * deviation depend on every row, and so each row's error depends on all rows. */
template <typename T> void normalise_back(Norm<T> &norm, View<T> &delta) {
    auto e = delta.array();
    const auto z = norm.z.array().topRows(e.rows());
    norm.gamma_descent = (e * z).colwise().sum();
    norm.beta_descent = e.colwise().sum();
    auto &along = norm.mu, &average = norm.v; /* of this batch, and no longer needed */
    const T rows = static_cast<T>(e.rows());
    along = norm.gamma * norm.gamma_descent / rows;
    average = norm.gamma * norm.beta_descent / rows;
    e.rowwise() *= norm.gamma;
    e.rowwise() -= average;
    e -= z.rowwise() * along;
    e.rowwise() /= norm.deviation;
}

/* Leaves units of layer k out at random, and scales the others to make up for them. The
 * activation's output is kept, since the slope is taken from it. */
template <typename T> void drop_out(Network<T> &net, Index k, Index iteration) {
    const Settings &s = net.settings;
    const double least = s.dropout * 4294967296.0; /* 2^32 */
    const T scale = 1 / (1 - static_cast<T>(s.dropout));
    const Index rows = net.samples, units = s.layers[k];
    Stream stream{s.philox_seed, iteration, k, Purpose::dropout};
    auto active = net.active[k - 1].topRows(rows), factor = net.factor[k - 1].topRows(rows);
    active = net.l[k];
    factor = Matrix<T>::NullaryExpr(rows, units, [&](Index i, Index n) {
        return stream.word(i * units + n) >= least ? scale : T{0};
    });
    net.l[k] = active.cwiseProduct(factor);
}

} // namespace backprop
#endif
