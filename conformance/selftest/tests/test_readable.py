"""What a port may read: its own folders, a toolchain, the system; never golden files or homes."""

import glob
import os
import pwd
import site
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from conformance.ground.places import BUILD, CONTRACT, HERE, ROOT
from conformance.process import readable
from conformance.process.readable import View, project


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a home folder, and nothing else named by the environment."""
    for name in [*os.environ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path


def made(folder: Path, *names: str) -> Path:
    """A folder with these programs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def view(*command: str, own: Iterable[Path] = (), write: Iterable[Path | str] = ()) -> View:
    return readable.view(own, write, command or ("nothing",))


def reads(found: View, path: Path) -> bool:
    """Whether a path can be read whole, as Landlock decides it: by the folders above."""
    real = Path(os.path.realpath(path))
    return any(str(above) in found.read for above in (real, *real.parents))


def test_of_this_suite_a_port_reads_what_the_worker_needs(place: Path) -> None:
    found = view()
    for path in (HERE / "wire", CONTRACT, ROOT / "reference", HERE / "process" / "memory.py"):
        assert reads(found, path)
    for path in (ROOT, HERE, BUILD, HERE / "suite" / "golden", HERE / "process" / "sandbox.py"):
        assert not reads(found, path)
        assert str(path) not in found.write
    for path in (ROOT, HERE):  # to import what is below
        assert str(path) in found.listed
    assert reads(found, Path(sys.prefix))
    assert reads(found, Path("/usr/bin"))
    assert not reads(found, place / "home")


def test_its_own_folders_are_readable_even_within_this_suite(place: Path) -> None:
    own, other = made(place / "own", "a"), made(place / "other")
    port = ROOT / "ports" / "c"
    found = view(own=[own, port], write=[other])
    assert reads(found, own)
    assert reads(found, port)
    assert not reads(found, ROOT / "ports" / "cpp")
    assert not reads(found, other)
    assert str(other) in found.write
    assert {str(own), "/usr"} <= {*found.given}


def test_hidden_golden_files_are_hidden_wherever_they_are(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readable, "_golden", {*readable._golden})
    own = made(place / "own", "program")
    made(own / "deep" / "golden", "secret")
    made(own / "deep" / "beside")
    (own / "link").symlink_to("deep/golden")
    (place / "alias").symlink_to(own / "deep")
    readable.hide(place / "alias" / "golden")
    found = view(own=[own])
    assert not reads(found, own)
    assert {str(own), str(own / "deep")} <= {*found.listed}
    assert reads(found, own / "program")
    assert reads(found, own / "deep" / "beside")
    assert not reads(found, own / "deep" / "golden" / "secret")
    assert str(own / "link") not in found.read


def test_a_golden_folder_itself_is_no_toolchain(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readable, "_golden", {*readable._golden})
    tools = made(place / "tools", "secret")
    monkeypatch.setenv("JAVA_HOME", str(tools))
    assert reads(view(), tools)
    readable.hide(tools)
    assert not reads(view(), tools)
    assert reads(view(own=[tools]), tools)  # it is the port's own


def test_another_copy_of_this_suite_is_hidden(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = place / "tools" / "lib" / "python3.9" / "site-packages"
    copy, other = made(packages / "conformance", "golden"), made(packages / "numpy", "a")
    monkeypatch.setenv("JAVA_HOME", str(place / "tools"))
    found = view()
    assert not reads(found, copy)
    assert reads(found, other)


def test_what_the_environment_names_is_readable(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("java", "one/lib", "two/lib", "option", "tools/bin", "data", "tmp", "shell"):
        made(place / name)
    monkeypatch.setenv("JAVA_HOME", str(place / "java"))
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{place}/one/lib:{place}/two/lib:relative")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Da={place}/option,b;c")
    monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
    monkeypatch.setenv("TMPDIR", str(place / "tmp"))
    monkeypatch.setenv("SHELL", str(place / "shell"))
    monkeypatch.setenv("MY_OWN", str(place / "tools"))
    found = view()
    for name in ("java", "one/lib", "two/lib", "option"):
        assert reads(found, place / name), name
    for name in ("one", "tools", "data", "tmp", "shell", "home"):
        assert not reads(found, place / name), name
    assert "relative" not in found.given


def test_a_program_on_the_path_brings_its_toolchain(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/bin", "b/sbin", "c/scripts", "home/d/bin"):
        made(place / name)
    names = ("a/bin", "b/sbin", "c/scripts", "home/d/bin", "", "home")
    monkeypatch.setenv("PATH", ":".join(f"{place}/{name}" for name in names) + ":/:/tmp")
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{place}/e/bin")
    made(place / "e" / "bin")
    found = view()
    for name in ("a", "b", "c/scripts", "home/d/bin", "e/bin"):
        assert reads(found, place / name), name
    for name in ("c", "home/d", "home", "e"):  # the command alone shows nothing in a home folder
        assert not reads(found, place / name), name
    assert not {"/", "/tmp", str(place)} & {*found.read}


def test_a_command_brings_its_program_and_what_else_it_names(place: Path) -> None:
    made(place / "a" / "bin", "tool")
    made(place / "b" / "bin")
    made(place / "c" / "libexec", "tool")
    (place / "b" / "bin" / "tool").symlink_to("../../a/bin/tool")
    (place / "c" / "bin").mkdir()
    (place / "c" / "bin" / "tool").symlink_to(place / "b" / "bin" / "tool")
    named, at_home = made(place / "named"), made(place / "home" / "named")
    words = (str(named), str(at_home), "relative", "/", "/tmp")
    found = view(str(place / "c" / "bin" / "tool"), *words)
    for name in ("a", "b", "c"):  # each link on the way is in a toolchain
        assert reads(found, place / name), name
        assert f"{place}/{name}/bin" in {os.path.normpath(path) for path in found.given}
    assert reads(found, named)
    assert not reads(found, at_home)
    assert "relative" not in found.given
    assert not {"/", "/tmp"} & {*found.given}


def test_a_program_in_a_home_folder_brings_no_more_than_its_toolchain(place: Path) -> None:
    home = made(place / "home", "tool")
    found = view(str(home / "tool"))
    assert reads(found, home / "tool")
    assert not reads(found, made(home / "secrets"))
    made(home / "bin", "tool")
    found = view(str(home / "bin" / "tool"))  # whose toolchain would be the home folder
    assert reads(found, home / "bin")
    assert not reads(found, home / "secrets")
    made(home / ".local" / "bin", "tool")
    for part in ("lib", "lib64", "libexec", "include", "share"):
        made(home / ".local" / part)
    found = view(str(home / ".local" / "bin" / "tool"))
    for part in ("bin", "lib", "lib64", "libexec", "include"):
        assert reads(found, home / ".local" / part), part
    assert not reads(found, home / ".local" / "share")
    assert not reads(found, home / ".local")


def test_a_command_that_is_not_there_brings_nothing(place: Path) -> None:
    assert {*view("no-such-program").given} == {*view().given}
    (place / "dangling").symlink_to("gone")
    assert str(place / "dangling") not in view(str(place / "dangling")).given


def test_the_home_folder_of_who_has_no_variable_is_found(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(
        pwd, "getpwuid", lambda _: type("Entry", (), {"pw_dir": str(place / "home")})
    )
    made(place / "home" / "bin")
    monkeypatch.setenv("PATH", f"{place}/home/bin:{place}/home")
    found = view()
    assert reads(found, place / "home" / "bin")
    assert not reads(found, place / "home")


def test_devices_can_be_written_and_by_others_than_root_what_a_name_space_needs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(place, "gpu0")
    monkeypatch.setattr(readable, "GPUS", f"{place}/gpu*")
    for user, known in ((0, False), (1000, True)):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        found = view(write=["/dev/own"])
        assert {"/dev/null", "/dev/urandom", "/dev/own", f"{place}/gpu0"} <= {*found.write}
        assert ("/proc" in found.write) == known


def test_a_project_is_the_repository_around_a_port(place: Path) -> None:
    port = made(place / "project" / "ports" / "mine")
    assert project(port) == port
    (place / "project" / ".git").mkdir()
    assert project(port) == place / "project"
    made(place / "project" / "ports" / ".git")
    assert project(port) == place / "project" / "ports"
    made(place / "project" / "ports" / "conformance")  # a copy of this suite
    assert project(port) == place / "project"
    made(place / "home" / ".git")
    at_home = made(place / "home" / "mine")
    assert project(at_home) == at_home
    made(at_home / ".git")
    assert project(at_home) == at_home
    assert project(ROOT / "ports" / "c") == ROOT / "ports" / "c"


def test_the_python_of_the_harness_is_readable(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("packages", "users")
    packages, users = (made(place / name) for name in names)
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages), "relative", ""])
    monkeypatch.setattr(site, "getusersitepackages", lambda: str(users))
    monkeypatch.setattr(readable, "PREFIXES", {*readable.PREFIXES, str(ROOT / "ports")})
    for used in (True, False):
        monkeypatch.setattr(site, "ENABLE_USER_SITE", used)
        readable.python.cache_clear()
        found = view()
        assert reads(found, packages)
        assert reads(found, users) == used
        assert "relative" not in found.given
        assert reads(found, ROOT / "ports" / "c")  # a virtual environment within a clone
    readable.python.cache_clear()


def test_a_copy_in_a_folder_of_optional_programs_is_hidden(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = made(place / "own" / "copy")
    pattern = "/opt/*/lib/python3*/*-packages/conformance"
    monkeypatch.setattr(glob, "iglob", lambda p: [str(copy)] if p == pattern else [])
    readable._copies.cache_clear()
    try:
        assert not reads(view(own=[place / "own"]), copy)
    finally:
        readable._copies.cache_clear()


def test_a_folder_that_cannot_be_looked_into_is_only_listed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readable, "_golden", {*readable._golden})
    own = made(place / "own", "program")
    readable.hide(made(own / "golden"))
    scan = os.scandir

    def locked(path: str) -> Any:
        if path == str(own):
            raise PermissionError
        return scan(path)

    monkeypatch.setattr(os, "scandir", locked)
    found = view(own=[own])
    assert str(own) in found.listed
    assert not reads(found, own / "program")
