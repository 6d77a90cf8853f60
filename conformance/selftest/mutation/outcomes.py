"""Results of mutants of ports, kept between runs.

equivalent.toml has the reasons why some survive.
"""

import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from conformance.selftest.mutation.mutants import FOLDER, Key
from reference.cases.tables import Strict

EQUIVALENT = Path(__file__).with_name("equivalent.toml")

Fate = Literal[
    "not compiled",
    "same code",
    "same as another",
    "not its line's turn",
    "survived",
    "sanitizer",
    "fuzzed",
    "caught",
]
FATES: dict[Fate, str] = {
    "not compiled": "not compiled",
    "same code": "same machine code or bytecode as the port",
    "same as another": "same as another mutant",
    "survived": "passed everything",
    "sanitizer": "seen only by a warning or AddressSanitizer",
    "fuzzed": "seen only by the corpus of `make fuzz`",
    "caught": "caught by a case",
}


@dataclass(frozen=True)
class Outcome:
    """The result of a mutant; if it was caught, the status and the case or test."""

    key: Key
    line: int
    fate: Fate
    status: str = ""
    case: str = ""
    caught_by: str = ""  # in the harness: a hash of the test, which `case` names
    seconds: float = 0.0


class Equivalent(Strict):
    """Mutants that cannot be told from the port, and why: as pairs or by a rule.

    A pair of an old and a new line is listed as many times as the change can be made and
    survives. A rule is a regular expression for `OLD => NEW`, and explains every survivor
    that it fits.
    """

    port: str
    file: str = "*"  # of a rule only: any
    reason: str = Field(min_length=20)
    pairs: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = []
    rule: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.pairs) == bool(self.rule) or (self.pairs and self.file == "*"):
            raise ValueError("needs either pairs, with a file, or a rule")
        return self

    @property
    def keys(self) -> list[Key]:
        """The keys of its mutants, if it has pairs."""
        return [(self.port, self.file, old, new) for old, new in self.pairs]

    def fits(self, key: Key) -> bool:
        """True if its rule says why this one survived."""
        port, file, old, new = key
        here = port == self.port and self.file in ("*", file)
        return bool(self.rule) and here and bool(re.fullmatch(self.rule, f"{old} => {new}", re.S))


def equivalents(path: Path = EQUIVALENT) -> list[Equivalent]:
    """All entries, in the order of the file."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Equivalent.model_validate(entry) for entry in table["equivalent"]]


class Kept:
    """What is known about the mutants of a file, in a file that grows.

    It holds while the sources on which their outcome depends do not change.
    """

    def __init__(self, port: str, file: str, sources: Iterable[Path]) -> None:
        state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
        self.path = FOLDER / "outcomes" / f"{port}-{state}" / f"{file}.jsonl"
        self.outcomes = dict[str, Outcome]()
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                name, fields = json.loads(line)
                self.outcomes[name] = Outcome(**{**fields, "key": tuple(fields["key"])})

    @property
    def complete(self) -> bool:
        """True once all mutants have been examined."""
        return "all" in self.outcomes

    def add(self, name: str, outcome: Outcome) -> None:
        """Write one more; the latest of a name counts."""
        self.outcomes[name] = outcome
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, asdict(outcome)]) + "\n")

    def found(self) -> list[Outcome]:
        """One for each mutant."""
        return [outcome for name, outcome in self.outcomes.items() if name != "all"]


def settle(survivors: Iterable[Key], entries: Iterable[Equivalent]) -> tuple[list[Key], list[Key]]:
    """The survivors that no entry explains, and the entries' keys that did not survive.

    A rule that fits none has the key of its port, its file and the rule.
    """
    rules = [entry for entry in entries if entry.rule]
    survivors = list(survivors)
    found = Counter(key for key in survivors if not any(rule.fits(key) for rule in rules))
    listed = Counter(key for entry in entries for key in entry.keys)
    idle = [r for r in rules if not any(r.fits(key) for key in survivors)]
    stale = [*(listed - found).elements(), *((r.port, r.file, r.rule, "") for r in idle)]
    return sorted((found - listed).elements()), sorted(stale)


def closed(unlisted: list[Key], stale: list[Key], left: Iterable[str], reasons: Path) -> int:
    """Print what is open after a run, by what `settle` found and the files that are `left`.

    Returns the exit status: 1 if anything is.
    """
    said = [f"no reason in {reasons.name} why it survived: {shown(key)}" for key in unlisted]
    said += [f"in {reasons.name}, but it did not survive: {shown(key)}" for key in stale]
    said += [f"not examined to the end: {file}" for file in left]
    for line in said:
        print(line)
    return 1 if said else 0


def shown(key: Key) -> str:
    """A mutant in a line."""
    port, file, old, new = key
    return f"* {port}/{file}: `{old}` became `{' '.join(new.split())}`"
