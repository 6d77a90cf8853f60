"""The conformance matrix: one test for each target and case, every dtype of the target in it."""

from collections.abc import Callable

import pytest

from conformance.ground.statuses import Look
from conformance.session.engine import Session
from reference.cases.case import Case


def test_port(
    run: Session, target: str, case: Case, record_property: Callable[[str, object], None]
) -> None:
    """The target agrees with the case's golden traces, element by element."""
    verdicts = run.verdicts_of(target, case).values()
    for verdict in verdicts:
        if verdict.repeat:
            record_property(verdict.dtype, verdict.repeat.says)
    if failures := [v.explanation for v in verdicts if v.status.wrong]:
        pytest.fail("\n".join(failures), pytrace=False)
    for look, end in ((Look.KNOWN, pytest.xfail), (Look.FAINT, pytest.skip)):
        reasons = [v.reason for v in verdicts if v.status.look is look]
        if reasons and (look is Look.KNOWN or len(reasons) == len(verdicts)):
            end(reasons[0])
