/* Random words on the device: Philox4x32-10. (Initial weights are drawn by the host.) */
#pragma once
#include "network.cuh"

/* The last word of a counter: the purpose of the words. */
enum Purpose : uint32_t { FOR_DROPOUT = 0, FOR_SHUFFLE = 1 };

/* Word e of the stream of a purpose, at a time, in a layer. It is a function of its arguments
 * alone, with no state between calls: any thread computes the word of its own element. A counter
 * makes four words. The thread uses one of them; its neighbours compute all four again for the
 * others, which is faster than passing them on. */
__device__ inline uint32_t philox_word(int e, int64_t time, int layer, Purpose purpose,
                                       uint64_t seed) {
    uint32_t c0 = static_cast<uint32_t>(e) / 4, c1 = static_cast<uint32_t>(time);
    uint32_t c2 = static_cast<uint32_t>(layer), c3 = purpose;
    uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t low = static_cast<uint64_t>(c0) * 0xD2511F53;
        const uint64_t high = static_cast<uint64_t>(c2) * 0xCD9E8D57;
        c0 = static_cast<uint32_t>(high >> 32) ^ c1 ^ k0;
        c1 = static_cast<uint32_t>(high);
        c2 = static_cast<uint32_t>(low >> 32) ^ c3 ^ k1;
        c3 = static_cast<uint32_t>(low);
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    /* No array of the four: one that is indexed by e would lie in memory, not in registers. */
    return e % 4 == 0 ? c0 : e % 4 == 1 ? c1 : e % 4 == 2 ? c2 : c3;
}

/* The order of the samples in an epoch: 0, 1, 2, ..., shuffled from the end. `drawn` is room for
 * the places to exchange with. To be called by all threads. */
__device__ inline void shuffle(int *order, int *drawn, int samples, int64_t epoch, uint64_t seed) {
    /* Place i is drawn for by its own thread. */
    for (int i = threadIdx.x; i < samples; i += blockDim.x) {
        order[i] = i;
        const uint64_t word = philox_word(i, epoch, 0, FOR_SHUFFLE, seed);
        drawn[i] = static_cast<int>((word * static_cast<uint64_t>(i + 1)) >> 32);
    }
    /* Read after write: thread 0 needs the places of every owner. */
    __syncthreads();
    /* Each exchange builds on the one before, so that one thread makes them all. */
    if (threadIdx.x == 0) {
        for (int i = samples - 1; i > 0; i--) {
            const int moved = order[i];
            order[i] = order[drawn[i]];
            order[drawn[i]] = moved;
        }
    }
    /* Read after write: from here on, every thread reads the order. (It is written again after
     * the barrier at the end of an update, the last to read it.) */
    __syncthreads();
}
