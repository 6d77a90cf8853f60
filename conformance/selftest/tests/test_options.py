"""What a user types: variables of make, options, paths with spaces, and what cannot be."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from conformance.ground.places import BUILD, from_here
from conformance.ground.terminal import words
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import CASES, MANIFEST, ROOT, Conformance, MakePort
from conformance.targets.manifest import Kind

MAKEFILE = (ROOT / "Makefile").read_text()
HELP = dict(re.findall(r"^([a-z-]+):.*?## (.*)", MAKEFILE, re.M))
OF_AN_OUTER_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
Run = subprocess.CompletedProcess[str]


def shell(line: str, cwd: Path = ROOT, **env: str) -> Run:
    """What a person types."""
    kept = {key: value for key, value in os.environ.items() if key not in OF_AN_OUTER_MAKE}
    return subprocess.run(
        line,
        shell=True,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env=kept | env,
        timeout=patience(600),
    )


def command(*arguments: str | Path, module: str = "conformance", **env: str) -> Run:
    return shell(shlex.join([sys.executable, "-m", module, *map(str, arguments)]), ROOT, **env)


def made(value: str | Path) -> str:
    """A value as it is typed for make, which takes $ for its own."""
    return shlex.quote(str(value).replace("$", "$$"))


def test_each_variable_is_told_where_it_is_used_and_used_where_it_is_told() -> None:
    variables = set(re.findall(r"^([A-Z]+) +:= ?", MAKEFILE, re.M)) - {"BIN", "GIVEN"}
    assert {"PORT", "SECONDS"} < variables
    for target, told in HELP.items():
        recipe = re.findall(rf"^{target}:.*\n((?:\t.*\n)*)", MAKEFILE, re.M)[0]
        read = set(re.findall(r"\b[A-Z]+\b", recipe)) & variables
        if target == "versions":  # its script reads it
            read.add("PYTHONS")
        assert set(re.findall(r"\b([A-Z]+)=", told)) == read, target
    assert variables == {name for told in HELP.values() for name in re.findall(r"([A-Z]+)=", told)}
    assert f"KIND={'|'.join(get_args(Kind))}" in HELP["new-port"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("conformance PORTS=c", "there is no variable PORTS; did you mean PORT?"),
        ("conformance CASE=x", "there is no variable CASE; did you mean CASES?"),
        ("conformance port=c", "there is no variable port; did you mean PORT?"),
        ("conformance RESULT=", "there is no variable RESULT; did you mean RESULTS?"),
        ("conformance COLOUR=1", "there is no variable COLOUR; make help lists all"),
        ("teeth PORT=c", "make teeth does not use PORT; it uses UPDATE"),
        ("PORT=c", "make help does not use PORT; it uses no variable"),
        ("ask", "PORT is missing, as in: make ask PORT=mine"),
        ("merge PORT=c", "make merge does not use PORT; it uses FILES, RESULTS"),
    ],
)
def test_a_variable_that_changes_nothing_is_refused_before_anything_is_done(
    words: str, says: str, tmp_path: Path
) -> None:
    """In a clone without an environment, which would else be made first."""
    (tmp_path / ".ci").mkdir()
    for name in ("Makefile", ".ci/variables", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = shell(f"make {words}", tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"make: {says}"
    assert not done.stdout
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("value", ["", "none", "no", "1"])
def test_timing_can_be_left_out_and_nothing_else(value: str) -> None:
    done = shell(f"make -n conformance TIMING={value}")
    if value in ("", "none"):
        assert done.returncode == 0
        assert ("--no-timing" in done.stdout) == (value == "none")
    else:
        assert done.returncode == 2
        assert f"TIMING={value} means nothing: TIMING=none judges and times nothing" in done.stderr
        assert not done.stdout


@pytest.mark.parametrize(
    "words",
    [
        "conformance PORT=c PYTHON=python3 SHELL=/bin/sh MAKEFLAGS=-n",
        "-n conformance report BENCH=a.json SEED=1",
        "-n .venv/installed PORT=c",
    ],
)
def test_variables_of_make_itself_and_of_one_target_of_several_are_fine(words: str) -> None:
    done = shell(f"make {words}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["my port", 'größe/it\'s "mine"', "a$b;c&d#e", "a(b)"])
def test_a_port_in_any_folder_is_judged_and_what_is_printed_can_be_pasted(
    name: str, make_port: MakePort, tmp_path: Path
) -> None:
    port = make_port("port", 'if op == "step":\n    answer["delta"][0][0][0] *= -1')
    folder, file, junit = tmp_path / name, tmp_path / "the results.json", tmp_path / "a unit.xml"
    folder.parent.mkdir(exist_ok=True)
    port.rename(folder)
    case = tmp_path / "my cases" / "one step.toml"
    case.parent.mkdir()
    shutil.copy(CASES / "one-step.toml", case)
    given = {"PORT": folder, "CASES": case, "RESULTS": file, "JUNIT": junit}
    first = shell("make conformance " + " ".join(f"{k}={made(v)}" for k, v in given.items()))
    assert "first divergence: l1_delta[0, 0]" in first.stdout, first.stdout + first.stderr
    assert [r["port"] for r in json.loads(file.read_text())["results"]] == [folder.name]
    assert "<testcase" in junit.read_text()
    [again] = set(re.findall(r"reproduce: (make .*)", first.stdout))
    file.unlink()
    second = shell(f"{again} RESULTS={made(file)}")
    assert "first divergence: l1_delta[0, 0]" in second.stdout, second.stdout + second.stderr
    assert [r["case"] for r in json.loads(file.read_text())["results"]] == ["one-step"]


def test_a_compiled_port_and_its_rung_in_a_folder_with_spaces(tmp_path: Path) -> None:
    folder, file = tmp_path / "größe" / "it's c", tmp_path / "results.json"
    shutil.copytree(ROOT / "ports" / "c", folder)
    ports = made(f"numpy {folder} {folder}:general")
    done = shell(f"make conformance PORT={ports} CASES=one-step RESULTS={file}")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {r["port"]: r["status"] for r in json.loads(file.read_text())["results"]}
    assert found == {"numpy": "PASS", "it's c": "PASS", "it's c:general": "PASS"}


def test_a_bare_name_is_one_of_ports_or_else_a_folder_that_lies_here(
    make_port: MakePort, tmp_path: Path
) -> None:
    for name in ("mine", "c"):
        make_port(name).rename(tmp_path / name)
    check = f"{sys.executable} -m conformance check mine c --cases one-step --no-timing"
    done = shell(f"{check} --results r.json", tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stdout + done.stderr
    ports = {port["port"]: port for port in json.loads((tmp_path / "r.json").read_text())["ports"]}
    assert ports["mine"]["language"] == "Python, scripted"
    assert ports["c"]["language"] == "C11"


def test_names_have_spaces_between_and_what_is_there_may_have_them_inside() -> None:
    def split(value: str) -> list[str]:
        return words(value, {"a b", "a b c", "./my port"}.__contains__)

    assert split("c numpy  c:simd") == ["c", "numpy", "c:simd"]
    assert split("a b c d") == ["a b c", "d"]
    assert split("c ./my port a b") == ["c", "./my port", "a b"]
    assert split("a  b") == ["a", "b"]
    assert split("  ") == []


@pytest.mark.parametrize("name", ["dir with space/größe", "it's/deep/er/x.y"])
def test_a_new_port_may_lie_anywhere(name: str, tmp_path: Path) -> None:
    done = shell(f"make new-port NAME={made(tmp_path / name)} KIND=c-abi")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name / "port.toml").exists()
    [following] = re.findall(r"next: (make .*)", done.stdout)
    assert "first divergence: l1[" in shell(f"{following} RESULTS={tmp_path}/r.json").stdout


def test_files_with_spaces_go_through_merge_and_report(
    conformance: Conformance, tmp_path: Path
) -> None:
    conformance("numpy")
    for name in ("a b.json", "c.json"):
        shutil.copy(tmp_path / "results.json", tmp_path / name)
    merged, page = tmp_path / "to gether.json", tmp_path / "the page"
    done = shell(f"make merge FILES='{tmp_path}/a b.json {tmp_path}/c.json' RESULTS='{merged}'")
    assert merged.exists(), done.stderr
    assert len(json.loads(merged.read_text())["sources"]) == 2
    done = shell(f"make report RESULTS='{tmp_path}/a b.json' REPORT='{page}'")
    assert (page / "index.html").exists(), done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--seed", "77x"], 'SEED=77x is not a whole number below 1000000, and not "none'),
        (["check", "--seed", "1000000"], "SEED=1000000 is not a whole number below 1000000"),
        (["check", "--seed", "-1"], "SEED=-1 is not a whole number"),
        (["check", "--seed", "1.5"], "SEED=1.5 is not a whole number"),
        (["check", "--seed", "٣"], "SEED=٣ is not a whole number"),
        (["check", "--seed", ""], "SEED= is not a whole number"),
        (["check", "--fresh", "-1"], "FRESH=-1 is not a whole number up to 1000"),
        (["check", "--fresh", "1001"], "FRESH=1001 is not a whole number up to 1000"),
        (["check", "--fresh", "٣"], "FRESH=٣ is not a whole number up to 1000"),
        (["check", "--cases", ""], "argument --cases: is empty; leave the option out, or give it"),
        (["check", "--require", " "], "argument --require: is empty"),
        (["check", "--results", ""], "argument --results: is empty"),
        (["check", ""], "argument PORT: is empty"),
        (["check", "--shrad", "1/2"], "unrecognized arguments: --shrad"),
        (["bench", "--workload", "layer"], "there is no workload layer, only ensembles, layers, "),
        (["bench", "--workload", "layer"], "; did you mean layers?"),
        (["bench", "--rounds", "x"], "argument --rounds: x is not a whole number of 3 or more"),
        (["new-port", "x", "c"], "argument KIND: invalid choice: 'c' (choose from "),
        (["merge", ""], "argument FILE: is empty"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(arguments: list[str], says: str) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr


def test_pytest_takes_the_same_options_and_refuses_the_same() -> None:
    for option, value in (("--seed", "77x"), ("--shard", "3/2"), ("--cases", "")):
        mine = command("check", option, value)
        done = command("conformance", option, value, module="pytest")
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert mine.stderr.removeprefix("error: ").strip() in done.stderr
    told = command("conformance", "--help", module="pytest").stdout
    options = set(re.findall(r"^  (--\w[\w-]+)", command("check", "--help").stdout, re.M))
    assert {"--seed", "--no-timing"} < options
    assert not {option for option in options - {"--junit"} if option not in told}


def test_many_cases_are_not_taken_for_a_file_with_a_long_name(tmp_path: Path) -> None:
    names = " ".join(path.stem for path in sorted(CASES.glob("*-step.toml")))
    assert len(names) > 200
    file = tmp_path / "r.json"
    done = command("check", "numpy", "--cases", f"{names} {names}", "--results", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1:strict"])
def test_output_degrades_where_a_terminal_lacks_a_character(
    encoding: str, make_port: MakePort, tmp_path: Path
) -> None:
    case, file, page = tmp_path / "✓.toml", tmp_path / "é.json", tmp_path / "✓"
    shutil.copy(CASES / "one-step.toml", case)
    wrong = make_port("λ", "answer.pop('l', None)", MANIFEST.replace("Python, scripted", "λ✓"))
    runs: list[tuple[list[str | Path], int, str]] = [
        (["check", wrong, "--cases", case, "--results", file, "--no-timing"], 1, "reproduce: "),
        (["ports", wrong], 0, "process"),
        (["merge", file], 0, "one-step"),
        (["new-port", tmp_path / "π", "python"], 0, "next: "),
        (["check", "ππ"], 2, ""),
    ]
    if encoding == "ascii":  # which lacks all that the other one lacks
        runs.append((["report", file, "--folder", page], 0, "index.html"))
    for arguments, status, says in runs:
        done = command(*arguments, PYTHONIOENCODING=encoding)
        assert done.returncode == status, done.stdout + done.stderr
        assert says in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
    (page / "cases").mkdir(parents=True)
    shutil.copy(case, page / "cases")
    for name, path in (("train", case), ("golden", page / "cases")):
        done = command(name, path, module="reference", PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr


def test_paths_are_shown_as_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert from_here(BUILD / "results.json") == Path("build/results.json")
    monkeypatch.chdir(tmp_path)
    assert from_here(BUILD / "results.json") == BUILD / "results.json"
