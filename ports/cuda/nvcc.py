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
PACKAGES = Path(sysconfig.get_path("purelib"), "nvidia")
# Where a library looks for what it loads when it runs: cuBLAS of the packages for CUDA 13 or 12.
LOADED_FROM = [PACKAGES / "cu13" / "lib", PACKAGES / "cublas" / "lib"]
REGISTERS = 65536  # of a multiprocessor, and so at most of a block; a thread has at most 255
TRIAL = "__global__ void nothing() {}\nvoid launch() { nothing<<<1, 1>>>(); }\n"
# What nvcc calls train<double, Room::SHARED>, _Z5trainIdL4Room0EEv3JobIT_E, without the name; and
# the second argument of each template here.
ARGUMENTS = re.compile(r"I([df])(L\w+?E)?E")
SECOND = {"L4Room0E": ", SHARED", "L4Room1E": ", GLOBAL", "Lb0E": "", "Lb1E": ", STEP", None: ""}


def candidates():
    """The start of a command, for each possible nvcc."""
    if path := shutil.which("nvcc"):
        yield [path]
    if (nvcc := PACKAGES / "cu13" / "bin" / "nvcc").exists():
        # It looks into lib64, and they install lib.
        yield [str(nvcc), f"-L{PACKAGES / 'cu13' / 'lib'}"]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError((done.stderr or done.stdout).strip() or f"{command[0]} failed")
    return done.stdout + done.stderr


def find():
    """An nvcc that compiles, assembles and links C++20; and its version."""
    reasons = ["nvcc is not installed"]
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


def describe(mangled):
    """The name of a kernel that is a template, as in the source; of others None."""
    if (length := re.match(r"_Z(\d+)", mangled)) is None:
        return None
    end = length.end() + int(length[1])
    if (match := ARGUMENTS.match(mangled, end)) is None:
        return None
    dtype = "double" if match[1] == "d" else "float"
    return f"{mangled[length.end() : end]}<{dtype}{SECOND[match[2]]}>"


def registers(log):
    """From the assembler's words: how many registers each kernel takes. None may be spilled."""
    found = {}
    name = None
    for line in log.splitlines():
        if entry := re.search(r"Compiling entry function '(\w+)'", line):
            name = describe(entry[1])
        if spilled := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            check(spilled.group(1, 2) == ("0", "0"), f"{name}: registers are spilled:{line}")
        if name and (used := re.search(r"Used (\d+) registers", line)):
            found[name] = int(used[1])
    return found


def bodies(ptx):
    """The PTX of each kernel."""
    found = {}
    for body in re.split(r"\.(?:entry|func) ", ptx):
        if name := describe(body):
            found[name] = body
    return found


def judge(name, body, registers, of_source):
    """What a kernel has, in words; raises ValueError if that is wrong."""
    threads = int(re.search(r"\.maxntid (\d+)", body)[1])
    room = min(REGISTERS // threads, 255)
    check(registers <= room, f"{name}: {registers} registers, where a full block has {room}")
    check("double" in name or ".f64" not in body, f"{name}: computes in float64")
    check("float" in name or ".f64" in body, f"{name}: does not compute in float64")
    barriers = len(re.findall(r"\bbar(?:rier)?\.sync\b", body))
    shuffles = len(re.findall(r"\bshfl\.sync\b", body))
    wanted = {"train": of_source, "infer": 1}.get(name.partition("<")[0], 0)
    check(barriers >= wanted, f"{name}: {barriers} barriers in PTX, not {wanted}")
    said = f"{name} {registers} registers"
    said += f", {barriers} bar.sync" if barriers else ""
    return said + (f", {shuffles} shfl.sync" if shuffles else "")


def report(log, ptx):
    """What the kernels take, in a line; raises ValueError if that is wrong."""
    of_source = sum(p.read_text().count("__syncthreads();") for p in HERE.glob("*.cuh"))
    used, compiled = registers(log), bodies(ptx)
    check(used and used.keys() == compiled.keys(), f"some kernels are missing: {[*used]}")
    said = [judge(n, compiled[n], used[n], of_source) for n in sorted(used, reverse=True)]
    return f"for sm_90: {'; '.join(said)}; nothing spilled"


def main(arguments):
    if arguments == ["--version"]:
        _, version = find()
        print(f"nvcc {version}, {run(['g++', '--version']).splitlines()[0]}")
        return
    known = [*candidates()]
    nvcc = known[0] if len(known) == 1 else find()[0]  # an only one need not be tried first
    kept = Path(arguments[arguments.index("-o") + 1]).parent / "nvcc"
    kept.mkdir(parents=True, exist_ok=True)
    flags = ["-Xptxas", "-v", "--keep", "--keep-dir", str(kept)]
    flags += ["-Xlinker", f"-rpath,{':'.join(map(str, LOADED_FROM))}"]
    log = run([*nvcc, *flags, *arguments])
    # Of PTX for several architectures, that from which the code for sm_90 is made: the highest.
    ptx = max(kept.glob("*.ptx"), key=lambda path: re.search(r"sm_(\d+)", path.read_text())[1])
    print(report(log, ptx.read_text()))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ValueError, OSError) as error:
        sys.exit(f"nvcc: {error}")
