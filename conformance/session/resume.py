"""Goes on where an interrupted run ended: what passed need not be judged again.

A PASS stands if the earlier run was of the same commit on the same machine, and the port's files,
its build, its toolchain, the case and its golden data are as they were. All else is judged again,
so that each failure is explained.
"""

import math
from collections.abc import Mapping, Sequence

from conformance.record import results
from conformance.record.results import CaseInfo, Machine, Results, ResultsError
from conformance.verdict.judge import Judge, Verdict
from reference.cases.tables import DType

Key = tuple[str, str, DType]


def passed(
    earlier: Results, judges: Mapping[str, Judge], cases: Sequence[CaseInfo]
) -> dict[Key, Verdict]:
    """The verdicts that stand, by target, case and dtype.

    Raises ResultsError where none can, since the commit or the machine is another.
    """
    now = results.machine()
    if _same(earlier.machine) != _same(now):
        raise ResultsError(
            f"RESUME: the earlier run was of commit {earlier.machine.commit} on "
            f"{earlier.machine.processor}, and this is {now.commit} on {now.processor}: run anew"
        )
    infos = {info.port: info for info in earlier.ports}
    # What a port ran on is known only once it has run.
    unknown = {"device": None}
    same_ports = {
        name
        for name, judge in judges.items()
        if name in infos
        and infos[name].model_copy(update=unknown)
        == results.port_info(judge).model_copy(update=unknown)
    }
    same_cases = {case.case for case in cases if case in earlier.cases}
    return {
        (r.port, r.case, r.dtype): _verdict(r)
        for r in earlier.results
        if r.status == "PASS" and r.port in same_ports and r.case in same_cases
    }


def _same(machine: Machine) -> tuple[str | None, ...]:
    return (machine.commit, machine.system, machine.processor, machine.python, machine.numpy)


def _verdict(r: results.Result) -> Verdict:
    drift = {
        d.tensor: {
            n: math.inf if deviation is None else deviation
            for n, deviation in zip(d.iterations, d.deviations, strict=True)
        }
        for d in r.drift
    }
    return Verdict(
        r.status, r.margin, r.reason, r.numbers_compared, accuracy=r.accuracy, drift=drift
    )
