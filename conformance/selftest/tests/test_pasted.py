"""What the documents paste is real: each console block is run, and each of its lines is printed.

A block begins with its command, after "$ "; a line `...` stands for any lines. A comment above it,
as in `<!-- run: make conformance PORT=c -->`, names what a test runs in place of a command that
takes long, or whose numbers differ from machine to machine: then numbers, and names of ports and
cases, may be others than those shown, and all the rest must be the same.

PORTING.md, whose blocks follow one another, has a test of its own.
"""

import math
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.selftest.tests.conftest import CASES, DOCUMENTS, MANIFEST, ROOT
from conformance.suite import known_bugs
from conformance.targets import manifest
from reference.cases.capabilities import CAPABILITIES

FENCE = re.compile(r"(?:<!-- run: ([^\n]+) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
NOT_OUTPUT = {"c", "python", "sh", "toml", "yaml"}
OUTPUT = re.compile(
    r"[┏┃┡│└━─]|^backprop conformance \d|^ *(FAIL: |(PASS|SKIP|FAIL) +\d|\d+ PASS)", re.M
)
OTHER_WORDS = {"check": "conformance"}  # `make conformance` runs `python -m conformance check`
SHOWN_HOME = "/home/you"
END = "(the end)"
BUG = "updated-weights-in-backward"  # what the port ~/mine has
TARGETS = {target.word for port in manifest.select([]) for target in port.targets()}
NAMES = TARGETS | {"absent"} | {path.stem for path in CASES.glob("*.toml")} | set(CAPABILITIES)
NUMBER = r"(?<![\w.])-?\d[\d.,]*(?:e[-+]?\d+)?"
TIME = r"# (?:ns|us|µs|ms|s|min)\b"
# A port's line: an emulation's name, a time, a rung, and what was left out, may be there or not.
ROW = r"^  NAME(?: \([\w ]+\))? +PASS +# +worst #(?: of tolerance)?(?: +#(?:/iteration)?)?"
ROW += r"(?: \(NAME\))?(?:[ ,]+# case (?:skipped|in part))*$"
DURATION = re.compile(r"(?<= · )(?:\d+ min )?[\d.]+ s$")


@dataclass(frozen=True)
class Block:
    """A command that a document shows, the lines below it, and the command to run if another."""

    document: str
    command: str
    lines: list[str]
    instead: str | None


def blocks() -> list[Block]:
    found = []
    for name in DOCUMENTS:
        if not name.endswith("PORTING.md"):
            for instead, language, text in FENCE.findall((ROOT / name).read_text()):
                if language == "console":
                    first, *lines = text.splitlines()
                    found.append(Block(name, first.removeprefix("$ "), lines, instead or None))
    return found


BLOCKS = blocks()


def kind(command: str) -> str:
    """Which command of make or of the harness it is."""
    words = re.match(r"make ([a-z-]+)|\.venv/bin/python -m \w+ ([a-z-]+)", command)
    assert words is not None, command
    word = words[1] or words[2]
    return OTHER_WORDS.get(word, word)


def shape(line: str) -> list[str]:
    """The line without what differs between machines and selections: its words.

    Numbers are #, times too; known names are NAME, several of them too. A table's cell of a
    number may be "-" instead, where it is lost in the noise. In the line of a port, notes may
    differ, and in what was not run the reasons.
    """
    line = re.sub(r"fresh-[\da-f-]+", "NAME", line)
    line = re.sub(r"· \.\.\.$", "· 1 s", line)  # a duration that is left out
    line = re.sub(r" \((?:CASES|SEED|SHARD)=[^)]*\)", "", line)
    if line.startswith("  not run: "):
        line = re.sub(r" \([^)]*\)|(?<!run): .*|\d+ rungs of ", "", line)
    line = line.replace("ports and rungs passed", "port passed")
    line = re.sub(r"\b(case|port|number)s\b", r"\1", line)
    line = re.sub(r"[\w:-]*\w", lambda word: "NAME" if word[0] in NAMES else word[0], line)
    line = re.sub(NUMBER, "#", line)
    line = re.sub(rf"{TIME}(?: {TIME})*", "#", line)
    line = re.sub(r"NAME(?:,? +NAME)*", "NAME", line)
    line = re.sub(ROW, r"NAME PASS # worst #", line)
    line = re.sub(r"(?<=│)[ #()%-]+(?=│)", " # ", line)
    return re.sub(r"([━─])\1+", r"\1", line).split()


def unwrapped(text: str) -> list[str]:
    """The lines that are not empty; where the screen's first was too long, it is one line."""
    text = re.sub(r"^(backprop conformance .*)\n(.*compared)$", r"\1 \2", text, flags=re.M)
    return [line for line in text.splitlines() if line.strip()]


def alike(shown: str, said: str) -> bool:
    """The same words, in which numbers agree to nine digits: the last ones are a processor's."""
    a, b = (DURATION.sub("#", line).split() for line in (shown, said))
    return len(a) == len(b) and all(
        x == y or number(x) == pytest.approx(number(y), rel=1e-9) for x, y in zip(a, b, strict=True)
    )


def number(word: str) -> float:
    """What a word is as a decimal or hexadecimal number, or else NaN, which equals nothing."""
    try:
        return float.fromhex(word) if "0x" in word else float(word)
    except ValueError:
        return math.nan


def missing(block: Block, said: str) -> str | None:
    """The first line of the block that was not said where it should be; END for what is left."""
    left = unwrapped(said)
    anything = False
    last: list[str] | None = None
    for shown in unwrapped("\n".join(block.lines)):
        if shown == "...":
            anything = True
        elif block.instead is None or shape(shown) != last:  # one more row of a table may be
            fits = [
                alike(shown, line) if block.instead is None else shape(shown) == shape(line)
                for line in left
            ]
            at = fits.index(True) if True in fits else None
            if at is None or (at and not anything):
                return shown
            anything, last, left = False, shape(shown), left[at + 1 :]
            while block.instead is not None and left and shape(left[0]) == last:
                left = left[1:]
    return None if anything or not left else END


def run(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    line = re.sub(r"^make", "make --no-print-directory -o .venv/installed", command)
    line = line.replace("~", str(home))
    if line.startswith("make") and kind(command) == "conformance":
        line += f" RESULTS={home}/last.json"
    if " -m conformance bench" in line:
        line += f" --results {home}/bench.json"
    return subprocess.run(line, shell=True, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a port that has a bug, one that cannot run, and results of two others."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "mine").mkdir()
    text = (ROOT / "ports/numpy/port.toml").read_text()
    reference = "../../reference/algorithm/network.py"
    assert reference in text
    (folder / "mine/port.toml").write_text(text.replace(reference, "port.py"))
    mutant, _ = known_bugs.catalogue()[BUG]
    (folder / "mine/port.py").write_text(known_bugs.source(mutant))
    done = run('make conformance PORT="c numpy" CASES="one-step bias-step"', folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "last.json").rename(folder / "results.json")
    (folder / "absent").mkdir()
    (folder / "absent/port.toml").write_text(MANIFEST.replace('["true"]', '["false"]'))
    (folder / "absent/port.py").write_text("")
    return folder


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}: {block.command}")
def test_a_command_says_what_is_pasted(block: Block, home: Path) -> None:
    command = block.instead or block.command
    assert kind(command) == kind(block.command)
    done = run(command, home)
    said = done.stdout.replace(f"RESULTS={home}/last.json", "(build/results.json)")
    said = said.replace(str(home), SHOWN_HOME)
    assert (line := missing(block, said)) is None, (
        f"{line}\n--- is not where it should be in:\n{said}{done.stderr}"
    )
    assert (done.returncode == 0) == ("FAIL" not in "".join(block.lines)), said


def test_nothing_is_pasted_but_in_such_blocks() -> None:
    assert {block.document for block in BLOCKS} >= {"README.md", "conformance/README.md"}
    for name in DOCUMENTS:
        text = (ROOT / name).read_text()
        assert {language for _, language, _ in FENCE.findall(text)} <= NOT_OUTPUT | {"console"}, (
            name
        )
        rest = FENCE.sub(lambda fence: fence[0] if fence[2] != "console" else "", text)
        assert (found := OUTPUT.search(rest)) is None, f"{name}: {found[0]}"


ROW_OF_C = "  c  PASS  2  worst 0.2 of tolerance  22 µs/iteration"


@pytest.mark.parametrize(
    ("shown", "said", "same"),
    [
        ("│ cpp │ 207 │ 1.5 │", "│ c   │ 50,100 │    - │", True),
        ("│ cpp │ 207 ns (1 - 2) │ 1.5% │", "│ c │ -1 µs (-2 - 3) │ - │", True),
        ("│ cpp │ 207 │ 1.5 │", "│ c │ 50,100 │", False),
        ("│ cobol │ 207 │", "│ c │ 207 │", False),
        ("┃ port ┃ x NumPy ┃", "┃ port ┃ of NumPy ┃", False),
        ("  c  PASS  154  worst 0.06  37.8 ns (c:simd)", ROW_OF_C, True),
        ("  cuda (host emulation)  PASS  148  worst 0.06  3 cases skipped", ROW_OF_C, True),
        ("  c  PASS  154  best 0.06  37.8 ns", ROW_OF_C, False),
        ("  cobol  PASS  154  worst 0.06", ROW_OF_C, False),
        ("  not run: d (no gdc: make ports), cuda (no GPU)", "  not run: absent: why", True),
        ("  not run: d 3 rungs of c (no GPU)", "  not run: absent: why", True),
        ("  not run: cobol (no GPU), cuda (no GPU)", "  not run: absent: why", False),
        ("  c  PASS  154", "  c  FAIL  154", False),
        ("1 of 3 ports failed · 3 min 12 s", "2 of 2 ports failed · 8 s", True),
    ],
)
def test_only_numbers_and_names_may_differ(shown: str, said: str, same: bool) -> None:
    block = Block("", "", [shown, shown], "another command")
    assert (missing(block, said) is None) == same


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("got 0.12860327653281040\nx\none\ntwo", None),
        ("got 0.12860328\none\ntwo", "got 0.12860327653281037"),
        ("x\ngot 0.12860327653281037\none\ntwo", "got 0.12860327653281037"),
        ("got 0.12860327653281037\ntwo\none", "two"),
        ("got 0.12860327653281037\none\nx\ntwo", "two"),
        ("got 0.12860327653281037\none\ntwo\nthree", END),
    ],
)
def test_else_all_must_be_the_same(said: str, wrong: str | None) -> None:
    block = Block("", "", ["got 0.12860327653281037", "...", "one", "", "two"], None)
    assert missing(block, said) == wrong
