"""What adding something takes: the recipe is followed in a copy of the clone, and files counted."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import copied

MOST_FILES = 6
ONLY_CASE = "one-step"  # the copy has no other

ALGORITHM, ORACLE = "reference/algorithm/layers.py", "conformance/selftest/oracle/network.py"
HEADER, SPEC = "conformance/contract/backprop.h", "conformance/contract/SPEC.md"
README = "README.md"  # it says how many known bugs there are
BUGS, NUMPY = "conformance/suite/mutants/softsign.toml", "ports/numpy/port.toml"
CASE, GOLDEN = "conformance/suite/cases/softsign-step.toml", "conformance/suite/golden"

# An activation without parameters: what is replaced in which file, and by what.
SOFTSIGN: list[tuple[str, str, str]] = [
    (
        ALGORITHM,
        "def softmax(",
        '''def softsign(x: Array) -> Array:
    """x / (1 + |x|)."""
    return x / (1 + np.abs(x))


def softsign_slope(output: Array) -> Array:
    """Softsign s has the slope (1 - |s|)^2."""
    left = 1 - np.abs(output)
    return left * left


def softmax(''',
    ),
    (
        ALGORITHM,
        '    "softmax": (softmax, no_slope),\n',
        '    "softmax": (softmax, no_slope),\n    "softsign": (softsign, softsign_slope),\n',
    ),
    (
        SPEC,
        "\n\nAt the boundaries:\n",
        "\n| softsign | x / (1 + \\|x\\|) | (1 - \\|l\\|)^2 |\n\nAt the boundaries:\n",
    ),
    (SPEC, "| `tanh`, `relu`, ", "| `tanh`, `relu`, `softsign`, "),
    (
        HEADER,
        "    BACKPROP_ACTIVATIONS ",
        "    BACKPROP_SOFTSIGN = 4,\n    BACKPROP_ACTIVATIONS ",
    ),
    (
        ORACLE,
        '        if name == "relu":\n',
        '        if name == "softsign":\n'
        "            return [value / (1 + abs(value)) for value in x]\n"
        '        if name == "relu":\n',
    ),
    (
        ORACLE,
        "        return self.one if output > 0",
        '        if name == "softsign":\n'
        "            return (1 - abs(output)) ** 2\n"
        "        return self.one if output > 0",
    ),
    (NUMPY, '"tanh", ', '"tanh", "softsign", '),
]
NEW_FILES = {
    BUGS: """capability = "softsign"

[[mutant]]
id = "softsign-slope-not-squared"
what = "The slope of softsign is computed as 1 - |s|."
shows = "Outputs are right, hidden deltas are too large."
do = "The slope of softsign is (1 - |s|)^2."
patches = [["return left * left", "return left"]]
""",
    CASE: """format = 1
id = "softsign-step"
title = "Three updates of a 2-3-1 network with softsign in the hidden layer"
purpose = "The slope of softsign is (1 - |s|)^2."
needs = ["softsign"]

[network]
layers = [2, 3, 1]
activation = "softsign"

[training]
iterations = 3

[init]
numpy_seed = 5

[data]
X = [[0, 0], [0, 1], [1, 0], [1, 1]]
y = [[0], [1], [1], [0]]

[trace]
checkpoints = [0, 1, 2, 3]
steps = [0, 1, 2, 3]
""",
}
# A port that has the bug of the catalogue, and what a random case draws.
PLANT = """
from pathlib import Path
from conformance.suite import fresh, known_bugs
Path("wrong").mkdir()
text = Path("ports/numpy/port.toml").read_text()
Path("wrong/port.toml").write_text(text.replace("../../reference/algorithm/network.py", "port.py"))
mutant, _ = known_bugs.catalogue()["softsign-slope-not-squared"]
Path("wrong/port.py").write_text(known_bugs.source(mutant))
case = fresh.case(7, 1, {"softsign"})
assert case.settings.activation == "softsign"
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the clone with one case and one port."""
    return copied(
        tmp_path, [ONLY_CASE], "ports/numpy", "Makefile", "pyproject.toml", ".github", README
    )


@pytest.fixture
def run(clone: Path) -> Run:
    """Runs Python in the copy."""

    def python(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=clone, env=env, capture_output=True, text=True)

    return python


def files(clone: Path) -> dict[str, bytes]:
    """What the copy holds by hand: files that are neither of ports, nor cases, nor generated."""
    found: dict[str, bytes] = {}
    for path in (p for p in clone.rglob("*") if p.is_file()):
        name = path.relative_to(clone)
        suite = name.parts[:3] in (Path(CASE).parts[:3], Path(GOLDEN).parts)
        if name.parts[0] in ("reference", "conformance", README) and not suite:
            found[str(name)] = path.read_bytes()
    return found


def test_an_activation_takes_few_files(clone: Path, run: Run) -> None:
    before = files(clone)
    for file, old, new in SOFTSIGN:
        text = (clone / file).read_text()
        assert text.count(old) == 1, (file, old)
        (clone / file).write_text(text.replace(old, new))
    for file, text in NEW_FILES.items():
        (clone / file).write_text(text)
    text = (clone / README).read_text()
    one_more = re.sub(r"\d+(?= known bugs\*\*)", lambda count: f"{int(count[0]) + 1}", text)
    (clone / README).write_text(one_more)

    check = ("-m", "conformance", "check")
    options = ("--cases", "softsign-step", "--seed", "none", "--no-timing")
    tests = "conformance/selftest/tests/test_readme.py"
    contract = "every_setting or every_activation or every_name or counts or quoted"
    for words in (
        ("-m", "reference", "golden", CASE),
        ("-m", "conformance.selftest.oracle", "--budget", "inf", "softsign-step"),
        (*check, "numpy", *options, "--require", "numpy"),
        ("-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", contract),
        ("-c", PLANT),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    bad = run(*check, "./wrong", *options)
    assert bad.returncode == 1
    assert "softsign-slope-not-squared" in bad.stdout
    touched = {name for name, content in files(clone).items() if before.get(name) != content}
    assert {ALGORITHM, ORACLE, HEADER, SPEC, BUGS} <= touched
    assert len(touched) <= MOST_FILES, touched
