"""Which folders can be a port: one rule, wherever a folder is given."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import MakePort
from conformance.targets import folders, manifest
from reference.errors import UserError

REFUSED = {
    "all": "it means all ports",
    "c:simd": "what follows a colon is the name of a rung",
    "a:b": "what follows a colon is the name of a rung",
    "numba_cuda (simulator)": "a bracket after a space begins the name of an emulation",
    "-x": "it must begin with a letter or digit",
    "--help": "it must begin with a letter or digit",
    ".x": "it must begin with a letter or digit",
    "_x": "it must begin with a letter or digit",
    "<b>": "it must begin with a letter or digit",
    "x ": "and not end with a space",
    "x\x1b[2J": "it has a character that is not seen",
    "x\ny": "it has a character that is not seen",
    "x\ty": "it has a character that is not seen",
    "x\u202ey": "it has a character that is not seen",
    "x\u200by": "it has a character that is not seen",
    "x\u2028y": "it has a character that is not seen",
    "x\udcffy": "it has a character that is not seen",
    "x" * 61: "it has more than 60 characters",
}
TAKEN = [
    "c",
    "my port",
    "x.y",
    "größe",
    "名",
    "7",
    'it\'s "mine"',
    "a$b;c&d#e",
    "a(b)",
    "x<b>|`a`",
    "ALL",
    "x" * 60,
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_is_refused(name: str, make_port: MakePort, tmp_path: Path) -> None:
    folder = tmp_path / name
    make_port("port").rename(folder)
    for give in (folders.check, manifest.load):
        with pytest.raises(UserError, match="is not a name for a port") as refused:
            give(folder)
        assert REFUSED[name] in str(refused.value)


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_is_taken(name: str, make_port: MakePort, tmp_path: Path) -> None:
    folder = tmp_path / name
    make_port("port").rename(folder)
    assert manifest.load(folder).name == name


@pytest.mark.parametrize("name", ["c:simd", "x\x1b[2J", "all"])
@pytest.mark.parametrize(
    "words",
    [
        ["check", "{folder}", "--cases", "one-step"],
        ["check", "numpy", "{folder}", "--junit", "{tmp}/junit.xml"],
        ["ports", "{folder}"],
        ["ask", "{folder}", "--cases", "one-step"],
        ["bench", "{folder}", "--results", "{tmp}/bench.json"],
        ["new-port", "{folder}", "python"],
    ],
    ids=lambda words: words[0] + "-junit" * ("--junit" in words),
)
def test_each_command_refuses_it_in_one_sentence(
    name: str, words: list[str], make_port: MakePort, tmp_path: Path
) -> None:
    folder = tmp_path / "in" / name
    folder.parent.mkdir()
    if words[0] != "new-port":
        make_port("port").rename(folder)
    before = sorted(tmp_path.rglob("*"))
    line = [sys.executable, "-m", "conformance"]
    line += [word.format(folder=folder, tmp=tmp_path) for word in words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=patience(300))
    assert done.returncode == 2, done.stdout + done.stderr
    [said] = done.stderr.splitlines()
    assert said.startswith("error: ")
    assert "is not a name for a port: " in said
    assert said.isprintable()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_rung_is_never_mistaken_for_a_folder_of_its_name(
    make_port: MakePort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PORT:RUNG of ports/, where a folder of just that name lies here."""
    make_port("port").rename(tmp_path / "c:simd")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="c:simd: is not a name for a port"):
        manifest.select(["c:simd"])
    shutil.rmtree(tmp_path / "c:simd")
    [port] = manifest.select(["c:simd"])
    assert [target.name for target in port.targets()] == ["c:simd"]


def test_a_new_port_of_any_name_has_a_manifest(tmp_path: Path) -> None:
    for name in TAKEN:
        line = [sys.executable, "-m", "conformance", "new-port", str(tmp_path / name), "process"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=patience(60))
        assert done.returncode == 0, done.stderr
        assert manifest.load(tmp_path / name).manifest.language == name
