"""Jobs on all cores, which end when the user interrupts."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Result = TypeVar("Result")


def in_parallel(jobs: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """The results of picklable jobs, in order, each as soon as it and the ones before it are done.

    Raises what a job raises. When the caller is interrupted, the jobs are ended.
    """
    # Ctrl-C goes to all processes of a terminal. Only this one acts on it: leaving the pool
    # terminates the others.
    with multiprocessing.Pool(os.cpu_count(), _begin) as pool:
        yield from pool.imap(_call, jobs)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever the caller does with it


def _call(job: Callable[[], Result]) -> Result:
    return job()
