/* Rung 5: one thread for each network of an ensemble.
 *
 * Thread k of all blocks owns network k: all its weights, in registers, for all iterations. No
 * thread needs anything of another one, so there is no barrier and no shuffle in the loop, and no
 * memory either. A network alone is as slow as its chain of operations, but while one warp waits,
 * others compute: with some hundred thousand networks the arithmetic units never wait.
 *
 *     syn0, syn1, their descents     16 registers each (of a double, two each)
 *     l1 of a sample                 4
 *     X, y                           arguments of the launch: constant memory, which hands one
 * number to all lanes at once, for nothing
 *
 * Coalescing: the lanes of a warp read one weight e of 32 networks at the same time. In the
 * contract's layout (network, weight) these are 16 numbers apart, 32 transactions of 32 bytes for
 * 32 numbers. In (weight, network), a structure of arrays, they lie side by side: 8 for doubles.
 * `transpose` makes one layout of the other, before training and after it, once. It reads and
 * writes each number one more time, both ways coalesced: for a million networks of doubles some 0.1
 * ms for each 128 MB, where 60,000 iterations take seconds. It also takes as much memory again.
 */
#pragma once
#include "rung.cuh"

constexpr bool ARTICLE = true, ENSEMBLE = true;
constexpr int BLOCK = 128, TILE = 32;

template <class T> struct Data {
    T X[4][3], y[4];
};

/* A network in the registers of its thread: every index below is a constant once loops are
 * unrolled. */
template <class T> struct Weights {
    T syn0[3][4], syn1[4];
};

/* [forward] */
/* The output for a sample, and l1 on the way. */
template <class T> __device__ T forward(const Weights<T> &w, const T (&X)[3], T (&l1)[4]) {
    T x = 0;
    for (int j = 0; j < 4; j++) {
        l1[j] = sigmoid(X[0] * w.syn0[0][j] + X[1] * w.syn0[1][j] + X[2] * w.syn0[2][j]);
        x += l1[j] * w.syn1[j];
    }
    return sigmoid(x);
}
/* [/forward] */

/* One update. The samples come one after the other and leave their part of the descents. */
template <bool STEP, class T>
__device__ void update(Weights<T> &w, const Data<T> &data, const Problem<T> &p) {
    Weights<T> descent = {};
    for (int i = 0; i < 4; i++) {
        /* [output-delta] */
        T l1[4];
        const T l2 = forward(w, data.X[i], l1);
        const T l2_error = data.y[i] - l2, l2_delta = l2_error * slope(l2);
        /* [/output-delta] */
        if (STEP) {
            p.l[16 + i] = l2;
            p.error[16 + i] = l2_error;
            p.delta[16 + i] = l2_delta;
        }
        /* [hidden-delta] */
        /* [update] */
        for (int j = 0; j < 4; j++) {
            const T l1_error = l2_delta * w.syn1[j], l1_delta = l1_error * slope(l1[j]);
            if (STEP) {
                p.l[4 * i + j] = l1[j];
                p.error[4 * i + j] = l1_error;
                p.delta[4 * i + j] = l1_delta;
            }
            for (int m = 0; m < 3; m++) descent.syn0[m][j] += data.X[i][m] * l1_delta;
            descent.syn1[j] += l1[j] * l2_delta;
        }
        /* [/update] */
        /* [/hidden-delta] */
    }
    /* [update] */
    for (int j = 0; j < 4; j++) {
        for (int m = 0; m < 3; m++) w.syn0[m][j] += p.alpha * descent.syn0[m][j];
        w.syn1[j] += p.alpha * descent.syn1[j];
    }
    /* [/update] */
}

/* `syn`, `state_out` and `error_out` have the networks last: (16, K), (checkpoints, 16, K) and
 * (checkpoints, K). A step is of one network. */
template <class T, bool STEP>
__global__ void __launch_bounds__(BLOCK)
    thread_per_network(const __grid_constant__ Problem<T> p, const __grid_constant__ Data<T> data,
                       const T *syn, T *state_out, T *error_out) {
    const size_t K = p.networks, k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= K) return;
    Weights<T> w;
    for (int j = 0; j < 4; j++) {
        for (int m = 0; m < 3; m++) w.syn0[m][j] = syn[(4 * m + j) * K + k];
        w.syn1[j] = syn[(12 + j) * K + k];
    }
    /* [checkpoint] */
    int64_t iteration = 0;
    for (int c = 0; c < p.checkpoint_count; c++) {
        for (; iteration < p.checkpoints[c]; iteration++) update<STEP>(w, data, p);
        T *to = state_out + 16 * c * K + k, total = 0;
        for (int j = 0; j < 4; j++) {
            for (int m = 0; m < 3; m++) to[(4 * m + j) * K] = w.syn0[m][j];
            to[(12 + j) * K] = w.syn1[j];
        }
        if (STEP) continue;
        for (int i = 0; i < 4; i++) {
            T l1[4];
            total += fabs(data.y[i] - forward(w, data.X[i], l1));
        }
        error_out[c * K + k] = total / 4;
    }
    /* [/checkpoint] */
}

/* `to`, (columns, rows), is the transpose of `from`, (rows, columns). Each block does a tile of 32
 * x 32: a warp reads a row of the tile, 32 numbers side by side, and writes a column, 32 numbers
 * side by side in the transpose. In between they are in shared memory, whose rows are one number
 * longer, so that those of a column lie in different banks. */
template <class T>
__global__ void __launch_bounds__(256)
    transpose(const T *from, T *to, size_t rows, size_t columns) {
    extern __shared__ __align__(16) unsigned char shared[];
    T *tile = reinterpret_cast<T *>(shared);
    const size_t across = (columns + TILE - 1) / TILE;
    const size_t row = blockIdx.x / across * TILE, column = blockIdx.x % across * TILE;
    for (int e = threadIdx.x; e < TILE * TILE; e += blockDim.x) {
        const int r = e / TILE, c = e % TILE;
        if (row + r < rows && column + c < columns)
            tile[r * (TILE + 1) + c] = from[(row + r) * columns + column + c];
    }
    /* Read after write: a thread writes what others have read. */
    __syncthreads();
    for (int e = threadIdx.x; e < TILE * TILE; e += blockDim.x) {
        const int r = e % TILE, c = e / TILE;
        if (row + r < rows && column + c < columns)
            to[(column + c) * rows + row + r] = tile[r * (TILE + 1) + c];
    }
}

template <class T> void transposed(const T *from, T *to, size_t rows, size_t columns) {
    const size_t tiles = (rows + TILE - 1) / TILE * ((columns + TILE - 1) / TILE);
    launch(transpose<T>, small(tiles), block_threads(transpose<T>, 256, 256),
           TILE * (TILE + 1) * sizeof(T), nullptr, from, to, rows, columns);
}

template <class T> size_t room(const Problem<T> &p) {
    return static_cast<size_t>(p.networks) * (16 + 17 * static_cast<size_t>(p.checkpoint_count));
}

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    const size_t K = p.networks, checkpoints = p.checkpoint_count;
    T *syn = p.room, *state_out = syn + 16 * K, *error_out = state_out + 16 * K * checkpoints;
    Data<T> data;
    for (int e = 0; e < 12; e++) data.X[e / 3][e % 3] = given.X[e];
    for (int i = 0; i < 4; i++) data.y[i] = given.y[i];

    transposed<T>(p.syn, syn, K, 16);
    const auto kernel = given.step ? thread_per_network<T, true> : thread_per_network<T, false>;
    const int threads = block_threads(kernel, BLOCK, BLOCK);
    launch(kernel, (p.networks + threads - 1) / threads, threads, 0, nullptr, p, data, syn,
           state_out, error_out);
    transposed<T>(state_out, p.state_out, 16 * checkpoints, K);
    transposed<T>(error_out, p.error_out, checkpoints, K);
}
