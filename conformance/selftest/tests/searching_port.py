"""What a port does that looks for answers and secrets all over the machine; test_isolation.py
fills in NEEDLE (the text of an expected number) and SECRET, both written backwards, and ROOT.

It says what it has found where, by the names in process/sandbox.py.
"""

import glob
import os
import struct
import zlib

ROOT = ""
NEEDLE = ""[::-1]
SECRET = ""[::-1]


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read(2**24)
    except OSError:
        return b""


def below(folder):
    return [os.path.join(f, name) for f, _, names in os.walk(folder) for name in names]


def unpacked(path):
    try:
        return zlib.decompress(content(path))
    except zlib.error:
        return b""


def memory(process):
    """The pieces of another process's memory that it may write to."""
    for line in content(f"/proc/{process}/maps").decode(errors="replace").splitlines():
        ends, rights = line.split()[:2]
        low, high = (int(end, 16) for end in ends.split("-"))
        if rights.startswith("rw") and high - low < 2**28:
            try:
                with open(f"/proc/{process}/mem", "rb") as file:
                    file.seek(low)
                    yield file.read(high - low)
            except (OSError, OverflowError):
                pass


def others():
    return [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def parents():
    """The process that started this one, and so on; not the first process of all."""
    process = os.getppid()
    while process > 1:
        yield process
        try:
            with open(f"/proc/{process}/stat") as file:
                process = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            return


def found():
    number, secret = NEEDLE.encode(), SECRET.encode()
    places = [ROOT, f"/proc/self/root{ROOT}"]
    places += [f"/proc/{p}/root{ROOT}" for p in parents()] + [f"/proc/{p}/cwd" for p in parents()]
    open_ones = [path for p in others() for path in glob.glob(f"/proc/{p}/fd/*")]
    files = [path for place in places for path in below(place)]
    files += [path for path in open_ones if os.path.isfile(path)]
    files = [path for path in files if path.endswith(".json") or "/fd/" in path]
    if any(number in content(path) for path in files):
        yield "golden files"
    if any(number in unpacked(path) for path in below(f"{ROOT}/.git/objects")):
        yield "git objects"
    double = struct.pack("<d", float(NEEDLE))
    if any(double in piece or secret in piece for p in parents() for piece in memory(p)):
        yield "the harness's memory"
    if any(secret in content(f"/proc/{process}/environ") for process in others()):
        yield "the environment"


if __name__ == "__main__":
    print(", ".join(found()))
