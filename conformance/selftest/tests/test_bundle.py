"""`check --bundle`: the zip that a report about a verdict needs, read as its reader does."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from conformance.record import bundle
from conformance.record.anonymous import anonymous
from conformance.record.models import Results
from conformance.selftest.tests.conftest import CASES, MANIFEST, NOTING, ROOT, MakePort, options_of
from conformance.selftest.tests.test_options import command
from conformance.session.engine import Session, execute
from conformance.session.options import Options

WRONG_SIGN = 'if op == "step":\n    answer["delta"][0][0][0] *= -1'
ON_ONE_STEP = ("--cases", "one-step", "--no-timing")
PLANTED = {
    "PLANTED": "planted-2f6d1c7a",  # a port does not see it
    "DEPLOY_TOKEN": "planted-93ab40ee",  # nor does its build
    "BACKPROP_NOTE": "planted-5d20b7f1",  # both see this, and nobody prints it
}


def unpacked(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def chosen(port: Path, folder: Path, cases: str = "one-step") -> Options:
    file, zipped = folder / "results.json", folder / "bundle.zip"
    return options_of(port, results=file, cases=cases, bundle=zipped)


def test_a_failure_is_repeated_from_the_bundle_alone(make_port: MakePort, tmp_path: Path) -> None:
    port, file, zipped = make_port("mine", WRONG_SIGN), tmp_path / "r.json", tmp_path / "b.zip"
    done = command("check", port, *ON_ONE_STEP, "--results", file, "--bundle", zipped)
    assert done.returncode == 1, done.stderr
    assert f"bundle: {zipped}" in done.stderr
    found = unpacked(zipped)
    wire = "wire/mine/one-step-float64."
    requests, answers = found[f"{wire}requests.jsonl"], found[f"{wire}answers.jsonl"]
    again = subprocess.run(
        [sys.executable, port / "port.py"], input=requests, capture_output=True, text=True
    )
    assert again.stdout == answers
    assert "port.py" in found["ports/mine/build.txt"]  # how it is started
    [verdict] = Results.model_validate_json(found["results.json"]).results
    assert verdict.divergence is not None
    assert verdict.divergence.tensor == "l1_delta"
    [step] = [json.loads(line) for line in answers.splitlines() if "delta" in line][:1]
    assert repr(step["delta"][0][0][0]) == verdict.divergence.got
    assert "mine on one-step in float64: FAIL; the same answer" in found["README.txt"]


def test_what_is_inside(make_port: MakePort, tmp_path: Path) -> None:
    port, zipped = make_port("mine", WRONG_SIGN), tmp_path / "b.zip"
    command("check", port, *ON_ONE_STEP, "--results", tmp_path / "r.json", "--bundle", zipped)
    found = unpacked(zipped)
    assert found["ports/mine/port.toml"] == (port / "port.toml").read_text()
    assert found["cases/one-step.toml"] == (CASES / "one-step.toml").read_text()
    golden = (CASES.parent / "golden" / "one-step.json").read_bytes()
    assert found["golden.sha256"] == f"{hashlib.sha256(golden).hexdigest()}  one-step.json\n"
    run = json.loads(found["run.json"])
    assert run["packages"]["numpy"]
    assert "--cases one-step --no-timing" in run["command"]
    for name in {*found} - {"README.txt"}:  # which explains each file
        pattern = (
            name.replace("mine", "PORT").replace("one-step", "CASE").replace("float64", "DTYPE")
        )
        assert pattern in found["README.txt"]
    assert [path.name for path in tmp_path.iterdir()].count(".b.zip") == 0


def test_nothing_of_the_environment_or_the_user_is_inside(
    make_port: MakePort, tmp_path: Path
) -> None:
    """Not even where the build prints it, and the port says it."""
    home = tmp_path / "disk" / "annabel"
    token = PLANTED["DEPLOY_TOKEN"]  # whoever wrote the manifest knew it
    build = f'[build]\ncommands = [["sh", "-c", "echo token: {token} in $HOME; pwd"]]\n'
    told = 'answer = {"id": request["id"], "failure": f"in {os.getcwd()} and /scratch/annabel/x"}'
    made = make_port("mine", f'if op != "hello":\n    {told}', MANIFEST + build)
    port, zipped = home / "ports" / "mine", home / "b.zip"
    port.parent.mkdir(parents=True)
    made.rename(port)
    env = PLANTED | {"HOME": str(home), "USER": "annabel", "LOGNAME": "annabel"}
    where = ("--results", home / "r.json", "--bundle", zipped)
    done = command("check", port, *ON_ONE_STEP, *where, **env)
    assert done.returncode == 1, done.stderr
    found = unpacked(zipped)
    assert "token: (removed) in ~\n" in found["ports/mine/build.txt"]
    assert "/scratch/user/x" in found["wire/mine/one-step-float64.answers.jsonl"]
    for name, text in found.items():
        for value in (*PLANTED.values(), str(home), "annabel"):
            assert value not in text, name
    assert "~/ports/mine" in json.loads(found["run.json"])["command"]


def test_a_bundle_of_a_run_without_a_failure_says_so(make_port: MakePort, tmp_path: Path) -> None:
    zipped = tmp_path / "new" / "b.zip"
    port, cases = make_port("mine"), ("--cases", "one-step smallest", "--no-timing")
    done = command("check", port, *cases, "--results", tmp_path / "r.json", "--bundle", zipped)
    assert done.returncode == 0, done.stderr
    found = unpacked(zipped)
    assert "Nothing failed" in found["README.txt"]
    asked = {name for name in found if name.startswith("wire/")}
    assert {name.split("/")[-1].split("-float64")[0] for name in asked} == {"one-step", "smallest"}


def test_a_failure_that_does_not_come_again_is_told(make_port: MakePort, tmp_path: Path) -> None:
    once = 'if op == "step" and not os.path.exists(sys.argv[1]):\n'
    wrong = f'{once}    open(sys.argv[1], "w")\n    answer["delta"][0][0][0] *= -1'
    port = make_port("mine", wrong, NOTING)
    finished = execute(chosen(port, tmp_path), lambda _: None)
    assert finished.failed
    assert "FAIL; a different answer: PASS" in unpacked(tmp_path / "bundle.zip")["README.txt"]


def test_of_a_port_that_does_not_build_it_has_what_the_compiler_said(
    make_port: MakePort, tmp_path: Path
) -> None:
    build = '[build]\ncommands = [["sh", "-c", "echo reading; echo no such thing >&2; false"]]\n'
    port = make_port("mine", manifest=MANIFEST + build)
    execute(chosen(port, tmp_path), lambda _: None)
    found = unpacked(tmp_path / "bundle.zip")
    assert found["ports/mine/build.txt"].endswith("false'\nreading\nno such thing\n")
    assert "mine on one-step in float64: FAIL: does not build: no such thing" in found["README.txt"]
    assert not [name for name in found if name.startswith("wire/")]


def test_what_is_above_the_limit_is_left_out_and_named(
    make_port: MakePort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MOST_BYTES", 8000)
    execute(chosen(make_port("mine"), tmp_path, "one-step two-layer"), lambda _: None)
    found = unpacked(tmp_path / "bundle.zip")
    wire = {name for name in found if name.startswith("wire/")}
    assert {name.split("/")[-1].split(".")[0] for name in wire} == {"one-step-float64"}
    assert "two-layer in float64: PASS; the same answer; left out" in found["README.txt"]
    monkeypatch.setattr(bundle, "MOST_SECONDS", -1.0)
    execute(chosen(make_port("late"), tmp_path), lambda _: None)
    assert (
        "late on one-step in float64: PASS; left out"
        in unpacked(tmp_path / "bundle.zip")["README.txt"]
    )


def test_a_run_that_was_interrupted_has_none(
    make_port: MakePort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "verdicts_of", interrupt)
    finished = execute(chosen(make_port("mine"), tmp_path, "one-step smallest"), print)
    assert finished.problems == [
        f"{tmp_path / 'bundle.zip'}: was not written, since the run was not finished"
    ]
    assert not (tmp_path / "bundle.zip").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("taken", "taken does not end in .zip"),
        ("file/b.zip", "file/b.zip: cannot be written: "),
        ("folder.zip", "folder.zip: cannot be written: it is a folder"),
    ],
)
def test_where_it_cannot_go_is_told_before_anything_is_run(
    name: str, says: str, make_port: MakePort, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.zip").mkdir()
    port, file = make_port("mine"), tmp_path / "r.json"
    done = command("check", port, *ON_ONE_STEP, "--results", file, "--bundle", tmp_path / name)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr
    assert not file.exists()


def test_numbers_and_words_that_are_no_paths_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/c")
    monkeypatch.setenv("USER", "c")
    text = b'{"port": "c", "alpha": 0.1} ports/c c++ /home/c/x "/home/c" /homes/c.d \xff'
    said = b'{"port": "c", "alpha": 0.1} ports/c c++ ~/x "~" /homes/user.d \xff'
    assert anonymous(text) == said


def test_make_passes_it_on(tmp_path: Path) -> None:
    command_line = ["make", "-n", "-o", ".venv/installed", "conformance", "BUNDLE=my file.zip"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("M")}
    done = subprocess.run(command_line, capture_output=True, text=True, cwd=ROOT, env=kept)
    assert '--bundle "$BUNDLE"' in done.stdout, done.stderr
