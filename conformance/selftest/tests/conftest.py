"""Runs the harness as a user does, on port folders made for the test."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from conformance.selftest import variants, warm
from conformance.selftest.patience import patience
from conformance.session.options import Options
from conformance.targets import launch
from conformance.targets.manifest import Target
from conformance.targets.manifest import load as load_port
from reference.cases.case import Case, load_all

# A busy machine is slow now and then: time is not what these tests are about.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).parents[3]
CASES = ROOT / "conformance" / "suite" / "cases"
SCRIPTED = Path(__file__).parent / "scripted_port.py"
LONGEST_ID = 10_000
# What people read. Left out: what ports and reports are filled in from.
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for place in (
        "*.md",
        ".github/**/*.md",
        "conformance/**/*.md",
        "reference/**/*.md",
        "ports/*/*.md",
    )
    for path in ROOT.glob(place)
    if not {"templates", "starters"} & set(path.relative_to(ROOT).parts)
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse long ids: each goes to every process that runs tests, and back more than once."""
    for item in items:
        if len(item.nodeid) > LONGEST_ID:
            raise pytest.UsageError(f"{item.nodeid[:200]} ...: give it a short id")


def copied(folder: Path, cases: Collection[str], *more: str) -> Path:
    """A copy of what git tracks of reference/, conformance/ and `more`, with only these cases."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "reference", "conformance", *more],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, tracked.decode().split("\0")):
        path = Path(name)
        in_suite = "suite" in path.parts and path.parent.name in ("cases", "golden")
        in_suite = in_suite and path.suffix in (".toml", ".json")
        if (ROOT / path).exists() and (not in_suite or path.stem in cases):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)
    return folder


@dataclass
class Done:
    """How a run of the harness ended."""

    returncode: int
    stdout: str
    stderr: str
    results: dict[str, Any] | None

    def verdicts(self, port: str) -> list[dict[str, Any]]:
        """The results of one port."""
        assert self.results is not None
        return [r for r in self.results["results"] if r["port"] == port]

    def statuses(self, port: str) -> set[str]:
        """The statuses that one port got."""
        return {r["status"] for r in self.verdicts(port)}


Conformance = Callable[..., Done]


@pytest.fixture
def conformance(tmp_path: Path) -> Conformance:
    """Run `check` with these ports and cases, or with `pytest` the same run as a suite of tests.

    Further options go as they are.
    """

    def run(
        *ports: Path | str,
        cases: str | Path = CASES / "one-step.toml",
        options: tuple[str, ...] = ("--no-timing",),
        seed: str | None = "none",
        pytest: bool = False,
    ) -> Done:
        file = tmp_path / "results.json"
        if "--resume" not in options:
            file.unlink(missing_ok=True)
        more = ["--cases", str(cases), "--results", str(file), *options]
        more += ["--seed", seed] if seed is not None else []
        if pytest:
            command = [sys.executable, "-m", "pytest", "conformance", "-q"]
            command += ["-p", "no:cacheprovider"]
            command += [f"--port={port}" for port in ports]
            if "-n" not in options:  # of a plugin
                command.append("--disable-plugin-autoload")
            done = subprocess.run(
                [*command, *more], capture_output=True, text=True, cwd=ROOT, timeout=patience(1200)
            )
        else:
            done = warm.run(["check", *ports, *more], patience(1200))
        found = json.loads(file.read_text()) if file.exists() else None
        return Done(done.returncode, done.stdout, done.stderr, found)

    return run


def options_of(*ports: Path | str, results: Path, cases: str = "one-step", **more: Any) -> Options:
    """A run in this process that only judges; without a random case, unless `more` says so."""
    plain = Options(
        ports=[*map(str, ports)],
        cases=cases,
        require=[],
        results=results,
        seed="none",
        shard=None,
        resume=False,
        timed=False,
        verbose=False,
        bundle=None,
    )
    return replace(plain, **more)


MakePort = Callable[..., Path]
PatchedC = Callable[..., Path]

MANIFEST = """
format = 1
language = "Python, scripted"
kind = "process"
dtypes = ["float64"]
capabilities = ["alpha", "layers"]
[toolchain]
detect = ["true"]
install = "nothing"
[run]
command = ["{python}", "-u", "{port}/port.py"]
time_limit_s = 2.0
"""


# Of a port that writes down something, into the only folder that it may write to and that stays.
NOTING = MANIFEST.replace('port.py"]', 'port.py", "{build}/notes"]')


def notes_of(port: Path) -> Path:
    """What a port with this manifest has written into the file sys.argv[1]."""
    return launch.build_folder(Target(load_port(port))) / "notes"


PYTHON_MANIFEST = """
format = 1
language = "Python"
kind = "python"
dtypes = ["float64"]
capabilities = CAPABILITIES
[toolchain]
detect = ["true"]
install = "nothing"
[run]
module = "port.py"
"""


# A plain port of this kind, of one network or many, with SABOTAGE at the start of a run.
PYTHON_MODULE = """
import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def forward(X, state):
    l1 = sigmoid(X @ state[0])
    return l1, sigmoid(l1 @ state[1])

def step(X, y, state, *, alpha):
    l1, l2 = forward(X, state)
    l2_error = y - l2
    l2_delta = l2_error * l2 * (1 - l2)
    l1_error = l2_delta @ state[1].mT
    l1_delta = l1_error * l1 * (1 - l1)
    new = [state[0] + alpha * X.mT @ l1_delta, state[1] + alpha * l1.mT @ l2_delta]
    return [l1, l2], [l1_error, l2_error], [l1_delta, l2_delta], new

def train(X, y, state, checkpoints, *, alpha):
    done = 0
    SABOTAGE
    for n in checkpoints:
        for _ in range(done, n):
            state = step(X, y, state, alpha=alpha)[3]
        done = n
        yield n, np.abs(y - forward(X, state)[1]).mean(axis=(-2, -1)), state
"""


@pytest.fixture
def make_port(tmp_path: Path) -> MakePort:
    """Make a process port from the correct scripted one, with `sabotage` run on each answer."""

    def make(name: str, sabotage: str = "", manifest: str = MANIFEST) -> Path:
        folder = tmp_path / "made" / name
        folder.mkdir(parents=True)
        source = SCRIPTED.read_text()
        assert source.count("# SABOTAGE\n") == 1
        indented = sabotage.replace("\n", "\n    ")
        (folder / "port.py").write_text(source.replace("# SABOTAGE\n", f"{indented}\n"))
        (folder / "port.toml").write_text(manifest)
        return folder

    return make


@pytest.fixture
def patched_c(tmp_path: Path) -> PatchedC:
    """A copy of the C port with other compiler options, or with source lines replaced.

    Without its rungs, which take longer to build than the port.
    """

    def make(name: str, *replacements: tuple[str, str], flags: str = "-O1") -> Path:
        folder = tmp_path / "made" / name
        shutil.copytree(ROOT / "ports" / "c", folder)
        manifest = folder / "port.toml"
        words = ", ".join(f'"{flag}"' for flag in flags.split())
        text, found, _ = manifest.read_text().partition("[[rung]]")
        assert found
        assert text.count('"-O2"') == 2
        manifest.write_text(text.replace('"-O2"', words))
        variants.patch(folder, replacements)
        return folder

    return make


@pytest.fixture(scope="session")
def cases() -> list[Case]:
    """All cases of the suite."""
    return load_all(CASES)


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "NO_COLOR", "1")
