"""What options mean: CASES, SEED, FRESH, SHARD and REQUIRE. Each mistake is one sentence."""

import secrets
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from conformance.ground.places import case_files, option
from conformance.ground.terminal import OptionError, at, progress, there, words
from conformance.ground.units import count
from conformance.record.models import Fresh
from conformance.session.options import Options
from conformance.suite import fresh
from conformance.targets import manifest
from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import Case, load_all
from reference.errors import near

ISOLATION = "isolation"  # in REQUIRE: nothing may be within a port's reach


def chosen_cases(value: str | None) -> tuple[list[Case], bool]:
    """The cases that a value names: ids, of fresh cases too, capabilities, files and folders.

    In an id, * stands for any text. Also whether they are only some: not all of this suite or of
    one folder. Raises CaseError or OptionError.
    """
    suite = case_files()
    if value is None:
        return loaded(suite), False
    chosen = words(value, there)
    if len(chosen) == 1 and at(chosen[0]).is_dir():
        return load_all(at(chosen[0])), False
    found: dict[str, Case] = {}
    for word in chosen:
        if named := {name: suite[name] for name in suite if fnmatchcase(name, word)}:
            cases = loaded(named)
        elif (drawn := fresh.named(word)) is not None:
            cases = [drawn]
        elif word in CAPABILITIES:
            cases = [case for case in loaded(suite) if word in case.needs]
        elif "/" in word or there(word):
            cases = load_all(at(word))
        else:
            raise OptionError(
                f"{option('cases', word)}: no case, capability, file or folder has that name"
                f"{near(word, [*suite, *CAPABILITIES])}"
            )
        found |= {case.id: case for case in cases}
    return list(found.values()), True


def loaded(files: Mapping[str, Path]) -> list[Case]:
    """The cases of these files, in their order. Raises CaseError."""
    return [case for path in files.values() for case in load_all(path)]


def fresh_draw(options: Options, *, partial: bool) -> Fresh | None:
    """What the random cases of this run are drawn from; None if it has none.

    Without a seed, a new one is drawn. Whoever names cases means those alone, unless an option
    also asks for random ones. Raises OptionError if one asks for none, and another for some.
    """
    seed, number = options.seed, options.fresh
    if seed == "none" and number:
        raise OptionError(
            f"{option('seed', seed)} asks for no random case, and {option('fresh', number)} for "
            f"some: leave one of the two out"
        )
    if seed == "none" or number == 0 or (partial and seed is None and number is None):
        return None
    return Fresh(
        seed=secrets.randbelow(fresh.SEEDS) if seed is None else seed,
        number=fresh.NUMBER if number is None else number,
    )


def fresh_cases(drawn: Fresh, chosen: list[manifest.Port]) -> list[Case]:
    """The random cases: so many for each port, of what it lists.

    Raises CaseError if too few of the seed can be certified.
    """
    found = fresh.cases(drawn.seed, drawn.number, [port.manifest.capabilities for port in chosen])
    given = [option("seed", drawn.seed)]
    if drawn.number != fresh.NUMBER:
        given.append(option("fresh", drawn.number))
    progress(f"{count(len(found), 'fresh case')}: {' '.join(given)} repeats them")
    return found


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
    known = {*case_files(), *(case.id for case in cases)}
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
