"""What an evening's loop costs: a run of one case loads and reads little, and says what it builds.

Times depend on the machine. What is loaded and read does not, and that is nearly all of the time.
"""

import json
import subprocess
import sys
from pathlib import Path

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import CASES, ROOT, MakePort

# What other runs need: for JUnit, golden data, timing, pages, merged tables.
SPARED = {
    "_pytest",
    "pytest",
    "flint",
    "jsonschema",
    "scipy",
    "matplotlib",
    "jinja2",
    "cffi",
    "numba",
    "unittest",
    "asyncio",
    "multiprocessing",
    "numpy.random",
    "conformance.bench",
    "conformance.page",
    "conformance.record.merge",
    "reference.arithmetic.ball",
    "reference.golden.derive",
    "conformance.suite.fitness",
}

# Runs `check` with the arguments, and writes what was loaded and opened to the file named first.
WATCHED = """
import json, sys
file = sys.argv.pop(1)
opened = set()
def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        opened.add(arguments[0])
sys.addaudithook(hook)
from conformance.__main__ import main
status = main()
with open(file, "w") as written:
    json.dump([status, sorted(sys.modules), sorted(opened)], written)
"""


def watched(tmp_path: Path, port: Path, cases: str) -> tuple[int, set[str], set[str]]:
    """The exit status of `check`, the modules that it loaded and the files that it opened."""
    file = tmp_path / "watched.json"
    command = [sys.executable, "-c", WATCHED, str(file), "check", str(port), "--cases", cases]
    command += ["--results", str(tmp_path / "r.json")]
    subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=patience(300)
    )
    status, modules, opened = json.loads(file.read_text())
    return status, set(modules), set(opened)


def test_a_run_of_one_case_loads_and_reads_only_what_it_needs(
    make_port: MakePort, tmp_path: Path
) -> None:
    status, modules, opened = watched(tmp_path, make_port("p"), "one-step")
    assert status == 0
    assert sorted(modules & SPARED) == []
    of_suite = [Path(path) for path in opened if path.startswith(str(CASES.parent))]
    read = {path.name for path in of_suite if path.suffix not in (".py", ".pyc")}
    assert read == {"one-step.toml", "one-step.json", "SHA256SUMS"}
    assert not [path for path in opened if path.startswith(str(ROOT / "ports"))]


def test_it_would_be_seen_if_more_was_loaded_and_read(tmp_path: Path) -> None:
    status, modules, opened = watched(tmp_path, ROOT / "ports" / "c", "three-layer numpy-seed")
    assert status == 0
    assert "conformance.bench" in modules
    assert len([path for path in opened if path.startswith(str(CASES))]) > 70
