"""What the words of a user mean: CASES, SEED and REQUIRE. Each mistake is one sentence."""

import difflib
import re
import secrets
from pathlib import Path
from typing import get_args

from conformance.places import CASES
from conformance.suite import fresh, traces
from conformance.targets import manifest
from conformance.terminal import progress
from reference.cases.case import Case, CaseError, load_all
from reference.cases.tables import Capability


def chosen_cases(words: str) -> tuple[list[Case], bool]:
    """The cases that words name, each an id or a capability of this suite, a file or a folder.

    And whether they are only some: not all of one folder. Raises CaseError.
    """
    if not words.strip() or Path(words).is_dir():
        return load_all(Path(words.strip() or CASES)), False
    found: dict[str, Case] = {}
    for word in words.split():
        if (CASES / f"{word}.toml").exists():
            cases = load_all(CASES / f"{word}.toml")
        elif word in get_args(Capability):
            cases = [case for case in load_all(CASES) if word in case.needs]
        elif "/" in word or Path(word).exists():
            cases = load_all(Path(word))
        else:
            names = [*(path.stem for path in CASES.glob("*.toml")), *get_args(Capability)]
            near = " or ".join(difflib.get_close_matches(word, names, 2))
            hint = f"; did you mean {near}?" if near else ""
            raise CaseError(
                f"CASES={word}: no case, capability, file or folder has that name{hint}"
            )
        found |= {case.id: case for case in cases}
    return list(found.values()), True


def fresh_case(seed: str, chosen: list[manifest.Port]) -> list[Case]:
    """The random case of this run, which every selected port can do; none for "none".

    Raises PortError for a seed that is not one, and CaseError if its case cannot be certified.
    """
    if seed == "none":
        return []
    if seed and not (seed.isdecimal() and int(seed) < fresh.SEEDS):
        raise manifest.PortError(
            f'SEED={seed}: is not a whole number below {fresh.SEEDS}, and not "none"'
        )
    common = set.intersection(*(set(port.manifest.capabilities) for port in chosen))
    while True:
        number = int(seed) if seed else secrets.randbelow(fresh.SEEDS)
        case = fresh.draw(number, common)
        try:
            traces.load(case)
        except CaseError:  # one in a few hundred has a number that no precision settles
            if seed:
                raise
            continue
        progress(f"fresh case: SEED={number} repeats it")
        return [case]


def shard_of(cases: list[Case], word: str) -> list[Case]:
    """For SHARD=i/n, every n-th case from the i-th on: that part of the run is this machine's.

    All cases without a word. Raises PortError for a word that is none.
    """
    if not word:
        return cases
    match = re.fullmatch(r"([1-9]\d{0,5})/([1-9]\d{0,5})", word)
    if match is None or int(match[1]) > int(match[2]):
        raise manifest.PortError(f"SHARD={word}: is not of the form i/n, as in 1/3, 2/3 and 3/3")
    part = cases[int(match[1]) - 1 :: int(match[2])]
    if not part:
        raise manifest.PortError(
            f"SHARD={word}: selects nothing: there are only {len(cases)} cases"
        )
    return part


def check_known_failures(chosen: list[manifest.Port], cases: list[Case]) -> None:
    """Raise PortError where a manifest foretells a failure that can never occur."""
    known = {path.stem for path in CASES.glob("*.toml")} | {case.id for case in cases}
    needs = {case.id: case.needs for case in cases}
    for port in chosen:
        for failure in port.manifest.known_failure:
            where = f"{port.folder / manifest.MANIFEST}: known_failure"
            if failure.case not in known:
                raise manifest.PortError(f"{where}.case: there is no case {failure.case!r}")
            if failure.dtype is not None and failure.dtype not in port.manifest.dtypes:
                raise manifest.PortError(f"{where}.dtype: the port does not list {failure.dtype}")
            for capability in needs.get(failure.case, []):
                if capability not in port.manifest.capabilities:
                    raise manifest.PortError(
                        f"{where}.case: {failure.case!r} needs the capability {capability!r}, "
                        f"which the port does not list"
                    )


def required_targets(words: list[str], chosen: list[manifest.Port]) -> list[manifest.Target]:
    """What REQUIRE means: ports, "PORT:RUNG", "PORT:EMULATION" or "PORT:RUNG:EMULATION".

    In an emulation's name, "-" stands for a space.

    "all" are all ports and rungs, with an emulation by that where their device is missing, but no
    rungs that need a device of their own.
    Raises PortError for one that is not selected.
    """
    by_word: dict[str, manifest.Target] = {}
    either = []
    for target in (target for port in chosen for target in port.targets()):
        found = [target, target.stand_in] if target.stand_in else [target]
        by_word |= {one.word: one for one in found}
        if not target.has_own_device:
            either.append(found[-1].word)
    if "all" in words:
        words = [*either, *(word for word in words if word != "all")]
    for word in words:
        if word not in by_word:
            raise manifest.PortError(
                f"REQUIRE={word}: there is no such port among those selected: {', '.join(by_word)}"
            )
    return [by_word[word] for word in words]
