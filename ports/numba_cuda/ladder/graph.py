"""Rung 4, with a graph: the kernels of kernel_per_operation.py, launched many at a time.

The launches of PER_GRAPH iterations are captured once: the stream records them, instead of
running them. The result is a graph, which the driver prepares once and the host then launches as
one. The host is out of the loop, and what is left is the way of the GPU from one kernel to the
next, of a microsecond or so. A graph has its arguments built in: alpha, and where the arrays are.
Iterations that fill no graph are launched one by one.

Numba has no graphs of its own. But its launches are ordinary ones on a stream of the driver's,
which may be captured through cuda.bindings, a package that Numba needs anyhow.

In the simulator `cuda.record` stands in for capturing. So how many iterations are made in what way
is judged there, and the calls of CUDA below are not: they have never run.
"""

import host
from device import SIMULATED, cuda
from kernel_per_operation import iteration, measure
from kernel_per_operation import updates as one_by_one

PER_GRAPH = 16  # iterations: 96 launches


def checked(result):
    """What a call of the CUDA runtime returns, without its status. Raises RuntimeError."""
    from cuda.bindings import runtime

    status, *values = result
    if status != runtime.cudaError_t.cudaSuccess:
        raise RuntimeError(runtime.cudaGetErrorString(status)[1].decode())
    return values[0] if values else None


class Graph:
    """What `work` launches on a stream, captured; each call launches all of it, as one."""

    def __init__(self, work, stream):
        from cuda.bindings import runtime

        self.handle = int(stream)
        # Other threads of the process are not captured, and may do meanwhile what they like.
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        # Numba frees memory when it finds the time, which would spoil a capture.
        with cuda.defer_cleanup():
            checked(runtime.cudaStreamBeginCapture(self.handle, mode))
            try:
                work()
            finally:
                graph = checked(runtime.cudaStreamEndCapture(self.handle))
        self.launch, self.destroy = runtime.cudaGraphLaunch, runtime.cudaGraphExecDestroy
        self.executable = checked(runtime.cudaGraphInstantiate(graph, 0))
        checked(runtime.cudaGraphDestroy(graph))

    def __call__(self):
        checked(self.launch(self.executable, self.handle))

    def __del__(self):
        if hasattr(self, "executable"):
            self.destroy(self.executable)


def updates(net, count):
    graph = getattr(net, "graph", None)
    if graph is None and count > PER_GRAPH:
        # One without, since a kernel is compiled and loaded when it is first launched, and a
        # capture is no time for that.
        iteration(net)
        count -= 1
        graph = net.graph = capture(lambda: one_by_one(net, PER_GRAPH), net.stream)
    if graph is not None:
        for _ in range(count // PER_GRAPH):
            graph()
        count %= PER_GRAPH
    one_by_one(net, count)


capture = (lambda work, stream: cuda.record(work)) if SIMULATED else Graph
train, step = host.loops(updates, measure, host.not_too_large)
device, device_seconds = host.device, host.device_seconds
