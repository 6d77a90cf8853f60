"""How many of a case's held-out samples the whole run learns to classify."""

from typing import Any

import numpy as np

from reference.algorithm import network
from reference.arithmetic.float import FLOAT
from reference.arithmetic.randomised import Randomised
from reference.array import Array
from reference.cases.case import Case, CaseError
from reference.cases.tables import DType

REPLICAS = 8
SEED = 2016


def correct(output: Array, y: Array) -> Any:
    """How many rows have their largest output where y has its 1."""
    return (output.argmax(axis=-1) == y.argmax(axis=-1)).sum(axis=-1)


def expected(case: Case, dtype: DType) -> int:
    """The number that every correct implementation must get.

    Raises CaseError if it depends on rounding, so that runs under randomised rounding
    disagree, or if it is less than the case asks for.
    """
    X, y, state = case.arrays(dtype)
    inputs, labels = case.held_out(dtype)
    randomised = Randomised(REPLICAS, np.random.Generator(np.random.SFC64(SEED)))
    settings = case.settings_for(dtype)
    numbers = set()
    for arithmetic in (FLOAT, randomised):
        start = [arithmetic.convert(w) for w in state]
        run = network.train(X, y, start, [case.iterations], **settings)
        [(_, _, trained)] = run
        output = network.predict(inputs, trained, **settings).view(np.ndarray)
        numbers |= set(np.atleast_1d(correct(output, labels)).tolist())
    if len(numbers) > 1:
        found = ", ".join(map(str, sorted(numbers)))
        raise CaseError(f"{case.path}: its accuracy depends on rounding: {found} are correct")
    [number] = numbers
    assert case.accuracy is not None
    if not number >= case.accuracy.at_least * len(labels):
        raise CaseError(
            f"{case.path}: accuracy.at_least is {case.accuracy.at_least:g}, "
            f"but {number} of {len(labels)} are correct in {dtype}"
        )
    return int(number)
