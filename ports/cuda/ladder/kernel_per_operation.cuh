/* Rung 4: a kernel for each operation, and the host in the loop. The kernels are in operations.cuh.
 *
 * That is how array libraries compute: any size, all multiprocessors at work, and a programmer
 * thinks about one operation at a time. Six launches per update cost the host some 2 to 4 us each,
 * and the GPU about 1 us between one kernel's end and the next one's start. So a small network
 * does nothing but wait for launches, and only a large one makes good use of the GPU.
 */
#pragma once
#include "operations.cuh"

constexpr bool ARTICLE = false, ENSEMBLE = false;

template <class T> size_t room(const Problem<T> &) { return 0; }

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    const Stream stream;
    const Launcher<T> launcher = {p, stream, threads_for_all<T>()};
    auto updates = [&](int64_t count) {
        for (; count > 0; count--) launcher.update();
    };
    follow(p, given, stream, updates, [&] { launcher.forward(); });
}
