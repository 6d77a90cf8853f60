"""The workflow that publishes a release: its steps up to the upload, run as a runner does."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance import __version__
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import ROOT

JOBS: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())[
    "jobs"
]
BUILD = {step["name"]: step for step in JOBS["build"]["steps"] if "run" in step}


def run(step: dict[str, Any], folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MAKEFLAGS", "MFLAGS")}
    # The quickest test of the wheel, and that of the source package, stand for all of them.
    chosen = {"PYTEST_ADDOPTS": "-p no:cacheprovider -k 'it_has_all_but or source_package'"}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env=kept | chosen | {"GITHUB_REF_NAME": tag} | step.get("env", {}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=patience(600),
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone, with what is here and not committed yet, and with the environment of this one."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    here = subprocess.run(listed, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    for name in filter(None, here.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def test_a_tag_builds_a_wheel_and_a_source_package_and_tests_both(clone: Path) -> None:
    tag = f"v{__version__}"
    for name, step in BUILD.items():
        done = run(step, clone, tag)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    assert "2 passed" in done.stdout
    assert {path.name for path in (clone / "dist").iterdir()} - {".gitignore"} == {
        f"backprop_conformance-{__version__}-py3-none-any.whl",
        f"backprop_conformance-{__version__}.tar.gz",
    }


def test_a_tag_that_is_not_the_version_ends_it() -> None:
    done = run(next(iter(BUILD.values())), ROOT, "v9.9.9")
    assert done.returncode == 1
    assert (
        f"the tag is v9.9.9, and conformance/__init__.py has version {__version__}" in done.stderr
    )


def test_what_was_tested_is_what_is_published_and_only_that_job_may() -> None:
    [upload] = [s for s in JOBS["build"]["steps"] if "upload-artifact" in s.get("uses", "")]
    [download] = [s for s in JOBS["publish"]["steps"] if "download-artifact" in s.get("uses", "")]
    assert upload["with"] == download["with"] == {"name": "dist", "path": "dist"}
    assert JOBS["publish"]["needs"] == "build"
    assert JOBS["publish"]["permissions"]["id-token"] == "write"
    assert "permissions" not in JOBS["build"]
    assert "uv publish --trusted-publishing always dist/*" in JOBS["publish"]["steps"][-1]["run"]
