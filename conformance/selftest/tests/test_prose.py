"""What people read is plain English: nothing in it that prose.toml lists."""

import subprocess
from fnmatch import fnmatch

import pytest

from conformance.selftest import prose
from conformance.selftest.tests.conftest import ROOT

# Not text that this project's people wrote; and the rules, which quote what they forbid.
LEFT_OUT = (
    "*.lock",
    "*requirements.txt",
    "*.schema.json",  # written from docstrings, which are read
    "conformance/suite/cases/*",  # golden files have their SHA-256
    "conformance/suite/golden/*",
    "conformance/suite/pairs/golden/*",
    "conformance/selftest/fuzz/corpus/*",
    "conformance/selftest/prose.toml",
)


def texts() -> dict[str, str]:
    """What git tracks and people read, by its name."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, cwd=ROOT, check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name]
    kept = [name for name in names if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in kept}


def test_what_people_read_is_plain_english() -> None:
    lines = [
        f"{name}:{one.line}: {one.words!r}: {one.write}"
        for name, text in texts().items()
        for one in prose.findings(name, text)
    ]
    assert not lines, "\n".join(lines)


def test_every_room_and_port_is_read() -> None:
    names = {*texts()}
    for name in ("README.md", "Makefile", ".github/workflows/ci.yml", "ports/c/backprop.c"):
        assert name in names
    for pattern in ("*.py", "*.toml", "*.html", "*.js", "*.md", "*.rs", "*.F90", "*.d", "*.go"):
        assert any(fnmatch(name, pattern) for name in names), pattern


PLANTED = [(rule, bad) for rule in prose.rules() for bad in rule.bad]


@pytest.mark.parametrize(("rule", "bad"), PLANTED, ids=[bad for _, bad in PLANTED])
def test_what_is_planted_is_found(rule: prose.Rule, bad: str) -> None:
    for name, text in files(bad).items():
        assert any(found.write == rule.write for found in prose.findings(name, text)), name


def files(words: str) -> dict[str, str]:
    """The words where files have text, over the end of a line wherever they have a space."""
    one, several = words, words.split(" ")
    return {
        "a.md": f"# Title\n\n* {one}\n* next\n",
        "b.md": "Text\n" + "\n".join(several) + "\n\nmore\n",
        "docstring.py": f'def f():\n    """{one}\n\n    More.\n    """\n',
        "comment.py": "x = 1\n" + "".join(f"# {word}\n" for word in several) + "y = 1\n",
        "behind.py": f"x = 1  # {one}\ny = 1\n",
        "message.py": "x = (\n    '" + " '\n    '".join(several) + "'\n)\n",
        "a.c": "/* " + "\n * ".join(several) + " */\nint x;\n",
        "a.rs": "".join(f"    /// {word}\n" for word in several) + "fn f() {}\n",
        "a.F90": "".join(f"! {word}\n" for word in several) + "end\n",
        "a.toml": f'what = "{one}"\n',
        "a.html": f"<p>{one}</p>\n",
        "Makefile": f"all: ## {one}\n",
    }


@pytest.mark.parametrize("rule", prose.rules(), ids=lambda rule: rule.write)
def test_what_looks_alike_is_left_alone(rule: prose.Rule) -> None:
    for text in rule.good:
        assert not rule.find.search(text), text


def test_a_finding_names_its_line() -> None:
    rule = prose.rules()[0]
    [found] = prose.findings("a.py", f"x = 1\n# Some\n# words. {rule.bad[0]}\ny = 1\n")
    assert (found.line, found.write) == (3, rule.write)


def test_code_in_a_document_is_no_prose() -> None:
    for rule, bad in PLANTED:
        assert not [*prose.findings("a.md", f"Use `{bad}` for that.\n")], rule.write
