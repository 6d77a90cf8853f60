"""The command `bench`: what the user's words mean, and what is printed and written."""

import argparse
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from conformance.bench import curves, plot, show
from conformance.bench.files import Bench
from conformance.bench.run import Options, Run
from conformance.bench.statistics import LEAST_ROUNDS
from conformance.bench.workloads import SWEEPS, WORKLOADS, Workload
from conformance.places import BUILD
from conformance.record import results
from conformance.targets.manifest import PortError
from conformance.terminal import console, progress
from reference.cases.tables import DType

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
        results.write(file, found)
    out = console()
    show.show(out, found)
    out.print(f"results: {file}", soft_wrap=True)
    if (drawn := plot.draw(found, picture)) is not None:
        out.print(drawn, soft_wrap=True)
    show_curves([found], picture.with_stem(f"{picture.stem}-curves"))
    wrong = [row for row in found.rows if row.status not in ("PASS", "XFAIL")]
    if not any(row.timed for row in found.rows):
        progress("error: nothing was timed, and that is a failure")
        return 1
    return 1 if wrong else 0


def compare(arguments: argparse.Namespace) -> None:
    """Bring files of several machines into one picture. Raises ResultsError for a wrong one."""
    picture = Path(arguments.plot or BUILD / "curves.svg")
    results.check_writable(picture)
    files = [results.read(Path(path), Bench, "a file of make bench") for path in arguments.files]
    if not show_curves(files, picture):
        raise results.ResultsError("these files have no two points of a sweep: see bench --help")


def show_curves(files: Sequence[Bench], picture: Path) -> bool:
    """Say who is fastest where, and draw it; False where no sweep was timed."""
    found = curves.curves(files)
    out = console()
    if found:
        out.print("\n" + "\n".join(curves.sentences(found)), soft_wrap=True)
        out.print(curves.draw(found, picture), soft_wrap=True)
    return bool(found)


def _workloads(words: str) -> list[Workload]:
    """Those of these names, and all of a sweep; without words, the three sizes."""
    by_word = SWEEPS | {w.name: [w] for sweep in SWEEPS.values() for w in sweep}
    found: dict[str, Workload] = {}
    for word in words.split() or [workload.name for workload in WORKLOADS]:
        if word not in by_word:
            raise PortError(f"--workload {word}: there are only {', '.join(by_word)}")
        found |= {workload.name: workload for workload in by_word[word]}
    return list(found.values())


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
