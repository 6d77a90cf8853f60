"""What the CUDA ports say of a GPU, with libraries made for the test in place of NVIDIA's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.ground.places import PORTS

# The ports that ask the driver themselves.
ASKING = [
    program.parent.name
    for program in sorted(PORTS.glob("*/has_device.py"))
    if "cuDriverGetVersion" in program.read_text()
]
PORT = """
int backprop_detect(void) { return 0; }
const char *backprop_reason(void) { return ""; }
const char *backprop_device(void) { return "Big GPU (compute capability 9.0)"; }
"""
CUDA = "int cuDriverGetVersion(int *version) { *version = 13020; return 0; }"
NVML = """
#include <string.h>
int nvmlInit_v2(void) { return 0; }
int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    strncpy(version, "580.65.06", length);
    return 0;
}
"""
NUMBA = """
class cuda:
    is_available = staticmethod(lambda: True)
    current_context = staticmethod(lambda: None)
    class get_current_device:
        name = "Big GPU"
        compute_capability = (9, 0)
"""


def said(folder: Path, port: str, libraries: dict[str, str]) -> str:
    for name, source in ({"port.so": PORT} | libraries).items():
        command = ["gcc", "-x", "c", "-shared", "-fPIC", "-", "-o", str(folder / name)]
        subprocess.run(command, input=source, text=True, check=True)
    (folder / "numba.py").write_text(NUMBA)
    command = [sys.executable, str(PORTS / port / "has_device.py"), str(folder / "port.so")]
    env = {**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("port", ASKING)
def test_the_device_and_its_driver_are_named(tmp_path: Path, port: str) -> None:
    found = said(tmp_path, port, {"libcuda.so.1": CUDA, "libnvidia-ml.so.1": NVML})
    assert found == "Big GPU (compute capability 9.0), CUDA 13.2, driver 580.65.06\n"


@pytest.mark.parametrize("port", ASKING)
@pytest.mark.parametrize(
    ("broken", "more"),
    [
        ({"libcuda.so.1": CUDA, "libnvidia-ml.so.1": "int other;"}, ", CUDA 13.2"),
        ({"libcuda.so.1": "int other;"}, ""),
    ],
)
def test_a_driver_that_does_not_say_is_no_failure(
    tmp_path: Path, port: str, broken: dict[str, str], more: str
) -> None:
    assert said(tmp_path, port, broken) == f"Big GPU (compute capability 9.0){more}\n"
