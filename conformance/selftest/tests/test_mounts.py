"""A root of its own: what is there, under the names by which it was given, and nothing else."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.process import mounts
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import ROOT

# What is asked in the new root: the kind, the mode and the content of each path.
LOOK = """
import json, os, sys
def look(path):
    if os.path.islink(path): return ["link", os.readlink(path)]
    if os.path.isdir(path): return ["folder", sorted(os.listdir(path))]
    if os.path.isfile(path): return ["file", open(path).read()]
    return None
def tell(paths):
    mode = os.stat("/tmp").st_mode & 0o7777
    print(json.dumps([os.getcwd(), mode, {path: look(path) for path in paths}]))
"""
ENTER = """
from conformance.process import mounts
paths, given, asked = json.loads(sys.argv[1])
before = os.listdir("/proc/self/fd")
assert mounts.enter(paths, given)
assert os.listdir("/proc/self/fd") == before
tell(asked)
"""
NAMES = ("unshare", "--user", "--map-root-user", "--mount")


def works(*command: str) -> bool:
    return subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not works(*NAMES), reason="this system has no mount name spaces")
USER = () if os.geteuid() == 0 else NAMES


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder, one in it, a file and links; and what is not given."""
    (tmp_path / "a" / "inner").mkdir(parents=True)
    (tmp_path / "a" / "inner" / "x").write_text("deep")
    (tmp_path / "a" / "locked").write_text("by root")
    (tmp_path / "ab").mkdir()  # its name begins as that of the folder a
    (tmp_path / "ab" / "y").write_text("beside")
    (tmp_path / "file").write_text("alone")
    (tmp_path / "hidden").write_text("golden")
    (tmp_path / "far").symlink_to("near")
    (tmp_path / "near").symlink_to(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "link").symlink_to(tmp_path / "a")
    (tmp_path / "way").symlink_to(tmp_path / "b")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "self").symlink_to("../" + tmp_path.name)
    return tmp_path


def entered(paths: list[str], given: list[str], asked: list[str]) -> Any:
    """Where a process is after it has entered, the mode of /tmp, and what it sees."""
    words = [*USER, sys.executable, "-c", LOOK + ENTER, json.dumps([paths, given, asked])]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=patience(60), check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_given_is_there_and_nothing_else(place: Path) -> None:
    paths = [f"{place}/{name}" for name in ("a", "a/inner", "ab", "file", "gone")]
    given = [f"{place}/far/inner", f"{place}/loop", f"{place}/self/file", f"{place}/gone", "/proc"]
    given.append(f"{place}/way/link/inner")
    top = place.parts[1]
    names = {"/": ["folder", sorted({"dev", "proc", "tmp", top})]}
    names |= {f"/dev/{name}": ["link", f"/proc/self/fd{end}"] for name, end in STREAMS}
    links = ["far", "loop", "near", "self", "way"]
    names[str(place)] = ["folder", sorted(["a", "ab", "b", "file", *links])]
    names[f"{place}/b"] = ["folder", ["link"]]
    names[f"{place}/way/link/inner/x"] = ["file", "deep"]
    names[f"{place}/a"] = ["folder", ["inner", "locked"]]
    names[f"{place}/a/inner/x"] = ["file", "deep"]
    names[f"{place}/far/inner/x"] = ["file", "deep"]
    names[f"{place}/ab/y"] = ["file", "beside"]
    names[f"{place}/file"] = ["file", "alone"]
    names[f"{place}/far"] = ["link", "near"]
    names[f"{place}/near"] = ["link", f"{place}/a"]
    for name in ("hidden", "gone"):
        names[f"{place}/{name}"] = None  # type: ignore[assignment]
    cwd, mode, found = entered([*paths, "/proc"], given, [*names])
    assert (cwd, mode) == ("/", 0o1777)
    assert found == names
    assert (place / "hidden").exists()  # outside, nothing has changed


STREAMS = (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2"))


def test_others_than_root_are_themselves_again(place: Path) -> None:
    system = [path for path in ("/usr", "/bin", "/lib", "/lib64") if Path(path).exists()]
    real = sorted({os.path.realpath(path) for path in system})
    python = {os.path.realpath(sys.base_prefix)}  # it becomes the command
    say = 'echo "$A $(pwd) $(id -u) $(id -g) $(cat far/inner/x)"; ls; umount -l /usr && echo gone'
    env = {"A": "b", "PATH": "/usr/bin:/bin"}
    words = mounts.wrapper(
        [*real, *python, "/proc", f"{place}/a"],
        [*system, f"{place}/far"],
        ["sh", "-c", say],
        str(place),
        env,
    )
    if not works(*mounts.USER):
        pytest.skip("this system has no name spaces for this user")
    done = subprocess.run(words, capture_output=True, text=True, timeout=patience(60), check=False)
    said = done.stdout.splitlines()
    assert said[0] == f"b {place} {os.geteuid()} {os.getegid()} deep", done.stderr
    assert said[1:] == ["a", "far", "near"]
    assert "umount" in done.stderr  # no rights over the mounts
    assert stat.S_ISDIR((place / "a").stat().st_mode)


def test_who_may_not_enter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        """A system that refuses a call."""

        def __init__(self, **results: int) -> None:
            self.results, self.called = results, list[str]()

        def __getattr__(self, name: str) -> Any:
            def call(*_: Any) -> int:
                self.called.append(name)
                return self.results.get(name, 0)

            return call

    for results, called in (
        ({"unshare": -1}, ["unshare"]),
        ({"mount": -1}, ["unshare", "mount"]),
    ):
        system = Refusing(**results)
        monkeypatch.setattr(mounts, "_libc", system)
        assert mounts.enter([], []) is False
        assert system.called == called


def test_a_mount_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No such file|not permitted"):
        mounts._mount("none", str(tmp_path / "gone"), "tmpfs", 0)
