"""Runs commands of the harness in processes that have its modules loaded already.

To load them is most of a short run, and tests start hundreds. The first command starts a server,
which has no thread, holds nothing open and forks itself for each command: so a command meets what
it would meet after `python -m conformance`.
"""

import atexit
import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from select import select
from subprocess import CompletedProcess, TimeoutExpired

from conformance.ground.places import ROOT

# What nearly each command needs; others are loaded by the command itself.
MODULES = ("conformance.command_line", "conformance.session.command", "conformance.record.screen")


def run(words: Sequence[str | Path], timeout_s: float) -> CompletedProcess[str]:
    """What `python -m conformance` with these words comes to, in this environment, from the root.

    Raises TimeoutExpired after `timeout_s` seconds, and ends the command.
    """
    command = [*map(str, words)]
    # A run of the harness in this process ends all that it finds running, the server too.
    if _servers and _servers[0].poll() is not None:
        _end()
    if not _servers:
        _servers.append(_started())
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        files = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (out, err)]
        order, answer = _servers[0].stdin, _servers[0].stdout
        assert order
        assert answer
        order.write(json.dumps([command, dict(os.environ), *files]) + "\n")
        order.flush()
        if not select([answer], [], [], timeout_s)[0]:
            _end()
            raise TimeoutExpired(command, timeout_s)
        status = int(answer.readline())
        out.seek(0)
        err.seek(0)
        return CompletedProcess(command, status, out.read(), err.read())


_servers: list[subprocess.Popen[str]] = []  # at most one
_ENVIRONMENT = dict(os.environ)  # of no test: what one sets is for its commands alone


def _started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        env=_ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@atexit.register
def _end() -> None:
    """End the server, and what it runs."""
    while _servers:
        with _servers.pop() as server, contextlib.suppress(ProcessLookupError, BrokenPipeError):
            os.killpg(server.pid, signal.SIGKILL)


def _serve() -> None:
    """Answer each line with the status of the command in it. In a child, run it."""
    for module in MODULES:
        __import__(module)
    answers = os.dup(1)
    for line in iter(sys.stdin.readline, ""):
        words, environ, *paths = json.loads(line)
        if (child := os.fork()) == 0:
            os.close(answers)
            os.environ.clear()
            os.environ.update(environ)
            for number, path in enumerate((os.devnull, *paths)):
                file = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY)
                os.dup2(file, number)
                os.close(file)
            sys.argv = ["conformance", *words]
            runpy.run_module("conformance", run_name="__main__", alter_sys=True)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(answers, f"{status}\n".encode())


if __name__ == "__main__":
    _serve()
