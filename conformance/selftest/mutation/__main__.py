"""Does the suite catch a mistake in any line of a port? `make mutation` measures it.

The mutation tool universalmutator changes each line of two ports in every way that it
knows: a different operator, a different number, a statement less. A mutant is run until the
first case that it does not pass. If one passes all cases, equivalent.toml must list it,
with the reason why nobody could tell it from the port; otherwise the cases have a gap, and
the exit status is 1. The outcome goes to PORT.md.

Mutants that compile to the same as the port or as another mutant are not run: they are certainly
equivalent (M. Papadakis and others, "Trivial compiler equivalence", ICSE 2015). For speed, mutants
run first in children of this process: in C compiled for float64 without optimisation, in Python
uncompiled and for a few iterations. A mutant that passes is compiled like the port. C then runs
for float32, and at last with warnings as errors and with AddressSanitizer, since reading a word
beyond an array may not change any number. A survivor without a reason is asked the corpus of `make
fuzz`, mostly invalid requests.

    python -m conformance.selftest.mutation [PORT ...] [PORT/FILE ...] [harness] [MODULE ...]

Without names, it takes all files, and then the modules of the harness: see harness.py. The result
of each mutant is kept under build/mutation while the port does not change, so a run continues where
the last one ended. Only survivors without a reason run again, which is useful after adding a case.
To start over, delete build/mutation.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import track

from conformance.ground.places import HERE, PORTS
from conformance.ground.statuses import Status
from conformance.record.machine import machine
from conformance.selftest.mutation import harness
from conformance.selftest.mutation.mutants import (
    FOLDER,
    QUICK,
    SANITIZED,
    SOURCES,
    TOOL,
    VERSION,
    Mutant,
    fingerprint,
    generate,
    in_float32,
    in_one_go,
    make,
    original,
    python_fingerprint,
)
from conformance.selftest.mutation.outcomes import (
    EQUIVALENT,
    FATES,
    Equivalent,
    Fate,
    Kept,
    Outcome,
    closed,
    equivalents,
    settle,
    shown,
)
from conformance.selftest.mutation.screening import COMPILED, PASSED, Sanitized, compiled, screened
from conformance.targets import build
from conformance.targets.manifest import Target, load
from reference.files import write_atomically

# A mutant survives if it passes this.
EVERYTHING = {
    "c": "Everything: all cases but the largest (those of the digits), up to iteration 1000, and\n"
    "with AddressSanitizer the small ones.",
    "numba_cpu": "Everything: the small cases, uncompiled and up to iteration 10, and compiled\n"
    f"{', '.join(COMPILED)}.",
}

UNSEEN: tuple[Fate, ...] = ("sanitizer", "fuzzed")  # caught, although no number shows it


class Examiner:
    """Builds and runs mutants; `seen` has the code that earlier ones compiled to."""

    def __init__(self, port: str) -> None:
        self.seen = dict[str, Fate]()
        self.sanitized = Sanitized() if port == "c" else None
        itself = original(port, SOURCES[port][0])
        if (found := self.examined(itself))[0] != "survived":
            raise ValueError(f"{port} itself does not pass: {found}")
        if fuzzed(itself):
            raise ValueError(f"{port} itself does not pass the corpus of make fuzz")
        self.seen = dict.fromkeys(self.seen, "same code")
        if self.sanitized is None:  # a file of Python compiles by itself
            for file in SOURCES[port]:
                self.seen[str(python_fingerprint(original(port, file).text))] = "same code"

    def examined(self, mutant: Mutant) -> tuple[Fate, str, str]:
        """The fate, status and case of a mutant, built and run as far as needed."""
        whole = make(mutant)
        if self.sanitized is None:
            if fate := self._known(fingerprint(mutant, whole)):
                return fate, "", ""
            if (found := screened(whole)) == PASSED:
                of_numba = re.search("@compiled|@inlined|njit", mutant.text) is not None
                found = compiled(whole, code_changed=of_numba)
            return "survived" if found == PASSED else "caught", *found
        both = mutant.old.startswith("#")  # a changed line may swap the dtypes
        if not both:
            quick = in_one_go(whole, QUICK)
            if fate := self._known(fingerprint(mutant, quick)):
                return fate, "", ""
            if (found := screened(quick)) != PASSED:
                return "caught", *found
        if fate := self._known(fingerprint(mutant, whole)):
            return fate, "", ""
        if (found := screened(whole if both else in_float32(whole))) != PASSED or both:
            return "survived" if found == PASSED else "caught", *found
        guarded = in_one_go(whole, SANITIZED)
        if not build.build(Target(guarded), "").ok:
            return "sanitizer", "", "warning"
        found = self.sanitized.screened(guarded)
        return "survived" if found == PASSED else "sanitizer", *found

    def _known(self, code: str | None) -> Fate | None:
        if code is None:
            return "not compiled"
        known = self.seen.get(code)
        self.seen.setdefault(code, "same as another")
        return known

    def close(self) -> None:
        """End the processes."""
        if self.sanitized:
            self.sanitized.close()


def kept_of(port: str, file: str) -> Kept:
    """What is known about the mutants of a port's file."""
    return Kept(port, file, (PORTS / port / name for name in SOURCES[port]))


def examine(port: str, files: Iterable[str]) -> None:
    """Examine the mutants of a port's files that are new, or survived without a reason.

    Raises ValueError if the port itself does not pass, since mutants would then mean nothing.
    """
    stderr, examiner, entries = Console(stderr=True), Examiner(port), equivalents()
    for file in files:
        kept = kept_of(port, file)
        survivors = (o.key for o in kept.found() if o.fate == "survived")
        open_keys = set(settle(survivors, entries)[0])
        mutants = generate(original(port, file))
        for mutant in track(mutants, f"{port}/{file}", auto_refresh=False, console=stderr):
            name = hashlib.sha256(mutant.text.encode()).hexdigest()[:16]
            known = kept.outcomes.get(name)
            if known and (known.fate != "survived" or mutant.key not in open_keys):
                continue
            start = time.monotonic()
            found = examiner.examined(mutant)
            if found[0] == "survived" and settle([mutant.key], entries)[0] and fuzzed(mutant):
                found = "fuzzed", "", ""
            seconds = round(time.monotonic() - start, 3)
            kept.add(name, Outcome(mutant.key, mutant.line, *found, seconds=seconds))
            if found[0] in ("survived", *UNSEEN):
                line = f"{found[0]}: line {mutant.line}, {shown(mutant.key)}"
                stderr.print(line, markup=False, highlight=False, soft_wrap=True)
        if not kept.complete:
            kept.add("all", Outcome((port, file, "", ""), 0, "survived"))
    examiner.close()


def fuzzed(mutant: Mutant) -> bool:
    """True if the corpus of `make fuzz` tells the mutant that was made last from the C port."""
    if mutant.port != "c":
        return False
    command = ["sh", str(HERE / "selftest" / "fuzz" / "fuzz.sh"), "c", "0", str(FOLDER / "fuzz")]
    env = {**os.environ, "PORTS": str(FOLDER / "ports")}
    return subprocess.run(command, env=env, capture_output=True).returncode != 0


def table(outcomes: list[Outcome]) -> Iterator[str]:
    """The numbers, as lines of a Markdown table."""
    fates, statuses = Counter(o.fate for o in outcomes), Counter(o.status for o in outcomes)
    yield from ("| | |", "|---|---:|", f"| mutants | {len(outcomes)} |")
    yield from (f"| {FATES[fate]} | {fates[fate]} |" for fate in FATES)
    for status in reversed(Status):
        if status not in (Status.PASS, Status.XFAIL):
            yield f"| caught as {status} | {statuses[status]} |"
    yield f"| minutes | {sum(o.seconds for o in outcomes) / 60:.0f} |"


def text(
    port: str, outcomes: list[Outcome], entries: list[Equivalent], open_files: list[str]
) -> str:
    """The report on one port."""
    here = machine()
    tool = build.detect_toolchain(load(PORTS / port)).text
    files = Counter(o.key[1] for o in outcomes)
    counted = ", ".join(f"{file} {count}" for file, count in files.items())
    cases = Counter(o.case or "on start" for o in outcomes if o.fate == "caught")
    top = ", ".join(f"{case} {count}" for case, count in cases.most_common(10))
    lines = [
        f"# Mutation report: {port}",
        "",
        f"Written by `make mutation` on {here.date.date()}, at commit {here.commit}, with",
        f"{TOOL} {VERSION}, Python {here.python} ({tool}).",
        "",
        *table(outcomes),
        "",
        EVERYTHING[port],
        "A survivor with a reason is not run on later cases.",
        "",
        f"Mutants of {counted}.",
        "",
        f"Caught first in {top}; {len(cases)} cases in all.",
    ]
    if open_files:
        lines += ["", f"Not examined, or not to the end: {', '.join(open_files)}."]
    if unseen := [o for o in outcomes if o.fate in UNSEEN]:
        lines += ["", "## Mutants that no number shows", ""]
        lines += [f"{shown(o.key)} ({o.case or o.status or 'corpus'})" for o in unseen]
    lines += ["", "## Survivors that cannot be told from the port", ""]
    survivors = [o.key for o in outcomes if o.fate == "survived"]
    for entry in entries:
        of_rule = sum(entry.fits(key) for key in survivors)
        count = f"{of_rule} by a rule" if entry.rule else str(len(entry.pairs))
        lines += [f"* {count} in {entry.file}: {entry.reason}"]
    for title, keys in zip(
        ("## Survivors without a reason", "## Entries without a survivor"),
        settle(survivors, entries),
        strict=True,
    ):
        lines += ["", title, "", *map(shown, keys)] if keys else []
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> int:
    """Examine some or all files; 1 if any survivor is not listed, or the reverse."""
    equivalents()  # so that a mistake in it shows before the work
    status = 0
    for port, files in SOURCES.items():
        if chosen := [f for f in files if not names or {port, f"{port}/{f}"} & {*names}]:
            examine(port, chosen)
            status |= summed_up(port)
    return status | harness.main(names)


def summed_up(port: str) -> int:
    """Write the report on a port; 1 if anything is open."""
    kept = {file: kept_of(port, file) for file in SOURCES[port]}
    outcomes = [outcome for file in kept.values() for outcome in file.found()]
    left = [name for name, file in kept.items() if not file.complete]
    # Read again: somebody may have explained a survivor meanwhile.
    entries = [entry for entry in equivalents() if entry.port == port]
    write_atomically(
        HERE / "selftest" / "mutation" / f"{port}.md", text(port, outcomes, entries, left)
    )
    survivors = (o.key for o in outcomes if o.fate == "survived")
    unlisted, stale = settle(survivors, entries)
    print("\n".join([port, *table(outcomes)]))
    return closed(unlisted, stale, [f"{port}/{name}" for name in left], EQUIVALENT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
