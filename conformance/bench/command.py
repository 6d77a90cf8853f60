"""The command `bench`: what is printed and written."""

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path

from conformance.bench import curves, plot, show
from conformance.bench.files import Bench
from conformance.bench.options import Plan
from conformance.bench.tournament import Tournament
from conformance.ground.places import typed
from conformance.ground.terminal import console, progress
from conformance.record import store


def main(arguments: argparse.Namespace) -> int:
    """Run, print and write; the status is 1 if a port was wrong, or none was timed.

    Raises UserError for a user's mistake.
    """
    plan = Plan.of(arguments)
    file: Path = arguments.results
    picture: Path = arguments.plot or file.with_suffix(".svg")
    for path in (file, picture):
        store.check_writable(path)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that ports also end
    tournament = Tournament(plan)
    complete = False
    try:
        tournament.time()
        complete = True
    finally:
        found = tournament.file(complete=complete)
        store.write(file, found)
    out = console()
    show.show(out, found)
    out.print(f"results: {file}", soft_wrap=True)
    if (drawn := plot.draw(found, picture)) is not None:
        out.print(drawn, soft_wrap=True)
    show_curves([found], picture.with_stem(f"{picture.stem}-curves"))
    wrong = [row for row in found.rows if row.status.wrong]
    if not any(row.timed for row in found.rows):
        progress("error: nothing was timed, which is a failure")
        return 1
    return 1 if wrong else 0


def compare(arguments: argparse.Namespace) -> None:
    """Draw the files of several machines in one picture. Raises ResultsError for a wrong one."""
    picture: Path = arguments.plot
    store.check_writable(picture)
    files = [store.read(path, Bench, f"a file of {typed('bench')}") for path in arguments.files]
    if not show_curves(files, picture):
        raise store.ResultsError(
            "these files do not have two points of any sweep: see bench --help"
        )


def show_curves(files: Sequence[Bench], picture: Path) -> bool:
    """Say who is fastest where, and draw it; False where no sweep was timed."""
    found = curves.curves(files)
    out = console()
    if found:
        out.print("\n" + "\n".join(curves.sentences(found)), soft_wrap=True)
        out.print(curves.draw(found, picture), soft_wrap=True)
    return bool(found)
