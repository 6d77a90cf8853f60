"""PORTING.md, from nothing to green: its commands are run, and its messages are the real ones."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import ROOT

PERL = Path(__file__).parent / "perl_port.pl"
GUIDE = (ROOT / "conformance/contract/PORTING.md").read_text()
BLOCK = re.compile(r"(?:<!-- stage (\d) -->\n)?```console\n\$ ([^\n]*)\n(.*?)```", re.S)
SHOWN_HOME = "/home/you"


def at_stage(stage: int) -> str:
    """The Perl port as it is at a stage of PORTING.md."""
    kept = []
    for line in PERL.read_text().splitlines():
        code, _, stages = line.partition("    # stages ")
        spans = [re.fullmatch(r"(\d)(-?)(\d?)", span) for span in stages.split(",") if span]
        if not spans or any(m and int(m[1]) <= stage <= last(m) for m in spans):
            kept.append(code)
    return "\n".join(kept) + "\n"


def last(span: re.Match[str]) -> int:
    return int(span[3] or (9 if span[2] else span[1]))


def run(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What a person types, with another home, and without a random case or timing."""
    line = command.replace("~", str(home)).replace("make", "make --no-print-directory", 1)
    if " conformance " in line:
        line += f" RESULTS={home}/results.json"
    return subprocess.run(line, shell=True, capture_output=True, text=True, cwd=ROOT)


def assert_shown(block: str, said: str) -> None:
    """Each line of the block is there, in this order; `...` stands for any lines."""
    lines = iter(said.splitlines())
    for shown in block.splitlines():
        if shown != "...":
            # A table's columns are as wide as its widest entry.
            words = " ".join(shown.split())
            assert any(" ".join(line.split()) == words for line in lines), f"{shown}\n{said}"


@pytest.fixture
def perl() -> None:
    command = ["perl", "-MJSON::PP", "-e", "1"]
    if shutil.which("perl") is None or subprocess.run(command).returncode:
        pytest.fail("Perl with JSON::PP is needed for this test: apt-get install perl")


@pytest.mark.usefixtures("perl")
def test_the_way_of_porting_md_leads_to_green(tmp_path: Path) -> None:
    """No file but those of the port's folder is written, in a language that is not listed."""
    port = tmp_path / "perl"
    blocks = BLOCK.findall(GUIDE)
    assert [int(stage or 0) for stage, _, _ in blocks] == [0, 0, 1, 2, 3, 4, 5, 6, 6, 6, 7, 8]
    manifest = re.findall(r"```toml\n(.*?)```", GUIDE, re.S)[0]
    for stage, command, shown in blocks:
        if stage:
            (port / "backprop.py").unlink(missing_ok=True)
            (port / "backprop.pl").write_text(at_stage(int(stage)))
            listed = ["alpha", "layers", "bias"][: 0 if int(stage) < 7 else 3]
            capabilities = f"capabilities = {listed}".replace("'", '"')
            (port / "port.toml").write_text(manifest.replace("capabilities = []", capabilities))
        done = run(command, tmp_path)
        said = (done.stdout + done.stderr).replace(str(tmp_path), SHOWN_HOME)
        assert_shown(shown, said)
        green = "PASS" in shown or command.startswith("make new-port")
        assert (done.returncode == 0) == green, said


@pytest.mark.parametrize("kind", ["c-abi", "python", "process"])
def test_a_new_port_starts_and_is_told_what_is_wrong(kind: str, tmp_path: Path) -> None:
    command = f"make new-port NAME=~/mine KIND={kind}"
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"next: make conformance PORT={tmp_path}/mine CASES=one-step" in done.stdout
    assert sorted(path.name for path in (tmp_path / "mine").iterdir())[0] == "README.md"
    said = run(f"make conformance PORT={tmp_path}/mine CASES=one-step", tmp_path)
    assert said.returncode != 0
    assert "FAIL: mine on one-step, float64: first divergence: l1[" in said.stdout
    assert "got        0.0 " in said.stdout
    again = run(command, tmp_path)
    assert again.returncode != 0
    assert f"error: {tmp_path}/mine: already exists" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("NAME=~/mine KIND=c", "argument KIND: invalid choice: 'c' (choose from "),
        (
            "NAME=~/mine",
            "make: KIND is missing, as in: make new-port NAME=zig KIND=c-abi|python|",
        ),
        ("NAME=~/mine KIND=", "make: KIND is missing, as in: make new-port NAME=zig KIND=c-abi|"),
        ("KIND=c-abi", "make: NAME is missing, as in: make new-port NAME=zig KIND=c-abi|"),
        ("NAME=~/.mine KIND=python", "NAME=.mine: is not a name for a port"),
        ("NAME=/proc/no/mine KIND=python", "/proc/no/mine: cannot be written: No such file"),
    ],
)
def test_a_new_port_that_cannot_be(arguments: str, says: str, tmp_path: Path) -> None:
    done = run(f"make new-port {arguments}", tmp_path)
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
