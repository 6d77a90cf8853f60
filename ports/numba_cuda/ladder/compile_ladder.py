"""Compile the kernels of a rung for sm_90, as compile_sm90.py does those of the port.

    python compile_ladder.py MODULE OUTDIR

Registers are bounded by what the launch needs: a block of so many threads shares 65,536. What
check_ladder.py has found is in OUTDIR, and is repeated, since a build is known by one line.
"""

import importlib
import os
import sys
from pathlib import Path

os.environ["NUMBA_ENABLE_CUDASIM"] = "0"
sys.path.append(str(Path(__file__).parents[1]))

from compile_sm90 import examine, or_a_sentence
from numba import float32, float64
from signatures import KERNELS_OF, signatures

# The most registers a thread may have, by module. One thread or one warp at a time may
# have all 255. A block of rung 2 has 512 threads. In rung 5 four blocks of 128 are to fit on a
# multiprocessor, in rungs 4 and 6 enough to hide the way to memory.
ROOM = {
    "one_thread": 255,
    "one_block": 128,
    "one_warp": 255,
    "kernel_per_operation": 64,
    "thread_per_network": 128,
    "warp_per_network": 128,
    "tiled": 64,
}


def main(name, folder):
    folder.mkdir(parents=True, exist_ok=True)
    name = KERNELS_OF.get(name, name)
    module = importlib.import_module(name)
    found = []
    for real, bits in ((float64, 64), (float32, 32)):
        used = [
            examine(getattr(module, kernel), signature, bits, ROOM[name], folder)
            for kernel, signature in signatures(real)[name].items()
        ]
        found.append(f"float{bits}: {', '.join(used)}")
    checked = (folder / "checked.txt").read_text().strip()
    print(f"{checked}; for sm_90, nothing spilled, {'; '.join(found)}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python compile_ladder.py MODULE OUTDIR")
    or_a_sentence(lambda: main(sys.argv[1], Path(sys.argv[2])))
