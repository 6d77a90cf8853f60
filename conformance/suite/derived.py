"""Golden data of cases without golden files: derived, and kept for the next run.

That of fresh cases is in no file, but only in this process's memory: no port may know it.
"""

import hashlib
from functools import partial
from pathlib import Path

from conformance.ground.places import BUILD, FRESH, writing_build
from conformance.ground.terminal import progress
from reference.cases.case import Case
from reference.files import write_atomically

CACHE = BUILD / "golden"

_fresh: dict[Path, bytes] = {}  # by the files that they would be


def is_fresh(case: Case) -> bool:
    """True of a random case."""
    return case.file is not None and case.path.parent == FRESH


def place(case: Case) -> Path:
    """The file of a case's derived data; a fresh case's would be there."""
    from reference.golden import derive  # here, since cases with golden files need no balls

    key = hashlib.sha256(f"{case.sha256} {derive.source_sha256()}".encode()).hexdigest()
    return CACHE / f"{case.id}-{key[:16]}.json"


def known(case: Case) -> bytes | None:
    """What was derived before, for this run or by an earlier one."""
    path = place(case)
    if is_fresh(case):
        return _fresh.get(path)
    return path.read_bytes() if path.exists() else None


def data(case: Case) -> bytes:
    """The data of a case, derived now if need be. Raises CaseError if it cannot be certified."""
    if (found := known(case)) is None:
        keep(case, found := _derived(case))
    return found


def all_at_once(cases: list[Case]) -> None:
    """Derive those of several cases that are not known, on all cores."""
    missing = [case for case in cases if known(case) is None]
    if len(missing) > 1:
        from reference.golden.parallel import in_parallel

        jobs = [partial(_derived, case) for case in missing]
        for case, found in zip(missing, in_parallel(jobs), strict=True):
            keep(case, found)


def _derived(case: Case) -> bytes:
    from reference.golden import derive

    if not is_fresh(case):  # of which there are many, and small ones
        progress(f"deriving certified golden data for {case.id} ...")
    parts = {dtype: derive.derive(case, dtype) for dtype in derive.DTYPES}
    return derive.rendered(derive.assemble(case, parts)).encode()


def keep(case: Case, found: bytes) -> None:
    """Keep the data of a case: in a file, or of a fresh case in memory."""
    if is_fresh(case):
        _fresh[place(case)] = found
        return
    with writing_build():
        write_atomically(place(case), found)
