"""Compile the kernels to PTX for sm_90, on any machine: no GPU and no driver is needed.

    python compile_sm90.py OUTDIR

The simulator runs the kernels as Python, where much passes that CUDA does not allow. This is
the check that they are CUDA kernels, and what kind: each is assembled to machine code too, for
the count of its registers.
"""

import inspect
import os
import re
import sys
from pathlib import Path

os.environ["NUMBA_ENABLE_CUDASIM"] = "0"


def assemble(ptx):
    """Assemble PTX for sm_90. Returns a thread's registers, and its bytes of local memory.

    Local memory is where registers go that are spilled, and arrays that are not registers.
    """
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
    in_memory = re.findall(rb"(\d+) bytes (?:stack frame|spill stores)", log)
    check(registers and in_memory, "the assembler does not say how many registers a kernel has")
    return int(registers[1]), sum(map(int, in_memory))


def check(condition, sentence):
    if not condition:
        raise ValueError(sentence)


def barriers_in(kernel, never_called):
    """How many barriers the source of a kernel has, each device function counted once."""
    count, seen, waiting = 0, {*never_called}, [kernel]
    while waiting:
        function = waiting.pop()
        if function not in seen:
            seen.add(function)
            count += inspect.getsource(function.py_func).count("cuda.syncthreads()")
            named = map(function.py_func.__globals__.get, function.py_func.__code__.co_names)
            waiting += [value for value in named if hasattr(value, "py_func")]
    return count


def signatures(real):
    """The kernels with the types of their arguments, as backprop.py launches them."""
    from kernel import backprop, infer
    from network import Rules
    from numba import boolean, int64, types
    from random_numbers import draw

    flat, table, integers = real[::1], real[:, ::1], int64[::1]
    kinds = {int: int64, bool: boolean}
    fields = [kinds.get(kind, real) for kind in Rules.__annotations__.values()]
    rules = types.NamedTuple(fields, Rules)
    layout = integers, integers, integers, int64, rules
    data = flat, flat, flat
    room = flat, flat, flat, integers
    results = table, flat, boolean, table
    return {
        backprop: (*data, *room, *layout, int64, int64, integers, *results),
        infer: (flat, flat, *layout, int64, flat),
        draw: (int64, integers, int64, flat),
    }


def examine(kernel, signature, bits, room, folder, never_called=()):
    """Compile a kernel for one dtype into the folder, and check it. Returns what it is like."""
    from numba import cuda

    name = kernel.py_func.__name__
    bounds = kernel.targetoptions.get("launch_bounds")
    ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=(9, 0), launch_bounds=bounds)
    barriers = len(re.findall(r"\bbar\.sync\b|\bbarrier\.sync\b", ptx))
    wanted = barriers_in(kernel, never_called)
    check(barriers >= wanted, f"{name}: {wanted} barriers in the source, {barriers} in PTX")
    check(f".f{bits}" in ptx, f"{name}: no f{bits} arithmetic in the float{bits} PTX")
    check(bits == 64 or ".f64" not in ptx, f"{name}: f64 instructions in the float32 PTX")

    registers, in_memory = assemble(ptx)
    check(registers <= room, f"{name}: {registers} registers, and there is room for {room}")
    check(not in_memory, f"{name}: {in_memory} bytes of registers or arrays are in memory")

    target = folder / f"{name}_f{bits}.ptx"
    partial = target.with_suffix(".tmp")
    partial.write_text(ptx)
    partial.replace(target)
    shuffles = len(re.findall(r"\bshfl\.sync\b", ptx))
    said = f"{name} {registers} registers, {barriers} bar.sync"
    return f"{said}, {shuffles} shfl.sync" if shuffles else said


def main(folder):
    from kernel import infer
    from layers import normalise
    from network import MAX_THREADS
    from numba import float32, float64

    folder.mkdir(parents=True, exist_ok=True)
    for real, bits in ((float64, 64), (float32, 32)):
        used = []
        for kernel, signature in signatures(real).items():
            # Inference calls forward, but so that nothing is left there of this.
            unused = [normalise] if kernel is infer else []
            used.append(examine(kernel, signature, bits, 65536 // MAX_THREADS, folder, unused))
        print(f"PTX for sm_90, float{bits}: {'; '.join(used)}; nothing spilled")


def or_a_sentence(work):
    try:
        work()
    except Exception as error:
        reason = " ".join(str(error).split())[:300]  # Numba's reasons are pages long
        sys.exit(f"the kernels were not compiled: {type(error).__name__}: {reason}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python compile_sm90.py OUTDIR")
    or_a_sentence(lambda: main(Path(sys.argv[1])))
