"""Whether a port passes all cases, found out fast: for the many that mutation makes of one.

`screened` runs a port in a child of this process, one in Python uncompiled and for a few
iterations; `judged` runs it like any other. Both stop at the first verdict that is not PASS.
"""

import functools
import json
import multiprocessing
import os
import resource
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import numba
import numpy as np

from conformance import build, traces, worker
from conformance.channel import Channel, Trouble
from conformance.compare import compare
from conformance.diagnose import Answer
from conformance.judge import Judge, ask
from conformance.ports import Port
from conformance.protocol import Client, Failure, Unsupported
from reference.case import Case, load_all

CASES = Path(__file__).parent / "cases"
MEMORY_BYTES = 4 * 2**30
LIMIT_S = 4.0  # for a request; the port itself takes less than a tenth of it
UNCOMPILED_ITERATIONS = 10
UNCOMPILED_NUMBERS = 10_000  # products in a forward pass of a case that is run uncompiled
PASSED = ("PASS", "")


@functools.cache
def checks() -> list[tuple[Case, traces.Trace]]:
    """All cases and dtypes: three layers first, since Numba compiles each depth anew."""
    pairs = [(case, trace) for case in load_all(CASES) for trace in traces.load(case).values()]
    first = ["float64", "float32"]
    return sorted(pairs, key=lambda p: (len(p[0].layers) != 3, first.index(p[1].dtype), cost(p[0])))


def cost(case: Case) -> int:
    """How much there is to compute in a case, roughly."""
    return case.training.iterations * sum(a * b for a, b in case.weight_shapes)


def size(case: Case) -> int:
    """How many numbers an update of a case looks at."""
    return sum(a * b for a, b in case.weight_shapes) * len(case.arrays("float64")[0])


class Inside(Channel):
    """A channel to a port in this very process."""

    def __init__(self, adapter: worker.Adapter) -> None:
        self._adapter = adapter

    def ask(self, request: bytes, limit_s: float, max_bytes: int) -> bytes:
        """See Channel; the process is ended if that takes over `limit_s` seconds."""
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        question = json.loads(request)
        answer = {"id": question["id"], **worker.answer(self._adapter, question)}
        signal.setitimer(signal.ITIMER_REAL, 0)
        return json.dumps(answer).encode()


def screened(port: Port) -> tuple[str, str]:
    """The first status that is not PASS, with its case, in a child of this process."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=_screen, args=(port, sender))
    child.start()
    sender.close()
    said = ("CRASH", "")
    try:
        while True:
            said = receiver.recv()
    except EOFError:
        child.join()
    return ("TIMEOUT", said[1]) if child.exitcode == -signal.SIGALRM else said


def _screen(port: Port, sender: Connection) -> None:
    """Say again and again what would be true if the child ended now."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    np.seterr(all="ignore")
    run = port.manifest.run
    most = None if run.library else UNCOMPILED_ITERATIONS
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    adapter = _load(port)
    for case, trace in checks():
        if trace.dtype in port.manifest.dtypes and (
            most is None or size(case) <= UNCOMPILED_NUMBERS
        ):
            sender.send(("CRASH", case.id))
            if (
                status := quick_status(Client(Inside(adapter), LIMIT_S), case, trace, most)
            ) != "PASS":
                sender.send((status, case.id))
                return
    sender.send(PASSED)


def _load(port: Port) -> worker.Adapter:
    if port.manifest.run.library:
        return worker.CLibrary(str(build.build_folder(port) / "libbackprop.so"))
    numba.config.DISABLE_JIT = True  # type: ignore[attr-defined]
    sys.dont_write_bytecode = True
    return worker.PythonModule(str(port.folder / str(port.manifest.run.module)))


def quick_status(client: Client, case: Case, trace: traces.Trace, most: int | None) -> str:
    """The status of a port on a case, without a diagnosis, over at most so many iterations."""
    answer = Answer([], [])
    try:
        ask(client, case, trace, most, answer)
    except Trouble as trouble:
        return trouble.status
    except Unsupported:
        return "SKIP"
    except Failure:
        return "FAIL"
    right = all(compare(*pair, trace.dtype).first is None for pair in answer.steps + answer.run)
    return "PASS" if right else "FAIL"


def judged(port: Port) -> tuple[str, str]:
    """The first status that is not PASS, with its case, of a port like any other.

    Numba compiles each depth anew, which changes no type: there, only three layers are judged.
    """
    judging = Judge(build.prepare(port)[0])
    try:
        for case, trace in checks():
            if port.manifest.run.module and len(case.layers) != 3:
                continue
            if (status := judging.judge(case, trace).status) != "PASS":
                return status, case.id
    finally:
        judging.close()
    return PASSED
