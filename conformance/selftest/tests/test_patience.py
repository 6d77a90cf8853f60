"""Tests wait long enough for a machine that is several times slower: by `patience`, everywhere."""

import re
import subprocess

from conformance.selftest.patience import SLOWER, patience
from conformance.selftest.tests.conftest import ROOT

# A limit that is a bare number, and an upper bound on what a clock says.
BARE = re.compile(r"\btimeout=[\d.]+|monotonic\(\) - \w+ <=? *[\d.]+")
# Code of ports and of the sandbox's probe: what is waited for there must not come.
NOT_WAITED_FOR = {"conformance/selftest/tests/test_sandbox.py"}


def test_no_test_has_a_limit_of_its_own() -> None:
    assert SLOWER >= 4
    assert patience(2) == 2 * SLOWER
    listed = ["git", "ls-files", "conformance/selftest/tests/**.py", "ports/**/tests/*.py"]
    found = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    files = found.stdout.split()
    assert len(files) > 50
    bare = [
        f"{name}: {hit}"
        for name in files
        if name not in NOT_WAITED_FOR
        for hit in BARE.findall((ROOT / name).read_text())
    ]
    assert bare == []


def test_a_bare_limit_would_be_found() -> None:
    for line in ("run(timeout=" + "300)", "assert time.monotonic() - started < " + "30"):
        assert BARE.search(line), line
    for line in ("run(timeout=patience(300))", "time.monotonic() - started < patience(30)"):
        assert not BARE.search(line), line
