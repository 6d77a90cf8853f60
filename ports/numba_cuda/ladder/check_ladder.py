"""Run a rung's kernels in the simulator, threads in several orders, and look for races.

    python check_ladder.py MODULE OUTDIR

Whatever the order of threads and blocks, and whatever the size of a block where that is free, the
results must have the same bits, and no element may be touched by two threads, one of them writing,
with no barrier between. Then each barrier is left out, and a race must be found; and each shuffle,
so that a lane gets its own number back, and the results must differ: so each is needed, and the
check would notice if it were missing. What was found goes to OUTDIR/checked.txt.
"""

import importlib
import os
import random
import sys
from pathlib import Path

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

import host
import numpy as np
from device import cuda
from memory import Race, SimulationError
from numba import float32, float64, typeof
from signatures import KERNELS_OF, signatures
from simulate import BARRIER, SHUFFLE, WARP_BARRIER, forward, named

ENSEMBLE = {"thread_per_network": (1, True), "warp_per_network": (32, False)}
KINDS = BARRIER, WARP_BARRIER, SHUFFLE
SMALL = {"one_warp", *ENSEMBLE}


class Flaw(Exception):
    """What the check found, in one sentence."""


def reverse(items):
    return items[::-1]


def shuffled(seed):
    draw = random.Random(seed)
    return lambda items: draw.sample(items, len(items))


# The first is that to which all are compared, and is repeated.
ORDERS = forward, forward, reverse, shuffled(1), shuffled(2)


def networks(name):
    """X, y and state of the networks that the rung is run on; one has several outputs."""
    draw = np.random.default_rng(1)
    found = []
    for samples, inputs, hidden, outputs in [(4, 3, 4, 1), (5, 3, 6, 2)]:
        X, y = draw.uniform(size=(samples, inputs)), draw.uniform(size=(samples, outputs))
        state = [draw.uniform(-1, 1, s) for s in ((inputs, hidden), (hidden, outputs))]
        found.append((X, y, state))
    if name not in SMALL:
        return found
    X, y, state = found[0]
    if name not in ENSEMBLE:
        return [(X, y, state)]
    several = [draw.uniform(-1, 1, (5, *syn.shape)) for syn in state]
    return [(X, y, state), (X, y, several)]


def results(train, step, name):
    """All that the rung answers for these networks, as bytes."""
    found, checkpoints = [], [0, 1, 3, 40] if name == "graph" else [0, 1, 3]  # a graph has 16
    for X, y, state in networks(name):
        for _, error, weights in train(X, y, state, checkpoints, alpha=0.5):
            found += [error, *weights]
        if state[0].ndim == 2:
            found += [array for part in step(X, y, state, alpha=0.5) for array in part]
    return b"".join(np.asarray(array).tobytes() for array in found)


def block_sizes(name, module):
    """A name for each size of a block to try, and train and step with it."""
    yield "as launched", module.train, module.step
    if name in ENSEMBLE:
        threads, transposed = ENSEMBLE[name]
        for size in (32, 64, 96) if threads == 32 else (1, 3, 32):
            yield size, *host.ensembles(module.advance, threads, size, transposed=transposed)
    # Names that a module looks up at each launch.
    for owner, variable, sizes in (
        ("one_block", "MAX_THREADS", (1, 3, 7)),
        ("kernel_per_operation", "BLOCK", (1, 3, 32)),
        ("tiled", "TILE", (2, 3, 5)),
    ):
        if name == owner:
            usual = getattr(module, variable)
            for size in sizes:
                setattr(module, variable, size)
                if variable == "TILE":
                    module.PADDED = (size, size + 1)
                yield size, module.train, module.step
            setattr(module, variable, usual)


def same_bits(name, module):
    """Raises Flaw where an order or a size of a block gives other bits; counts the sizes."""
    right, sizes = None, 0
    for size, train, step in block_sizes(name, module):
        sizes += 1
        for number, order in enumerate(ORDERS):
            cuda.order = order
            found = results(train, step, name)
            right = found if right is None else right
            if found != right:
                raise Flaw(f"{name}: other bits with a block of {size} in order {number}")
    cuda.order = forward
    if name == "tiled":
        module.PADDED = (module.TILE, module.TILE + 1)
    return right, sizes


def needed(name, module, right):
    """Raises Flaw if something can be left out; returns what there was to leave out."""
    kinds = dict(cuda.met)
    for without, kind in kinds.items():
        cuda.without = without
        try:
            missed = results(module.train, module.step, name) == right or kind != SHUFFLE
        except Race:
            missed = False
        if missed:
            raise Flaw(f"without the {kind} of {named(without)} nothing is found")
    cuda.without = None
    return kinds.values()


def launched_as_compiled(name, module):
    """Raises Flaw if a kernel is launched with other types than it is compiled for."""
    X, y, state = networks(name)[0]
    for real in (float64, float32):
        cuda.launched.clear()
        X, y, *state = (np.array(a, str(real)) for a in (X, y, *state))
        module.train(X, y, state, [0, 1], alpha=0.5)
        module.step(X, y, state, alpha=0.5)
        kernels = {}
        for imported in {name, KERNELS_OF.get(name, name), "kernel_per_operation"}:
            kernels |= signatures(real).get(imported, {})
        for (kernel, *_), arguments in cuda.launched.items():
            found = tuple(map(typeof, arguments))
            if found != kernels[kernel]:
                raise Flaw(f"{name}: {kernel} is compiled for {kernels[kernel]}, not {found}")


def an_iteration(name, module):
    """What one iteration of 3-4-1 more makes in launches, barriers and shuffles."""
    X, y, state = networks(name)[0]
    counted = []
    for n in (2, 3):
        cuda.counts.clear()
        module.train(X, y, state, [n], alpha=0.5)
        counted.append([cuda.counts[what] for what in ("launches", *KINDS)])
    return [more - fewer for fewer, more in zip(*counted, strict=True)]


def counted(numbers):
    return [f"{n} {kind}{'s' * (n > 1)}" for n, kind in zip(numbers, KINDS, strict=True) if n]


def main(name, folder):
    module = importlib.import_module(name)
    cuda.watch = True
    right, sizes = same_bits(name, module)
    kinds = list(needed(name, module, right))
    launched_as_compiled(name, module)
    cuda.watch = False
    launches, *waits = an_iteration(name, module)
    said = (
        f"no race, and the same bits in {len(ORDERS) - 1} orders and {sizes} sizes of a block; "
        f"needed: {', '.join(counted(map(kinds.count, KINDS)) or ['no barrier'])}; "
        f"an iteration of 3-4-1: "
        f"{', '.join([f'{launches} launches', *counted(waits)])}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checked.txt").write_text(f"{said}\n")
    print(said)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python check_ladder.py MODULE OUTDIR")
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except (Flaw, SimulationError) as flaw:
        sys.exit(f"the ladder's check: {flaw}")
