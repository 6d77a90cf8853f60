"""Where things are: in a clone, or where pip has installed the harness without the ports."""

import shlex
from pathlib import Path

from platformdirs import user_cache_path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CONTRACT = HERE / "contract"
CASES = HERE / "suite" / "cases"
PORTS = ROOT / "ports"
IN_CLONE = (ROOT / "Makefile").exists() and PORTS.is_dir()
NAME = "backprop-conformance"  # of the command that pip installs
# What is built, derived and reported. Nothing is written beside installed packages.
BUILD = ROOT / "build" if IN_CLONE else user_cache_path(NAME)


def command(port: Path, cases: str, rung: str = "") -> str:
    """What to type for a run of the port in this folder, or a rung of it, on these cases."""
    name = port.name if port.parent == PORTS else str(port)
    word, cases = shlex.quote(f"{name}:{rung}" if rung else name), shlex.quote(cases)
    if IN_CLONE:
        return f"make conformance PORT={word} CASES={cases}"
    return f"{NAME} check {word} --cases {cases}"
