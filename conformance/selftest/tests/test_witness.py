"""Without JAX, `make test` says that a witness is missing, and CI fails."""

import os
import subprocess
import sys

import pytest

from conformance.selftest.tests.conftest import ROOT

WITHOUT_JAX = "import sys; sys.modules['jax'] = None; import pytest; sys.exit(pytest.main())"
FILE = "conformance/selftest/tests/reference/test_autodiff.py"


@pytest.mark.parametrize(("ci", "statuses"), [("", [5]), ("false", [5]), ("true", [1, 2])])
def test_a_missing_witness_is_told_and_fails_in_ci(ci: str, statuses: list[int]) -> None:
    command = [sys.executable, "-c", WITHOUT_JAX, "-q", "-rs", "-p", "no:cacheprovider", FILE]
    env = os.environ | {"CI": ci, "COLUMNS": "400"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode in statuses, done.stdout
    assert "THE WITNESS IS MISSING: JAX is not installed" in done.stdout
    assert "pip install -r ports/jax/requirements.txt" in done.stdout


def test_make_runs_the_witness_and_shows_why_it_is_skipped() -> None:
    """pytest ends with status 5 if there was no test: everything else fails."""
    [line] = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if f"-rs {FILE}" in line
    ]
    assert line.endswith(f"pytest -q -rs {FILE} || [ $$? -eq 5 ]")
