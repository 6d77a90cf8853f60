"""SPEC.md lists the statuses: their order, what each means, and which of them are wrong."""

import re
from itertools import product

import pytest

from conformance.ground.places import CONTRACT
from conformance.ground.statuses import Look, Status, worst

TABLE = re.findall(r"^\| ([A-Z]+) \| (.*) \|$", (CONTRACT / "SPEC.md").read_text(), re.M)
LOOKS = {"PASS": Look.GOOD, "SKIP": Look.FAINT, "XFAIL": Look.KNOWN}


def test_statuses_are_those_of_the_specification() -> None:
    assert [(status.value, status.meaning) for status in Status] == TABLE
    assert [str(status) for status in Status] == [status.name for status in Status]
    assert [Status[name] for name, _ in TABLE] == list(Status)


@pytest.mark.parametrize("status", Status)
def test_all_that_is_not_right_or_known_is_wrong_and_looks_so(status: Status) -> None:
    assert status.look is LOOKS.get(status.value, Look.WRONG)
    assert status.wrong is (status.value not in LOOKS)


def test_the_worst_is_the_last_in_the_table() -> None:
    names = [name for name, _ in TABLE]
    for one, other in product(Status, repeat=2):
        assert worst([one, other]) is Status[names[max(names.index(one), names.index(other))]]
