"""The command `check`: a run, its tables and its exit status.

`pytest conformance` is the same run, taken step by step by conformance/conftest.py.
"""

import signal

from conformance.ground.terminal import console, progress
from conformance.session.engine import Finished, execute
from conformance.session.options import Options

INTERRUPTED = 130  # as shells have it: 128 + SIGINT


def main(options: Options) -> int:
    """Judge, time, show, and return the exit status. Raises UserError for a user's mistake."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that ports are ended as well
    finished = execute(options, progress)
    for verdict in finished.results.results:
        if verdict.status.wrong:
            console().print(verdict.explanation or verdict.reason, soft_wrap=True)
    if finished.written and not finished.results.complete:
        progress("interrupted: the results are not complete")
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
    from conformance.record import tables

    out = console()
    tables.show(out, finished.results)
    if finished.elsewhere:
        from conformance.record import merge

        for line in merge.elsewhere(finished.elsewhere):
            out.print(line, soft_wrap=True)
    if finished.written:
        out.print(f"results: {options.results}", soft_wrap=True)
    for problem in finished.problems:
        progress(f"error: {problem}")
