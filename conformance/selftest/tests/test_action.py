"""The GitHub Action: its steps, run one after the other as a runner does."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import ROOT, MakePort

ACTION = ROOT / ".github" / "actions" / "check"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def run_action(folder: Path, inputs: dict[str, str]) -> tuple[int, Path]:
    """The status of the first step that fails, or 0; and the folder where all of it was run."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    given = {name: about.get("default") for name, about in action["inputs"].items()} | inputs
    assert None not in given.values()
    assert set(inputs) <= set(action["inputs"])
    runner = {
        "RUNNER_TEMP": str(folder),
        "GITHUB_ACTION_PATH": str(ACTION),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    status = 0
    for step in action["runs"]["steps"]:
        if status and step.get("if") != "always()":
            continue
        env = {
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: given[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(
            shell,
            env=kept | runner | env,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=patience(600),
        )
        (folder / f"{step['name']}.txt").write_text(done.stdout + done.stderr)
        status = status or done.returncode
    return status, folder


def test_the_action_judges_reports_and_fails_where_a_port_is_wrong(
    make_port: MakePort, tmp_path: Path
) -> None:
    wrong = make_port("wrong", "answer.pop('l', None)")
    (tmp_path / "run").mkdir()
    wrong.rename(tmp_path / "run" / "wrong")
    inputs = {"port": "wrong", "cases": "one-step"}  # a folder at the top of a repository
    status, folder = run_action(tmp_path / "run", inputs)
    said = "".join(path.read_text() for path in folder.glob("[IJR]*.txt"))
    assert status == 1, said
    assert (folder / "summary.md").read_text().startswith("## Conformance of backpropagation: FAIL")
    page = (folder / "conformance" / "report" / "index.html").read_text()
    assert "1 verdict is wrong" in page
    assert "Side by side" in page  # of the reference alone, since no other port is installed
    assert "<testcase" in (folder / "conformance" / "junit.xml").read_text()


def test_text_of_inputs_is_no_command() -> None:
    """What a caller passes in goes through variables: in a script it would be run."""
    action: dict[str, Any] = yaml.safe_load((ACTION / "action.yml").read_text())
    assert action["runs"]["steps"]
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_others_are_pinned(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"]
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert used
    for name in used:
        assert re.fullmatch(r"actions/[\w-]+@v\d+", name), name


def test_the_matrix_has_each_python_that_make_versions_asks_for() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    script = (ROOT / ".ci" / "versions").read_text()
    [asked] = re.findall(r"for version in (.*); do", script)
    [at_hand] = re.findall(r"PYTHONS:-(.*)\}; do", script)
    matrix = jobs["versions"]["strategy"]["matrix"]["python"]
    assert matrix == asked.split() == at_hand.replace("python", "").split()
    oldest = re.findall(r'requires-python = ">=(.*)"', (ROOT / "pyproject.toml").read_text())
    assert matrix[:1] == oldest
