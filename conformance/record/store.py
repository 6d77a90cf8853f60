"""Reads and writes files of results; a failure is one sentence."""

import errno
import os
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from conformance.ground.places import CASES
from conformance.record.models import Results
from conformance.suite import traces
from conformance.verdict.verdict import Model
from reference.cases.case import Case, load
from reference.errors import UserError, reading, unwritable
from reference.files import is_special, read_bounded, write_atomically

M = TypeVar("M", bound=Model)
# Of a file: ten times what 80 targets on 80 cases fill.
MOST_BYTES = 2**26


class ResultsError(UserError):
    """A results file that cannot be written or read; the message is one sentence."""


def read(path: Path, model: type[M], what: str) -> M:
    """Read a file of this model; `what` says in words what it should be. Raises ResultsError."""
    with reading(path, ResultsError, what):
        return model.model_validate_json(read_bounded(path, MOST_BYTES))


def read_results(path: Path, what: str) -> Results:
    """Read a results file, whose drift must be at what its cases compare. Raises ResultsError."""
    found = read(path, Results, what)
    hashes = {case.case: case.sha256 for case in found.cases}
    for i, result in enumerate(found.results):
        case = _case(result.case, hashes[result.case]) if result.drift else None
        if case is None:  # it is not the one of this clone
            continue
        for j, drift in enumerate(result.drift):
            problem = ""
            if drift.tensor not in (*case.state_names, "error"):
                problem = f"has no tensor {drift.tensor}"
            elif unknown := {*drift.iterations} - {*case.trace.checkpoints}:
                problem = f"has no checkpoint {min(unknown)}"
            if problem:
                raise ResultsError(f"{path}: results[{i}].drift[{j}]: {case.id} {problem}")
    return found


@cache
def _case(name: str, sha256: str) -> Case | None:
    """The case of the suite that was judged, if it is still the same."""
    if not re.fullmatch(r"[a-z0-9-]+", name) or not (path := CASES / f"{name}.toml").exists():
        return None
    case = load(path)
    return case if traces.sha256(case) == sha256 else None


def check_writable(path: Path) -> None:
    """Raise ResultsError if `write` would not work, before any work is lost."""
    what_to_do = "make its folder writable, or name another file"
    if path.is_dir():
        raise ResultsError(f"{path}: cannot be written: it is a folder")
    try:
        if path.exists() and is_special(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ResultsError(f"{unwritable(path, error)}; {what_to_do}") from error


def write(path: Path, file: BaseModel) -> None:
    """Write a results file, or another one, whole or not at all. Raises ResultsError."""
    write_data(path, file.model_dump_json(indent=1) + "\n")


def write_data(path: Path, data: str | bytes) -> None:
    """Write text or bytes, whole or not at all. Raises ResultsError."""
    try:
        write_atomically(path, data)
    except OSError as error:
        raise ResultsError(unwritable(path, error)) from error
