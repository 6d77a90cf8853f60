"""A program that measures what the machine can do: matrix products, and copies in memory.

    python -m conformance.bench.probe THREADS

It is a process of its own, so that it gets the same processors and threads as the targets.
It prints a line of JSON: for each dtype the operations per second of NumPy's product of two
SIZE x SIZE matrices, and the bytes per second that a copy reads and writes, each the best of
TRIES.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SIZE = 2048
TRIES = 4
COPIED_BYTES = 2**28  # far larger than any cache


def main() -> None:
    """Measure, and print."""
    threads = int(sys.argv[1])
    flops = {dtype: 2 * SIZE**3 / _best(_product(dtype)) for dtype in ("float64", "float32")}
    source, target = (np.ones((threads, COPIED_BYTES // 8 // threads)) for _ in range(2))
    # NumPy copies with one thread; while it does, others may run.
    with ThreadPoolExecutor(threads) as pool:
        seconds = _best(lambda: list(pool.map(np.copyto, target, source)))
    print(json.dumps({"flops_per_s": flops, "bytes_per_s": 2 * source.nbytes / seconds}))


def _product(dtype: str) -> Callable[[], object]:
    a, b = np.random.default_rng(1).random((2, SIZE, SIZE)).astype(dtype)
    c = np.empty_like(a)
    return lambda: np.matmul(a, b, out=c)


def _best(work: Callable[[], object]) -> float:
    """The shortest time, without the first try, which allocates memory and starts threads."""
    work()
    times = []
    for _ in range(TRIES):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main()
