/* On the host: memory of the GPU, launches, its clock, and how calls end. The port and the rungs of
 * its ladder share it. Every call of CUDA is checked. */
#pragma once
extern "C" {
#include "backprop_valid.h"
}
#include <climits>
#include <cmath>
#include <new>
#include <string>

/* Why a call does not return BACKPROP_OK. */
struct Refusal {
    int status;
    std::string reason;
};

inline void check(cudaError_t error, const char *what) {
    if (error == cudaSuccess) return;
    int status = BACKPROP_FAILED;
    if (error == cudaErrorMemoryAllocation) status = BACKPROP_NO_MEMORY;
    if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ||
        error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion)
        status = BACKPROP_NO_DEVICE;
    throw Refusal{status, std::string(what) + ": " + cudaGetErrorString(error)};
}

/* Before anything is read but settings, their layers and checkpoints. */
inline void demand(int valid) {
    if (!valid) throw Refusal{BACKPROP_FAILED, "the contract does not allow such a request"};
}

/* The kernels count in int, and in steps of as many as a block or a tile has. */
inline int small(int64_t count) {
    if (count > INT_MAX - 1024)
        throw Refusal{BACKPROP_UNSUPPORTED, "an array of the network has about 2^31 numbers"};
    return static_cast<int>(count);
}

/* Memory of the GPU, freed with the object. */
template <class E> class DeviceArray {
  public:
    explicit DeviceArray(size_t count) : count(count) {
        check(cudaMalloc(reinterpret_cast<void **>(&data), count * sizeof(E)), "cudaMalloc");
    }
    DeviceArray(const DeviceArray &) = delete;
    ~DeviceArray() { cudaFree(data); }

    void fill(const E *host) const {
        check(cudaMemcpy(data, host, count * sizeof(E), cudaMemcpyHostToDevice), "to the GPU");
    }
    /* `length` elements from `first` on, to the host. */
    void copy(E *host, size_t first, size_t length) const {
        check(cudaMemcpy(host, data + first, length * sizeof(E), cudaMemcpyDeviceToHost),
              "from the GPU");
    }
    void copy(E *host) const { copy(host, 0, count); }

    E *data = nullptr;

  private:
    size_t count;
};

/* kernel<<<blocks, threads, bytes, stream>>>(arguments...) says the same, but only to nvcc. */
template <class... A, class... B>
void launch(void (*kernel)(A...), unsigned blocks, unsigned threads, size_t bytes,
            cudaStream_t stream, const B &...given) {
    /* Whatever happens in a kernel is known when one waits for its end. */
    [&](A... as_it_takes) {
        void *arguments[] = {const_cast<void *>(static_cast<const void *>(&as_it_takes))...};
        check(cudaLaunchKernel(kernel, dim3(blocks), dim3(threads), arguments, bytes, stream),
              "launch");
    }(given...);
}

inline void wait_for_gpu() { check(cudaDeviceSynchronize(), "in the kernel"); }

/* How many bytes of shared memory a block of this GPU can have, if they are asked for. */
inline size_t most_shared_bytes() {
    int device, most;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
          "size of shared memory");
    return static_cast<size_t>(most);
}

/* Ask for them: more than 48 KiB are not given otherwise. */
template <class... A> void allow_shared(void (*kernel)(A...), size_t bytes) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(bytes)),
          "shared memory");
}

/* How many threads a block has for so many elements: whole warps, at most `most`, and at most as
 * many as the kernel can have. */
template <class... A> int block_threads(void (*kernel)(A...), int elements, int most) {
    cudaFuncAttributes attributes;
    check(cudaFuncGetAttributes(&attributes, kernel), "the kernel");
    const int warps = ((elements < most ? elements : most) + 31) / 32;
    return warps * 32 < attributes.maxThreadsPerBlock ? warps * 32 : attributes.maxThreadsPerBlock;
}

/* What the contract's functions return pointers to. */
inline std::string last_reason, device_name;
inline double last_seconds[3] = {NAN, NAN, NAN};

/* The GPU's own clock, for backprop_device_seconds: create one when all arrays are there, and mark
 * the ends of copying to the GPU, of computing and of copying back. An event is stamped when the
 * GPU comes to it; the host waits only for the last, so that the marks delay nothing. */
class Clock {
  public:
    Clock() {
        for (double &seconds : last_seconds) seconds = NAN;
        mark();
    }
    Clock(const Clock &) = delete;
    ~Clock() {
        for (int i = 0; i < marks; i++) cudaEventDestroy(at[i]);
    }
    void mark() {
        check(cudaEventCreate(&at[marks]), "cudaEventCreate");
        marks++;
        check(cudaEventRecord(at[marks - 1]), "cudaEventRecord");
    }
    void read() {
        check(cudaEventSynchronize(at[3]), "cudaEventSynchronize");
        for (int i = 0; i < 3; i++) {
            float milliseconds;
            check(cudaEventElapsedTime(&milliseconds, at[i], at[i + 1]), "cudaEventElapsedTime");
            last_seconds[i] = milliseconds * 1e-3;
        }
    }

  private:
    cudaEvent_t at[4];
    int marks = 0;
};

/* No exception may get into C. */
template <class Call> int status(Call call) noexcept {
    try {
        call();
        return BACKPROP_OK;
    } catch (const Refusal &refusal) {
        last_reason = refusal.reason;
        return refusal.status;
    } catch (const std::bad_alloc &) {
        last_reason = "no memory of the host is left";
        return BACKPROP_NO_MEMORY;
    }
}

static __global__ void nothing() {}

extern "C" {
inline __attribute__((used)) const char *backprop_reason(void) { return last_reason.c_str(); }

/* None where there is no such clock, as in the emulation, or where the last call failed. */
inline __attribute__((used)) const double *backprop_device_seconds(void) {
    return std::isnan(last_seconds[2]) ? nullptr : last_seconds;
}

/* Beside the contract, for has_device.py: is there a device that code of this library runs on? */
inline __attribute__((used)) int backprop_detect(void) {
    return status([] {
        int device;
        check(cudaGetDevice(&device), "no CUDA device");
        check(cudaFree(nullptr), "no CUDA device"); /* finds out more than asking the driver does */
        cudaFuncAttributes attributes;
        check(cudaFuncGetAttributes(&attributes, nothing), "no CUDA device");
    });
}

inline __attribute__((used)) const char *backprop_device(void) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return "no CUDA device";
    device_name = std::string(properties.name) + " (compute capability " +
                  std::to_string(properties.major) + "." + std::to_string(properties.minor) + ")";
    return device_name.c_str();
}
}
