"""Look for races: run the kernels as Python, and watch who reads and writes what, and when.

    python check_races.py

Between two barriers no thread may touch an element that another one writes. Here each access is
recorded, so that a race is found whichever thread comes first, and also an index out of range.
Then one barrier after the other is left out, and a race must be found: so each is needed, and
the check would notice if it were missing.
"""

import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

import backprop
import kernel
import layers
import optimise
import random_numbers

MODULES = kernel, layers, optimise, random_numbers
TRAINING = {"alpha": 0.5, "batch_size": 2, "trim_norm": 0.1}
RANDOM = {"shuffle": True, "dropout": 0.4, "philox_seed": 7}
NORM = {"batch_norm": True, "norm_epsilon": 0.1, "norm_rate": 0.1}
ADAM = {"adam": True, "beta1": 0.9, "beta2": 0.99, "adam_epsilon": 0.1}
SOFTMAX = {"bias": True, "output": "softmax", "loss": "cross-entropy"}
# Sizes of layers, number of samples, settings.
NETWORKS = [
    ([3, 4, 4, 2], 5, TRAINING | RANDOM | NORM | ADAM | SOFTMAX | {"activation": "tanh"}),
    ([3, 4, 4, 2], 5, TRAINING | RANDOM | SOFTMAX | {"momentum": 0.5, "l2": 0.1}),
    ([3, 4, 2], 5, {"alpha": 0.5, "batch_size": 3} | NORM),
    ([3, 4, 1], 4, {"alpha": 0.5}),
    ([3, 2], 5, {"alpha": 0.5, "batch_size": 2}),
    ([3, 2], 5, {"alpha": 0.5, "batch_size": 2, "shuffle": True}),
]


class Race(Exception):
    """Two threads at one element, or not all threads at one barrier."""


def site(frame):
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


class Memory:
    """An array, or a part of one, that records the threads that touch each element."""

    def __init__(self, values, block, part=None, touched=None):
        self.values, self.block = values, block
        self.flat = values.reshape(-1)
        self.start, self.size = part or (0, values.size)
        self.dtype = values.dtype
        self.touched = {} if touched is None else touched
        if touched is None:
            block.memories.append(self.touched)

    def at(self, index, writes, where):
        if isinstance(index, tuple):
            index = index[0] * self.values.shape[1] + index[1]
        if not 0 <= index < self.size:
            raise Race(f"{where}: element {index} of {self.size}")
        index += self.start
        thread = self.block.thread.number
        for other, (wrote, there) in self.touched.setdefault(index, {}).items():
            if other != thread and (wrote or writes):
                raise Race(f"{where} and {there}: the same element, with no barrier between")
        if writes or thread not in self.touched[index]:
            self.touched[index][thread] = writes, where
        return index

    def __getitem__(self, index):
        if isinstance(index, slice):
            start, stop, _ = index.indices(self.size)
            return Memory(self.flat, self.block, (self.start + start, stop - start), self.touched)
        with self.block.lock:
            return self.flat[self.at(index, False, site(sys._getframe(1)))]

    def __setitem__(self, index, value):
        with self.block.lock:
            self.flat[self.at(index, True, site(sys._getframe(1)))] = value

    def copy_to_host(self):
        return self.values


class Block:
    """What the modules know as `cuda`; `without` is a barrier to be left out."""

    def __init__(self, without=None):
        self.without, self.barriers = without, set()
        self.memories, self.waiting_at = [], set()
        self.thread = threading.local()
        self.shared = SimpleNamespace(array=self.shared_array)
        self.lock = threading.Lock()

    @property
    def threadIdx(self):  # noqa: N802
        return SimpleNamespace(x=self.thread.number)

    @property
    def blockDim(self):  # noqa: N802
        return SimpleNamespace(x=self.barrier.parties)

    def to_device(self, array):
        return Memory(np.array(array), self)

    def device_array(self, shape, dtype):
        return Memory(np.zeros(shape, dtype), self)

    def shared_array(self, size, dtype):
        with self.lock:
            if self.room is None:
                values = np.zeros(size, np.int64) if size else np.zeros(self.bytes // 8, dtype)
                self.room = Memory(values, self)
            return self.room

    def syncthreads(self):
        where = site(sys._getframe(1))
        self.barriers.add(where)
        if where != self.without:
            self.waiting_at.add(where)
            self.barrier.wait(10)

    def next_phase(self):
        if len(self.waiting_at) > 1:
            raise Race(f"threads wait at different barriers: {self.waiting_at}")
        self.waiting_at.clear()
        for touched in self.memories:
            touched.clear()

    def launch(self, function, threads, shared_bytes, arguments):
        self.barrier = threading.Barrier(threads, self.next_phase)
        self.bytes, self.room = shared_bytes, None
        failures = []

        def run(number):
            self.thread.number = number
            try:
                function(*arguments)
            except threading.BrokenBarrierError:
                pass  # another thread has failed
            except Exception as error:
                failures.append(error)
                self.barrier.abort()

        running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        self.next_phase()  # the end of a launch is also a barrier
        if failures:
            raise failures[0]
        if self.barrier.broken:
            raise Race("threads wait at a barrier where others do not come")


class Kernel:
    """What backprop.py launches in place of a kernel."""

    def __init__(self, function, block):
        self.function, self.block = function, block

    def __getitem__(self, configuration):
        _, threads, *more = configuration
        shared = more[1] if more else 0
        return lambda *arguments: self.block.launch(self.function, threads, shared, arguments)


KERNELS = {
    f.py_func.__name__: f.py_func for f in (kernel.backprop, kernel.infer, random_numbers.draw)
}


def install(block):
    """Let all modules compute in this block."""
    for module in (backprop, *MODULES):
        for name, value in vars(module).copy().items():
            setattr(module, name, getattr(value, "py_func", value))
        module.cuda = block
    for name, function in KERNELS.items():
        setattr(backprop, name, Kernel(function, block))


def run_networks(without=None):
    """Run all networks; returns the barriers that were there. Raises Race."""
    met = set()
    for sizes, samples, settings in NETWORKS:
        backprop.SHARED_BYTES = 48 * 1024
        block = Block(without)
        install(block)
        draw = np.random.default_rng(samples)
        X, y = draw.uniform(size=(samples, sizes[0])), draw.uniform(size=(samples, sizes[-1]))
        state = backprop.initial(sizes, 1, dtype="float64", **settings)
        backprop.train(X, y, state, [0, 1, 4], **settings)
        backprop.step(X, y, state, iteration=2, **settings)
        # Also of the inputs, only two at a time have room.
        layout = backprop.Layout(sizes[0], state, backprop.Settings(**settings))
        backprop.SHARED_BYTES = 8 * (layout.parameters + layout.room(2)[-1])
        backprop.predict(X, state, **settings)
        met |= block.barriers
    return met


def main():
    barriers = run_networks()
    for without in sorted(barriers):
        try:
            run_networks(without)
        except Race as race:
            print(f"without the barrier of {without}: {race}")
        else:
            raise Race(f"without the barrier of {without} there is no race, either")
    print(f"no race on {len(NETWORKS)} networks; each of {len(barriers)} barriers is needed")


if __name__ == "__main__":
    try:
        main()
    except Race as race:
        sys.exit(f"race: {race}")
