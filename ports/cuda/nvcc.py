"""Find nvcc, compile with it, and check what it made of the kernels. No GPU is needed.

    python nvcc.py --version     its version, if it can build a library
    python nvcc.py ARGUMENTS     nvcc ARGUMENTS, which must have -o, and checks

nvcc is the one on PATH, or that of the packages in requirements.txt.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
MAX_THREADS = 512  # in a block: network.cuh
REGISTERS = 65536  # of a multiprocessor, and so at most of a block
TRIAL = "__global__ void nothing() {}\nvoid launch() { nothing<<<1, 1>>>(); }\n"
# What nvcc calls train<double, Room::SHARED>: _Z5trainIdL4Room0EEv3JobIT_E.
KERNEL = re.compile(r"_Z\d+(train|infer)I([df])L4Room([01])E")


def candidates():
    """The start of a command, for each nvcc that there may be."""
    if path := shutil.which("nvcc"):
        yield [path]
    root = Path(sysconfig.get_path("purelib"), "nvidia", "cu13")
    if (nvcc := root / "bin" / "nvcc").exists():
        yield [str(nvcc), f"-L{root / 'lib'}"]  # it looks into lib64, and they install lib


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError((done.stderr or done.stdout).strip() or f"{command[0]} failed")
    return done.stdout + done.stderr


def find():
    """An nvcc that compiles, assembles and links C++20; and its version."""
    reasons = ["nvcc is not here"]
    for nvcc in candidates():
        try:
            version = re.search(r"V([\d.]+)", run([*nvcc, "--version"]))[1]
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder, "trial.cu")
                source.write_text(TRIAL)
                flags = ["-std=c++20", "-arch=sm_90", "-shared", "-Xcompiler", "-fPIC"]
                run([*nvcc, *flags, str(source), "-o", f"{folder}/trial.so"])
            return nvcc, version
        except (ValueError, OSError) as error:
            reasons.append(f"{nvcc[0]}: {error}")
    raise ValueError(reasons[-1])


def check(condition, sentence):
    if not condition:
        raise ValueError(sentence)


def describe(match):
    name, bits, room = match.groups()
    return (
        f"{name}<{'double' if bits == 'd' else 'float'}, {'GLOBAL' if room == '1' else 'SHARED'}>"
    )


def registers(log):
    """From the assembler's words: how many registers each kernel takes. None may be spilled."""
    found = {}
    name = None
    for line in log.splitlines():
        if entry := re.search(r"Compiling entry function '(\w+)'", line):
            name = describe(KERNEL.match(entry[1]))
        if spilled := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            check(spilled.group(1, 2) == ("0", "0"), f"{name}: registers are spilled:{line}")
        if used := re.search(r"Used (\d+) registers", line):
            found[name] = int(used[1])
    for kernel, count in found.items():
        room = REGISTERS // MAX_THREADS
        check(count <= room, f"{kernel}: {count} registers, where a full block has {room}")
    return found


def barriers(ptx):
    """How many barriers each kernel has in PTX; and they must compute in their own type."""
    found = {}
    for body in re.split(r"\.(?:entry|func) ", ptx):
        if not (match := KERNEL.match(body)):
            continue
        name = describe(match)
        found[name] = len(re.findall(r"\bbar(?:rier)?\.sync\b", body))
        check(match[2] == "d" or ".f64" not in body, f"{name}: computes in float64")
        check(match[2] == "f" or ".f64" in body, f"{name}: does not compute in float64")
    return found


def report(log, ptx):
    """What the kernels take, in a line; raises ValueError if that is wrong."""
    of_source = sum(p.read_text().count("__syncthreads();") for p in HERE.glob("*.cuh"))
    used, synced = registers(log), barriers(ptx)
    check(len(used) == 8 and used.keys() == synced.keys(), f"not all kernels are here: {[*used]}")
    said = []
    for name in sorted(used, reverse=True):
        wanted = of_source if name.startswith("train") else 1
        check(synced[name] >= wanted, f"{name}: {synced[name]} barriers in PTX, not {wanted}")
        said.append(f"{name} {used[name]} registers, {synced[name]} bar.sync")
    return f"for sm_90: {'; '.join(said)}; nothing spilled"


def main(arguments):
    nvcc, version = find()
    if arguments == ["--version"]:
        print(f"nvcc {version}, {run(['g++', '--version']).splitlines()[0]}")
        return
    kept = Path(arguments[arguments.index("-o") + 1]).parent / "nvcc"
    kept.mkdir(parents=True, exist_ok=True)
    log = run([*nvcc, "-Xptxas", "-v", "--keep", "--keep-dir", str(kept), *arguments])
    [ptx] = [p for p in kept.glob("*.ptx") if ".target sm_90" in p.read_text()]
    print(report(log, ptx.read_text()))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"nvcc: {error}")
