/* Rung 5, the second way: one warp for each network of an ensemble, as in one_warp.cuh.
 *
 * Warp w of all blocks owns network w, and its lanes the elements, as warp.cuh says. The warps of a
 * block have nothing to do with one another: a block is only what the GPU hands out at once, and
 * while one warp waits for its chain of operations, another of the same multiprocessor computes.
 *
 * The 16 weights of a network lie side by side in the contract's layout, and 16 lanes read or write
 * them at once: that is coalesced as it is, and nothing has to be transposed. But half of each warp
 * repeats what the other half does, each lane repeats what three others do of l2, and 10 shuffles
 * an iteration hand over what thread_per_network.cuh has in its own registers. So this is the way
 * for some thousands of networks, which do not fill the GPU with one thread each, and that for
 * more.
 */
#pragma once
#include "warp.cuh"

constexpr bool ARTICLE = true, ENSEMBLE = true;
constexpr int BLOCK = 128; /* 4 warps */

template <class T, bool STEP>
__global__ void __launch_bounds__(BLOCK) warp_per_network(const __grid_constant__ Problem<T> p) {
    const int number = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    /* The last block may have warps too many. They go as a whole: no shuffle lacks a lane. */
    if (number < p.networks) train_in_warp<STEP>(p, number);
}

template <class T> size_t room(const Problem<T> &) { return 0; }

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    const auto kernel = given.step ? warp_per_network<T, true> : warp_per_network<T, false>;
    const int warps = block_threads(kernel, BLOCK, BLOCK) / WARP;
    if (warps == 0) throw Refusal{BACKPROP_UNSUPPORTED, "A block has not even one whole warp."};
    launch(kernel, (p.networks + warps - 1) / warps, warps * WARP, 0, nullptr, p);
}
