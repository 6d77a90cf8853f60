"""Does the suite catch a mistake in any line of a port? `make mutation` measures it.

The mutation tool universalmutator changes each line of two ports in every way that it knows:
another operator, another number, a statement less. A mutant is run until the first case that
it does not pass. One that passes them all must stand in `mutation-equivalent.toml`, with the
reason why nobody could tell it from the port; else there is a hole in the cases, and the exit
status is 1. `mutation-report.md` gets the outcome.

Mutants that compile to the same as the port or as another mutant are not run: that they are
equivalent is then certain (M. Papadakis and others, "Trivial compiler equivalence", ICSE 2015).
For speed, mutants run first in children of this process, those in Python uncompiled and for a
few iterations. What passes there is judged like any port: in Python compiled, on networks of
three layers; in C built with warnings as errors and with AddressSanitizer, since a word beyond an
array that is read, and does not count, shows in no number.
"""

import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from rich.console import Console
from rich.progress import track

from conformance import build, results
from conformance.mutate import (
    SOURCES,
    TOOL,
    VERSION,
    Key,
    Mutant,
    fingerprint,
    generate,
    in_float64,
    make,
    original,
)
from conformance.ports import PORTS, load
from conformance.screening import PASSED, judged, screened
from reference.case import Strict
from reference.files import write_atomically

HERE = Path(__file__).parent
EQUIVALENT, REPORT = HERE / "mutation-equivalent.toml", HERE / "mutation-report.md"

Fate = Literal["not compiled", "same code", "same as another", "caught", "sanitizer", "survived"]
FATES: dict[Fate, str] = {
    "not compiled": "not compiled",
    "same code": "same machine code or bytecode as the port",
    "same as another": "same as another mutant",
    "survived": "passed everything",
    "sanitizer": "seen only by a warning or AddressSanitizer",
    "caught": "caught by a case",
}


@dataclass(frozen=True)
class Outcome:
    """What came of a mutant; where it was caught, the status and the case."""

    mutant: Mutant
    fate: Fate
    status: str = ""
    case: str = ""


class Equivalent(Strict):
    """Mutants that cannot be told from the port, as pairs of an old and a new line, and why.

    A pair stands there as many times as the change can be made and survives.
    """

    port: str
    file: str
    reason: str = Field(min_length=20)
    pairs: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(min_length=1)

    @property
    def keys(self) -> list[Key]:
        """The keys of its mutants."""
        return [(self.port, self.file, old, new) for old, new in self.pairs]


def equivalents(path: Path = EQUIVALENT) -> list[Equivalent]:
    """All entries, in the order of the file."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Equivalent.model_validate(entry) for entry in table["equivalent"]]


def examine(port: str) -> list[Outcome]:
    """Generate, build and run the mutants of a port.

    Raises ValueError if the port itself does not pass, so that mutants would mean nothing.
    """
    sources = [original(port, file) for file in SOURCES[port]]
    seen: dict[str, Fate] = {}
    if (itself := examined(sources[0], seen)).fate != "survived":
        raise ValueError(f"{port} itself does not pass: {itself.status} {itself.case}")
    seen = {k: "same code" if fate == "same as another" else fate for k, fate in seen.items()}
    outcomes, stderr = list[Outcome](), Console(stderr=True)
    for source in sources:
        mutants = generate(source)
        for mutant in track(mutants, f"{port}/{source.file}", auto_refresh=False, console=stderr):
            outcomes.append(examined(mutant, seen))
            if outcomes[-1].fate in ("survived", "sanitizer"):
                line = f"{outcomes[-1].fate}: line {mutant.line}, {shown(mutant.key)}"
                stderr.print(line, markup=False, highlight=False, soft_wrap=True)
    return outcomes


def examined(mutant: Mutant, seen: dict[str, Fate]) -> Outcome:
    """Build and run a mutant as far as is needed; `seen` has what earlier ones compiled to."""
    whole = make(mutant)
    c = whole.manifest.run.library is not None
    # C is compiled for float64 alone first, for time. (A line like #if may exchange the two.)
    if c and not mutant.old.startswith("#"):
        half = in_float64(whole)
        code = fingerprint(mutant, half)
        if code is not None and code not in seen:
            found = screened(half)
            seen[code] = "survived" if found == PASSED else "same as another"
            if found != PASSED:
                return Outcome(mutant, "caught", *found)
        if code is None or seen[code] != "survived":
            return Outcome(mutant, "not compiled" if code is None else seen[code])
    code = fingerprint(mutant, whole)
    if code is None or code in seen:
        return Outcome(mutant, "not compiled" if code is None else seen[code])
    seen[code] = "same as another"
    if (found := screened(whole)) != PASSED:
        return Outcome(mutant, "caught", *found)
    found = judged(make(mutant, sanitized=True) if c else whole)
    fate: Fate = "survived" if found == PASSED else "sanitizer" if c else "caught"
    return Outcome(mutant, fate, *found)


def settle(survivors: Iterable[Key], entries: Iterable[Equivalent]) -> tuple[list[Key], list[Key]]:
    """The survivors that no entry explains, and the entries' keys that did not survive."""
    found = Counter(survivors)
    listed = Counter(key for entry in entries for key in entry.keys)
    return sorted((found - listed).elements()), sorted((listed - found).elements())


def table(outcomes: dict[str, list[Outcome]], seconds: dict[str, float]) -> Iterator[str]:
    """The numbers, as lines of a Markdown table with a column for each port."""
    counts = {port: Counter(o.fate for o in found) for port, found in outcomes.items()}
    status = {port: Counter(o.status for o in found) for port, found in outcomes.items()}
    yield f"| | {' | '.join(outcomes)} |"
    yield f"|---|{'---:|' * len(outcomes)}"

    def row(name: str, cells: Iterable[object]) -> str:
        return f"| {name} | {' | '.join(map(str, cells))} |"

    yield row("mutants", (len(found) for found in outcomes.values()))
    for fate in FATES:
        yield row(FATES[fate], (counts[port][fate] for port in outcomes))
    for name in ("FAIL", "CRASH", "TIMEOUT", "GARBAGE", "SKIP"):
        yield row(f"caught as {name}", (status[port][name] for port in outcomes))
    yield row("minutes", (f"{seconds[port] / 60:.0f}" for port in outcomes))


def text(
    outcomes: dict[str, list[Outcome]], seconds: dict[str, float], entries: list[Equivalent]
) -> str:
    """The report."""
    machine = results.machine()
    tools = [f"{p}: {build.detect_toolchain(load(PORTS / p)).text}" for p in outcomes]
    lines = [
        "# Mutation report",
        "",
        f"Written by `make mutation` on {machine.date[:10]}, at commit {machine.commit}, with",
        f"{TOOL} {VERSION}, Python {machine.python} ({'; '.join(tools)}).",
        "",
        *table(outcomes, seconds),
    ]
    for port, found in outcomes.items():
        cases = Counter(o.case or "on start" for o in found if o.fate == "caught")
        top = ", ".join(f"{case} {count}" for case, count in cases.most_common(10))
        lines += ["", f"Caught first in, for {port}: {top}; {len(cases)} cases in all."]
    lines += ["", "## Mutants that no number shows", ""]
    lines += [shown(o.mutant.key) for o in of_fate("sanitizer", outcomes)]
    lines += ["", "## Survivors that cannot be told from the port", ""]
    lines += [f"* {len(e.pairs)} in {e.port}/{e.file}: {e.reason}" for e in entries]
    for title, keys in zip(
        ("## Survivors without a reason", "## Entries without a survivor"),
        settle((o.mutant.key for o in of_fate("survived", outcomes)), entries),
        strict=True,
    ):
        lines += ["", title, "", *map(shown, keys)] if keys else []
    return "\n".join(lines) + "\n"


def of_fate(fate: Fate, outcomes: dict[str, list[Outcome]]) -> list[Outcome]:
    """The outcomes of one kind, of all ports."""
    return [o for found in outcomes.values() for o in found if o.fate == fate]


def shown(key: Key) -> str:
    """A mutant in a line."""
    port, file, old, new = key
    return f"* {port}/{file}: `{old}` became `{' '.join(new.split())}`"


def main() -> int:
    """Examine all ports; 1 if a survivor is not listed, or a listed one is none."""
    outcomes, seconds = dict[str, list[Outcome]](), dict[str, float]()
    equivalents()  # a mistake in it should not show only in the end
    for port in SOURCES:
        start = time.monotonic()
        outcomes[port] = examine(port)
        seconds[port] = time.monotonic() - start
    entries = equivalents()  # as it is now: meanwhile, somebody may have explained a survivor
    write_atomically(REPORT, text(outcomes, seconds, entries))
    unlisted, stale = settle((o.mutant.key for o in of_fate("survived", outcomes)), entries)
    print("\n".join(table(outcomes, seconds)))
    for key in unlisted:
        print(f"no reason in {EQUIVALENT.name} why it survived: {shown(key)}")
    for key in stale:
        print(f"in {EQUIVALENT.name}, but it did not survive: {shown(key)}")
    return 1 if unlisted or stale else 0


if __name__ == "__main__":
    sys.exit(main())
