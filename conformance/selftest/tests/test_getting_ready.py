"""What a port is started with, or why it cannot be: its toolchain, its build, its device."""

import os
import re
import shlex
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from conformance.selftest.tests.conftest import MANIFEST, PYTHON_MANIFEST
from conformance.targets import build, launch
from conformance.targets.build import Outcome, Ready
from conformance.targets.manifest import Port, Target, load

PYTHON = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha"]')
RUNG = '[[rung]]\nname = "NAME"\ndtypes = ["float64"]\nmodule = "port.py"\n'
Make = Callable[..., Port]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a port of a manifest, which detects and builds by these scripts of a shell."""
    monkeypatch.setattr(launch, "BUILD", tmp_path / "a" / "build")

    def made(text: str = MANIFEST, detect: str = "echo version 3", *scripts: str) -> Port:
        folder = tmp_path / "mine"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "port.py").touch()
        commands = f"[build]\ncommands = {[script(one) for one in scripts]}\n[run]"
        text = text.replace('["true"]', str(script(detect))).replace("[run]", commands)
        (folder / "port.toml").write_text(text)
        return load(folder)

    return made


def script(text: str) -> list[str]:
    """A command whose $1 is the build folder."""
    return ["sh", "-c", text, "sh", "{build}"]


def rung(name: str, text: str | None = None, more: str = "") -> str:
    build = "" if text is None else f"build = {[script(text)]}\n"
    return RUNG.replace("NAME", name) + build + more


def told(port: Port) -> list[tuple[str, str, Any]]:
    """Each target, why it is not ready, and what is missing; or its toolchain and its driver."""
    return [
        (p.target.name, p.toolchain, p.driver)
        if isinstance(p, Ready)
        else (p.target.name, p.reason, p.missing)
        for p in build.prepare(port)
    ]


def test_what_is_ready_has_all_that_it_is_started_with(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    port = make(MANIFEST, "echo version 3; echo more", "echo größe", "echo made; echo so >&2")
    target = Target(port)
    assert build.build_log(target) == ""
    [ready] = build.prepare(port)
    folder = launch.build_folder(target)
    assert ready == Ready(
        target=target,
        command=launch.command(target),
        env=launch.variables(target),
        toolchain="version 3",
        build=["sh -c echo größe sh {build}", "sh -c echo made; echo so >&2 sh {build}"],
        driver=None,
        own=launch.own_folders(target),
        writes=(folder,),
    )
    commands = [
        ["sh", "-c", text, "sh", str(folder)] for text in ("echo größe", "echo made; echo so >&2")
    ]
    first, second = map(shlex.join, commands)
    assert build.build_log(target) == f"$ {first}\ngröße\n$ {second}\nmade\nso\n"
    said = capsys.readouterr().err
    assert re.search(r"^building mine$", said, re.M)
    assert re.search(r"^built mine in \d\d?(\.\d)? s$", said, re.M)


@pytest.mark.parametrize(("seconds", "shown"), [(9.94, "9.9"), (9.95, "10"), (60.4, "60")])
def test_how_long_a_build_took_is_told_in_few_digits(
    seconds: float,
    shown: str,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = iter((100.0, 100.0 + seconds))
    monkeypatch.setattr(build, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert not build.build(Target(make(MANIFEST, "", "exit 1")), "").ok
    assert f"could not build mine in {shown} s\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("manifest", "lack"), [(MANIFEST, "toolchain"), (PYTHON + rung("fast"), "packages")]
)
def test_a_toolchain_that_is_not_there_is_missing_for_each_target(
    manifest: str, lack: str, make: Make
) -> None:
    port = make(manifest, "echo a >&2; echo none here >&2; exit 1", "exit 1")
    said = "sh -c echo a >&2; echo none here >&2; ex ...: none here; install: nothing"
    assert told(port) == [(target.name, said, lack) for target in port.targets()]


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (25 * "a", "no-such-tool a" + 24 * "a" + " b"),
        (27 * "a", "no-such-tool a" + 26 * "a" + " ..."),
    ],
)
def test_a_long_command_is_cut(word: str, shown: str, make: Make) -> None:
    """After 40 characters; 40 themselves are not."""
    command = ["no-such-tool", word, "b"] if len(word) == 25 else ["no-such-tool", f"{word}b"]
    text = MANIFEST.replace('["true"]', str(command))
    port = make(text.replace('install = "nothing"\n', ""))
    assert len(" ".join(port.manifest.toolchain.detect)) in (40, 41)
    assert build.tried(port, build.detect_toolchain(port)) == f"{shown}: not found"
    text = MANIFEST.replace('["true"]', '["no-such-tool", "{python}"]')
    port = make(text)
    said = "no-such-tool python: not found; install: nothing"
    assert build.tried(port, build.detect_toolchain(port)) == said


def test_a_rung_that_does_not_build_stops_no_other(make: Make) -> None:
    text = rung("bad", "echo oh no >&2; exit 1") + rung("good", "echo fine")
    assert told(make(PYTHON + text)) == [
        ("mine", "version 3", None),
        ("mine:bad", "does not build: oh no", None),
        ("mine:good", "version 3", None),
    ]


DEVICE = "device = { detect = DETECT }\n"


@pytest.mark.parametrize("here", [False, True])
def test_a_device_is_looked_for_once_and_emulated_where_it_is_missing(
    here: bool, make: Make, tmp_path: Path
) -> None:
    """That of a rung is another one, for which the port's emulation is none."""
    log = tmp_path / "looked"
    end = "echo card 5" if here else "echo no card >&2; exit 1"
    own = script("echo own >&2; exit 1")
    text = (
        PYTHON.replace(
            "[toolchain]", f"device = {{ detect = {script(f'echo >> {log}; {end}')} }}\n[toolchain]"
        )
        + '[emulation]\nname = "imitation"\n'
        + rung("fast", "echo made; echo so")
        + rung("own", None, DEVICE.replace("DETECT", str(own)))
        + rung("last", "")
    )
    found = told(make(text))
    if here:
        assert found == [
            ("mine", "version 3", "card 5"),
            ("mine:fast", "version 3", "card 5"),
            ("mine:own", "own", "device"),
            ("mine:last", "version 3", "card 5"),
        ]
    else:
        assert found == [
            ("mine", "no card", "device"),
            ("mine (imitation)", "version 3", None),
            ("mine:fast", "no card; but it builds: made", "device"),
            ("mine:fast (imitation)", "version 3", None),
            ("mine:own", "own", "device"),
            ("mine:last", "no card", "device"),
            ("mine:last (imitation)", "version 3", None),
        ]
    assert log.read_text() == "\n"


@pytest.mark.parametrize(
    ("scripts", "after"),
    [
        ([], ""),
        (["mkdir $1/empty"], " after the build, which left nothing"),
        (["cd $1; touch b a; mkdir f; touch f/c"], " after the build, which left a, b, c"),
        (["cd $1; touch 1 2 3 4 5 6"], " after the build, which left 1, 2, 3, 4, 5, 6"),
        (["cd $1; touch 7 1 2 3 4 5 6"], " after the build, which left 1, 2, 3, 4, 5, 6, ..."),
    ],
)
def test_a_file_that_is_to_be_loaded_must_be_there(
    scripts: list[str], after: str, make: Make
) -> None:
    text = PYTHON.replace('"port.py"', '"{build}/absent.py"')
    lost = "run.module: {build}/absent.py does not exist"
    assert told(make(text, "echo version 3", *scripts)) == [("mine", lost + after, None)]
    made = make(text, "echo version 3", "touch $1/absent.py")
    assert told(made) == [("mine", "version 3", None)]


def add(name: str, text: str = "more") -> Callable[[Path, Path], None]:
    """Adds a file to the port, or a line to one that is there."""

    def change(port: Path, _: Path) -> None:
        (port / name).parent.mkdir(exist_ok=True)
        with (port / name).open("a") as file:
            file.write(text)

    return change


def of_build(change: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    """A change in the build folder."""

    def changed(_: Path, folder: Path) -> None:
        change(folder)

    return changed


def stamp(text: str) -> Callable[[Path, Path], None]:
    return of_build(lambda folder: (folder / build.STAMP).write_text(text))


CHANGES: dict[str, tuple[Callable[[Path, Path], None], bool]] = {
    "nothing": (lambda port, folder: None, False),
    "a source": (add("port.py"), True),
    "a document": (add("README.md"), True),
    "a test": (add("tests/test.py"), False),
    "a cache": (of_build(lambda folder: (folder / "cache").write_text("of a run")), False),
    "an output": (of_build(lambda folder: (folder / "made").write_text("x")), True),
    "no output": (of_build(lambda folder: (folder / "made").unlink()), True),
    "no stamp": (of_build(lambda folder: (folder / build.STAMP).unlink()), True),
    **{
        f"the stamp {text}": (stamp(text), True)
        for text in ("", "[]", "{}", '{"key": 1, "outputs": 3}')
    },
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_build_stands_until_what_it_is_made_of_changes(
    what: str, make: Make, tmp_path: Path
) -> None:
    """What it said first is known of one that stands. Another one begins with an empty folder."""
    change, again = CHANGES[what]
    log = tmp_path / "log"
    target = Target(
        make(MANIFEST, "", f"ls $1 | grep old; echo >> {log}; echo y > $1/made", "echo z; echo so")
    )
    first = build.build(target, "version 3")
    assert (first.ok, first.text) == (True, "z")
    folder = launch.build_folder(target)
    (folder / "old").touch()
    change(target.port.folder, folder)
    for _ in range(2):
        assert build.build(target, "version 3").ok
        assert build.build(target, "version 3").text == "z"
    assert log.read_text().count("\n") == 1 + again
    assert (folder / "old").exists() is not again
    assert "old" not in build.build_log(target).splitlines()


def test_another_toolchain_or_header_builds_again(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    target = Target(make(MANIFEST, "", f"echo >> {log}"))
    for toolchain in ("3", "3", "4", "4"):
        build.build(target, toolchain)
    assert log.read_text().count("\n") == 2
    monkeypatch.setattr(launch, "HEADER", tmp_path / "other.h")
    launch.HEADER.write_text("another")
    build.build(target, "4")
    assert log.read_text().count("\n") == 3


def test_a_build_that_fails_ends_there_and_is_tried_again(make: Make, tmp_path: Path) -> None:
    log = tmp_path / "log"
    target = Target(make(MANIFEST, "", "echo fine", f"echo >> {log}; exit 3", f"echo >> {log}"))
    for count in (1, 2):
        outcome = build.build(target, "")
        assert not outcome.ok
        assert outcome.text.endswith(" ended with 3")
        assert log.read_text().count("\n") == count
        assert build.build_log(target).count("$ ") == 2
        assert build.build_log(target).endswith(f"\n{outcome.text}\n")


def test_two_runs_do_not_build_the_same_at_once(make: Make, tmp_path: Path) -> None:
    """The one that comes later takes what the other has made."""
    log = tmp_path / "log"
    target = Target(make(MANIFEST, "", f"echo >> {log}; sleep 0.1; echo made"))
    found = list[Outcome]()
    threads = [
        threading.Thread(target=lambda: found.append(build.build(target, ""))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one.ok, one.text) for one in found] == 2 * [(True, "made")]
    assert log.read_text() == "\n"


def test_what_has_no_commands_is_built_in_silence(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.build(Target(make()), "") == Outcome(True, "")
    assert "buil" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("echo one; echo two; echo three >&2", Outcome(True, "one", "one\ntwo\nthree")),
        ("true", Outcome(True, "", "")),
        ("echo one; echo two >&2; echo three >&2; exit 1",
         Outcome(False, "two\nthree", "one\ntwo\nthree")),
        ("echo one; echo two; exit 1", Outcome(False, "one\ntwo", "one\ntwo")),
        ("exit 7", Outcome(False, "sh -c exit 7 ended with 7", "")),
        (r"printf '\377'; exit 1", Outcome(False, "\ufffd", "\ufffd")),
        ('echo "$PYTHONDONTWRITEBYTECODE$GITHUB_TOKEN"', Outcome(True, "1", "1")),
    ],
)  # fmt: skip
def test_how_a_short_command_ended(
    text: str, outcome: Outcome, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    assert build.run_short(["sh", "-c", text], make(), 60.0) == outcome


def test_a_short_command_runs_in_the_ports_folder_and_ends_with_a_terminals_interrupt(
    make: Make,
) -> None:
    port = make()
    code = "import os; print(os.getcwd(), os.getsid(0))"
    outcome = build.run_short([sys.executable, "-c", code], port, 60.0)
    assert outcome.text == f"{port.folder} {os.getsid(0)}"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["no-such-tool"], "^not found$"),
        (["./port.py"], "Permission denied"),
        (["sh", "\0"], "null byte"),
        (["sleep", "60"], "^sleep 60 took over 0 s$"),
    ],
)
def test_a_command_that_cannot_run_or_does_not_end_is_told(
    command: list[str], says: str, make: Make
) -> None:
    outcome = build.run_short(command, make(), 0.1)
    assert not outcome.ok
    assert re.search(says, outcome.text)


def test_a_short_command_leaves_no_process(make: Make) -> None:
    outcome = build.run_short(["sh", "-c", "sleep 60 >&- 2>&- & echo $!"], make(), 60.0)
    assert outcome.ok
    assert not psutil.pid_exists(int(outcome.text))


def test_a_device_and_a_limit_are_asked_of_their_own_programs(make: Make) -> None:
    port = make(PYTHON + rung("fast", None, DEVICE.replace("DETECT", str(script("echo $1")))))
    mine, fast = port.targets()
    assert build.detect_device(mine) == Outcome(True, "cpu")
    assert build.detect_device(fast).text == str(launch.build_folder(fast))
    assert build.measure_limit(fast, script("echo 5 ns in $1")) == Outcome(
        True, *2 * [f"5 ns in {launch.build_folder(fast)}"]
    )


def files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


BASE = {"a_c": "one", "b_c": "two", "src__x_c": "", "README_md": "words"}


@pytest.mark.parametrize(
    ("changed", "with_documents", "without"),
    [
        ({"a_c": "One"}, True, True),
        ({"a_c": "on", "b_c": "etwo"}, True, True),
        ({"src__tests__x_c": ""}, True, True),
        ({"README_md": "other"}, True, False),
        ({"src__more_md": ""}, True, False),
        ({"tests__test_py": "x"}, False, False),
        ({"tests__more_md": "x"}, False, False),
    ],
    ids=str,
)
def test_a_hash_is_of_all_files_but_tests_and_perhaps_documents(
    changed: dict[str, str], with_documents: bool, without: bool, tmp_path: Path
) -> None:
    before, after = files(tmp_path / "1", **BASE), files(tmp_path / "2", **BASE | changed)
    (after / "src" / "empty").mkdir()
    (after / "src" / "__pycache__").mkdir()
    (after / "src" / "__pycache__" / "x.pyc").touch()
    for documents, differ in ((True, with_documents), (False, without)):
        one, two = (build.files_sha256(place, documents=documents) for place in (before, after))
        assert (one != two) is differ
    (after / "b.c").rename(after / "c.c")
    assert build.files_sha256(before, documents=False) != build.files_sha256(after, documents=False)
