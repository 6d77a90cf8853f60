/* On the host: memory of the GPU, and a launch. Every call of CUDA is checked. */
#pragma once
#include "kernel.cuh"
#include "settings.cuh"

inline void check(cudaError_t error, const char *what) {
    if (error == cudaSuccess) return;
    int status = BACKPROP_FAILED;
    if (error == cudaErrorMemoryAllocation) status = BACKPROP_NO_MEMORY;
    if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ||
        error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion)
        status = BACKPROP_NO_DEVICE;
    throw Refusal{status, std::string(what) + ": " + cudaGetErrorString(error)};
}

/* Memory of the GPU, freed with the object. */
template <class E> class DeviceArray {
  public:
    explicit DeviceArray(size_t count) : count(count) {
        check(cudaMalloc(reinterpret_cast<void **>(&data), count * sizeof(E)), "cudaMalloc");
    }
    DeviceArray(const E *host, size_t count) : DeviceArray(count) {
        check(cudaMemcpy(data, host, count * sizeof(E), cudaMemcpyHostToDevice), "to the GPU");
    }
    DeviceArray(const DeviceArray &) = delete;
    ~DeviceArray() { cudaFree(data); }

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

template <class T> using Kernel = void (*)(Job<T>);

/* Launch one block, with `numbers` in shared memory if they fit, and wait for its end. It has as
 * many threads as the largest phase has elements, in whole warps of 32. */
template <class T>
void launch(Kernel<T> in_shared, Kernel<T> in_global, Job<T> job, size_t numbers, int rows) {
    int device, most_shared;
    check(cudaGetDevice(&device), "cudaGetDevice");
    check(cudaDeviceGetAttribute(&most_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
          "size of shared memory");
    const size_t bytes = numbers * sizeof(T);
    const bool fits = bytes <= static_cast<size_t>(most_shared);
    const Kernel<T> kernel = fits ? in_shared : in_global;
    const DeviceArray<T> room(fits ? 0 : numbers);
    job.room = room.data;
    if (fits) /* more than 48 KiB have to be asked for */
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(bytes)),
              "shared memory");

    cudaFuncAttributes attributes;
    check(cudaFuncGetAttributes(&attributes, kernel), "the kernel");
    const Layout &layout = job.layout;
    const int widest = *std::max_element(layout.layers + 1, layout.layers + layout.last + 1);
    const int elements = std::max(layout.parameters(), rows * widest);
    const int threads =
        std::min((std::min(elements, MAX_THREADS) + 31) / 32 * 32, attributes.maxThreadsPerBlock);

    /* kernel<<<1, threads, bytes>>>(job) says the same, but only to nvcc. */
    void *arguments[] = {&job};
    check(cudaLaunchKernel(kernel, dim3(1), dim3(threads), arguments, fits ? bytes : 0, nullptr),
          "launch");
    /* Whatever happens in a kernel is known at its end. */
    check(cudaDeviceSynchronize(), "in the kernel");
}
