"""Sweeps: a stamp stands for the inputs that it was written for, and only a pass writes one."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from conformance.selftest.compilers import OWN_CHECKS, compiled_by
from conformance.selftest.sweeps import __main__ as sweeps_main
from conformance.selftest.sweeps.stamps import CATALOGUE, PLACE, Sweeps
from conformance.selftest.tests.conftest import ROOT

# The command fails where a.txt says so, and says how often it ran.
COMMAND = """
import pathlib, sys
log = pathlib.Path("runs")
log.write_text(log.read_text() + "." if log.exists() else ".")
text = pathlib.Path("inputs/deep/a.txt").read_text()
print("7 passed")
{more}
sys.exit("fail" in text)
"""
HERE = Sweeps(ROOT)
TOOL = "#!/bin/sh\necho tool 1.0\n"


def entry(more: str = "", inputs: str = '["inputs/**", "*.txt"]') -> str:
    command = json.dumps(["{python}", "-c", COMMAND.format(more=more)])
    return (
        f'[[sweep]]\nname = "small"\nwhat = "a small one"\ncommand = {command}\n'
        f'inputs = {inputs}\npackages = ["numpy"]\ntools = ["tool"]\n'
    )


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one sweep, whose stamp stands."""
    root = tmp_path / "clone"
    files = {
        str(CATALOGUE): entry(),
        "inputs/deep/a.txt": "a",
        "b.txt": "b",
        "elsewhere": "",
        "requirements.lock": "numpy==2.0.0 \\\n    --hash=sha256:0\nscipy==1.0\n",
        ".gitignore": "/runs\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", root], check=True)
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text(TOOL)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    assert act("run", root) == 0
    assert act("check", root) == 0
    return root


def act(action: str, root: Path, *names: str) -> int:
    return sweeps_main.main([action, *names], root)


def runs(root: Path) -> int:
    return len((root / "runs").read_text())


def stamp(root: Path) -> Path:
    return root / PLACE / "stamps" / "small.json"


def test_a_stamp_stands_as_long_as_nothing_changes(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / "elsewhere").write_text("no input")
    capsys.readouterr()
    assert act("check", clone) == 0
    said = capsys.readouterr().out
    passed_on = json.loads(stamp(clone).read_text())["passed_on"]
    assert said == f"small: not run, its stamp of {passed_on} stands: 7 passed\n"
    assert runs(clone) == 1


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("inputs/deep/a.txt", "other", "changed: inputs/**:"),
        ("inputs/new.txt", "not in git yet", "changed: inputs/**:"),
        ("b.txt", "other", "changed: *.txt:"),
        ("requirements.lock", "numpy==2.0.1 \\\n", "changed: packages:"),
        (str(CATALOGUE), entry("print(1)"), "changed: command:"),
        (str(CATALOGUE), entry(inputs='["inputs/**"]'), "changed: *.txt:"),
    ],
)
def test_a_changed_input_makes_the_stamp_stale(
    clone: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, says: str
) -> None:
    (clone / name).write_text(text)
    assert act("check", clone) == 1
    said = capsys.readouterr().out
    assert says in said
    assert "run make sweep NAME=small, commit its stamp" in said
    assert runs(clone) == 1
    assert act("run", clone, "small") == 0
    assert act("check", clone) == 0


def test_a_file_that_is_gone_makes_the_stamp_stale(clone: Path) -> None:
    (clone / "inputs" / "more").write_text("")
    assert act("run", clone) == 0
    (clone / "inputs" / "more").unlink()
    assert act("check", clone) == 1


def test_a_sweep_that_fails_has_no_stamp(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (clone / "inputs" / "deep" / "a.txt").write_text("fail")
    assert act("run", clone) == 1
    assert "small: FAILED with exit status 1" in capsys.readouterr().out
    assert not stamp(clone).exists()
    assert act("check", clone) == 1
    assert "error: sweep small has no stamp: run make sweep" in capsys.readouterr().out


def test_inputs_that_change_while_it_runs_are_not_stamped(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stamp(clone).read_text()
    (clone / CATALOGUE).write_text(entry('pathlib.Path("b.txt").write_text("later")'))
    assert act("run", clone) == 1
    assert "changed while it ran" in capsys.readouterr().out
    assert stamp(clone).read_text() == before
    assert act("check", clone) == 1


@pytest.mark.parametrize("key", ["passed_on", "said", "inputs", "tools"])
def test_a_stamp_that_was_edited_is_refused(
    clone: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    kept = json.loads(stamp(clone).read_text())
    (clone / "b.txt").write_text("other")
    kept[key] = Sweeps(clone).now(Sweeps(clone).catalogue()["small"]) if key == "inputs" else {}
    kept[key] = "2099-01-01" if isinstance(kept[key], dict) and key[0] in "ps" else kept[key]
    stamp(clone).write_text(json.dumps(kept))
    assert act("check", clone) == 1
    assert "has a stamp that the sweep did not write" in capsys.readouterr().out


def test_a_stamp_of_another_sweep_is_refused(
    clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / CATALOGUE).write_text(entry().replace('"small"', '"other"'))
    stamp(clone).rename(stamp(clone).with_name("other.json"))
    assert act("check", clone) == 1
    assert "has a stamp that the sweep did not write" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "status"), [("a", 0), ("fail", 1)])
def test_with_another_compiler_it_runs_again(
    clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, status: int
) -> None:
    (clone / "inputs" / "deep" / "a.txt").write_text("a" if text == "a" else "a fail")
    if text == "fail":  # on the machine of the stamp it passed
        sweep = Sweeps(clone).catalogue()["small"]
        Sweeps(clone).write(sweep, Sweeps(clone).now(sweep), 1, "7 passed")
    before = stamp(clone).read_text()
    (tmp_path / "bin" / "tool").write_text(TOOL.replace("1.0", "2.0"))
    assert act("check", clone) == status
    assert "tool is 'tool 2.0', was 'tool 1.0'" in capsys.readouterr().out
    assert runs(clone) == 2
    assert stamp(clone).read_text() == before


@pytest.mark.parametrize(
    ("catalogue", "names", "says"),
    [
        (entry(inputs='["nowhere/**"]'), [], "small: no file matches 'nowhere/**'"),
        (entry().replace("numpy", "nosuch"), [], "small: no lock file has nosuch"),
        (entry(), ["large"], "NAME=large: there is no such sweep; there are small"),
        (entry() + "more = 1\n", [], "sweeps.toml: is not a list of sweeps: unknown key 'more'"),
        (entry().replace("[[", "["), [], "sweeps.toml: "),
    ],
)
def test_a_mistake_is_one_sentence(
    clone: Path, capsys: pytest.CaptureFixture[str], catalogue: str, names: list[str], says: str
) -> None:
    (clone / CATALOGUE).write_text(catalogue)
    assert act("check", clone, *names) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert says in said
    assert len(said.splitlines()) == 1


def test_what_is_no_stamp_is_named(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stamp(clone).write_text("{}")
    assert act("check", clone) == 2
    assert "small.json: is not a stamp of a sweep: missing key" in capsys.readouterr().err


def inputs(name: str) -> set[str]:
    """The files that are inputs of a sweep of this clone."""
    sweep = HERE.catalogue()[name]
    return {file for glob in sweep.inputs for file in HERE.files(glob)}


@pytest.mark.parametrize("name", HERE.catalogue())
def test_the_sweeps_of_this_clone_have_inputs(name: str) -> None:
    assert HERE.now(HERE.catalogue()[name])  # raises where a glob or a package is not found
    tests = [word for word in HERE.catalogue()[name].command if word.endswith(".py")]
    assert {*tests} <= inputs(name)


@pytest.mark.parametrize("name", ["native", "fuzz-corpus"])
def test_all_files_of_native_ports_are_inputs(name: str) -> None:
    """If not, add a glob: there is a port in another language, or a file of another kind."""
    ports = {port for port, _ in compiled_by("gcc", "g++", *OWN_CHECKS)} | {"cuda"}
    files = {file for port in ports for file in HERE.files(f"ports/{port}/**")}
    sources = {file for file in files if not file.endswith(".md") and "/tests/" not in file}
    sources -= {f"ports/cuda/{name}" for name in ("has_device.py", "nvcc.py", "requirements.txt")}
    assert len(sources) > 50
    assert sources - inputs(name) == set()


def test_only_sweeps_run_what_make_test_does_not() -> None:
    """Each file with a test that has the mark is in the command of a sweep."""
    commands = {word for sweep in HERE.catalogue().values() for word in sweep.command}
    found = [*ROOT.glob("conformance/selftest/tests/**/*.py"), *ROOT.glob("ports/*/tests/*.py")]
    marks = ("mark.sweep", "sampled(")
    marked = {
        str(path.relative_to(ROOT))
        for path in found
        if path != Path(__file__) and any(mark in path.read_text() for mark in marks)
    }
    assert marked
    assert marked <= commands


def test_ci_demands_stamps_and_all_sweeps_run_at_night() -> None:
    nightly = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yml").read_text())
    steps = [step.get("run") for step in nightly["jobs"]["sweeps"]["steps"]]
    assert "make sweep" in steps  # without a NAME it is all
    assert "step make sweep-check" in (ROOT / ".ci" / "run").read_text().splitlines()
    told = subprocess.run(
        ["make", "-n", "-o", ".venv/installed", "sweep", "sweep-check"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    module = ".venv/bin/python -m conformance.selftest.sweeps"
    lines = [line.split() for line in told.stdout.splitlines() if module in line]
    assert lines == [f"{module} run".split(), f"{module} check".split()]
