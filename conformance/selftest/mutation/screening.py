"""Finds out fast whether a port passes the cases: for the many mutants of one port.

`screened` runs a port in a child of this process, one in Python uncompiled and for a few
iterations. `Sanitized` is the same in a process with AddressSanitizer. `compiled` runs a port in
Python like any other, on few cases. All stop at the first verdict that is not PASS.
"""

import copy
import functools
import importlib
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import numpy as np

from conformance.ground.places import CASES
from conformance.process.channel import Channel, Trouble
from conformance.selftest.mutation.mutants import FOLDER
from conformance.suite import traces
from conformance.suite.compare import compare
from conformance.targets import build, launch
from conformance.targets.manifest import Port, Target, load
from conformance.verdict.diagnosis import Answer
from conformance.verdict.judge import Judge, ask
from conformance.wire import worker
from conformance.wire.c_library import CLibrary
from conformance.wire.client import Client
from conformance.wire.requests import Failure, Unsupported
from reference.cases.case import Case, load_all

MEMORY_BYTES = 4 * 2**30
LIMIT_S = 1.5  # for a request; the port itself takes less than a tenth
MOST_NUMBERS = 10_000  # samples times weights: more would make requests long
COMPILED_ITERATIONS = 1000
SANITIZED_WORK = 2000  # as cost() counts; longer cases use memory in the same way
UNCOMPILED_ITERATIONS, UNCOMPILED_WORK = 10, 10_000
COMPILED = ("everything-else", "everything", "bias-step", "relu-step", "predict-softmax")
RANDOM = {"philox", "numpy-seed"}
PASSED = ("PASS", "")


@functools.cache
def checks() -> list[tuple[Case, traces.Trace]]:
    """The cases that are run, with each dtype: float64 first, cheap ones first.

    Cases with random numbers come early, since no others notice a mistake in these.
    """
    cases = [case for case in load_all(CASES) if size(case) <= MOST_NUMBERS]
    cases.sort(key=lambda case: cost(case) // (20 if RANDOM & set(case.needs) else 1))
    loaded = [(case, traces.load(case)) for case in cases]
    dtypes: tuple[Literal["float64"], Literal["float32"]] = ("float64", "float32")
    return [(case, trace[dtype]) for dtype in dtypes for case, trace in loaded]


def cost(case: Case) -> int:
    """Roughly how much work a case is."""
    return min(case.iterations, UNCOMPILED_ITERATIONS) * size(case)


def size(case: Case) -> int:
    """How many products a forward pass of a case takes, for all networks."""
    return sum(w.size for w in case.weights) * len(case.X)


class Inside(Channel):
    """A channel to a port in this same process."""

    def __init__(self, adapter: worker.Adapter) -> None:
        self._adapter = adapter

    def ask(
        self, request: bytes, limit_s: float, max_bytes: int, idle_s: float | None = None
    ) -> bytes:
        """See Channel; the process is ended if that takes over `limit_s` seconds."""
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        question = json.loads(request)
        answer = {"id": question["id"], **worker.answer(self._adapter, question)}
        signal.setitimer(signal.ITIMER_REAL, 0)
        return worker.encoded(answer).encode()


def screened(port: Port, *, sanitized: bool = False) -> tuple[str, str]:
    """The first status that is not PASS, with its case, in a child of this process."""
    checks()  # before the fork, once
    if port.manifest.run.library:
        contract()
    else:
        importlib.import_module("numba")
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=_screen, args=(port, sender, sanitized))
    child.start()
    sender.close()
    said = ("CRASH", "")
    try:
        while True:
            said = receiver.recv()
    except EOFError:
        child.join()
    return ("TIMEOUT", said[1]) if child.exitcode == -signal.SIGALRM else said


def _screen(port: Port, sender: Connection, sanitized: bool) -> None:
    """Report again and again the result that holds if the child ended now."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    if not sanitized:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    np.seterr(all="ignore")
    library = port.manifest.run.library is not None
    most = COMPILED_ITERATIONS if library else UNCOMPILED_ITERATIONS
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    adapter = _load(port)
    most_work = SANITIZED_WORK if sanitized else 10**9 if library else UNCOMPILED_WORK
    for case, trace in checks():
        if trace.dtype in port.manifest.dtypes and cost(case) <= most_work:
            sender.send(("CRASH", case.id))
            client = Client(Inside(adapter), LIMIT_S)
            if (status := quick_status(client, trace, most)) != "PASS":
                sender.send((status, case.id))
                return
    sender.send(PASSED)


@functools.cache
def contract() -> CLibrary:
    """Calls a C library without cffi, which takes long to read the header."""
    return CLibrary(None)


def _load(port: Port) -> worker.Adapter:
    if port.manifest.run.library:
        library = copy.copy(contract())
        library.library = library.ffi.dlopen(
            str(launch.build_folder(Target(port)) / "libbackprop.so")
        )
        return library
    config = importlib.import_module("numba").config
    config.DISABLE_JIT = True
    sys.dont_write_bytecode = True
    return worker.PythonModule(str(port.folder / str(port.manifest.run.module)))


def quick_status(client: Client, trace: traces.Trace, most: int) -> str:
    """The status of a port on a case, without a diagnosis, over at most so many iterations."""
    answer = Answer()
    try:
        ask(client, trace, most, answer)
    except Trouble as trouble:
        return trouble.status
    except Unsupported:
        return "SKIP"
    except Failure:
        return "FAIL"
    right = all(compare(c.got, c.expected, trace.dtype).first is None for c in answer.checked)
    return "PASS" if right else "FAIL"


class Sanitized:
    """A process with AddressSanitizer that screens C ports which are built for it.

    The caller's buffers are also guarded.
    """

    def __init__(self) -> None:
        command = ["gcc", "-print-file-name=libasan.so"]
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        env = {
            **os.environ,
            "LD_PRELOAD": found.stdout.strip(),
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONMALLOC": "malloc",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "conformance.selftest.mutation.screening"],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def screened(self, port: Port) -> tuple[str, str]:
        """Like the function of that name; the port must be built."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{port.folder}\n")
        self._process.stdin.flush()
        status, case = json.loads(self._process.stdout.readline())
        return status, case

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def compiled(port: Port, *, code_changed: bool) -> tuple[str, str]:
    """The status and case of a port in Python, run like any other on the cases of COMPILED.

    What Numba has compiled is kept for mutants of the code that it does not compile.
    """
    kept = FOLDER / "numba" / ("changed" if code_changed else "same")
    if code_changed:
        subprocess.run(["rm", "-rf", str(kept)], check=True)
    run = port.manifest.run.model_copy(update={"env": {"NUMBA_CACHE_DIR": str(kept)}})
    port = replace(port, manifest=port.manifest.model_copy(update={"run": run}))
    judging = Judge(build.prepare(port)[0])
    cases = {(case.id, trace.dtype): (case, trace) for case, trace in checks()}
    try:
        for name in COMPILED:
            if (status := judging.judge(*cases[name, "float64"]).status) != "PASS":
                return status, name
    finally:
        judging.close()
    return PASSED


def main() -> None:
    """Screen the C ports whose folders come in on stdin, for float64."""
    for line in sys.stdin:
        port = load(Path(line.strip()))
        port = replace(port, manifest=port.manifest.model_copy(update={"dtypes": ["float64"]}))
        print(json.dumps(screened(port, sanitized=True)), flush=True)


if __name__ == "__main__":
    main()
