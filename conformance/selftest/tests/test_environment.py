"""Set-up: what the lock files hold, and how .venv is made from them, with and without uv."""

import base64
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import ROOT

LOCKS = ["requirements.lock", "requirements-report.lock", "requirements-test.lock"]
UV = ROOT / ".venv" / "bin" / "uv"
Setup = Callable[..., subprocess.CompletedProcess[str]]


def pins(path: Path) -> dict[str, set[str]]:
    """The versions of each package in a lock file; some have another one for old Pythons."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^ \\]+)", path.read_text(), re.M):
        found.setdefault(name, set()).add(version)
    return found


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", one)[0].lower() for one in requirements}


def test_no_two_lock_files_have_the_same_package_and_each_has_what_pyproject_asks_for() -> None:
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dependencies, groups = named(tables["project"]["dependencies"]), tables["dependency-groups"]
    run, report, test = (set(pins(ROOT / name)) for name in LOCKS)
    assert not run & report
    assert not (run | report) & test
    assert named(groups["report"]) < dependencies
    assert dependencies - named(groups["report"]) | named(groups["ports"]) <= run
    assert dependencies <= run | report
    assert named(groups["test"]) <= run | report | test
    assert "scipy" in test


def test_ports_do_not_change_what_the_lock_files_have_installed() -> None:
    """With the same versions, it does not matter what is installed first."""
    locked = {name: versions for lock in LOCKS for name, versions in pins(ROOT / lock).items()}
    for path in ROOT.glob("ports/*/requirements.txt"):
        for name, versions in pins(path).items():
            assert versions == locked.get(name, versions), f"{path}: {name}"
    for port in ("jax", "pytensor"):
        assert "scipy" in pins(ROOT / "ports" / port / "requirements.txt")


def make_wheel(folder: Path, version: str) -> str:
    """A wheel of a package of one line; its entry in a lock file."""
    files = {
        "tiny.py": f"version = {version!r}\n",
        f"tiny-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tiny\n"
        f"Version: {version}\n",
        f"tiny-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for name, text in files.items():
        of_file = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{name},sha256={of_file.decode()},{len(text)}\n"
    files[f"tiny-{version}.dist-info/RECORD"] = record
    path = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    size = "# 1 package, 1 MB to download, 2 MB on disk (here)\n"
    return f"{size}tiny=={version} \\\n    --hash=sha256:{digest}\n"


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venv") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def project(venv: Path, tmp_path: Path) -> Path:
    """A clone with a lock file of one small package, whose index is a folder."""
    folder = tmp_path / "project"
    (folder / ".ci").mkdir(parents=True)
    for name in ("environment", "requirements-uv.lock"):
        shutil.copy(ROOT / ".ci" / name, folder / ".ci")
    (tmp_path / "wheels").mkdir()
    (folder / "requirements.lock").write_text(make_wheel(tmp_path / "wheels", "1.0"))
    shutil.copytree(venv, folder / ".venv", symlinks=True)
    return folder


def environment(tmp_path: Path) -> dict[str, str]:
    """What pip is told about its index, and nothing that uv is told."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    told = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    private = {"PIP_CONFIG_FILE": os.devnull, "UV_CACHE_DIR": str(tmp_path / "cache")}
    return kept | told | private


COMMAND = [sys.executable, ".ci/environment", ".venv/installed", "requirements.lock"]


@pytest.fixture
def setup(project: Path, tmp_path: Path) -> Setup:
    """Run what make does for a stamp."""

    def run(**env: str) -> subprocess.CompletedProcess[str]:
        env = environment(tmp_path) | env
        return subprocess.run(COMMAND, cwd=project, env=env, capture_output=True, text=True)

    return run


def installed(project: Path) -> tuple[str, str]:
    """The version that is installed, and what installed it."""
    python = project / ".venv" / "bin" / "python"
    program = "import tiny; print(tiny.version)"
    # No bytecode: that of one version would pass for the next, of the same size and second.
    done = subprocess.run([python, "-B", "-c", program], capture_output=True, text=True)
    [by] = (project / ".venv").glob("lib/python*/site-packages/tiny-*.dist-info/INSTALLER")
    return done.stdout.strip(), by.read_text().strip()


def test_pip_installs_where_uv_cannot_be_had_and_one_line_says_so(
    project: Path, setup: Setup
) -> None:
    done = setup()
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(".venv: ")]
    assert lines[0] == (
        ".venv: installing requirements.lock, once: "
        "1 package, 1 MB to download, 2 MB on disk (here)"
    )
    assert lines[1].startswith(".venv: installing uv, which installs the rest: 1 package, ")
    assert lines[2].startswith(".venv: no uv, as pip says above; installing with pip")
    assert re.fullmatch(r".venv: requirements.lock is installed, after \d+ s", lines[3])
    assert installed(project) == ("1.0", "pip")


def test_what_is_installed_needs_no_network_and_no_second_look(project: Path, setup: Setup) -> None:
    assert setup().returncode == 0
    os.utime(project / "requirements.lock")
    shutil.rmtree(project / ".venv" / "bin")  # so nothing could be installed
    done = setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    newer = (project / ".venv" / "installed").stat().st_mtime
    assert newer >= (project / "requirements.lock").stat().st_mtime


@pytest.mark.skipif(not UV.exists(), reason="uv is not in .venv: make .venv/installed")
def test_uv_takes_the_settings_of_pip_and_mends_what_an_interruption_left(
    project: Path, setup: Setup, tmp_path: Path
) -> None:
    (project / ".venv" / "bin" / "uv").symlink_to(UV)
    done = setup()
    assert done.returncode == 0, done.stdout + done.stderr
    assert installed(project) == ("1.0", "uv")
    (project / "requirements.lock").write_text(make_wheel(tmp_path / "wheels", "2.0"))
    assert setup().returncode == 0
    assert installed(project) == ("2.0", "uv")
    # It looks as if it were installed, and is not.
    [module] = (project / ".venv").glob("lib/python*/site-packages/tiny.py")
    module.unlink()
    (project / ".venv" / "installed").unlink()
    (project / ".venv" / "unfinished").touch()
    assert setup().returncode == 0
    assert installed(project) == ("2.0", "uv")
    assert not (project / ".venv" / "unfinished").exists()


def test_another_file_than_the_locked_one_is_refused_and_the_next_make_tries_again(
    project: Path, setup: Setup
) -> None:
    lock = project / "requirements.lock"
    right = lock.read_text()
    lock.write_text(re.sub("sha256:.{8}", "sha256:00000000", right))
    done = setup()
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: requirements.lock could not be installed, as is said above; "
        "the next make tries it again"
    )
    assert not (project / ".venv" / "installed").exists()
    lock.write_text(right)
    assert setup().returncode == 0
    assert installed(project)[0] == "1.0"


def test_a_half_made_environment_is_made_anew(project: Path, setup: Setup) -> None:
    shutil.rmtree(next((project / ".venv").glob("lib/python*/site-packages/pip")))
    assert setup().returncode == 0
    assert installed(project)[0] == "1.0"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of an index that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/simple"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_one_sentence(
    project: Path, tmp_path: Path, silent: str, sent: signal.Signals
) -> None:
    env = environment(tmp_path) | {"PIP_INDEX_URL": silent}
    del env["PIP_NO_INDEX"]
    with subprocess.Popen(
        COMMAND,
        cwd=project,
        env=env,
        process_group=0,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Looking in"):  # of pip, which waits from now on
                break
        os.killpg(process.pid, sent)
        _, said = process.communicate(timeout=patience(60))
    assert process.returncode == 130
    assert said.splitlines()[-1] == (
        "error: interrupted before .venv was complete; the next make installs it again"
    )
    assert not (project / ".venv" / "installed").exists()
