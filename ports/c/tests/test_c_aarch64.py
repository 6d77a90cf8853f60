"""The C port also passes all cases on aarch64: cross-compiled, and run by an emulator."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.ground.places import CASES, PORTS
from conformance.selftest import variants
from conformance.selftest.compilers import STRICT, needed
from conformance.selftest.mutation.screening import Inside
from conformance.suite import traces
from conformance.verdict.diagnosis import Answer
from conformance.verdict.judge import ask
from conformance.verdict.outcome import verdict_of
from conformance.wire.c_library import CLibrary
from conformance.wire.client import Client
from reference.array import Array
from reference.cases.case import Case, load_all

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
FUNCTIONS = [
    f"backprop_{name}_{dtype}"
    for name in ("train", "step", "predict", "initial")
    for dtype in ("f64", "f32")
]
LIMIT_S = 300.0


def number(value: int) -> bytes:
    return value.to_bytes(8, "little", signed=True)


class Elsewhere(CLibrary):
    """A C port in a program of another machine: elsewhere.c says how the two talk."""

    def __init__(self, program: Path) -> None:
        super().__init__(None)
        self.process = subprocess.Popen(
            [EMULATOR, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _invoke(self, function_name: str, settings: Any, arguments: list[Array | int]) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        layers = self.ffi.buffer(settings.layers, 8 * settings.layer_count)
        said = [number(FUNCTIONS.index(function_name)), number(len(arguments))]
        said += [bytes(self.ffi.buffer(settings)), bytes(layers)]
        for a in arguments:
            said += (
                [number(-1), number(a)] if isinstance(a, int) else [number(a.nbytes), a.tobytes()]
            )
        self.process.stdin.write(b"".join(said))
        self.process.stdin.flush()
        status = int.from_bytes(self.process.stdout.read(8), "little", signed=True)
        for a in arguments:
            if not isinstance(a, int):
                a.flat[:] = np.frombuffer(self.process.stdout.read(a.nbytes), a.dtype)
        return status


def built(port: Path, folder: Path) -> Path:
    """The C port of this folder for aarch64, with elsewhere.c, as a program."""
    for tool in (COMPILER, EMULATOR):
        needed(tool)
    flags = ["-std=c11", "-O2", *STRICT, "-pthread"]
    for bits in (64, 32):
        compiled = [f"-DBITS={bits}", "-c", str(port / "backprop.c"), "-o", f"{bits}.o"]
        subprocess.run([COMPILER, *flags, *compiled], check=True, cwd=folder)
    main = str(Path(__file__).with_name("elsewhere.c"))
    linked = ["-static", main, "64.o", "32.o", "-lm", "-o", "program"]
    subprocess.run([COMPILER, *flags, *linked], check=True, cwd=folder)
    return folder / "program"


def wrong(program: Path, cases: list[Case]) -> dict[tuple[str, str], str]:
    """What is wrong, by case and dtype."""
    elsewhere = Elsewhere(program)
    client = Client(Inside(elsewhere), LIMIT_S)
    found = {}
    try:
        for case in cases:
            for dtype, trace in traces.load(case).items():
                answer = Answer()
                ask(client, trace, None, answer)
                verdict = verdict_of("aarch64", trace, answer)
                if verdict.status != "PASS":
                    found[case.id, str(dtype)] = verdict.reason
    finally:
        elsewhere.process.communicate()
    return found


@pytest.mark.sweep
def test_the_c_port_passes_all_cases(tmp_path: Path) -> None:
    program = built(PORTS / "c", tmp_path)
    header = program.read_bytes()[:20]
    assert int.from_bytes(header[18:20], "little") == 183  # EM_AARCH64 of the ELF specification
    assert wrong(program, load_all(CASES)) == {}


def test_a_mistake_is_seen_there(tmp_path: Path) -> None:
    shutil.copytree(PORTS / "c", tmp_path / "c")
    variants.patch(tmp_path / "c", [("1 - output * output", "1 + output * output")])
    cases = [case for case in load_all(CASES) if case.id in ("one-step", "everything")]
    found = wrong(built(tmp_path / "c", tmp_path), cases)
    assert {*found} == {("everything", "float64"), ("everything", "float32")}  # it has tanh
