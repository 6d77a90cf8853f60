"""Where commands may write: plain files, links and pipes, and what they say about anything else."""

import json
import os
import threading
from pathlib import Path

import pytest

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import CASES, MakePort
from conformance.selftest.tests.test_options import command

ON_ONE_STEP = ("--cases", "one-step", "--no-timing")


def test_a_link_and_a_device_stay_what_they_are(make_port: MakePort, tmp_path: Path) -> None:
    """A file that is renamed to /dev/null, by root, would take its place."""
    port, file, link = make_port("mine"), tmp_path / "file.json", tmp_path / "link.json"
    file.write_text("older, and longer than what is written: " + "x" * 100_000)
    link.symlink_to(file)
    assert command("check", port, *ON_ONE_STEP, "--results", link).returncode == 0
    assert link.is_symlink()
    assert json.loads(file.read_text())["complete"]
    nothing = tmp_path / "nothing"
    nothing.symlink_to(os.devnull)
    assert command("merge", file, "--json", nothing).returncode in (0, 1)
    assert nothing.is_symlink()
    assert Path(os.devnull).is_char_device()


def test_a_pipe_gets_the_results(make_port: MakePort, tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    done = command("check", make_port("mine"), *ON_ONE_STEP, "--results", pipe)
    reader.join(timeout=patience(10))
    assert done.returncode == 0, done.stderr
    assert json.loads(got[0])["complete"]
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("conformance", ["check", "c", "--cases", "one-step", "--results", "FILE/x.json"]),
        ("conformance", ["check", "c", "--cases", "one-step", "--bundle", "FILE/deeper/x.zip"]),
        ("conformance", ["bench", "c", "--results", "FILE/x.json"]),
        ("conformance", ["report", "FILE", "--folder", "FILE"]),
        ("conformance", ["merge", "FILE", "--json", "FILE/x.json"]),
        ("conformance", ["new-port", "FILE/mine", "python"]),
        ("conformance", ["teeth", "--cases", "ONE-STEP", "--results", "FILE/x.json"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_file_where_a_folder_should_be_is_named(
    module: str, words: list[str], make_port: MakePort, tmp_path: Path
) -> None:
    file = tmp_path / "results.json"
    command("check", make_port("mine"), *ON_ONE_STEP, "--results", file)
    places = {"FILE": str(file), "ONE-STEP": str(CASES / "one-step.toml")}
    for word, place in places.items():
        words = [given.replace(word, place) for given in words]
    done = command(*words, module=module)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "cannot be written: " in line
    assert f"{file} is a file and not a folder" in line


@pytest.mark.parametrize(
    ("module", "words", "says"),
    [
        ("reference", [], "the following arguments are required: COMMAND"),
        ("reference", ["gold"], "argument COMMAND: invalid choice: 'gold'"),
        ("reference", ["golden", ""], "argument cases: is empty; leave it out, or name a file"),
        ("reference", ["train", " "], "argument CASE.toml: is empty"),
        ("conformance", ["ports", "c", "c"], "the port c is named twice"),
        ("conformance", ["check", "c:simd c:simd"], "the port c:simd is named twice"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(
    module: str, words: list[str], says: str
) -> None:
    done = command(*words, module=module)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {says}")
    assert len(done.stderr.splitlines()) == 1
