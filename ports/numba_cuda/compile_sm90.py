"""Compile the kernel to PTX for sm_90, on any machine: no GPU and no driver is needed.

    python compile_sm90.py OUTDIR

The simulator runs the kernel as Python, where much passes that CUDA does not allow. This is
the check that it is a CUDA kernel, and what kind: it is assembled to machine code too, for
the count of its registers.
"""

import inspect
import os
import re
import sys
from pathlib import Path

os.environ["NUMBA_ENABLE_CUDASIM"] = "0"


def assemble(ptx):
    """Assemble PTX for sm_90. Returns the registers a thread uses, and the bytes it spills."""
    from cuda.bindings import nvjitlink

    options = ["-arch=sm_90", "-Xptxas=-v"]
    code = ptx.encode()
    linker = nvjitlink.create(len(options), options)
    nvjitlink.add_data(linker, nvjitlink.InputType.PTX, code, len(code), "backprop.ptx")
    nvjitlink.complete(linker)
    log = bytearray(nvjitlink.get_info_log_size(linker))
    nvjitlink.get_info_log(linker, log)
    nvjitlink.destroy(linker)
    registers = re.search(rb"Used (\d+) registers", log)
    spilled = re.search(rb"(\d+) bytes spill stores", log)
    return int(registers[1]), int(spilled[1])


def check(condition, sentence):
    if not condition:
        raise ValueError(sentence)


def main(folder):
    import kernel
    from backprop import MAX_THREADS
    from numba import boolean, cuda, float32, float64, int64

    source = inspect.getsource(kernel)
    folder.mkdir(parents=True, exist_ok=True)
    for real, bits in ((float64, 64), (float32, 32)):
        flat, table, integers = real[::1], real[:, ::1], int64[::1]
        # As backprop.run calls it: data and state, layout, iterations, settings, results.
        signature = (
            *(flat, flat, flat, flat),
            *(integers, integers, integers),
            *(int64, integers),
            *(int64, int64, int64, int64, int64, boolean, boolean),
            *(real, real, real, real, real, real),
            *(table, flat, boolean, table),
        )
        ptx, _ = cuda.compile_ptx(kernel.backprop.py_func, signature, cc=(9, 0))
        barriers = len(re.findall(r"\bbar\.sync\b|\bbarrier\.sync\b", ptx))
        wanted = source.count("cuda.syncthreads()")
        check(barriers >= wanted > 0, f"{wanted} barriers in the source, {barriers} in the PTX")
        check(f".f{bits}" in ptx, f"no f{bits} arithmetic in the float{bits} PTX")
        check(bits == 64 or ".f64" not in ptx, "f64 instructions in the float32 PTX")

        registers, spilled = assemble(ptx)
        room = 65536 // MAX_THREADS
        check(registers <= room, f"{registers} registers a thread, a full block has {room}")

        target = folder / f"backprop_f{bits}.ptx"
        partial = target.with_suffix(".tmp")
        partial.write_text(ptx)
        partial.replace(target)
        # The mangled name goes on with the types of all arguments, for 300 characters.
        entry = re.search(r"\.entry\s+(\w{22})", ptx)[1]
        used = f"{registers} registers, {spilled} bytes spilled, {barriers} bar.sync"
        print(f"PTX for sm_90, float{bits}: {used} ({entry}...)")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python compile_sm90.py OUTDIR")
    try:
        main(Path(sys.argv[1]))
    except Exception as error:
        reason = " ".join(str(error).split())[:300]  # Numba's reasons are pages long
        sys.exit(f"the kernel was not compiled: {type(error).__name__}: {reason}")
