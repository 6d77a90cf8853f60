"""Tells a port that works from one that waits: by its processor time, and by what it waits for.

One that loads a large library, or compiles, is at work for a minute without a word. One that
waits for something that will not come is found out sooner.
"""

import time

import psutil

from conformance.process.tree import Tree, members

TICK_S = 0.5
LEAST = 0.05  # of a core: what runtimes do in the background stays below
AT_WORK = (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)  # also where the machine is busy


class Pulse:
    """Watches a tree from now on; `idle_s` must be asked again and again."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._used = 0.0
        self._seen = self._busy = time.monotonic()

    def idle_s(self) -> float:
        """For how many seconds by now no process of the tree has been at work."""
        now = time.monotonic()
        if (passed := now - self._seen) >= TICK_S:
            used, at_work = _work(self._tree)
            # Less than before: one has ended, and its time is gone with it.
            if at_work or not 0 <= used - self._used < LEAST * passed:
                self._busy = now
            self._used, self._seen = used, now
        return now - self._busy


def _work(tree: Tree) -> tuple[float, bool]:
    """Processor time in seconds of all processes there are, and whether one is at work now."""
    used, at_work = 0.0, False
    for process in members(tree):
        try:
            used += sum(process.cpu_times()[:4])  # its own, and that of children that have ended
            at_work = at_work or process.status() in AT_WORK
        except psutil.Error:  # it has just ended
            at_work = True
    return used, at_work
