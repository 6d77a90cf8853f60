"""The rooms: who imports whom, how full folders are, and that each room says what belongs there.

Imports are read from the source, those inside functions and under TYPE_CHECKING included.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import ROOT

# From the ground up. A module imports from its own room and from floors below it: nothing from
# above, and nothing from the room next door.
FLOORS = (
    "reference",
    "reference.array reference.errors reference.files",
    "reference.arithmetic",
    "reference.algorithm",
    "reference.cases",
    "reference.golden reference.article",
    "reference.command_line",
    "reference.__main__",
    "conformance",
    "conformance.ground conformance.contract",
    "conformance.process",
    "conformance.targets conformance.wire conformance.suite",
    "conformance.verdict",
    "conformance.record",
    "conformance.bench",
    "conformance.session conformance.page",
    "conformance.selftest",
    "conformance.command_line conformance.conftest conformance.test_ports",
    "conformance.__main__",
    "conformance.selftest.tests",
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}
# The algorithm is NumPy and nothing else, so that it can be read alone.
ALGORITHM = "reference.algorithm"
ALGORITHM_NEEDS = ("numpy", ALGORITHM, "reference.array", "reference.arithmetic.numbers")
MOST_MODULES = {"conformance": 8, "reference": 6}  # directly in the package
MOST_LINES = 300

Imports = dict[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """The modules of both packages and their files; starters are not ours: they are ports."""
    found = {}
    for file in sorted(file for top in MOST_MODULES for file in (root / top).rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if "starters" not in parts:
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(file: Path, known: Iterable[str]) -> Iterator[str]:
    """The modules that a file imports; `from a import b` is a.b where that is a module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write the module's full name"
            module = str(node.module)
            inner = [f"{module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else module for name in inner)


def within(module: str, package: str) -> bool:
    """Is it this package, or in it?"""
    return module == package or module.startswith(f"{package}.")


def room(module: str) -> str:
    """The room that a module is in; the package itself where nobody has given it a floor."""
    return max((name for name in FLOOR if within(module, name)), key=len)


def upward(found: Imports) -> Iterator[str]:
    """Imports that do not come from a floor below."""
    for a, several in found.items():
        if room(a) in MOST_MODULES and a not in MOST_MODULES:
            yield f"{a} is on no floor"
        for b in several & {*found}:
            if room(a) != room(b) and FLOOR[room(b)] >= FLOOR[room(a)]:
                yield f"{a} imports {b}"


def cycle(found: Imports) -> Iterator[str]:
    """A way from a module back to it, if there is one."""
    try:
        TopologicalSorter({a: several & {*found} for a, several in found.items()}).prepare()
    except CycleError as error:
        yield f"a cycle: {' '.join(sorted({*error.args[1]}))}"


def foreign(found: Imports) -> Iterator[str]:
    """What the algorithm imports beyond what it may."""
    for a in found:
        for b in found[a] if within(a, ALGORITHM) else ():
            standard = b.partition(".")[0] in sys.stdlib_module_names
            if not standard and not any(within(b, allowed) for allowed in ALGORITHM_NEEDS):
                yield f"{a} imports {b}: the algorithm is NumPy alone"


def crowded(root: Path) -> Iterator[str]:
    """Packages with too many modules, and modules with too many lines outside of selftest."""
    for top, most in MOST_MODULES.items():
        if (count := len(list((root / top).glob("*.py")))) > most:
            yield f"{top} has {count} modules"
    for name, file in modules(root).items():
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES and not within(name, "conformance.selftest"):
            yield f"{name} has {lines} lines"


def untitled(root: Path) -> Iterator[str]:
    """Rooms whose __init__.py does not say in one line what belongs there."""
    for folder in sorted(
        {file.parent for top in MOST_MODULES for file in root.glob(f"{top}/*/*.py")}
    ):
        init = folder / "__init__.py"
        title = ast.get_docstring(ast.parse(init.read_text())) if init.exists() else None
        if not title or "\n" in title:
            yield f"{folder.relative_to(root)} has no title"


def imports(root: Path) -> Imports:
    """What each module imports."""
    files = modules(root)
    return {name: {*imported(file, files)} for name, file in files.items()}


@pytest.mark.parametrize("check", [upward, cycle, foreign])
def test_modules_import_what_they_may(check: Callable[[Imports], Iterator[str]]) -> None:
    assert sorted(check(imports(ROOT))) == []


def test_rooms_are_small_and_say_what_they_are() -> None:
    assert [*untitled(ROOT)] == []
    assert [*crowded(ROOT)] == []


# A tree without a fault; and a fault that a file puts in, with the expected message.
TREE = {
    "reference/__init__.py": "",
    "reference/array.py": "import numpy",
    "reference/algorithm/__init__.py": '"""Backpropagation."""',
    "reference/algorithm/network.py": "import math, numpy.linalg\nfrom reference import array",
    "conformance/__init__.py": "",
    "conformance/ground/__init__.py": '"""What all rooms use."""',
    "conformance/ground/places.py": "",
    "conformance/wire/__init__.py": '"""Questions and answers."""',
    "conformance/wire/client.py": "from conformance.ground import places\nimport reference.array",
    "conformance/wire/requests.py": "",
    "conformance/wire/worker.py": "def f():\n    from conformance.wire import requests",
    "conformance/suite/__init__.py": '"""What is expected."""',
    "conformance/suite/traces.py": "import conformance.ground.places",
    "conformance/verdict/__init__.py": '"""Right or wrong."""',
    "conformance/verdict/judge.py": "import rich\nfrom conformance.wire import worker",
}
JUDGE = "conformance.verdict.judge"
PLACES = "conformance.ground.places"
ALGORITHM_FILE = "reference/algorithm/network"
FAULTS = [
    ("conformance/suite/traces", f"import {JUDGE}", f"traces imports {JUDGE}"),
    ("conformance/suite/traces", f"def f():\n  from {JUDGE} import g", f"traces imports {JUDGE}"),
    (
        "conformance/suite/traces",
        "import conformance.wire.client",
        "traces imports conformance.wire",
    ),
    (
        "conformance/ground/places",
        f"if TYPE_CHECKING:\n  import {JUDGE}",
        f"places imports {JUDGE}",
    ),
    (
        "reference/array",
        "import conformance.ground.places",
        "reference.array imports conformance.ground.places",
    ),
    (
        "conformance/wire/requests",
        "import conformance.wire.worker",
        "conformance.wire.requests conf",
    ),
    ("conformance/helpers", "", "conformance.helpers is on no floor"),
    ("conformance/verdict/__init__", '"""Right.\n\nWrong."""', "conformance/verdict has no title"),
    ("conformance/record/results", "", "conformance/record has no title"),
    ("conformance/wire/client", "\n" * 301, "conformance.wire.client has 301 lines"),
    (ALGORITHM_FILE, "import flint.arb", "network imports flint.arb"),
    (
        ALGORITHM_FILE,
        "from reference.arithmetic import ball",
        "network imports reference.arithmetic",
    ),
]


def said_of(root: Path, files: dict[str, str]) -> list[str]:
    """What all checks say of a tree of these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = imports(root)
    checks = upward(found), cycle(found), foreign(found), crowded(root), untitled(root)
    return sorted(said for check in checks for said in check)


def test_a_tree_without_a_fault_passes(tmp_path: Path) -> None:
    assert said_of(tmp_path, TREE) == []


@pytest.mark.parametrize(("name", "text", "words"), FAULTS)
def test_a_fault_is_named(name: str, text: str, words: str, tmp_path: Path) -> None:
    found = said_of(tmp_path, TREE | {f"{name}.py": text})
    assert any(words in said for said in found), found


def test_too_many_modules_are_named(tmp_path: Path) -> None:
    more = {f"reference/more{n}.py": "" for n in range(5)}
    assert "reference has 7 modules" in said_of(tmp_path, TREE | more)
