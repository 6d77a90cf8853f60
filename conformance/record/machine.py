"""The machine of a run: commit, system, processor, versions."""

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, AwareDatetime, Field

from conformance import __version__
from conformance.ground.places import IN_CLONE, ROOT
from conformance.verdict.verdict import Model


def _of_our_time(date: datetime.datetime) -> datetime.datetime:
    if not 2000 <= date.year < 2200:
        raise ValueError("there was no such run in that year")
    return date


class Machine(Model):
    """Where the run was made."""

    date: Annotated[AwareDatetime, AfterValidator(_of_our_time)]
    commit: str | None
    system: str
    processor: str
    cores: Annotated[int, Field(ge=1, le=10**6)]
    governor: str | None
    python: str
    numpy: str


def machine() -> Machine:
    """This machine, as far as the system tells."""
    return Machine(
        date=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        commit=_commit(),
        system=platform.platform(),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        governor=_read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        python=platform.python_version(),
        numpy=np.__version__,
    )


def _commit() -> str | None:
    if not IN_CLONE:
        return f"release {__version__}"
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _read_line(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None
