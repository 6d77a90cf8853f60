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
