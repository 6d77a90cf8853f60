/* Rung 4, the second way: the same kernels (operations.cuh), captured in a graph.
 *
 * A stream can be told to record what is enqueued and not to run it. What it recorded is checked
 * and laid out once, and then launched as a whole: 100 updates, 600 kernels, for the host's time of
 * one launch. The GPU still goes from kernel to kernel, which takes it about 1 us each, since each
 * waits for the one before; so the limit is now the GPU's, about 6 us per update.
 *
 * A graph has its arguments in it, which here never change: the counter of iterations is the
 * host's. What is left over, fewer than 100 updates before a checkpoint, is enqueued kernel by
 * kernel.
 */
#pragma once
#include "operations.cuh"

constexpr bool ARTICLE = false, ENSEMBLE = false;
constexpr int UPDATES = 100; /* in a graph: to lay it out takes as long as a few launches of each */

/* So many updates, ready to be launched. */
class Graph {
  public:
    template <class T> Graph(const Launcher<T> &launcher) {
        check(cudaStreamBeginCapture(launcher.stream, cudaStreamCaptureModeGlobal), "capture");
        for (int i = 0; i < UPDATES; i++) launcher.update();
        cudaGraph_t graph;
        check(cudaStreamEndCapture(launcher.stream, &graph), "capture");
        const cudaError_t error = cudaGraphInstantiate(&ready, graph);
        check(cudaGraphDestroy(graph), "cudaGraphDestroy");
        check(error, "cudaGraphInstantiate");
    }
    Graph(const Graph &) = delete;
    ~Graph() { cudaGraphExecDestroy(ready); }
    void run(cudaStream_t stream) const { check(cudaGraphLaunch(ready, stream), "a graph"); }

  private:
    cudaGraphExec_t ready;
};

template <class T> size_t room(const Problem<T> &) { return 0; }

template <class T> void train(const Problem<T> &p, const Given<T> &given) {
    const Stream stream;
    const Launcher<T> launcher = {p, stream, threads_for_all<T>()};
    const Graph graph(launcher);
    auto updates = [&](int64_t count) {
        for (; count >= UPDATES; count -= UPDATES) graph.run(stream);
        for (; count > 0; count--) launcher.update();
    };
    follow(p, given, stream, updates, [&] { launcher.forward(); });
}
