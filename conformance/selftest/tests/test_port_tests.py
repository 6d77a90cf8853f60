"""A port's tests/ folder is no part of the port: not of its hash, builds, page and mutants."""

from pathlib import Path

import pytest

from conformance.page import excerpts
from conformance.selftest.mutation import mutants
from conformance.selftest.tests.conftest import MANIFEST
from conformance.targets import build, launch
from conformance.targets.manifest import Target, load

STEP = "# [forward]\nl1 = 1\n# [/forward]\n"


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """A port whose build leaves a letter in a file, in a folder of ports."""
    folder = tmp_path / "ports" / "mine"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_mine.py").write_text(STEP)
    (folder / "port.py").write_text(STEP)
    command = f'["sh", "-c", "printf x >> {tmp_path}/builds"]'
    (folder / "port.toml").write_text(MANIFEST + f"[build]\ncommands = [{command}]\n")
    return folder


@pytest.mark.parametrize("documents", [True, False])
def test_a_changed_test_leaves_the_hash_of_the_port(port: Path, documents: bool) -> None:
    before = build.files_sha256(port, documents=documents)
    (port / "tests" / "test_mine.py").write_text("changed")
    (port / "tests" / "deeper").mkdir()
    (port / "tests" / "deeper" / "help.c").write_text("new")
    assert build.files_sha256(port, documents=documents) == before
    (port / "tests.c").write_text("new")
    assert build.files_sha256(port, documents=documents) != before


def test_a_changed_test_builds_nothing_again(
    port: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "BUILD", tmp_path / "build")

    def builds() -> str:
        assert build.build(Target(load(port)), "version 1").ok
        return (tmp_path / "builds").read_text()

    assert builds() == builds() == "x"
    (port / "tests" / "test_mine.py").write_text("changed")
    assert builds() == "x"
    (port / "port.py").write_text("changed")
    assert builds() == "xx"


def test_the_page_shows_no_test(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "PORTS", port.parent)
    [shown] = [p for p in excerpts.programs([("mine", "Python")]) if p.name.startswith("mine")]
    assert [piece.file for piece in shown.steps["forward"]] == [port / "port.py"]


def test_a_mutant_has_no_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "FOLDER", tmp_path)
    made = mutants.make(mutants.original("c", "backprop.c"))
    assert (made.folder / "backprop.c").exists()
    assert not (made.folder / "tests").exists()
    assert not any("test" in file for files in mutants.SOURCES.values() for file in files)
