"""One wrong number anywhere is a FAIL and an exit status: in each dtype, and at each checkpoint."""

import pytest

from conformance.selftest.tests.conftest import CASES, MANIFEST, Conformance, MakePort
from conformance.suite import traces
from reference.cases.case import load

BOTH = MANIFEST.replace('["float64"]', '["float64", "float32"]')
DTYPES = ("float64", "float32")
RUN = load(CASES / "two-layer.toml")
LAST = len(RUN.trace.checkpoints) - 1


@pytest.mark.parametrize("by_pytest", [False, True])
@pytest.mark.parametrize("wrong", DTYPES)
def test_a_fault_in_one_dtype_alone_fails_the_run(
    wrong: str, by_pytest: bool, conformance: Conformance, make_port: MakePort
) -> None:
    fault = f"if op == 'step' and request['dtype'] == {wrong!r}: answer['l'][0][0][0] += 1"
    port = make_port("mine", fault, BOTH)
    done = conformance(port, pytest=by_pytest)
    found = {verdict["dtype"]: verdict["status"] for verdict in done.verdicts("mine")}
    assert found == {dtype: "FAIL" if dtype == wrong else "PASS" for dtype in DTYPES}
    assert done.returncode == 1
    assert wrong in done.stdout


@pytest.mark.parametrize("wrong", [0, 1, LAST // 2, LAST])
@pytest.mark.parametrize("part", ["weights", "error"])
def test_a_fault_at_one_checkpoint_alone_fails_the_run(
    part: str, wrong: int, conformance: Conformance, make_port: MakePort
) -> None:
    """It is a thousand times the tolerance there, and everything before and after is right."""
    trace = traces.load(RUN)["float64"]
    n, expected = trace.run.expected[wrong]
    tolerance = max(e.tolerance for e in expected)
    at = {"weights": "['weights'][0][0][0]", "error": "['error']"}[part]
    fault = f"if op == 'train': answer['checkpoints'][{wrong}]{at} += {1000 * tolerance!r}"
    done = conformance(make_port("mine", fault), cases=RUN.path)
    assert done.returncode == 1
    [verdict] = done.verdicts("mine")
    assert verdict["status"] == "FAIL"
    told = verdict["divergence"]
    assert (told["check"], told["iteration"]) == ("run", n)
    assert told["tensor"] == ("error" if part == "error" else "syn0")
