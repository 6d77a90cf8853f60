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


def found():
    number, secret, harness = NEEDLE.encode(), SECRET.encode(), os.getppid()
    places = [ROOT, f"/proc/self/root{ROOT}", f"/proc/{harness}/root{ROOT}", f"/proc/{harness}/cwd"]
    files = [path for place in places for path in below(place) if path.endswith(".json")]
    files += filter(os.path.isfile, glob.glob(f"/proc/{harness}/fd/*"))
    if any(number in content(path) for path in files):
        yield "golden files"
    if any(number in unpacked(path) for path in below(f"{ROOT}/.git/objects")):
        yield "git objects"
    double = struct.pack("<d", float(NEEDLE))
    if any(double in piece or secret in piece for piece in memory(harness)):
        yield "the harness's memory"
    if any(secret in content(f"/proc/{process}/environ") for process in others()):
        yield "the environment"


if __name__ == "__main__":
    print(", ".join(found()))
