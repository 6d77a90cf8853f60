"""What options mean: CASES, SEED, SHARD and REQUIRE. Each mistake is one sentence."""

import secrets
from typing import Literal

from conformance.ground.places import CASES, option
from conformance.ground.terminal import OptionError, at, progress, there, words
from conformance.suite import fresh, traces
from conformance.targets import manifest
from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import Case, CaseError, load_all
from reference.errors import near

ISOLATION = "isolation"  # in REQUIRE: nothing may be within a port's reach


def chosen_cases(value: str | None) -> tuple[list[Case], bool]:
    """The cases that a value names: ids and capabilities of this suite, files and folders.

    Also whether they are only some: not all of one folder. Raises CaseError or OptionError.
    """
    chosen = [str(CASES)] if value is None else words(value, there)
    if len(chosen) == 1 and at(chosen[0]).is_dir():
        return load_all(at(chosen[0])), False
    found: dict[str, Case] = {}
    for word in chosen:
        if (CASES / f"{word}.toml").exists():
            cases = load_all(CASES / f"{word}.toml")
        elif word in CAPABILITIES:
            cases = [case for case in load_all(CASES) if word in case.needs]
        elif "/" in word or there(word):
            cases = load_all(at(word))
        else:
            names = [*(path.stem for path in CASES.glob("*.toml")), *CAPABILITIES]
            raise OptionError(
                f"{option('cases', word)}: no case, capability, file or folder has that name"
                f"{near(word, names)}"
            )
        found |= {case.id: case for case in cases}
    return list(found.values()), True


def fresh_case(seed: int | Literal["none"] | None, chosen: list[manifest.Port]) -> list[Case]:
    """The random case of this run, which every selected port can do; none for "none".

    Without a seed, a new one is drawn. Raises CaseError if the case cannot be certified.
    """
    if seed == "none":
        return []
    common = set.intersection(*(set(port.manifest.capabilities) for port in chosen))
    while True:
        number = secrets.randbelow(fresh.SEEDS) if seed is None else seed
        case = fresh.draw(number, common)
        try:
            traces.load(case)
        except CaseError:  # one in a few hundred has a number that no precision can settle
            if seed is not None:
                raise
            continue
        progress(f"fresh case: {option('seed', number)} repeats it")
        return [case]


def shard_of(cases: list[Case], shard: tuple[int, int] | None) -> list[Case]:
    """For SHARD=i/n, every n-th case from the i-th on: this machine's part of the run.

    All cases without it. Raises OptionError if nothing is left.
    """
    if shard is None:
        return cases
    part, parts = shard
    left = cases[part - 1 :: parts]
    if not left:
        raise OptionError(
            f"{option('shard', f'{part}/{parts}')}: selects nothing: "
            f"there are only {len(cases)} cases"
        )
    return left


def check_known_failures(chosen: list[manifest.Port], cases: list[Case]) -> None:
    """Raise PortError where a manifest predicts a failure that can never occur."""
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

    In an emulation's name, "-" stands for a space. The word ISOLATION is about no port.

    "all" means all ports and rungs, or their emulation if their device is missing, but no
    rungs that need a device of their own. Raises OptionError for one that is not selected.
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
    words = [word for word in words if word != ISOLATION]
    for word in words:
        if word not in by_word:
            raise OptionError(
                f"{option('require', word)}: there is no such port among those selected: "
                f"{', '.join(by_word)}"
            )
    return [by_word[word] for word in words]
