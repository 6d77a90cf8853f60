"""The command `ask`: the requests of a run as lines to read, or as the input of a port to debug.

They are the harness's own, from the same checks, in the same order; each is here once.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator

from conformance.ground.terminal import OptionError, progress
from conformance.process import memory
from conformance.process.words import killed_by
from conformance.session.selection import chosen_cases
from conformance.suite import traces
from conformance.targets import build, manifest
from conformance.wire.requests import HELLO, line
from reference.cases.case import Case
from reference.golden.checks import RunCheck
from reference.golden.start import Start


def main(port: str, cases: str | None, *, run: bool) -> int:
    """Print what a port is asked on these cases; or `run` it with that, and return its status.

    Raises UserError where there is no such port or case, or nothing to ask.
    """
    targets = [target for found in manifest.select([port]) for target in found.targets()]
    if len(targets) != 1:
        names = ", ".join(target.name for target in targets)
        raise OptionError(f"ask: takes one port at a time, and not {names}")
    [target] = targets
    chosen, _ = chosen_cases(cases)
    asked = [case for case in chosen if {*case.needs} <= {*target.capabilities}]
    if not asked:
        lacks = next(need for need in chosen[0].needs if need not in target.capabilities)
        raise OptionError(
            f"ask: {target.name} gets no request for {chosen[0].id}: it does not list the "
            f"capability {lacks}"
        )
    lines = requests(target, asked)
    if run:
        return _run(target, lines)
    for request in lines:
        sys.stdout.buffer.write(request)
    sys.stdout.flush()
    return 0


def requests(target: manifest.Target, cases: list[Case]) -> Iterator[bytes]:
    """The greeting, and all that a target is asked on these cases, dtype by dtype, as lines."""
    number = 0
    yield line(number, HELLO)
    for case in cases:
        for dtype, trace in traces.load(case).items():
            if dtype not in target.dtypes:
                continue
            checks = [due.check for due in trace.due]
            if trace.correct is not None:
                checks.append(RunCheck(Start(case, dtype), [case.iterations]))
                progress(f"{case.id}: one request is left out: it has in it what the port answers")
            for check in checks:
                yield line(number := number + 1, check.request())


def _run(target: manifest.Target, lines: Iterator[bytes]) -> int:
    """Start the target with these lines as its input, its output where this process has it.

    Unlike in a run, nothing confines it. Its exit status is returned; a signal's as shells have it.
    """
    ready = next(ready for ready in build.prepare(target.port) if ready.target == target)
    if isinstance(ready, build.NotReady):
        raise OptionError(f"ask: {target.name} cannot be started: {ready.reason}")
    with tempfile.TemporaryFile() as file, tempfile.TemporaryDirectory(prefix="port-") as folder:
        file.writelines(lines)
        file.seek(0)
        env = {**memory.filled(ready.env), "TMPDIR": folder}
        try:
            code = subprocess.run(ready.command, cwd=folder, env=env, stdin=file).returncode
        except OSError as error:
            raise OptionError(f"ask: {target.name} cannot be started: {error}") from error
    if code < 0:
        progress(f"{target.name} was {killed_by(-code)}")
        return 128 - code
    return code
