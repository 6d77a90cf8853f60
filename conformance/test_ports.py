"""The conformance matrix: one test for each port and case, every dtype of the port in it."""

import pytest

from conformance.session.run import Run
from reference.cases.case import Case


def test_port(run: Run, target: str, case: Case) -> None:
    """The port agrees with the case's golden traces, element by element."""
    verdicts = run.verdicts_of(target, case)
    failures = [run.explanation(target, case.id, dtype) for dtype in verdicts]
    if any(failures):
        pytest.fail("\n".join(filter(None, failures)), pytrace=False)
    for status, end in (("XFAIL", pytest.xfail), ("SKIP", pytest.skip)):
        reasons = [v.reason for v in verdicts.values() if v.status == status]
        if reasons and (status == "XFAIL" or len(reasons) == len(verdicts)):
            end(reasons[0])
