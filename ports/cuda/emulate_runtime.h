/* CUDA without a GPU: of the runtime's functions, what this port and its ladder use. */
#pragma once
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

enum cudaError_t {
    cudaSuccess,
    cudaErrorInvalidValue,
    cudaErrorMemoryAllocation,
    cudaErrorLaunchFailure,
    cudaErrorNoDevice,
    cudaErrorInsufficientDriver,
    cudaErrorNoKernelImageForDevice,
    cudaErrorUnsupportedPtxVersion,
    cudaErrorStreamCaptureUnsupported,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal };
struct cudaFuncAttributes {
    int maxThreadsPerBlock;
};
struct cudaDeviceProp {
    const char *name;
    int major, minor;
};

namespace emulate {

/* Arrays of the GPU, with their sizes. Around each is a margin that nobody may touch;
 * AddressSanitizer has its own. */
#ifdef __SANITIZE_ADDRESS__
constexpr size_t MARGIN = 0;
#else
constexpr size_t MARGIN = 4096;
#endif
inline std::map<char *, size_t> arrays;
inline size_t shared_bytes = 0;          /* of the launch that runs */
inline cudaError_t failed = cudaSuccess; /* since one last waited */

/* Launches: of a graph, those that it is made of. There is one stream at a time that records. */
using Launches = std::vector<std::function<void()>>;
struct Stream {};
inline Stream *recording = nullptr;
inline Launches recorded;
inline int objects = 0; /* streams, graphs and events that are not destroyed yet */

template <class Object> cudaError_t create(Object **object, const Object &value = {}) {
    *object = new Object(value);
    objects++;
    return cudaSuccess;
}

template <class Object> cudaError_t destroy(Object *object) {
    if (!object) return cudaErrorInvalidValue;
    delete object;
    objects--;
    return cudaSuccess;
}

/* The kernel of a launch, with its arguments: not on any heap, which a GPU does not see. */
template <class... A> struct Call {
    static inline void (*kernel)(A...);
    static inline std::tuple<A...> *arguments;
    static void now() { std::apply(kernel, *arguments); }
};

/* Run all blocks, one after the other. */
inline void run_grid(unsigned grid, unsigned threads, size_t bytes) {
    if (failed != cudaSuccess) return; /* after an error nothing runs */
    std::minstd_rand random;
    std::vector<int> order(grid);
    for (unsigned b = 0; b < grid; b++)
        order[b] = static_cast<int>(options.order == Order::REVERSE ? grid - 1 - b : b);
    if (options.order == Order::SHUFFLED) std::shuffle(order.begin(), order.end(), random);
    problem.clear();
    launched++;
    blocks = static_cast<int>(grid);
    threads_of_block = static_cast<int>(threads);
    shared_bytes = bytes;
    for (int b : order) {
        block = b;
        std::memset(shared, 0xFF, bytes);
        if (run_block(random)) continue;
        failed = cudaErrorLaunchFailure;
        return;
    }
}

} // namespace emulate

inline cudaError_t cudaMalloc(void **pointer, size_t bytes) {
    *pointer = nullptr;
    if (emulate::recording) return cudaErrorStreamCaptureUnsupported;
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

/* Within one array of the GPU. */
inline bool on_gpu(const void *pointer, size_t bytes) {
    char *first = static_cast<char *>(const_cast<void *>(pointer));
    auto array = emulate::arrays.upper_bound(first);
    if (array == emulate::arrays.begin()) return false;
    --array;
    return first + bytes <= array->first + array->second;
}

inline cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    if (emulate::recording) return cudaErrorStreamCaptureUnsupported;
    if (bytes == 0) return cudaSuccess;
    if (kind != cudaMemcpyDeviceToHost && !on_gpu(to, bytes)) return cudaErrorInvalidValue;
    if (kind != cudaMemcpyHostToDevice && !on_gpu(from, bytes)) return cudaErrorInvalidValue;
    std::memcpy(to, from, bytes);
    return cudaSuccess;
}

using cudaStream_t = emulate::Stream *;
using cudaGraph_t = emulate::Launches *;
using cudaGraphExec_t = emulate::Launches *;
using cudaEvent_t = int *;

inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t) {
    return cudaMemcpy(to, from, bytes, kind);
}

template <class... A>
cudaError_t cudaLaunchKernel(void (*kernel)(A...), dim3 grid, dim3 threads, void **arguments,
                             size_t bytes, cudaStream_t stream) {
    if (grid.x < 1 || threads.x < 1 ||
        threads.x > static_cast<unsigned>(emulate::options.most_threads) ||
        bytes > static_cast<size_t>(emulate::options.shared_bytes))
        return cudaErrorInvalidValue;
    if (emulate::recording && emulate::recording != stream)
        return cudaErrorStreamCaptureUnsupported;
    /* The arguments are copied now, as a launch does. */
    auto copied = [&]<size_t... I>(std::index_sequence<I...>) {
        return std::tuple<A...>(*static_cast<A *>(arguments[I])...);
    }(std::index_sequence_for<A...>());
    auto launch = [=]() mutable {
        static std::tuple<A...> place; /* a fibre reads it, and this is not the heap */
        place = copied;
        emulate::Call<A...>::kernel = kernel;
        emulate::Call<A...>::arguments = &place;
        emulate::body = emulate::Call<A...>::now;
        emulate::run_grid(grid.x, threads.x, bytes);
    };
    if (emulate::recording)
        emulate::recorded.push_back(launch);
    else
        launch();
    return cudaSuccess;
}

inline cudaError_t cudaDeviceSynchronize() { return std::exchange(emulate::failed, cudaSuccess); }

inline cudaError_t cudaStreamCreate(cudaStream_t *stream) { return emulate::create(stream); }
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    if (emulate::recording == stream) emulate::recording = nullptr;
    return emulate::destroy(stream);
}
inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (!stream || emulate::recording) return cudaErrorStreamCaptureUnsupported;
    emulate::recording = stream;
    emulate::recorded.clear();
    return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    if (emulate::recording != stream) return cudaErrorInvalidValue;
    emulate::recording = nullptr;
    return emulate::create(graph, emulate::recorded);
}
inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t *ready, cudaGraph_t graph) {
    return emulate::create(ready, *graph);
}
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t ready, cudaStream_t) {
    if (emulate::recording) return cudaErrorStreamCaptureUnsupported;
    for (auto &launch : *ready) launch();
    return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return emulate::destroy(graph); }
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t ready) { return emulate::destroy(ready); }

/* There is no clock of a GPU: what it would say is NaN. */
inline cudaError_t cudaEventCreate(cudaEvent_t *event) { return emulate::create(event); }
inline cudaError_t cudaEventDestroy(cudaEvent_t event) { return emulate::destroy(event); }
inline cudaError_t cudaEventRecord(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t, cudaEvent_t) {
    *milliseconds = std::numeric_limits<float>::quiet_NaN();
    return cudaSuccess;
}

inline const char *cudaGetErrorString(cudaError_t error) {
    if (error == cudaErrorLaunchFailure) return emulate::problem.c_str();
    if (error == cudaErrorStreamCaptureUnsupported) return "not while a graph is captured";
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

template <class... A>
cudaError_t cudaFuncSetAttribute(void (*)(A...), cudaFuncAttribute, int bytes) {
    return bytes <= emulate::options.shared_bytes ? cudaSuccess : cudaErrorInvalidValue;
}

template <class... A>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, void (*)(A...)) {
    attributes->maxThreadsPerBlock = emulate::options.most_threads;
    return cudaSuccess;
}

inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int) {
    *properties = {"no GPU: emulated by the host", 0, 0};
    return cudaSuccess;
}
