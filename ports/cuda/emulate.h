/* CUDA without a GPU: of the language, what this port and its ladder use.
 *
 *     g++ -x c++ -include emulate.h backprop.cu
 *
 * compiles the same source as nvcc does. fibres.h has the threads of a block, emulate_runtime.h the
 * runtime's functions. All memory of this "GPU" holds NaN, or -1, until something is written. What
 * goes wrong in a kernel is known when one waits for its end, as with a GPU.
 */
#pragma once
#include "fibres.h"
#include <math.h>

#define __global__
#define __device__
#define __host__
#define __shared__
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

using std::min;

struct dim3 {
    unsigned x, y = 1, z = 1;
    dim3(unsigned x) : x(x) {}
};
/* As on a GPU, each thread sees its own number; blocks and grids have one dimension. */
template <int &NUMBER> struct Index {
    struct {
        operator unsigned() const { return static_cast<unsigned>(NUMBER); }
    } x;
};
inline Index<emulate::running> threadIdx;
inline Index<emulate::block> blockIdx;
inline Index<emulate::threads_of_block> blockDim;
inline Index<emulate::blocks> gridDim;

/* Only `extern __shared__` with a launch's size: a static array would be the host's. */
inline __align__(16) unsigned char shared[227 * 1024]; /* the most that a block of sm_90 has */

inline void __syncthreads(std::source_location at = std::source_location::current()) {
    if (emulate::same(at, emulate::options.without)) return;
    emulate::give_way(emulate::At::BARRIER, at);
}

/* What another lane of the warp hands over; `mask` must be all lanes. Without the shuffle, it is
 * what this one has. */
template <class V>
V __shfl_xor_sync(unsigned mask, V value, int lane_mask,
                  std::source_location at = std::source_location::current()) {
    using namespace emulate;
    if (same(at, options.without)) return value;
    const int from = running ^ lane_mask;
    Fibre &mine = fibres[running];
    char (&handed)[sizeof(double)] = mine.handed[mine.shuffles % 2];
    std::memcpy(handed, &value, sizeof value);
    give_way(At::SHUFFLE, at);
    if (mask != 0xFFFFFFFF || lane_mask < 0 || lane_mask >= WARP || from >= threads_of_block)
        problem = name(at) + ": a shuffle from a lane that is not there, or of a part of a warp";
    else
        std::memcpy(&value, fibres[from].handed[mine.shuffles % 2], sizeof value);
    mine.shuffles++;
    return value;
}

/* Products that are never fused with a sum. */
inline double __dmul_rn(double a, double b) { return a * b; }
inline float __fmul_rn(float a, float b) { return a * b; }

#include "emulate_runtime.h"
