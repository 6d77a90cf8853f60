"""The catalogue of known bugs: each is a small patch of the reference's source text.

A mutant is the reference with one bug in it. What it computes is what a port with that bug
computes, so mutants show whether the suite would catch the bug, and what its name is.
"""

import functools
import inspect
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from reference.algorithm import batches, initial, layers, network, optimise, philox, settings, state
from reference.array import Array
from reference.cases.case import Case
from reference.cases.tables import Capability, DType, Strict
from reference.golden.derive import Tensors, checkpoint_tensors, predict_tensors, step_tensors

ALGORITHM = (philox, batches, layers, state, optimise, settings, initial, network)
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
    return re.sub(rf"^from (?:{names}) import (?:\([^)]*\)|.*)\n", "", text, flags=re.M)


@functools.cache
def _module(identifier: str) -> ModuleType:
    module = ModuleType(f"mutant {identifier}")
    exec(compile(source(catalogue()[identifier][0]), module.__name__, "exec"), module.__dict__)
    return module


@dataclass(frozen=True)
class Start:
    """The inputs of a case in one dtype, and the golden states at its checkpoints."""

    case: Case
    dtype: DType
    X: Array
    y: Array
    state: list[Array]
    golden: dict[int, list[Array]]


def answer(mutant: Mutant, start: Start, checks: Sequence[tuple[str, int]]) -> list[Tensors]:
    """What a port with the bug answers to these checks, each a kind and an iteration."""
    case, module = start.case, _module(mutant.id)
    settings = case.settings_for(start.dtype)
    run = [n for check, n in checks if check == "run"]
    answers: dict[tuple[str, int], Tensors] = {}
    with np.errstate(all="ignore"):
        for check, n in checks:
            if check == "step":
                step = module.step(start.X, start.y, start.golden[n], iteration=n, **settings)
                answers[check, n] = step_tensors(case, step)
            elif check == "predict":
                X = np.array(case.predict.X if case.predict else [], dtype=start.dtype)
                output = module.predict(X, start.golden[n], **settings)
                answers[check, n] = predict_tensors(case, output)
            elif check == "drawn":
                state = module.initial(case.layers, n, dtype=start.dtype, **settings)
                answers[check, n] = list(zip(case.state_names, state, strict=True))
        if run:
            for n, error, state in module.train(start.X, start.y, start.state, run, **settings):
                answers["run", n] = checkpoint_tensors(case, state, error)
    return [answers[check, n] for check, n in checks]
