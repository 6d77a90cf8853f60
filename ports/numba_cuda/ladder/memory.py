"""Device memory in the simulator, and which thread touched which element, and when."""

import sys
from pathlib import Path

import numpy as np


class SimulationError(Exception):
    """What is undefined on a GPU, in one sentence."""


class Race(SimulationError):
    """Two threads at one element, or not all threads at one barrier."""


def site(frame):
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


class DeviceArray:
    """An array on the device: the host copies it, and only kernels touch its elements."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype, self.size = values.shape, values.dtype, values.size
        self.__cuda_array_interface__ = {"data": (values.ctypes.data, False)}

    def copy_to_host(self, stream=0):
        return self.values.copy()


class Watched:
    """An array as a kernel sees it when accesses are recorded; a part shares `touched`."""

    def __init__(self, values, cuda, places=None, touched=None):
        self.values, self.cuda = values, cuda
        self.shape, self.size, self.dtype = values.shape, values.size, values.dtype
        self.places = np.arange(values.size).reshape(values.shape) if places is None else places
        self.touched = {} if touched is None else touched

    def __getitem__(self, index):
        self.inside(index)
        found = self.values[index]
        if isinstance(found, np.ndarray):
            return Watched(found, self.cuda, self.places[index], self.touched)
        self.touch(index, False)
        return found

    def __setitem__(self, index, value):
        self.inside(index)
        self.touch(index, True)
        self.values[index] = value

    def inside(self, index):
        indices = index if isinstance(index, tuple) else (index,)
        for i, size in zip(indices, self.shape, strict=False):
            if not isinstance(i, slice) and not 0 <= i < size:
                raise SimulationError(f"{site(sys._getframe(2))}: index {i} of {size}")

    def touch(self, index, writes):
        """Record an access, and raise Race if it is at once with another thread's."""
        thread, where = self.cuda.thread, site(sys._getframe(2))
        now = thread.block.phase, thread.warp.phase
        found = self.touched.setdefault(int(self.places[index]), {})
        for other, accesses in found.items():
            # Of each kind the latest is known, which is enough. Two reads are no race.
            for kind, (then, there) in accesses.items():
                matters = other is not thread and (writes or kind == "write")
                if matters and at_once(thread, now, other, then):
                    raise Race(f"{where} and {there}: the same element, with no barrier between")
        found.setdefault(thread, {})["write" if writes else "read"] = now, where


def at_once(thread, now, other, then):
    """True if no barrier lies between what two threads do in these phases."""
    if other.block is not thread.block:
        return True  # blocks wait at no barrier of each other's
    return then == now if other.warp is thread.warp else then[0] == now[0]


def filled(shape, dtype):
    """An array that holds what a float should not."""
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else -1, dtype)
