"""What a reader of verdicts is told beside them: what was within reach, what is too exact."""

import pytest

from conformance.ground.statuses import Status
from conformance.process.sandbox import Reach
from conformance.record.models import CaseInfo, PortInfo, Results
from conformance.record.remarks import remarks, too_exact, within_reach
from conformance.selftest.tests.test_screen import results
from conformance.verdict.verdict import Verdict


def port(name: str, reach: list[Reach] | None) -> PortInfo:
    info: dict[str, object] = {
        "port": name,
        "sha256": "",
        "language": "",
        "toolchain": None,
        "build": [],
    }
    return PortInfo.model_validate(info | {"device": None, "driver": None, "within_reach": reach})


def verdict(name: str, margin: float | None, inexact: int, numbers: int = 9999) -> Verdict:
    status = Status.SKIP if margin is None else Status.PASS
    found = Verdict.without_numbers(name, f"c{inexact}", "float64", status)
    return found.but(margin=margin, numbers_compared=numbers, numbers_inexact=inexact)


@pytest.mark.parametrize(
    ("reach", "said"),
    [
        ([None, []], ""),
        ([[Reach.NETWORK]], "the network (no name spaces)"),
        ([None, [Reach.FILES]], "golden files (no Landlock, no name spaces)"),
        (
            [[Reach.NETWORK, Reach.MEMORY], [Reach.FILES], [Reach.MEMORY]],
            "golden files, the harness's memory and the network (no Landlock, no name spaces)",
        ),
    ],
)
def test_what_was_within_reach_is_told_once(reach: list[list[Reach] | None], said: str) -> None:
    found = within_reach([port(f"p{n}", each) for n, each in enumerate(reach)])
    assert found == (said and f"within the ports' reach: {said}")


@pytest.mark.parametrize(
    ("verdicts", "suspect"),
    [
        ([verdict("p", 0.0, 600), verdict("p", 0.0, 401)], True),
        ([verdict("p", 0.0, 600), verdict("p", 0.0, 400)], False),
        ([verdict("p", 0.0, 1001), verdict("p", 0.1, 400)], False),
        ([verdict("p", 0.0, 1001), verdict("p", None, 0, 0)], True),
        ([verdict("p", None, 0, 0)], False),
        ([], False),
    ],
)
def test_a_port_that_never_strays_is_too_exact(verdicts: list[Verdict], suspect: bool) -> None:
    assert too_exact(verdicts) is suspect


def test_remarks_are_on_the_run_and_on_each_port() -> None:
    found = [verdict("a", 0.0, 1001), verdict("b", 0.5, 1001), verdict("c", 0.0, 10)]
    run = results([])
    cases = [CaseInfo(case=v.case, sha256="") for v in (found[0], found[2])]
    ports = [port("a", [Reach.NETWORK]), port("b", None), port("c", [])]

    def of(ports: list[PortInfo]) -> list[str]:
        changed = {"results": found, "ports": ports, "cases": cases}
        return [*remarks(Results.model_validate(dict(run) | changed))]

    about = (
        "a: every number is exactly the golden one, which no floating-point program computes: "
        "were the answers looked up?"
    )
    reach = "within the ports' reach: the network (no name spaces)"
    assert of(ports) == [f"{reach}; see conformance/process/README.md", about]
    assert of([port("a", None), *ports[1:]]) == [about]
