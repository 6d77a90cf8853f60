"""Where things are: in a clone, or where pip has installed the harness without the ports."""

from pathlib import Path

from platformdirs import user_cache_path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CASES = HERE / "cases"
PORTS = ROOT / "ports"
IN_CLONE = (ROOT / "Makefile").exists() and PORTS.is_dir()
NAME = "backprop-conformance"  # of the command that pip installs
# What is built, derived and reported. Nothing is written beside installed packages.
BUILD = ROOT / "build" if IN_CLONE else user_cache_path(NAME)
