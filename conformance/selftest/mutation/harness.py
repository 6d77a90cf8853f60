"""Do the suite's own tests catch a mistake in any line of the harness? `make mutation` measures it.

The harness gives the verdicts, so a mistake in it may be a false one. harness.toml says which tests
belong to which module. universalmutator changes each line of a module by harness.rules; these tests
run on it up to the first that fails: those that have caught most in the least time first. If all
pass, equivalent_harness.toml must say why nobody could tell the difference, or the exit status is
1. The outcome goes to harness.md.

One mutant of each line is run, a limit as in Petrovic and others, Practical Mutation Testing at
Scale, 2021. Not run are mutants that compile to the same as the module or another mutant, where
sentences, asserts and types of arguments are left out: the sentences that matter have tests of
their own.

The result of each mutant is kept while neither the module nor the test that caught it changes.
"""

import ast
import fcntl
import hashlib
import multiprocessing
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field
from rich.console import Console
from rich.progress import track

from conformance.ground.places import HERE, ROOT
from conformance.record.machine import machine
from conformance.selftest.mutation import trial
from conformance.selftest.mutation.mutants import (
    FOLDER,
    TOOL,
    VERSION,
    Mutant,
    generate,
    python_fingerprint,
)
from conformance.selftest.mutation.outcomes import (
    Equivalent,
    Fate,
    Kept,
    Outcome,
    closed,
    equivalents,
    settle,
    shown,
)
from reference.cases.tables import Strict
from reference.files import write_atomically

NAME = "harness"
TABLE, RULES = (Path(__file__).with_name(f"{NAME}.{end}") for end in ("toml", "rules"))
EQUIVALENT = Path(__file__).with_name("equivalent_harness.toml")
REPORT = HERE / "selftest" / "mutation" / f"{NAME}.md"
CORES = os.cpu_count() or 1
BATCH = 4 * CORES  # after so many mutants, tests are put in order again
# Of the time of all tests: no mutant needs more, unless it never ends.
PATIENCE, LEAST_S = 5, 20


class Tested(Strict):
    """Modules, and the tests that belong to them: files, or tests as pytest names them."""

    files: list[str] = Field(min_length=1)
    tests: list[str] = Field(min_length=1)


class LeftOut(Strict):
    """Modules that are not changed, and why."""

    files: list[str] = Field(min_length=1)
    reason: str = Field(min_length=20)


class Planted(Strict):
    """A fault that no rule makes, in place of text that occurs once, and the test that sees it."""

    file: str
    old: str
    new: str
    what: str
    test: str

    @property
    def text(self) -> str:
        """The module with the fault. Raises ValueError if the old text does not occur once."""
        text = original(self.file).text
        if text.count(self.old) != 1:
            raise ValueError(f"{self.what}: {self.file} does not have {self.old!r} once")
        return text.replace(self.old, self.new)


class Table(Strict):
    """The file harness.toml: each module of the harness is in one of the first two lists."""

    tested: list[Tested]
    left_out: list[LeftOut]
    planted: list[Planted]

    def tests(self) -> dict[str, list[str]]:
        """The tests of each module that is changed."""
        return {file: entry.tests for entry in self.tested for file in entry.files}


def table() -> Table:
    """What harness.toml says."""
    return Table.model_validate(tomllib.loads(TABLE.read_text(encoding="utf-8")))


class _Bare(ast.NodeTransformer):
    """Leaves out what is not changed: sentences, and the types of arguments and results."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """A text with a space is for people."""
        text = isinstance(node.value, str) and " " in node.value
        return ast.copy_location(ast.Constant(""), node) if text else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function without its result's type."""
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """An argument without its type."""
        node.annotation = None
        return node


def fingerprint(text: str) -> str | None:
    """Equal for mutants that do the same; None for one that does not compile."""
    try:
        tree = _Bare().visit(ast.parse(text))
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        for part in ("body", "orelse", "finalbody"):
            if isinstance(lines := getattr(node, part, None), list) and lines:
                kept = [line for line in lines if not _idle(line)]
                setattr(node, part, kept or [ast.Pass()])
    return python_fingerprint(ast.unparse(tree))


def _idle(line: ast.AST) -> bool:
    """True of what does nothing while there is no mistake: pass, a docstring, an assert."""
    docstring = isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
    return docstring or isinstance(line, ast.Pass | ast.Assert)


def original(file: str) -> Mutant:
    """A module itself, as a mutant without a change."""
    return Mutant(NAME, file, (ROOT / file).read_text(encoding="utf-8"))


def kept_of(file: str) -> Kept:
    """What is known about the mutants of a module."""
    return Kept(NAME, file, (ROOT / file, RULES))


@cache
def digest(test: str) -> str:
    """Changes when a test does, by its own lines; empty for one that is gone."""
    name, _, function = test.partition("::")
    text = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).is_file() else ""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == function.partition("[")[0]:
            source = ast.get_source_segment(text, node) or ""
            return hashlib.sha256(source.encode()).hexdigest()[:16]
    return ""


class Examiner:
    """Copies of the project, one for each core, in which mutants are tried."""

    def __init__(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self._lock = (FOLDER / "trees.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another run has its mutants in {FOLDER / 'trees'}: wait for its end")
        fork = multiprocessing.get_context("fork")
        numbers = fork.SimpleQueue()
        for number in range(CORES):
            numbers.put(number)
        self._pool = ProcessPoolExecutor(CORES, fork, _begin, (numbers,))

    def tried(self, jobs: list[tuple[Any, ...]]) -> list[trial.Ran]:
        """How each of these ended; all at once."""
        return list(self._pool.map(_try, jobs))

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()
        self._lock.close()


_tree = Path()


def _begin(numbers: Any) -> None:
    global _tree
    _tree = trial.copied(FOLDER / "trees" / str(numbers.get()))


def _try(job: tuple[Any, ...]) -> trial.Ran:
    return trial.attempt(_tree, *job)


def examine(files: list[str], examiner: Examiner) -> None:
    """Try the mutants of these modules that are new, or survived without a reason.

    Raises ValueError if a module itself does not pass, since mutants would then mean nothing.
    """
    stderr, entries, tests = Console(stderr=True), equivalents(EQUIVALENT), table().tests()
    for file in files:
        kept, itself = kept_of(file), original(file)
        waiting = list(_new(kept, itself, entries))
        if not waiting:
            continue
        [whole] = examiner.tried([(file, itself.text, tests[file], {}, 3600.0)])
        if whole.status != "PASS":
            raise ValueError(f"{file} itself does not pass: {whole.status} in {whole.test}")
        limit_s = LEAST_S + PATIENCE * whole.seconds
        caught = Counter(o.case for o in kept.found() if o.fate == "caught")
        starts = range(0, len(waiting), BATCH)
        for start in track(starts, file, console=stderr):
            batch = waiting[start : start + BATCH]
            rank = {test: took / (1 + caught[test]) for test, took in whole.took.items()}
            jobs = [(file, mutant.text, tests[file], rank, limit_s) for _, mutant in batch]
            for (name, mutant), ran in zip(batch, examiner.tried(jobs), strict=True):
                fate: Fate = "survived" if ran.status == "PASS" else "caught"
                by = ("", "") if fate == "survived" else (ran.test, digest(ran.test))
                caught[by[0]] += 1
                seconds = round(ran.seconds, 3)
                kept.add(name, Outcome(mutant.key, mutant.line, fate, ran.status, *by, seconds))
                if fate == "survived":
                    line = f"survived: line {mutant.line}, {shown(mutant.key)}"
                    stderr.print(line, markup=False, highlight=False, soft_wrap=True)
        if not kept.complete:
            kept.add("all", Outcome(itself.key, 0, "survived"))


def _new(kept: Kept, itself: Mutant, entries: list[Equivalent]) -> Iterator[tuple[str, Mutant]]:
    """The mutants of a module that are to be tried, by the name of their outcome."""
    open_keys = set(settle((o.key for o in kept.found() if o.fate == "survived"), entries)[0])
    seen: dict[str | None, Fate] = {None: "not compiled", fingerprint(itself.text): "same code"}
    lines = set[int]()
    for name, mutant in _in_turn(generate(itself, RULES), entries):
        code, known = fingerprint(mutant.text), kept.outcomes.get(name)
        fate = seen.get(code, "not its line's turn" if mutant.line in lines else None)
        seen.setdefault(code, "same as another")
        if fate is not None:
            if known is None or known.fate != fate:
                kept.add(name, Outcome(mutant.key, mutant.line, fate))
            continue
        lines.add(mutant.line)
        if known is None or (
            mutant.key in open_keys
            if known.fate == "survived"
            else digest(known.case) != known.caught_by
        ):
            yield name, mutant


def _in_turn(mutants: list[Mutant], entries: list[Equivalent]) -> list[tuple[str, Mutant]]:
    """With their names, of which the first of a line is as good as drawn.

    Those that a rule explains go last.
    """
    named = [(hashlib.sha256(m.text.encode()).hexdigest()[:16], m) for m in mutants]
    return sorted(named, key=lambda pair: (any(e.fits(pair[1].key) for e in entries), pair[0]))


def unseen(examiner: Examiner) -> list[Planted]:
    """The planted faults that their test does not see."""
    planted = table().planted
    jobs: list[tuple[Any, ...]] = [(p.file, p.text, [p.test], {}, 600.0) for p in planted]
    found = zip(planted, examiner.tried(jobs), strict=True)
    return [fault for fault, ran in found if ran.status != "FAIL"]


def main(names: list[str]) -> int:
    """Examine some or all modules; 1 if a survivor is not listed, or the reverse.

    "planted" is the name of the planted faults, which are tried whenever all modules are.
    """
    files = [*table().tests()]
    equivalents(EQUIVALENT)  # so that a mistake in it shows before the work
    chosen = [file for file in files if NAME in names or file in names or not names]
    planted = not names or {NAME, "planted"} & {*names}
    if not chosen and not planted:
        return 0
    examiner = Examiner()
    try:
        faults = unseen(examiner) if planted else []
        examine(chosen, examiner)
    finally:
        examiner.close()
    for fault in faults:
        print(f"planted, and not seen by {fault.test}: {fault.what}")
    return (summed_up(files) if chosen else 0) | bool(faults)


def summed_up(files: list[str]) -> int:
    """Write the report; 1 if anything is open."""
    kept = {file: kept_of(file) for file in files}
    entries = equivalents(EQUIVALENT)
    survivors = [o.key for k in kept.values() for o in k.found() if o.fate == "survived"]
    unlisted, stale = settle(survivors, entries)
    left = [file for file, known in kept.items() if not known.complete]
    write_atomically(REPORT, text(kept, entries))
    print("\n".join([NAME, *rows(kept)]))
    return closed(unlisted, stale, left, EQUIVALENT)


def rows(kept: dict[str, Kept]) -> Iterator[str]:
    """The numbers of each module, as lines of a Markdown table."""
    yield from ("| module | mutants | tried | caught | passed everything | minutes |",)
    yield "|---|--:|--:|--:|--:|--:|"
    found = {file: known.found() for file, known in kept.items() if known.complete}
    for file, outcomes in [
        *found.items(),
        ("**all**", [o for all_ in found.values() for o in all_]),
    ]:
        fates = Counter(o.fate for o in outcomes)
        tried = fates["caught"] + fates["survived"]
        minutes = sum(o.seconds for o in outcomes) / 60
        numbers = f"{len(outcomes)} | {tried} | {fates['caught']} | {fates['survived']}"
        yield f"| {file} | {numbers} | {minutes:.0f} |"


def text(kept: dict[str, Kept], entries: list[Equivalent]) -> str:
    """The report."""
    here = machine()
    outcomes = [o for known in kept.values() for o in known.found()]
    statuses = Counter(o.status for o in outcomes if o.fate == "caught")
    by = Counter(o.case.rpartition("/")[2].partition("::")[0] for o in outcomes if o.case)
    lines = [
        "# Mutation report: the harness",
        "",
        f"Written by `make mutation` on {here.date.date()}, at commit {here.commit}, with",
        f"{TOOL} {VERSION}, Python {here.python}.",
        "",
        *rows(kept),
        "",
        "One mutant of each line is tried: of those that compile, and to something else than the",
        "module and other mutants, sentences and types of arguments left out.",
        "",
        f"Caught: {statuses['FAIL']} by a test that failed, {statuses['CRASH']} since the tests "
        f"did not load, {statuses['TIMEOUT']} since they did not end.",
        "",
        "Caught first in " + ", ".join(f"{name} {n}" for name, n in by.most_common(10)) + ".",
        "",
        "## Planted faults, and the tests that see them",
        "",
        *(f"* {fault.what}: {fault.test}" for fault in table().planted),
        "",
        "## Survivors that cannot be told from the module",
        "",
    ]
    survivors = [o.key for o in outcomes if o.fate == "survived"]
    for entry in entries:
        many = sum(entry.fits(key) for key in survivors) if entry.rule else len(entry.pairs)
        lines += [f"* {many}{' by a rule' if entry.rule else ''} in {entry.file}: {entry.reason}"]
    unlisted, stale = settle(survivors, entries)
    left = [(NAME, file, "all", "all") for file, known in kept.items() if not known.complete]
    for title, keys in (
        ("Survivors without a reason", unlisted),
        ("Entries without a survivor", stale),
    ):
        lines += ["", f"## {title}", "", *map(shown, keys)] if keys else []
    if left:
        lines += ["", "## Not examined, or not to the end", "", *(f"* {key[1]}" for key in left)]
    return "\n".join(lines) + "\n"
