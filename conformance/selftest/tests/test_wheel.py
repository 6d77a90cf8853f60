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

from conformance import __version__
from conformance.ground.places import CASES, PAIRS
from conformance.selftest.tests.conftest import ROOT, MakePort
from conformance.suite import fresh

Installed = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.xdist_group("wheel")  # it is built and installed once


def quietly(*command: str | Path) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
UV = ROOT / ".venv" / "bin" / "uv"  # installs in seconds what takes pip a minute
# Of use in a clone only: whatever is in a folder of such a name, and notebooks.
CLONE_ONLY = re.compile(r"(^|/)(selftest|tests)/|^conformance/record/committed/|\.ipynb$")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's file: one that is made here, or that of a release, in the folder $DIST."""
    folder = Path(os.environ.get("DIST") or tmp_path_factory.mktemp("wheel"))
    if "DIST" not in os.environ:
        quietly(*PIP, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    [wheel] = folder.glob("*.whl")
    return wheel.resolve()


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of an environment are that has the wheel, and what it needs, alone."""
    folder = tmp_path_factory.mktemp("installed")
    # The versions of the lock files, as bounds: what is installed, the wheel itself says.
    lock = "".join((ROOT / f"requirements{name}.lock").read_text() for name in ("", "-report"))
    pins = re.findall(r"^([\w.-]+==[^ \\]+(?: ;[^\\]*)?) *\\$", lock, re.M)
    (folder / "constraints.txt").write_text("\n".join(pins))
    quietly(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    there: list[str | Path] = ["--python", folder / "venv"]
    install = [UV, "pip", "install", *there] if UV.exists() else [*PIP, *there, "install"]
    quietly(*install, "--constraint", folder / "constraints.txt", wheel)
    return folder / "venv" / "bin"


@pytest.fixture
def installed(scripts: Path, tmp_path: Path) -> Installed:
    """Run the installed command in an empty folder, or in `cwd`, with an empty cache."""

    def run(*arguments: str | Path, cwd: str = "empty") -> subprocess.CompletedProcess[str]:
        (tmp_path / cwd).mkdir(exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(
            [str(scripts / "backprop-conformance"), *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path / cwd,
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


@pytest.mark.skipif("DIST" not in os.environ, reason="DIST is not set: no release is tested")
def test_the_source_package_of_a_release_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    [source] = wheel.parent.glob("*.tar.gz")
    quietly(*PIP, "wheel", "--no-deps", "--wheel-dir", tmp_path, source)
    [again] = tmp_path.glob("*.whl")
    assert again.name == wheel.name == f"backprop_conformance-{__version__}-py3-none-any.whl"
    contents = [{i.filename: i.CRC for i in zipfile.ZipFile(w).infolist()} for w in (wheel, again)]
    assert contents[0] == contents[1]


def test_it_says_its_version(installed: Installed) -> None:
    assert installed("--version").stdout == f"backprop-conformance {__version__}\n"


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
    assert re.search(r"^  mine +PASS +1 ", done.stdout, re.M)
    results = tmp_path / "cache" / "backprop-conformance" / "results.json"
    assert f"details: backprop-conformance report ({results})" in done.stdout
    assert f'"commit": "release {__version__}"' in results.read_text()
    assert not list((tmp_path / "empty").iterdir())
    assert sorted(packages.rglob("*")) == before


def test_it_judges_all_cases_that_a_compiled_port_can_do(
    installed: Installed, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "ports" / "c", tmp_path / "c")
    done = installed("check", tmp_path / "c", "--no-timing")
    assert done.returncode == 0, done.stdout + done.stderr
    cases = [path for folder in (CASES, PAIRS) for path in folder.glob("*.toml")]
    total = len(cases) + fresh.NUMBER  # with those that are drawn
    assert f"  c  PASS  {2 * total} " in done.stdout  # in both dtypes


def test_it_names_a_bug_and_says_how_to_see_it_again(
    installed: Installed, make_port: MakePort
) -> None:
    port = make_port("mine", 'if op == "step":\n    answer["delta"][0][0][0] *= -1')
    done = installed("check", port, "--cases", "one-step")
    assert done.returncode == 1
    assert "FAIL: mine on one-step, float64: first divergence: l1_delta[0, 0]" in done.stdout
    assert re.search(r"computed by reference/algorithm/\w+\.py:\d+: ", done.stdout)
    assert f"reproduce: backprop-conformance check {port} --cases one-step" in done.stdout


def test_a_folder_that_lies_here_needs_no_slash_and_the_report_no_other_package(
    installed: Installed, make_port: MakePort, tmp_path: Path
) -> None:
    make_port("mine").rename(tmp_path / "mine")
    options = ("--cases", "one-step", "--seed", "7", "--results", "r.json")
    done = installed("check", "mine", *options, cwd=".")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^5 fresh cases: --seed 7 repeats them$", done.stderr, re.M)
    done = installed("report", "r.json", "--folder", "page", cwd=".")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page" / "index.html").read_text()
    assert "backprop-conformance check c --cases three-layer" in page
    assert "make conformance" not in page


def test_messages_name_options_as_they_are_typed_here(
    installed: Installed, make_port: MakePort
) -> None:
    port = make_port("mine")
    wrong = {
        "--cases x": ": no case, capability, file or folder has that name",
        "--require x": ": there is no such port among those selected: mine",
        "--seed x": " is not a whole number below 1000000",
        "--shard 3/2": " is not of the form i/n",
    }
    for words, says in wrong.items():
        done = installed("check", port, *words.split())
        assert done.returncode == 2
        assert words + says in done.stderr


def test_it_begins_a_port(installed: Installed, tmp_path: Path) -> None:
    done = installed("new-port", tmp_path / "mine", "c-abi")
    assert done.returncode == 0, done.stderr
    next_command = re.findall(r"next: backprop-conformance (.*)", done.stdout)[0]
    assert "first divergence: l1[" in installed(*next_command.split()).stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check"], "error: no ports selected: give the folder of one"),
        (["check", "c"], "error: c: there is no such port; give the folder of one"),
        (["check", "nowhere/"], "error: nowhere/: there is no such port; give the folder of one"),
        (["new-port", ".x", "c-abi"], "error: .x: is not a name for a port: it must begin"),
        (["teeth"], "error: teeth: variants are made of the C port, which is in a clone only"),
    ],
)
def test_a_mistake_is_one_sentence(installed: Installed, arguments: list[str], says: str) -> None:
    done = installed(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip().startswith(says)
    assert "Traceback" not in done.stdout + done.stderr
