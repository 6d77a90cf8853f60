"""The command `bench`: what the user's words mean, and what is printed and written."""

import argparse
import os
import signal
from pathlib import Path
from typing import cast, get_args

from conformance import report, results
from conformance.bench import plot, show
from conformance.bench.run import Options, Run
from conformance.bench.statistics import LEAST_ROUNDS
from conformance.bench.workloads import WORKLOADS, Workload
from conformance.places import BUILD
from conformance.ports import PortError
from conformance.selection import progress
from reference.case_tables import DType
from reference.files import write_atomically

ROUNDS = 7


def main(arguments: argparse.Namespace) -> int:
    """Run, print and write; the status is 1 if a port was wrong, or none was timed.

    Raises PortError or ResultsError for a user's mistake.
    """
    options = Options(
        ports=arguments.ports,
        workloads=_workloads(arguments.workload),
        dtypes=_dtypes(arguments.dtype),
        threads=_threads(arguments.threads),
        rounds=_whole("rounds", arguments.rounds, LEAST_ROUNDS) or ROUNDS,
    )
    file = Path(arguments.results or BUILD / "bench.json")
    picture = Path(arguments.plot or file.with_suffix(".svg"))
    for path in (file, picture):
        results.check_writable(path)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that ports are ended, too
    run = Run(options)
    complete = False
    try:
        run.time()
        complete = True
    finally:
        found = run.file(complete=complete)
        write_atomically(file, found.model_dump_json(indent=1) + "\n")
    out = report.console()
    show.show(out, found)
    out.print(f"results: {file}", soft_wrap=True)
    if (drawn := plot.draw(found, picture)) is not None:
        out.print(drawn, soft_wrap=True)
    wrong = [row for row in found.rows if row.status not in ("PASS", "XFAIL")]
    if not any(row.timed for row in found.rows):
        progress("error: nothing was timed, and that is a failure")
        return 1
    return 1 if wrong else 0


def _workloads(words: str) -> list[Workload]:
    by_name = {workload.name: workload for workload in WORKLOADS}
    for word in words.split():
        if word not in by_name:
            raise PortError(f"--workload {word}: there are only {', '.join(by_name)}")
    return [by_name[word] for word in dict.fromkeys(words.split() or by_name)]


def _dtypes(words: str) -> list[DType]:
    known = get_args(DType)
    for word in words.split():
        if word not in known:
            raise PortError(f"--dtype {word}: there are only {', '.join(known)}")
    return cast(list[DType], list(dict.fromkeys(words.split() or known)))


def _threads(word: str) -> int | None:
    cores = len(os.sched_getaffinity(0))
    threads = _whole("threads", word, 1)
    if threads is not None and threads > cores:
        raise PortError(f"--threads {word}: this process may use {cores}, and not more")
    return threads


def _whole(name: str, word: str, least: int) -> int | None:
    if not word:
        return None
    if not word.isdecimal() or int(word) < least:
        raise PortError(f"--{name} {word}: is not a whole number of {least} or more")
    return int(word)
