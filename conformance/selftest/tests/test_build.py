"""When a port is built again, and what is said where it cannot be."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import (
    CASES,
    MANIFEST,
    PYTHON_MANIFEST,
    Conformance,
    MakePort,
    PatchedC,
    copied,
)
from conformance.selftest.tests.test_reproducible import NAMES
from conformance.targets import build, launch
from conformance.targets.manifest import Target, load


def truncate(path: Path) -> None:
    os.truncate(path, 1000)


def change(path: Path) -> None:
    """One byte, and neither size nor time."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("spoil", [Path.unlink, truncate, change])
def test_an_output_that_is_gone_or_changed_is_built_again(
    conformance: Conformance, patched_c: PatchedC, spoil: Callable[[Path], None]
) -> None:
    folder = patched_c("mine")
    assert conformance(folder).statuses("mine") == {"PASS"}
    library = launch.build_folder(Target(load(folder))) / "libbackprop.so"
    before = library.read_bytes()
    spoil(library)
    assert conformance(folder).statuses("mine") == {"PASS"}
    assert library.read_bytes() == before


def test_nothing_is_built_again_for_what_a_run_adds(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    """A cache in the build folder is no output of the build; a spoilt stamp tells nothing."""
    log = tmp_path / "built"
    commands = [["sh", "-c", f"echo >> {log}; echo > $1/made", "sh", "{build}"]]
    manifest = MANIFEST.replace("[run]", f"[build]\ncommands = {commands}\n[run]")
    port = make_port("mine", manifest=manifest)
    folder = launch.build_folder(Target(load(port)))
    for _ in range(2):
        assert conformance(port).statuses("mine") == {"PASS"}
        (folder / "cache").write_text("of a run")
    assert log.read_text().count("\n") == 1
    for stamp in (b"", b"{}", b"[]", b'{"key": 1, "outputs": 3}', b"\xff"):
        (folder / build.STAMP).write_bytes(stamp)
        assert conformance(port).statuses("mine") == {"PASS"}
    assert log.read_text().count("\n") == 6


RIGHT = 'if op == "none": answer["delta"][0][0][0] *= -1'
WRONG = RIGHT.replace("none", "step")
# What is built is the fault itself: the sources that are there, one after another.
BUILD = """
cd {port}
find sources -type f ! -name .off -exec cat {} + > {build}/made
echo >> {build}/made
cat other >> {build}/made
[ $(cat tests/version) = 1 ] || cat sources/.off >> {build}/made
"""


def edit_a_source(port: Path) -> None:
    """Neither size nor time tells."""
    path, status = port / "sources" / "one", (port / "sources" / "one").stat()
    path.write_text(WRONG)
    assert path.stat().st_size == status.st_size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def add_a_source(port: Path) -> None:
    (port / "sources" / "more").mkdir()
    (port / "sources" / "more" / "two").write_text(f"\n{WRONG}\n")


def change_a_command(port: Path) -> None:
    manifest = port / "port.toml"
    text = manifest.read_text()
    assert text.count("cat other") == 1
    manifest.write_text(text.replace("cat other", "cat sources/.off"))


def change_the_toolchain(port: Path) -> None:
    """What lies in tests/ is no source: only what `detect` prints is different."""
    (port / "tests" / "version").write_text("2")


@pytest.mark.parametrize(
    "change", [edit_a_source, add_a_source, change_a_command, change_the_toolchain]
)
def test_a_changed_port_is_never_judged_by_what_was_built_before(
    change: Callable[[Path], None], conformance: Conformance, make_port: MakePort
) -> None:
    manifest = (
        MANIFEST.replace("[run]", f"[build]\ncommands = [['sh', '-ec', '''{BUILD}''']]\n[run]")
        .replace('"{port}/port.py"', '"{port}/port.py", "{build}/made"')
        .replace('["true"]', '["cat", "{port}/tests/version"]')
    )
    port = make_port("mine", "exec(open(sys.argv[1]).read())", manifest)
    (port / "other").touch()
    for place, text in (("sources/one", RIGHT), ("sources/.off", WRONG), ("tests/version", "1")):
        (port / place).parent.mkdir(exist_ok=True)
        (port / place).write_text(text)
    assert conformance(port).statuses("mine") == {"PASS"}
    change(port)
    for _ in range(2):
        assert conformance(port).statuses("mine") == {"FAIL"}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core builds one at a time")
def test_as_many_rungs_are_built_at_once_as_there_are_cores(tmp_path: Path) -> None:
    """Each build adds a letter when it begins, and one when it ends."""
    log, cores = tmp_path / "log", len(os.sched_getaffinity(0))
    command = ["sh", "-c", f"printf b >> {log}; sleep 0.5; printf e >> {log}"]
    rung = f'[[rung]]\nname = "NAME"\ndtypes = ["float64"]\nmodule = "p"\nbuild = [{command}]\n'
    rungs = [rung.replace("NAME", f"rung-{n}") for n in range(cores + 1)]
    folder = tmp_path / "mine"
    folder.mkdir()
    manifest = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha"]')
    (folder / "port.toml").write_text(manifest + "".join(rungs))
    found = build.prepare(load(folder))
    assert [target.target.name for target in found] == [
        "mine", *(f"mine:rung-{n}" for n in range(cores + 1))
    ]  # fmt: skip
    at_work = [*itertools.accumulate({"b": 1, "e": -1}[letter] for letter in log.read_text())]
    assert len(at_work) == 2 * (cores + 1)
    assert 2 <= max(at_work) <= cores


@pytest.fixture(scope="module")
def unwritable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in whose build folder nobody may write, not even root."""
    folder = copied(tmp_path_factory.mktemp("clone"), NAMES, "ports/c", "ports/numpy", "Makefile")
    (folder / "build").symlink_to("/sys")
    return folder


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("check c --cases one-step", "build/results.json: cannot be written: "),
        ("check c --cases one-step --results R", "build/ports: cannot be written: "),
        ("check c --results R", "build/fresh/fresh-"),
        ("check c --cases mine.toml --results R", "build/golden/mine-"),
        ("bench c --workload 3-4-1", "build/bench.json: cannot be written: "),
        ("bench c --workload 3-4-1 --results R", "build/ports: cannot be written: "),
        ("report results.json", "build/report/badges/all.svg: cannot be written: "),
    ],
)
def test_a_build_folder_that_cannot_be_written_is_one_sentence(
    unwritable: Path, words: str, says: str, conformance: Conformance, tmp_path: Path
) -> None:
    if words.startswith("report"):
        conformance("numpy")
        shutil.copy(tmp_path / "results.json", unwritable)
    text = (CASES / "one-step.toml").read_text()
    (unwritable / "mine.toml").write_text(text.replace("one-step", "mine"))
    arguments = words.replace("R", str(tmp_path / "r.json")).split()
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        capture_output=True,
        text=True,
        cwd=unwritable,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert says in last
    assert "folder writable" in last
    assert "Traceback" not in done.stdout + done.stderr
    assert "Errno" not in done.stderr
