"""The wheel, as people get it: built, installed into a clean environment, used elsewhere."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import ROOT, MakePort

Installed = Callable[..., subprocess.CompletedProcess[str]]


def quietly(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
# Of use in a clone only: whatever is in a folder of such a name, and notebooks.
CLONE_ONLY = re.compile(r"(^|/)(selftest|tests)/|^conformance/record/committed/|\.ipynb$")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's file."""
    folder = tmp_path_factory.mktemp("wheel")
    quietly(*PIP, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def scripts(wheel: Path) -> Path:
    """Where the commands of an environment are that has the wheel, and what it needs, alone."""
    folder = wheel.parent
    # The versions of the lock file, as bounds: what is installed, the wheel itself says.
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^([\w.-]+==[^ \\]+(?: ;[^\\]*)?) *\\$", lock, re.M)
    (folder / "constraints.txt").write_text("\n".join(pins))
    quietly(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    pip = [*PIP, "--python", str(folder / "venv")]
    quietly(*pip, "install", "--constraint", folder / "constraints.txt", wheel)
    return folder / "venv" / "bin"


@pytest.fixture
def installed(scripts: Path, tmp_path: Path) -> Installed:
    """Run the installed command in an empty folder, with an empty cache."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        (tmp_path / "empty").mkdir(exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(
            [str(scripts / "backprop-conformance"), *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path / "empty",
            env={**kept, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    return run


def test_it_has_all_but_what_is_of_use_in_a_clone_only(wheel: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed += ["conformance", "reference"]
    here = subprocess.run(listed, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    expected = {name for name in here.split("\0") if name and not CLONE_ONLY.search(name)}
    files = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert files == expected
    assert {"conformance/contract/SPEC.md", "conformance/suite/golden/one-step.json"} <= files


def test_its_page_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        [name] = (n for n in files.namelist() if n.endswith(".dist-info/METADATA"))
        page = files.read(name).decode().partition("\n\n")[2]
    readme = (ROOT / "README.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        line for line in readme.splitlines() if line.startswith("#")
    ]
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert links == [link for link in re.findall(r"\]\(([^)]*)\)", readme) if "://" in link]
    assert links


def test_it_needs_no_numba_since_it_has_no_port(scripts: Path) -> None:
    packages = (scripts.parent / "lib").glob("python*/site-packages/*.dist-info")
    names = {path.name.partition("-")[0] for path in packages}
    assert "backprop_conformance" in names
    assert "numba" not in names


def test_it_judges_a_folder_and_writes_nothing_but_into_the_cache(
    installed: Installed, scripts: Path, make_port: MakePort, tmp_path: Path
) -> None:
    port = make_port("mine")
    packages = next((scripts.parent / "lib").glob("python*/site-packages"))
    before = sorted(packages.rglob("*"))
    done = installed("check", port, "--cases", "one-step")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"one-step +│ PASS", done.stdout)
    assert "1 passed" in done.stdout
    results = tmp_path / "cache" / "backprop-conformance" / "results.json"
    assert f"results: {results}" in done.stdout
    assert '"commit": "release 0.1.0"' in results.read_text()
    assert not list((tmp_path / "empty").iterdir())
    assert sorted(packages.rglob("*")) == before


def test_it_judges_all_cases_that_a_compiled_port_can_do(
    installed: Installed, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "ports" / "c", tmp_path / "c")
    done = installed("check", tmp_path / "c", "--no-timing")
    assert done.returncode == 0, done.stdout + done.stderr
    cases = len(list((ROOT / "conformance" / "suite" / "cases").glob("*.toml")))
    assert f"{2 * (cases + 1)} PASS" in done.stdout  # in both dtypes, with one that is drawn


def test_it_names_a_bug_and_says_how_to_see_it_again(
    installed: Installed, make_port: MakePort
) -> None:
    port = make_port("mine", 'if op == "step":\n    answer["delta"][0][0][0] *= -1')
    done = installed("check", port, "--cases", "one-step")
    assert done.returncode == 1
    assert "FAIL: mine on one-step, float64: first divergence: l1_delta[0, 0]" in done.stdout
    assert re.search(r"computed by reference/algorithm/\w+\.py:\d+: ", done.stdout)
    assert f"reproduce: backprop-conformance check {port} --cases one-step" in done.stdout


def test_it_begins_a_port(installed: Installed, tmp_path: Path) -> None:
    done = installed("new-port", tmp_path / "mine", "c-abi")
    assert done.returncode == 0, done.stderr
    next_command = re.findall(r"next: backprop-conformance (.*)", done.stdout)[0]
    assert "first divergence: l1[" in installed(*next_command.split()).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check"], "error: no ports selected: give the folder of one"),
        (["check", "c"], "error: PORT=c: there is no such port; give a folder"),
        (["check", "nowhere/"], "error: PORT=nowhere/: there is no such port; give a folder"),
        (["teeth"], "error: teeth: variants are made of the C port, which is in a clone only"),
    ],
)
def test_a_mistake_is_one_sentence(installed: Installed, arguments: list[str], says: str) -> None:
    done = installed(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip().startswith(says)
    assert "Traceback" not in done.stdout + done.stderr
