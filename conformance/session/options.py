"""What the user asked for."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What the user asked for; README.md says what each means."""

    ports: list[str]
    cases: str
    require: list[str]
    results: Path
    seed: str
    shard: str
    resume: bool
    timed: bool
