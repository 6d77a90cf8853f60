/* CUDA without a GPU: of the language and of the runtime's functions, what this port uses.
 *
 *     g++ -x c++ -include emulate.h backprop.cu
 *
 * compiles the same source as nvcc does. fibres.h has the threads of a block. All memory of this
 * "GPU" holds NaN, or -1, until something is written. What goes wrong in a kernel is
 * known when one waits for its end, as with a GPU.
 */
#pragma once
#include "fibres.h"
#include <cstdlib>
#include <map>
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
struct Index {
    /* As on a GPU, each thread sees its own number. */
    struct {
        operator unsigned() const { return static_cast<unsigned>(emulate::running); }
    } x;
};
inline Index threadIdx;
inline dim3 blockDim(1);

inline __align__(16) unsigned char shared[227 * 1024]; /* the most that a block of sm_90 has */

inline void __syncthreads(std::source_location at = std::source_location::current()) {
    emulate::wait_at(at);
}

enum cudaError_t {
    cudaSuccess,
    cudaErrorInvalidValue,
    cudaErrorMemoryAllocation,
    cudaErrorLaunchFailure,
    cudaErrorNoDevice,
    cudaErrorInsufficientDriver,
    cudaErrorNoKernelImageForDevice,
    cudaErrorUnsupportedPtxVersion,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
struct cudaFuncAttributes {
    int maxThreadsPerBlock;
};
struct cudaDeviceProp {
    const char *name;
    int major, minor;
};

namespace emulate {

/* Arrays of the GPU, with their sizes. Around each is a margin that nobody may touch. */
constexpr size_t MARGIN = 4096;
inline std::map<char *, size_t> arrays;
inline size_t shared_bytes = 0; /* of the last launch */
inline cudaError_t last_launch = cudaSuccess;

} // namespace emulate

inline cudaError_t cudaMalloc(void **pointer, size_t bytes) {
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (emulate::options.failing_allocation && --emulate::options.failing_allocation == 0)
        return cudaErrorMemoryAllocation;
    char *whole = static_cast<char *>(std::malloc(bytes + 2 * emulate::MARGIN));
    if (!whole) return cudaErrorMemoryAllocation;
    *pointer = std::memset(whole + emulate::MARGIN, 0xFF, bytes);
    emulate::arrays[static_cast<char *>(*pointer)] = bytes;
    return cudaSuccess;
}

inline cudaError_t cudaFree(void *pointer) {
    if (!pointer) return cudaSuccess;
    if (!emulate::arrays.erase(static_cast<char *>(pointer))) return cudaErrorInvalidValue;
    std::free(static_cast<char *>(pointer) - emulate::MARGIN);
    return cudaSuccess;
}

inline cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return cudaSuccess;
    const void *there = kind == cudaMemcpyHostToDevice ? to : from;
    char *first = static_cast<char *>(const_cast<void *>(there));
    auto array = emulate::arrays.upper_bound(first);
    if (array == emulate::arrays.begin()) return cudaErrorInvalidValue;
    --array;
    if (first + bytes > array->first + array->second) return cudaErrorInvalidValue;
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}

template <class A>
cudaError_t cudaLaunchKernel(void (*kernel)(A), dim3 blocks, dim3 threads, void **arguments,
                             size_t bytes, void *) {
    static void (*function)(A);
    static A argument;
    if (blocks.x != 1 || threads.x < 1 ||
        threads.x > static_cast<unsigned>(emulate::options.most_threads) ||
        bytes > static_cast<size_t>(emulate::options.shared_bytes))
        return cudaErrorInvalidValue;
    function = kernel;
    argument = *static_cast<A *>(arguments[0]);
    emulate::body = [] { function(argument); };
    blockDim = threads;
    emulate::shared_bytes = bytes;
    std::memset(shared, 0xFF, bytes);
    const bool well = emulate::run_block(static_cast<int>(threads.x));
    emulate::last_launch = well ? cudaSuccess : cudaErrorLaunchFailure;
    return cudaSuccess;
}

inline cudaError_t cudaDeviceSynchronize() { return emulate::last_launch; }

inline const char *cudaGetErrorString(cudaError_t error) {
    if (error == cudaErrorLaunchFailure) return emulate::problem.c_str();
    return error == cudaErrorMemoryAllocation ? "out of memory" : "invalid argument";
}

inline cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return cudaSuccess;
}

inline cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr, int) {
    *value = emulate::options.shared_bytes;
    return cudaSuccess;
}

template <class A> cudaError_t cudaFuncSetAttribute(void (*)(A), cudaFuncAttribute, int bytes) {
    return bytes <= emulate::options.shared_bytes ? cudaSuccess : cudaErrorInvalidValue;
}

template <class A> cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, void (*)(A)) {
    attributes->maxThreadsPerBlock = emulate::options.most_threads;
    return cudaSuccess;
}

inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int) {
    *properties = {"no GPU: emulated by the host", 0, 0};
    return cudaSuccess;
}
