/* From the descents of all parameters to a step: trimming, decay, momentum, Adam. */
#ifndef OPTIMISE_H
#define OPTIMISE_H
#include "network.h"
#include <cmath>

namespace backprop {

/* Scales all descents, so that the root of the sum of their squares is at most trim_norm. */
template <typename T> void shrink(Network<T> &net) {
    const T most = static_cast<T>(net.settings.trim_norm), norm = net.descents.matrix().norm();
    if (norm > most) net.descents *= most / norm;
}

/* Without the bias units' rows, which are not in syn[k]. */
template <typename T> void decay(Network<T> &net) {
    const T l1 = static_cast<T>(net.settings.l1), l2 = static_cast<T>(net.settings.l2);
    for (Index k = 0; k < net.last; k++) {
        const auto w = net.syn[k].array();
        net.syn_descent[k].array() -= l2 * w + l1 * w.sign();
    }
}

/* [update] */
template <typename T> void move(Network<T> &net) {
    const T alpha = static_cast<T>(net.settings.alpha);
    net.parameters += alpha * net.descents;
}
/* [/update] */

template <typename T> void move_by_momentum(Network<T> &net) {
    const T alpha = static_cast<T>(net.settings.alpha);
    const T momentum = static_cast<T>(net.settings.momentum);
    const auto &d = net.descents;
    auto &v = net.memory;
    v = momentum * v + d;
    /* Nesterov's is what the velocity will be if the next descent is the same. */
    if (net.settings.nesterov)
        net.parameters += alpha * (d + momentum * v);
    else
        net.parameters += alpha * v;
}

/* m and v are averages of descents and of their squares, which began at 0. */
template <typename T> void move_by_adam(Network<T> &net, Index iteration) {
    const Settings &s = net.settings;
    const T alpha = static_cast<T>(s.alpha), epsilon = static_cast<T>(s.adam_epsilon);
    const T beta1 = static_cast<T>(s.beta1), beta2 = static_cast<T>(s.beta2);
    const T t = static_cast<T>(iteration + 1);
    const T first = 1 - std::pow(beta1, t), second = 1 - std::pow(beta2, t);
    const auto &d = net.descents;
    auto m = net.memory.head(d.size()), v = net.memory.tail(d.size());
    m = beta1 * m + (1 - beta1) * d;
    v = beta2 * v + (1 - beta2) * d.square();
    net.parameters += alpha * (m / first) / ((v / second).sqrt() + epsilon);
}

/* From the descents of all parameters to the new state. */
template <typename T> void improve(Network<T> &net, Index iteration) {
    const Settings &s = net.settings;
    if (s.trim_norm > 0) shrink(net);
    if (s.l1 != 0 || s.l2 != 0) decay(net);
    if (s.adam)
        move_by_adam(net, iteration);
    else if (s.momentum != 0)
        move_by_momentum(net);
    else
        move(net);
}

} // namespace backprop
#endif
