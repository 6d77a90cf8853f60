"""Marks the parameters of a test that only a sweep runs."""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(values: Iterable[Any], *kept: Any) -> list[Any]:
    """The parameters of a test: `make test` runs those that are kept, and a sweep runs all.

    Raises ValueError if one that is kept is not among the values.
    """
    found = list(values)
    for value in kept:
        found.index(value)
    return [
        value if value in kept else pytest.param(*_as_tuple(value), marks=pytest.mark.sweep)
        for value in found
    ]


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
