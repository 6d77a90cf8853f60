"""The command `check`: a run, its screen and its exit status.

`pytest conformance` is the same run, taken step by step by conformance/conftest.py.
"""

import signal

from conformance.ground.terminal import console, progress
from conformance.session.engine import Finished, execute
from conformance.session.options import Options

INTERRUPTED = 130  # as shells have it: 128 + SIGINT


def main(options: Options) -> int:
    """Judge, time, show, and return the exit status. Raises UserError for a user's mistake."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that ports are ended
    finished = execute(options, progress)
    show(finished, options)
    return status(finished)


def status(finished: Finished) -> int:
    """The exit status of a run that no fault of the harness has ended."""
    if not finished.written:
        return 2
    if not finished.results.complete:
        return INTERRUPTED
    return int(finished.failed)


def show(finished: Finished, options: Options) -> None:
    """Print what a person reads at the end of a run."""
    from conformance.record import screen

    out, elsewhere = console(), []
    if finished.elsewhere:
        from conformance.record import merge  # here, since most runs can spare it

        elsewhere = merge.elsewhere(finished.elsewhere)
    run = screen.Run(
        file=options.results if finished.written else None,
        seconds=finished.seconds,
        wanted=finished.wanted,
        chosen=options.narrowing(),
        missing=finished.missing,
        elsewhere=elsewhere,
        hints=finished.hints,
        problems=finished.problems,
    )
    screen.show(out, finished.results, run)
    if options.verbose:
        from conformance.record import tables

        tables.show(out, finished.results)
