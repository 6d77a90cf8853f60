"""The catalogue of known bugs: each is a small patch of the reference's source text.

With the patch, the reference computes what a port with that bug computes. So known bugs
measure what the suite catches, and name a port's bug.
"""

import functools
import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from reference.algorithm import batches, initial, layers, network, optimise, philox, settings, state
from reference.arithmetic.float import FLOAT
from reference.cases.case import Case
from reference.cases.tables import Capability, Strict
from reference.golden.checks import Check
from reference.golden.tensors import Tensors

ALGORITHM = (philox, batches, layers, state, optimise, settings, initial, network)
CATALOGUE = Path(__file__).parent / "mutants"

Text = Annotated[str, Field(min_length=1)]
Patch = Annotated[list[str], Field(min_length=2, max_length=2)]


class KnownBug(Strict):
    """One known bug: what it is, how it shows, what to do, and the patches that make it.

    `source` is a public report of the bug, if one is known.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    what: Text
    shows: Text
    do: Text
    source: Text | None = None
    patches: list[Patch] = Field(min_length=1)


class _Page(Strict):
    """A file of the catalogue: bugs that concern one capability, or every network."""

    capability: Capability | Literal["plain"]
    mutant: list[KnownBug] = Field(min_length=1)


class PatchError(ValueError):
    """A patch no longer fits the reference; the message says which."""


@functools.cache
def catalogue() -> dict[str, tuple[KnownBug, str]]:
    """All known bugs by id, each with its capability, in the order of the files."""
    found: dict[str, tuple[KnownBug, str]] = {}
    for path in sorted(CATALOGUE.glob("*.toml")):
        page = _Page.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        for bug in page.mutant:
            if bug.id in found:
                raise PatchError(f"{path}: the id {bug.id!r} is taken")
            found[bug.id] = (bug, page.capability)
    return found


def concerning(case: Case) -> list[KnownBug]:
    """The bugs of every network and of the capabilities that the case uses."""
    return [bug for bug, capability in catalogue().values() if concerns(capability, case)]


def concerns(capability: str, case: Case) -> bool:
    """Whether bugs of this capability can show in the case: those that are "plain" always can."""
    return capability == "plain" or capability in case.needs


def source(bug: KnownBug) -> str:
    """The reference's source with the bug in it, as one module.

    Raises PatchError unless each patch's old text occurs exactly once.
    """
    text = _whole_source()
    for old, new in bug.patches:
        if text.count(old) != 1:
            raise PatchError(f"known bug {bug.id}: {old!r} occurs {text.count(old)} times")
        text = text.replace(old, new)
    return text


@functools.cache
def _whole_source() -> str:
    """The reference's files one after the other, without the imports between them."""
    names = "|".join(module.__name__ for module in ALGORITHM)
    text = "\n".join(inspect.getsource(module) for module in ALGORITHM)
    return re.sub(rf"^from (?:{names}) import (?:\([^)]*\)|.*)\n", "", text, flags=re.M)


@functools.cache
def _module(identifier: str) -> ModuleType:
    module = ModuleType(f"known bug {identifier}")
    exec(compile(source(catalogue()[identifier][0]), module.__name__, "exec"), module.__dict__)
    return module


def answer(bug: KnownBug, check: Check) -> dict[int, Tensors]:
    """What a port with the bug answers to a check, by iteration or seed.

    Raises ValueError if shapes no longer fit: a port with this bug would crash.
    """
    with np.errstate(all="ignore"):
        return dict(check.computed(_module(bug.id), FLOAT))
