"""Where the harness runs: Linux, and a container for the rest."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.ground.system import REFUSAL
from conformance.selftest.tests.conftest import ROOT
from conformance.selftest.tests.test_options import HELP, MAKEFILE

CONTAINER = ROOT / ".ci" / "Containerfile"
# What Python lacks there; None has an import fail.
LACKS = {"win32": ["fcntl", "resource", "pwd", "grp", "termios"], "darwin": []}


@pytest.mark.parametrize("system", LACKS)
@pytest.mark.parametrize("words", [["check", "c"], ["ports"], ["--help"]])
def test_another_system_is_told_in_one_sentence(system: str, words: list[str]) -> None:
    program = f"""
import sys, os
sys.argv, sys.platform = ["backprop-conformance", *{words!r}], {system!r}
sys.modules.update(dict.fromkeys({LACKS[system]!r}))
del os.sched_getaffinity
from conformance.__main__ import main
sys.exit(main())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {REFUSAL}\n"
    [named] = re.findall(r"\S+file\b", REFUSAL.replace("container file", ""))
    assert ROOT / named == CONTAINER


def test_the_container_file_names_packages_and_targets_that_there_are() -> None:
    text = CONTAINER.read_text().replace("\\\n", " ")
    [base] = re.findall(r"^FROM (\S+)$", text, re.M)
    assert base == "debian:12"
    [packages] = re.findall(r"apt-get install ((?:[^&]|&(?!&))*)&&", text)
    names = [word for word in packages.split() if not word.startswith("-")]
    assert {"gcc", "make", "python3", "python3-venv"} <= {*names}
    # Of the lines that make is called in, and not of what is installed.
    called = re.findall(r"(?:&& |`|backprop )make ([a-z./-]+)|\"make\", \"(.*?)\"", text)
    assert len(called) == 4
    for target in map("".join, called):
        assert target in HELP or f"\n{target}" in MAKEFILE, target
    if shutil.which("apt-cache") is None or not [*Path("/var/lib/apt/lists").glob("*Packages*")]:
        pytest.skip("the list of Debian's packages is missing: apt-get update")
    for name in names:
        found = subprocess.run(["apt-cache", "show", name], capture_output=True, text=True)
        assert found.returncode == 0, f"{name}: {found.stderr}"
