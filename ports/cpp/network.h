/* The network that algorithm.h works on: the caller's buffers as matrices, and its batch. */
#ifndef NETWORK_H
#define NETWORK_H
#include "random.h"
#include <Eigen/Core>
#include <memory>

extern "C" {
#include "backprop.h"
}

namespace backprop {

using Index = Eigen::Index;
using Settings = backprop_settings;

/* Matrices are the operands of products. They are views of a buffer that someone else owns. */
template <typename T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T> using View = Eigen::Map<Matrix<T>>;

/* A row of numbers, one for each unit or parameter, with elementwise arithmetic. */
template <typename T> using Row = Eigen::Array<T, 1, Eigen::Dynamic>;
template <typename T> using RowView = Eigen::Map<Row<T>>;

/* Numbers of each kind. */
struct Counts {
    explicit Counts(const Settings &s) {
        for (Index k = 0; k + 1 < s.layer_count; k++)
            weights += (s.layers[k] + s.bias) * s.layers[k + 1];
        for (Index k = 1; k < s.layer_count; k++) units += s.layers[k];
        if (s.batch_norm) normal = units - s.layers[s.layer_count - 1];
        parameters = weights + 2 * normal;
        memory = s.adam ? 2 * parameters : s.momentum != 0 ? parameters : 0;
        state = parameters + memory + 2 * normal;
    }
    Index weights = 0;
    Index units = 0;  /* of all layers but the first */
    Index normal = 0; /* those of them that are normalised */
    Index parameters, memory, state;
};

/* Batch normalisation of one layer; layers.h has what it does. */
template <typename T> struct Norm {
    RowView<T> gamma, beta, gamma_descent, beta_descent, mean, variance;
    Row<T> deviation, mu, v;
    Matrix<T> z; /* the weighted inputs, normalised */

    /* The gamma, descent of gamma and mean of the layer's first unit are at these places, and what
     * else there is of it in each case `all` numbers later. */
    Norm(Index samples, Index n, Index all, T *parameter, T *descent, T *average)
        : gamma{parameter, n}, beta{parameter + all, n}, gamma_descent{descent, n},
          beta_descent{descent + all, n}, mean{average, n}, variance{average + all, n},
          deviation(n), mu(n), v(n), z(samples, n) {}
};

/* Vectors have one entry per layer. l[k], error[k] and delta[k] are samples x layers[k], error
 * and delta from k = 1 on. syn[k] is layers[k] x layers[k+1], without the bias unit's row,
 * which is bias[k]: 1 x layers[k+1], or without bias units 0 x layers[k+1]. */
template <typename T> struct Network {
    const Settings &settings;
    const Counts counts;
    const Index last;  /* K: the output layer, and the number of weight matrices */
    Index samples = 0; /* in the batch */

    std::vector<View<T>> l, error, delta;
    View<T> y{nullptr, 0, 0};
    std::vector<View<T>> syn, bias, syn_descent, bias_descent;
    std::vector<Norm<T>> norm; /* of layers 1 ... K-1, at k - 1; else empty */

    /* With dropout, for layers 1 ... K-1: the activation's output, of which l[k] is the kept
     * part, and 0 or the factor of a unit that was kept. Both have room for all
     * samples. */
    std::vector<Matrix<T>> active, factor;

    Row<T> descents; /* of all parameters */
    RowView<T> parameters, memory;

    /* Changes this state, and computes into these buffers, which have room for each batch. */
    Network(const Settings &s, const T *X, const T *y, T *state, T *l, T *error, T *delta)
        : settings{s}, counts{s}, last{s.layer_count - 1},
          descents{Row<T>::Zero(counts.parameters)}, parameters{state, counts.parameters},
          memory{state + counts.parameters, counts.memory}, all_X{X}, all_y{y},
          buffers{l, error, delta} {
        T *at = state, *descent = descents.data();
        for (Index k = 0; k < last; k++) {
            const Index inputs = s.layers[k], outputs = s.layers[k + 1];
            const Index weights = inputs * outputs;
            syn.emplace_back(at, inputs, outputs);
            bias.emplace_back(at + weights, s.bias, outputs);
            syn_descent.emplace_back(descent, inputs, outputs);
            bias_descent.emplace_back(descent + weights, s.bias, outputs);
            at += weights + s.bias * outputs;
            descent += weights + s.bias * outputs;
        }
        T *average = at + 2 * counts.normal + counts.memory;
        for (Index k = 1; k < last; k++) {
            const Index n = s.layers[k];
            if (s.dropout > 0) active.emplace_back(s.samples, n);
            if (s.dropout > 0) factor.emplace_back(s.samples, n);
            if (!s.batch_norm) continue;
            norm.emplace_back(s.samples, n, counts.normal, at, descent, average);
            at += n, descent += n, average += n;
        }
        if (s.shuffle) {
            order.resize(s.samples);
            batch_X.resize(s.samples, s.layers[0]);
            batch_y.resize(s.samples, s.layers[last]);
        }
    }

    /* Makes all samples the batch. */
    void use_all() { use(all_X, all_y, settings.samples); }

    /* Makes batch `iteration` modulo the number of batches the batch; the last may be smaller. */
    void use_batch(Index iteration) {
        const Settings &s = settings;
        if (s.batch_size == 0) return use_all();
        const Index batches = (s.samples - 1) / s.batch_size + 1;
        const Index first = iteration % batches * s.batch_size;
        const Index count = std::min(s.batch_size, s.samples - first);
        if (!s.shuffle)
            return use(all_X + first * s.layers[0], all_y + first * s.layers[last], count);

        if (epoch != iteration / batches) shuffle(order, s.philox_seed, iteration / batches);
        epoch = iteration / batches;
        const Eigen::Map<const Matrix<T>> X{all_X, s.samples, s.layers[0]};
        const Eigen::Map<const Matrix<T>> y{all_y, s.samples, s.layers[last]};
        const auto rows = Eigen::Map<const Row<Index>>{order.data() + first, count};
        batch_X.topRows(count) = X(rows, Eigen::all);
        batch_y.topRows(count) = y(rows, Eigen::all);
        use(batch_X.data(), batch_y.data(), count);
    }

  private:
    const T *all_X, *all_y;
    std::array<T *, 3> buffers;      /* of l, error and delta */
    std::vector<std::int64_t> order; /* with shuffling: of the samples, in this epoch */
    Index epoch = -1;
    Matrix<T> batch_X, batch_y; /* with shuffling: the batch's rows in that order */

    /* Lays the layers into the buffers, in the order of the contract. l[0] and y are views that
     * could be written to, as those of the other layers, but nothing does. */
    void use(const T *X_rows, const T *y_rows, Index count) {
        if (count == samples && l[0].data() == X_rows) return;
        samples = count;
        const auto [l_begin, error_begin, delta_begin] = buffers;
        l.clear(), error.clear(), delta.clear();
        l.emplace_back(const_cast<T *>(X_rows), count, settings.layers[0]);
        error.emplace_back(nullptr, 0, 0);
        delta.emplace_back(nullptr, 0, 0);
        for (Index k = 1, at = 0; k <= last; at += count * settings.layers[k++]) {
            l.emplace_back(l_begin + at, count, settings.layers[k]);
            error.emplace_back(error_begin + at, count, settings.layers[k]);
            delta.emplace_back(delta_begin + at, count, settings.layers[k]);
        }
        /* Maps are not assigned but rebuilt: an assignment copies numbers. */
        std::construct_at(&y, const_cast<T *>(y_rows), count, settings.layers[last]);
    }
};

} // namespace backprop
#endif
