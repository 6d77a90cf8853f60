/* The kernels of rung 4, one for each operation of an update; kernel_per_operation.cuh and
 * graph.cuh launch them.
 *
 * A thread owns one element of an operation's result, and there are as many blocks as that takes.
 * Blocks cannot wait for one another; it is the end of a kernel that is the barrier: the next
 * one of the stream starts when all threads have ended, and sees all that they wrote. So each
 * matrix is in global memory, errors too, and goes through it from kernel to kernel.
 */
#pragma once
#include "rung.cuh"

constexpr int BLOCK = 64;

__device__ inline int element() { return blockIdx.x * blockDim.x + threadIdx.x; }

/* [forward] */
/* l1 = s(X syn0), of (i, j). */
template <class T>
__global__ void __launch_bounds__(BLOCK) forward1(const __grid_constant__ Problem<T> p) {
    const int e = element(), i = e / p.hidden, j = e % p.hidden;
    if (e >= p.units1()) return;
    T x = 0;
    for (int m = 0; m < p.inputs; m++) x += p.X[i * p.inputs + m] * p.syn[m * p.hidden + j];
    p.l[e] = sigmoid(x);
}
/* [/forward] */

/* [forward] */
/* l2 = s(l1 syn1), of (i, n). */
template <class T>
__global__ void __launch_bounds__(BLOCK) forward2(const __grid_constant__ Problem<T> p) {
    const int e = element(), i = e / p.outputs, n = e % p.outputs;
    if (e >= p.samples * p.outputs) return;
    const T *syn1 = p.syn + p.size0();
    T x = 0;
    for (int j = 0; j < p.hidden; j++) x += p.l[i * p.hidden + j] * syn1[j * p.outputs + n];
    p.l[p.units1() + e] = sigmoid(x);
}
/* [/forward] */

/* [output-delta] */
/* l2_error = y - l2 and l2_delta, of (i, n). */
template <class T>
__global__ void __launch_bounds__(BLOCK) output_delta(const __grid_constant__ Problem<T> p) {
    const int e = element();
    if (e >= p.samples * p.outputs) return;
    const T l2 = p.l[p.units1() + e], l2_error = p.y[e] - l2;
    p.error[p.units1() + e] = l2_error;
    p.delta[p.units1() + e] = l2_error * slope(l2);
}
/* [/output-delta] */

/* [hidden-delta] */
/* l1_error = l2_delta syn1^T and l1_delta, of (i, j). */
template <class T>
__global__ void __launch_bounds__(BLOCK) hidden_delta(const __grid_constant__ Problem<T> p) {
    const int e = element(), i = e / p.hidden, j = e % p.hidden;
    if (e >= p.units1()) return;
    const T *l2_delta = p.delta + p.units1(), *syn1 = p.syn + p.size0();
    T l1_error = 0;
    for (int n = 0; n < p.outputs; n++)
        l1_error += l2_delta[i * p.outputs + n] * syn1[j * p.outputs + n];
    p.error[e] = l1_error;
    p.delta[e] = l1_error * slope(p.l[e]);
}
/* [/hidden-delta] */

/* [update] */
/* syn1 += alpha l1^T l2_delta, of (j, n). */
template <class T>
__global__ void __launch_bounds__(BLOCK) update1(const __grid_constant__ Problem<T> p) {
    const int e = element(), j = e / p.outputs, n = e % p.outputs;
    if (e >= p.hidden * p.outputs) return;
    const T *l2_delta = p.delta + p.units1();
    T descent = 0;
    for (int i = 0; i < p.samples; i++)
        descent += p.l[i * p.hidden + j] * l2_delta[i * p.outputs + n];
    p.syn[p.size0() + e] += p.alpha * descent;
}
/* [/update] */

/* [update] */
/* syn0 += alpha X^T l1_delta, of (m, j). */
template <class T>
__global__ void __launch_bounds__(BLOCK) update0(const __grid_constant__ Problem<T> p) {
    const int e = element(), m = e / p.hidden, j = e % p.hidden;
    if (e >= p.size0()) return;
    T descent = 0;
    for (int i = 0; i < p.samples; i++)
        descent += p.X[i * p.inputs + m] * p.delta[i * p.hidden + j];
    p.syn[e] += p.alpha * descent;
}
/* [/update] */

/* [checkpoint] */
/* The mean of |y - l2|, at checkpoint c. One thread adds all up, in index order: that takes a
 * millisecond or so for 40,000 outputs, but checkpoints are few. */
template <class T>
__global__ void __launch_bounds__(1) mean_error(const __grid_constant__ Problem<T> p, int c) {
    const int count = p.samples * p.outputs;
    T total = 0;
    for (int e = 0; e < count; e++) total += fabs(p.y[e] - p.l[p.units1() + e]);
    p.error_out[c] = total / static_cast<T>(count);
}
/* [/checkpoint] */

/* A queue of the GPU: kernels run in the order in which they come, and the host does not wait. It
 * is not the default queue, which cannot be captured in a graph; but it waits for that one's copies
 * to the GPU, and that one for all of this. */
class Stream {
  public:
    Stream() { check(cudaStreamCreate(&stream), "cudaStreamCreate"); }
    Stream(const Stream &) = delete;
    ~Stream() { cudaStreamDestroy(stream); }
    operator cudaStream_t() const { return stream; }

  private:
    cudaStream_t stream;
};

/* How large a block of any of the kernels can be, up to BLOCK. To ask is to load a kernel too,
 * which is better done before a graph is captured than in between. */
template <class T> int threads_for_all() {
    int least = BLOCK;
    for (auto kernel :
         {forward1<T>, forward2<T>, output_delta<T>, hidden_delta<T>, update1<T>, update0<T>}) {
        const int threads = block_threads(kernel, BLOCK, BLOCK);
        if (threads < least) least = threads;
    }
    return least;
}

/* Enqueues kernels that have a thread for each element, in blocks of one size. */
template <class T> struct Launcher {
    const Problem<T> &p;
    cudaStream_t stream;
    int threads; /* of a block */

    void operator()(void (*kernel)(Problem<T>), int elements) const {
        launch(kernel, (elements + threads - 1) / threads, threads, 0, stream, p);
    }
    void forward() const {
        (*this)(forward1<T>, p.units1());
        (*this)(forward2<T>, p.samples *p.outputs);
    }
    void update() const {
        forward();
        (*this)(output_delta<T>, p.samples *p.outputs);
        (*this)(hidden_delta<T>, p.units1());
        (*this)(update1<T>, p.hidden *p.outputs);
        (*this)(update0<T>, p.size0());
    }
};

/* The host's loop: `updates` enqueues so many updates, and `forward` a forward pass. */
template <class T, class Updates, class Forward>
void follow(const Problem<T> &p, const Given<T> &given, cudaStream_t stream, Updates updates,
            Forward forward) {
    const size_t weights = p.weights();
    /* [checkpoint] */
    int64_t done = 0;
    for (int c = 0; c < p.checkpoint_count; c++) {
        updates(given.checkpoints[c] - done);
        done = given.checkpoints[c];
        check(cudaMemcpyAsync(p.state_out + c * weights, p.syn, weights * sizeof(T),
                              cudaMemcpyDeviceToDevice, stream),
              "a checkpoint");
        if (given.step) continue; /* keep the update's l */
        forward();
        launch(mean_error<T>, 1, 1, 0, stream, p, c);
    }
    /* [/checkpoint] */
    wait_for_gpu(); /* while the stream is still there */
}
