"""What editors write and what git asks before a commit are what `make lint` checks."""

import configparser
import re
import subprocess
import tomllib
from fnmatch import fnmatch

import yaml

from conformance.selftest.tests.conftest import ROOT

LINTERS = ("ruff check", "ruff format --check", "mypy", "clang-format --dry-run", "gofmt -d")


def commands(target: str) -> list[str]:
    """What make would run."""
    words = ["make", "--dry-run", "--no-print-directory", target]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_hook_runs_what_make_test_begins_with() -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    [hook] = repository["hooks"]
    assert {*hook} == {"id", "name", "entry", "language", "pass_filenames"}
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    program, target = hook["entry"].split()
    assert program == "make"
    lint = commands(target)
    assert commands("test")[: len(lint)] == lint
    for linter in LINTERS:
        assert any(linter in line for line in lint), linter


def styles() -> list[tuple[list[str], dict[str, str]]]:
    """The sections of .editorconfig: names of files, with * and without {}, and their style."""
    parser = configparser.ConfigParser()
    parser.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    found = []
    for section in parser.sections()[1:]:
        [(before, words, after)] = re.findall(r"^([^{]*)\{?([^}]*)\}?(.*)$", section)
        found.append(([f"{before}{word}{after}" for word in words.split(",")], {**parser[section]}))
    return found


def style_of(name: str) -> dict[str, str]:
    """A file's style: a later section counts more."""
    style: dict[str, str] = {}
    for patterns, words in styles():
        if any(fnmatch(name, p) or fnmatch(name.rpartition("/")[2], p) for p in patterns):
            style |= words
    return style


def test_editors_are_told_what_the_formatters_do() -> None:
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    c = yaml.safe_load((ROOT / ".clang-format").read_text())
    assert style_of("a/b.py")["max_line_length"] == str(ruff["line-length"])
    for name in ("a/b.c", "a/b.h", "a/b.cpp", "a/b.cu", "a/b.cuh"):
        assert style_of(name)["max_line_length"] == str(c["ColumnLimit"])
        assert style_of(name)["indent_size"] == str(c["IndentWidth"])
    assert style_of("Makefile")["indent_style"] == style_of("a/b.go")["indent_style"] == "tab"


def test_all_files_are_as_editors_are_told() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, cwd=ROOT, check=True)
    wrong = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        style, text = style_of(name), (ROOT / name).read_bytes()
        if style["charset"] == "unset":
            continue
        lines = text.decode().split("\n")
        other = "    " if style["indent_style"] == "tab" else "\t"
        if lines.pop() or any(line != line.rstrip() or line.startswith(other) for line in lines):
            wrong.append(name)
    assert wrong == []
