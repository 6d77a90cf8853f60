/* Rung 3: one warp, no memory in the loop, shuffles in place of barriers. The code is in warp.cuh.
 *
 * For the article's network only: 4 samples and 4 hidden units are 16 elements of l1, and a warp
 * has 32 lanes. Lane 4 i + j owns l1[i, j], l1_error[i, j] and l1_delta[i, j]; lanes 16 ... 31 do
 * the same as lanes 0 ... 15, since a warp takes no less time for fewer. All numbers are in
 * registers:
 *
 *     X[i, 0 ... 2], y[i]             of the lane's sample: the same in its 4 lanes
 *     syn0[0 ... 2, j], syn1[j]       of the lane's hidden unit: the same in its 4 lanes
 *     l2[i], l2_error[i], l2_delta[i] of the lane's sample: computed by all of its 4 lanes
 *
 * So a lane has all weights that it reads, and each weight is updated in 4 lanes (8, with the upper
 * half) at once: computing a number again is free where lanes would otherwise wait, and spares
 * handing it over. What has to be handed over are sums: over hidden units for l2, over samples for
 * the descents. In a shuffle, each lane reads a register of another one: first of the neighbour,
 * then of the neighbouring pair, after which all four have the sum.
 *
 * All lanes must get the same bits, or the copies of a weight would drift apart. a + b is b + a,
 * so that (0 + 1) + (2 + 3) is the same in all. But a product that the compiler fuses with the sum
 * is rounded in the neighbour's lane but not in its own. That is why `product` is never fused.
 *
 * An iteration is one chain of operations that wait for one another: 3 for x1, a sigmoid; a product
 * and 2 (shuffle, addition) for x2, a sigmoid; 3 for l2_delta, 2 for l1_delta; a product,
 * 2 (shuffle, addition) and a product with a sum for the weights. A shuffle of a double is two of
 * 32 bits. The four sums over samples are independent, and overlap.
 */
#pragma once
#include "warp.cuh"

constexpr bool ARTICLE = true, ENSEMBLE = false;

template <class T, bool STEP>
__global__ void __launch_bounds__(WARP) one_warp(const __grid_constant__ Problem<T> p) {
    train_in_warp<STEP>(p, 0);
}

template <class T> size_t room(const Problem<T> &) { return 0; }

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    launch(given.step ? one_warp<T, true> : one_warp<T, false>, 1, WARP, 0, nullptr, p);
}
