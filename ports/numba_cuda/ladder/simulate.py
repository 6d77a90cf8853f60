"""A CUDA device in Python, for the ladder: `cuda` here takes the place of Numba's.

A thread of a kernel is a greenlet: it runs until it comes to a barrier or a shuffle, and then the
next one does. So there is no polling and no chance: `order` says which thread goes first, and
every order must give the same bits. Blocks also run one after the other, in that order.

It is stricter than a GPU, to find what a GPU may forgive:

* Memory that nobody has written is NaN.
* A barrier that not all threads of a block reach, or a shuffle that not all lanes of a warp reach,
  is an error. So are two that wait at different ones.
* With `watch`, each access is recorded, and two threads at one element, one of them writing, with
  no barrier between, are a race, whichever came first. So is an index out of range.

`without` leaves one barrier or shuffle out, by its place in the source: a shuffle then returns the
lane's own value. That is how check_ladder.py shows that each is needed.
"""

import contextvars
import functools
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from greenlet import greenlet
from memory import DeviceArray, Race, Watched, filled

WARP = 32
BARRIER, WARP_BARRIER, SHUFFLE = "barrier", "warp barrier", "shuffle"


def forward(items):
    return items


@functools.cache
def named(calls):
    """Where a barrier or a shuffle is, and if in a device function, where that is called."""
    lines = [f"{Path(code.co_filename).name}:{line_of(code, at)}" for code, at in calls]
    return ", called at ".join(lines)


def line_of(code, at):
    return [line for start, end, line in code.co_lines() if start <= at < end][-1]


def type_of(argument):
    return getattr(argument, "dtype", type(argument)), getattr(argument, "shape", ())


class Dimensions:
    """x, y and z, of a block or of a place in one."""

    def __init__(self, sizes):
        sizes = (sizes,) if isinstance(sizes, int) else sizes
        self.x, self.y, self.z = (*map(int, sizes), 1, 1)[:3]

    def places(self):
        """All places, x first: the order in which threads are numbered."""
        for z in range(self.z):
            for y in range(self.y):
                yield from (Dimensions((x, y, z)) for x in range(self.x))


def at(threads):
    return " and ".join(sorted({named(thread.waits) for thread in threads if not thread.dead}))


class Block:
    """A block: its shared memory, and how many barriers it has passed."""

    def __init__(self):
        self.memory, self.phase = {}, 0


class Warp:
    """A warp: how many barriers of its own it has passed."""

    phase = 0


class Thread(greenlet):
    """A thread: its place, its number in the block, and what it waits for, and where."""

    waits = kind = value = source = None


class Kernel:
    """A kernel: kernel[blocks, threads, stream, shared_bytes](arguments) launches it."""

    def __init__(self, function, cuda):
        self.py_func, self.cuda = function, cuda

    def __getitem__(self, configuration):
        grid, block, _, shared = (*configuration, 0, 0)[:4]
        sizes = Dimensions(grid), Dimensions(block)
        run = functools.partial(self.cuda.run, self.py_func, *sizes, shared)
        return lambda *arguments: self.cuda.launch(run, arguments)


class Cuda:
    """What kernels and hosts know as `cuda`."""

    def __init__(self):
        self.shared = SimpleNamespace(array=self.shared_array)
        self.local = SimpleNamespace(array=lambda shape, dtype: filled(shape, dtype))
        self.order, self.watch, self.without = forward, False, None
        self.met = {}  # places of barriers and shuffles that were come to, and which of both it is
        self.counts = Counter()  # launches, barriers, shuffles
        self.launched = {}  # while watching: the arguments of a launch of each kernel
        self.recorded = None  # launches, while they are recorded and not run
        self.thread = None

    # --- the host's side

    def jit(self, function=None, *, device=False, **options):
        if function is None:
            return functools.partial(self.jit, device=device)
        return function if device else Kernel(function, self)

    def to_device(self, array, stream=0):
        return DeviceArray(np.array(array))

    def device_array(self, shape, dtype, stream=0):
        return DeviceArray(filled(shape, dtype))

    def stream(self):
        return SimpleNamespace(handle=0, synchronize=lambda: None)

    def record(self, work):
        """A stand-in for a CUDA graph: returns a function that makes the launches of `work`."""
        self.recorded = launches = []
        try:
            work()
        finally:
            self.recorded = None

        def replay():
            for run, arguments in launches:
                run(*arguments)

        return replay

    def launch(self, run, arguments):
        if self.recorded is None:
            run(*arguments)
        else:
            self.recorded.append((run, arguments))

    # --- a launch

    def run(self, function, grid, block, shared_bytes, *arguments):
        self.counts["launches"] += 1
        self.gridDim, self.blockDim, self.shared_bytes = grid, block, shared_bytes
        unpacked = [a.values if isinstance(a, DeviceArray) else a for a in arguments]
        if self.watch:
            self.launched[function.__name__, *map(type_of, unpacked)] = tuple(unpacked)
            unpacked = [Watched(a, self) if isinstance(a, np.ndarray) else a for a in unpacked]
        with np.errstate(over="ignore"):
            context = contextvars.copy_context()  # errstate lives there
            for place in self.order([*grid.places()]):
                self.run_block(function, unpacked, place, block, context)

    def run_block(self, function, arguments, place, size, context):
        block, threads = Block(), []
        for number, where in enumerate(size.places()):
            thread = Thread(function)
            thread.gr_context = context
            thread.block, thread.number, thread.place = block, number, where
            thread.warp = threads[-1].warp if number % WARP else Warp()
            threads.append(thread)
        arguments, ready = tuple(arguments), threads
        while ready:
            for thread in self.order(ready):
                self.thread = thread
                self.threadIdx, self.blockIdx = thread.place, place
                # Back here when it waits, or has ended.
                thread.switch(*arguments)
            arguments = ()  # they are for the start
            ready = [thread for thread in threads if not thread.dead]
            self.release(ready, threads)

    def release(self, alive, threads):
        """See that all wait for the same, and hand out what they wait for."""
        if alive and alive[0].kind == BARRIER:
            self.together(threads)
            alive[0].block.phase += 1
            return
        for start in range(0, len(threads), WARP):
            warp = threads[start : start + WARP]
            if all(thread.dead for thread in warp):
                continue
            self.together(warp)
            if warp[0].kind == WARP_BARRIER:
                warp[0].warp.phase += 1
            else:
                values = [thread.value for thread in warp]
                for thread in warp:
                    thread.value = values[thread.source]

    def together(self, threads):
        """Raises Race if one of them has ended, or waits elsewhere."""
        if any(thread.dead for thread in threads) or len({t.waits for t in threads}) > 1:
            raise Race(f"some threads wait at {at(threads)}, and others do not come")
        self.counts[threads[0].kind] += 1

    # --- the kernels' side

    def wait(self, kind, value=None, source=None):
        frame = sys._getframe(2)
        where = ((frame.f_code, frame.f_lasti),)
        if self.watch:  # in a device function, the place of its call also counts
            while frame := frame.f_back:
                where += ((frame.f_code, frame.f_lasti),)
            self.met[where] = kind
        if where != self.without:
            thread = self.thread
            thread.waits, thread.kind, thread.source, thread.value = where, kind, source, value
            thread.parent.switch()
            value = thread.value
        return value

    def syncthreads(self):
        self.wait(BARRIER)

    def syncwarp(self):
        self.wait(WARP_BARRIER)

    def shfl_xor_sync(self, mask, value, lane_mask):
        return self.wait(SHUFFLE, value, self.thread.number % WARP ^ lane_mask)

    def shared_array(self, size, dtype):
        # By its place in the code: each call is an array of its own, the same for a whole block.
        frame = sys._getframe(1)
        memory, key = self.thread.block.memory, (frame.f_code, frame.f_lasti)
        if key not in memory:
            values = filled(size or self.shared_bytes // np.dtype(dtype).itemsize, dtype)
            memory[key] = Watched(values, self) if self.watch else values
        return memory[key]


cuda = Cuda()
