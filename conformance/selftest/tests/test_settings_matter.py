"""No case is idle: each of its settings shows in its golden trace.

A case whose limit is never reached, say, would test nothing of what its purpose says.
"""

import numpy as np
import pytest

from conformance.selftest.tests.conftest import CASES
from conformance.suite import traces
from conformance.suite.compare import compare
from reference.algorithm import network
from reference.algorithm.settings import Settings
from reference.arithmetic.float import FLOAT
from reference.cases.case import Case, load_all

# Those that can be left out without another state, and without another setting.
SETTINGS = (
    *("alpha", "activation", "batch_size", "shuffle", "dropout", "trim_value", "trim_norm"),
    *("l1", "l2", "nesterov"),
)
MOST_ITERATIONS = 300
DEFAULTS = Settings()._asdict()


def used(case: Case) -> list[str]:
    """The settings of a case that are not as in the article's network."""
    given = case.settings._asdict()
    names = [name for name in SETTINGS if given[name] != DEFAULTS[name]]
    if case.settings.shuffle or case.settings.batch_size >= len(case.arrays("float64")[0]):
        names = [name for name in names if name != "batch_size"]
    if len(case.arrays("float64")[0]) == 1:
        names = [name for name in names if name != "shuffle"]
    if len(case.layers) == 2:
        names = [name for name in names if name != "activation"]
    return names


PAIRS = [
    (case, name)
    for case in load_all(CASES)
    if not case.id.startswith("digits")
    for name in used(case)
]


@pytest.mark.parametrize(("case", "name"), PAIRS, ids=[f"{c.id}-{name}" for c, name in PAIRS])
def test_a_setting_shows_in_the_trace(case: Case, name: str) -> None:
    found = []
    with np.errstate(all="ignore"):
        for due in traces.load(case)["float64"].upto(MOST_ITERATIONS).due:
            if due.check.kind in ("step", "run"):
                due.check.start.given[name] = DEFAULTS[name]
                answers = due.check.computed(network, FLOAT)
                for (_, got), (_, expected) in zip(answers, due.expected, strict=True):
                    if any(
                        np.shape(v) != e.value.shape
                        for (_, v), e in zip(got, expected, strict=True)
                    ):
                        return  # another batch
                    found.append(compare(got, expected, "float64").first)
    assert any(first is not None and first.margin > 1000 for first in found)
