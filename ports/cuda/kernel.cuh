/* Backpropagation as one CUDA kernel.
 *
 * One launch of one thread block does a whole training run: all iterations, and at each
 * checkpoint the recording of the state and of the error. Between two phases there is a barrier,
 * which costs tens of nanoseconds; a launch for each phase would cost microseconds.
 *
 * A network has layers of sizes n_0 ... n_K and learns from a batch of samples at a time.
 * Throughout, i is a sample of the batch, m a unit of layer k, and n a unit of layer k + 1. With
 * bias units m goes one further, to n_k: that unit is always 1. All matrices are row-major:
 *
 *     l[0]           (samples, n_0)          global memory: the data X, which is only ever read
 *     syn[k]         (n_k + bias, n_{k+1})   shared memory
 *     gamma[k]       (1, n_k)                shared memory; so is beta[k]
 *     l[k]           (batch, n_k)            shared memory, for k = 1 ... K
 *     delta[k]       (batch, n_k)            shared memory, for k = 1 ... K
 *     error[k]       (batch, n_k)            nowhere: the thread that computes an element of
 *                                            error[k] is the only one to need it, for that
 *                                            element of delta[k]
 *     descent        as syn, gamma, beta     global memory; so is what momentum or Adam remembers
 *     mean[k]        (1, n_k)                global memory; so are variance[k] and deviation[k]
 *     normal[k]      (batch, n_k)            global memory: the z of batch normalisation
 *     order          (samples)               global memory: the shuffled samples
 *
 * Shared memory is for what threads read of each other, many times. What is in global memory is
 * used once or twice an update, mostly by the thread that wrote it. If the shared memory is too
 * small, these arrays are also in global memory: slower, but the same program, because a
 * barrier orders what the threads of a block do in both.
 *
 * The map of threads to elements: in each phase the elements of the phase's *result* are dealt
 * out like cards. Of T threads, thread t owns the elements t, t + T, t + 2T, ... of a matrix
 * laid out row by row. An element is a whole sum, which its owner adds up in index
 * order: no atomics, no partial sums. So the result depends neither on T nor on who runs first.
 * What is made of a whole row (softmax) or a whole column (batch normalisation) belongs, in a
 * phase of its own, to the owner of that row or column.
 *
 * Every condition around a barrier is made of settings, sizes and counters that are the same in
 * all threads: all arrive at it, or none.
 */
#pragma once
#include "layers.cuh"
#include "optimise.cuh"

/* Where the parameters, l and delta lie. */
enum class Room { SHARED, GLOBAL };

/* Shared memory, as large as the launch says. It has one type for all kernels: bytes. */
template <class T, Room ROOM> __device__ T *room(const Job<T> &job) {
    extern __shared__ __align__(16) unsigned char shared[];
    return ROOM == Room::SHARED ? reinterpret_cast<T *>(shared) : job.room;
}

/* The network of a job, with its parameters copied to where all threads work on them. */
template <class T> __device__ Network<T> open_network(const Job<T> &job, T *room) {
    const int parameters = job.layout.parameters();
    for (int e = threadIdx.x; e < parameters; e += blockDim.x) room[e] = job.state[e];
    /* Read after write: a thread needs weights that others have copied. */
    __syncthreads();

    T *l = room + parameters, *delta = l + job.layout.units();
    T *memory = job.state + parameters;
    T *averages = job.state + job.layout.state_size - 2 * job.layout.hidden;
    T *error = job.kept ? job.kept + job.layout.units() : nullptr;
    return {job.layout, job.rules, job.X,       job.y,      room,          l,    delta,
            memory,     averages,  job.descent, job.normal, job.deviation, error};
}

/* The samples of batch b, of an order or, where that is null, of the data. */
__device__ inline Batch open_batch(const Layout &layout, int b, const int *order) {
    const int first = b * layout.batch;
    return {first, min(layout.batch, layout.samples - first), order};
}

/* [checkpoint] */
/* The mean of |y - l[K]| over all samples, in inference, to thread 0. They go forward batch by
 * batch, because l has room for one batch. */
template <class T> __device__ T mean_error(const Network<T> &net, int64_t iteration) {
    const Layout &layout = net.layout;
    const T *l = net.l + layout.l_at[layout.last];
    T total = 0;
    for (int b = 0; b < layout.batches; b++) {
        const Batch batch = open_batch(layout, b, nullptr);
        forward<Pass::INFERENCE>(net, batch, iteration);
        if (threadIdx.x == 0) {
            const T *y = net.y + batch.first * layout.outputs();
            for (int e = 0; e < batch.rows * layout.outputs(); e++) total += fabs(y[e] - l[e]);
        }
        /* Write after read: the next forward pass overwrites l[K], without any barrier before
         * that if there is no hidden layer. */
        __syncthreads();
    }
    return total / static_cast<T>(layout.samples * layout.outputs());
}
/* [/checkpoint] */

/* One update, from the batch. */
template <class T>
__device__ void update(const Job<T> &job, const Network<T> &net, const Batch &batch,
                       int64_t iteration) {
    const int units = job.layout.units();
    forward<Pass::TRAINING>(net, batch, iteration);
    backward(net, batch);
    if (job.kept) {
        for (int e = threadIdx.x; e < units; e += blockDim.x) {
            job.kept[e] = net.l[e];
            job.kept[2 * units + e] = net.delta[e];
        }
    }
    descend(net, batch);
    improve(net, norm_factor(net), iteration);
    /* Read after write: the next forward pass reads weights of every owner. Write after read: it
     * overwrites l, and with dropout delta, which other threads may still be reading for their
     * descents; a shuffle overwrites the order, which their descents also read; and the next
     * descents overwrite these, which others may be reading for the norm. */
    __syncthreads();
}

/* Training, or a single step. To be launched with one block of any size. */
template <class T, Room ROOM>
__global__ void __launch_bounds__(MAX_THREADS, 1) train(const __grid_constant__ Job<T> job) {
    const Layout &layout = job.layout;
    const Network<T> net = open_network(job, room<T, ROOM>(job));
    /* [checkpoint] */
    int64_t iteration = job.start;
    for (int64_t c = 0; c < job.checkpoint_count; c++) {
        for (; iteration < job.checkpoints[c]; iteration++) {
            const int b = static_cast<int>(iteration % layout.batches);
            if (net.rules.shuffle && (b == 0 || iteration == job.start))
                shuffle(job.order, job.drawn, layout.samples, iteration / layout.batches,
                        net.rules.philox_seed);
            const int *order = net.rules.shuffle ? job.order : nullptr;
            update(job, net, open_batch(layout, b, order), iteration);
        }
        T *state_out = job.state_out + c * layout.state_size;
        for (int e = threadIdx.x; e < layout.state_size; e += blockDim.x)
            state_out[e] = e < layout.parameters() ? net.parameters[e] : job.state[e];
        if (!job.error_out) continue; /* a single step */
        /* Thread 0 alone has the sum. The state, which was just read, is not written before the
         * barriers of this. */
        const T error = mean_error(net, iteration);
        if (threadIdx.x == 0) job.error_out[c] = error;
    }
    /* [/checkpoint] */
}

/* Inference: the output for all samples. To be launched with one block of any size. */
template <class T, Room ROOM>
__global__ void __launch_bounds__(MAX_THREADS, 1) infer(const __grid_constant__ Job<T> job) {
    const Layout &layout = job.layout;
    const Network<T> net = open_network(job, room<T, ROOM>(job));
    forward<Pass::INFERENCE>(net, open_batch(layout, 0, nullptr), 0);
    for (int e = threadIdx.x; e < layout.samples * layout.outputs(); e += blockDim.x)
        job.output[e] = net.l[layout.l_at[layout.last] + e];
}
