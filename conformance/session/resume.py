"""Resumes an interrupted run: what passed is not judged again.

A PASS is kept if the earlier run had the same commit on the same machine, and the port's
files, its build, its toolchain, the case and its golden data have not changed. Everything
else is judged again, so that each failure is explained.
"""

from collections.abc import Mapping, Sequence

from conformance.ground.places import option
from conformance.ground.statuses import Status
from conformance.record.machine import Machine, machine
from conformance.record.models import CaseInfo, Results, port_info
from conformance.record.store import ResultsError
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from reference.cases.tables import DType


def passed(
    earlier: Results,
    judges: Mapping[str, Judge],
    cases: Sequence[CaseInfo],
    *,
    strict: bool,
    isolated: bool,
) -> dict[tuple[str, str, DType], Verdict]:
    """The verdicts that are kept, by target, case and dtype.

    If the run is `strict`, none that is not reproducible is kept. If it must have been `isolated`,
    those of a port with something within its reach are not.
    Raises ResultsError if none can be, since the commit or the machine is different.
    """
    now = machine()
    if _same(earlier.machine) != _same(now):
        raise ResultsError(
            f"{option('resume')}: the earlier run was of commit {earlier.machine.commit} on "
            f"{earlier.machine.processor}, and this is {now.commit} on {now.processor}: "
            f"start a new run"
        )
    infos = {info.port: info for info in earlier.ports}
    # What a port ran on, and what it could reach, is known only once it has run.
    unknown = {"device": None, "within_reach": None}
    same_ports = {
        name
        for name, judge in judges.items()
        if name in infos
        and infos[name].model_copy(update=unknown) == port_info(judge).model_copy(update=unknown)
        and not (isolated and infos[name].within_reach != [])
    }
    same_cases = {case.case for case in cases if case in earlier.cases}
    return {
        verdict.key: verdict
        for verdict in earlier.results
        if verdict.status == Status.PASS
        and verdict.port in same_ports
        and verdict.case in same_cases
        and not (strict and verdict.repeat)
    }


def _same(machine: Machine) -> tuple[str | None, ...]:
    return (machine.commit, machine.system, machine.processor, machine.python, machine.numpy)
