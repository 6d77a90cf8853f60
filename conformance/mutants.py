"""The catalogue of known bugs: each is a small patch of the reference's source text.

A mutant is the reference with one bug in it. What it computes is what a port with that bug
computes, so mutants show whether the suite would catch the bug, and what its name is.
"""

import functools
import inspect
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from reference import batches, layers, network, rules, update
from reference.array import Array
from reference.case import Capability, Case, DType, Strict
from reference.golden import Tensors, checkpoint_tensors, step_tensors

ALGORITHM = (batches, layers, update, rules, network)
CATALOGUE = Path(__file__).parent / "mutants"

Text = Annotated[str, Field(min_length=1)]
Patch = Annotated[list[str], Field(min_length=2, max_length=2)]


class Mutant(Strict):
    """One known bug: what it is, how it shows, what to do, and the patches that make it."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    what: Text
    shows: Text
    do: Text
    patches: list[Patch] = Field(min_length=1)


class _Page(Strict):
    """A file of the catalogue: mutants that concern one capability, or every network."""

    capability: Capability | Literal["plain"]
    mutant: list[Mutant] = Field(min_length=1)


class PatchError(ValueError):
    """A patch does not fit the reference any more; the message says which."""


@functools.cache
def catalogue() -> dict[str, tuple[Mutant, str]]:
    """All mutants by id, each with its capability, in the order of the files."""
    found: dict[str, tuple[Mutant, str]] = {}
    for path in sorted(CATALOGUE.glob("*.toml")):
        page = _Page.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        for mutant in page.mutant:
            if mutant.id in found:
                raise PatchError(f"{path}: the id {mutant.id!r} is taken")
            found[mutant.id] = (mutant, page.capability)
    return found


def concerning(case: Case) -> list[Mutant]:
    """The mutants of every network and of the capabilities that the case uses."""
    used = {"plain", *case.needs}
    return [mutant for mutant, capability in catalogue().values() if capability in used]


def source(mutant: Mutant) -> str:
    """The reference's source with the bug in it, as one module.

    Raises PatchError unless each patch's old text occurs exactly once.
    """
    text = _whole_source()
    for old, new in mutant.patches:
        if text.count(old) != 1:
            raise PatchError(f"mutant {mutant.id}: {old!r} occurs {text.count(old)} times")
        text = text.replace(old, new)
    return text


@functools.cache
def _whole_source() -> str:
    """The reference's files one after the other, without the imports between them."""
    names = "|".join(module.__name__ for module in ALGORITHM)
    text = "\n".join(inspect.getsource(module) for module in ALGORITHM)
    return re.sub(rf"^from (?:{names}) import .*\n", "", text, flags=re.M)


@functools.cache
def _module(identifier: str) -> ModuleType:
    module = ModuleType(f"mutant {identifier}")
    exec(compile(source(catalogue()[identifier][0]), module.__name__, "exec"), module.__dict__)
    return module


@dataclass(frozen=True)
class Start:
    """The inputs of a case in one dtype, and the states that single steps start from."""

    case: Case
    dtype: DType
    X: Array
    y: Array
    state: list[Array]
    steps: list[tuple[int, list[Array]]]


def steps(mutant: Mutant, start: Start) -> list[Tensors]:
    """The single steps, with the bug in them."""
    settings = start.case.settings(start.dtype)
    step = _module(mutant.id).step
    with np.errstate(all="ignore"):
        return [
            step_tensors(step(start.X, start.y, state, iteration=n, **settings))
            for n, state in start.steps
        ]


def run(mutant: Mutant, start: Start, checkpoints: list[int]) -> list[Tensors]:
    """The free run up to these checkpoints, with the bug in it."""
    settings = start.case.settings(start.dtype)
    train = _module(mutant.id).train
    with np.errstate(all="ignore"):
        return [
            checkpoint_tensors(state, error, len(start.case.layers) - 1)
            for _, error, state in train(start.X, start.y, start.state, checkpoints, **settings)
        ]
