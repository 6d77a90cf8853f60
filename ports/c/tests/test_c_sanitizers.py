"""What sanitisers must report, planted in the C port: they see it, so their silence counts."""

import os
import shutil
from pathlib import Path

import pytest

from conformance.ground.places import PORTS
from conformance.selftest import variants
from conformance.selftest.compilers import MEMORY, THREADS, demand_passes, with_checks
from conformance.targets.manifest import load
from reference.cases.case import Case

SABOTAGE = {
    "outside": (MEMORY, "malloc((numbers + 3 * units)", "malloc((numbers + 3 * units - 1)"),
    "overflow": (
        MEMORY,
        "    net->iteration = iteration;",
        "    net->iteration = iteration + INT64_MAX;\n    net->iteration -= INT64_MAX;",
    ),
    "race": (THREADS, "_Atomic int64_t next;", "int64_t next;"),
}


@pytest.mark.parametrize("bug", SABOTAGE)
def test_such_a_report_is_seen(
    bug: str, cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, old, new = SABOTAGE[bug]
    if checks == THREADS and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("with one core there is one thread")
    folder = tmp_path / "broken"
    shutil.copytree(PORTS / "c", folder)
    variants.patch(folder, [(old, new)])
    if bug == "race":
        variants.patch(folder, [("atomic_fetch_add(&all->next, 1)", "all->next++")])
    port = with_checks(load(folder), "gcc", checks, tmp_path, monkeypatch).alone()
    seen = [case for case in cases if case.id in ("two-batches", "ensemble-thousand")]
    with pytest.raises(AssertionError, match="without answering"):
        demand_passes(port, seen)
