"""What is printed goes through the functions that make it harmless: nothing prints past them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from conformance.selftest.tests.conftest import ROOT

# These are the way out, or programs of their own whose output the harness reads, not a person.
OWN = {
    "ground/live.py",
    "ground/screen.py",
    "ground/terminal.py",
    "__main__.py",  # before anything is loaded
    "wire/worker.py",
    "bench/probe.py",
    "session/ask.py",  # requests, for a port
}


WRITES = ("stdout.write", "stderr.write", "stdout.buffer.write", "stdout.writelines")


def printing(file: Path) -> Iterator[str]:
    """The places of a file that print, or that make a console."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("print", "Console") or called.endswith(WRITES):
                yield f"{file.name}:{node.lineno}: {called}"


def test_nothing_prints_past_the_functions_that_make_it_harmless() -> None:
    package = ROOT / "conformance"
    files = {str(file.relative_to(package)): file for file in package.rglob("*.py")}
    others = {
        name: file
        for name, file in files.items()
        if name not in OWN and not name.startswith("selftest/") and "starters" not in name
    }
    assert len(others) > 50
    assert {*files} >= OWN
    assert [said for file in others.values() for said in printing(file)] == []
    assert [*printing(package / "ground" / "live.py")]  # it finds what is there
