"""One zip with what a report about a disputed verdict needs: `check --bundle FILE.zip`.

Each failing case is asked once more, of a new process, and what goes over the wire is kept: so the
requests alone show the failure again, or the bundle says that they do not.
"""

import io
import json
import platform
import shlex
import sys
import time
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path

from conformance.ground.statuses import Status
from conformance.ground.terminal import progress
from conformance.ground.text import for_terminal, hanging
from conformance.record import store
from conformance.record.anonymous import anonymous
from conformance.record.models import Results
from conformance.suite import traces
from conformance.suite.traces import Trace
from conformance.targets.build import NotReady, Ready, build_log
from conformance.targets.manifest import MANIFEST, Target
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Verdict
from conformance.wire.recorder import Recorder
from reference.cases.tables import DType

# Of requests and answers together. Their digits pack to less than half, and an issue on GitHub
# takes a file of 25 MB.
MOST_BYTES = 40_000_000
MOST_SECONDS = 60.0  # for asking again

README = """\
What a report about a verdict of this suite needs. Please look through it before you send it.

It has your ports' manifests, what their builds printed and their answers, but none of their
sources, and no environment variables. Your home folder is written ~, and in other paths your
user name is written user.

results.json           all verdicts, the machine, the commit, how each port was built
run.json               the command, and the versions of Python and its packages
golden.sha256          SHA-256 of each case's golden file; the suite has the values
cases/CASE.toml        the case
ports/PORT/port.toml   the port's manifest
ports/PORT/build.txt   how it was built and started, and what the build printed
wire/PORT/CASE-DTYPE.requests.jsonl   what it was asked, a line for each request
wire/PORT/CASE-DTYPE.answers.jsonl    what it answered, a line for each request

To repeat a failure, start the port as its build.txt says, with the requests as standard input.

"""


def write(
    path: Path,
    results: Results,
    judges: Mapping[str, Judge],
    golden: Mapping[str, Mapping[DType, Trace]],
) -> list[str]:
    """Write the bundle of a finished run; the problems, if it could not be written.

    `judges` are the run's judges by target, `golden` its traces by case.
    """
    if not results.complete:
        return [f"{path}: was not written, since the run was not finished"]
    try:
        files = _files(results, judges, golden)
    except KeyboardInterrupt:
        return [f"{path}: was not written, since asking again was interrupted"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, anonymous(data))
    try:
        store.write_data(path, packed.getvalue())
    except store.ResultsError as error:
        return [str(error)]
    size_kb = len(packed.getvalue()) / 1e3
    progress(f"bundle: {path}, {size_kb:,.0f} kB; read its README.txt before you send it")
    return []


def _files(
    results: Results,
    judges: Mapping[str, Judge],
    golden: Mapping[str, Mapping[DType, Trace]],
) -> dict[str, bytes]:
    """All files of the bundle by name."""
    packages = {d.metadata["Name"]: d.version for d in distributions()}
    run = {
        "command": shlex.join(["python", "-m", "conformance", *sys.argv[1:]]),
        "python": platform.python_version(),
        "packages": dict(sorted(packages.items())),
    }
    asked, told = _asked_again(results, judges, golden)
    files = {
        "README.txt": for_terminal(README + "\n".join(map(hanging, told)) + "\n").encode(),
        "results.json": results.model_dump_json(indent=1).encode() + b"\n",
        "run.json": json.dumps(run, indent=1).encode() + b"\n",
    }
    hashes = ""
    for name, by_dtype in golden.items():
        case = by_dtype["float64"].case
        files[f"cases/{name}.toml"] = case.path.read_bytes()
        hashes += f"{traces.golden_sha256(case)}  {name}.json\n"
    files["golden.sha256"] = hashes.encode()
    for judge in judges.values():
        folder = f"ports/{_folder(judge.target)}"
        files[f"{folder}/port.toml"] = (judge.target.port.folder / MANIFEST).read_bytes()
        files[f"{folder}/build.txt"] = for_terminal(_built(judge.prepared)).encode()
    return files | asked


def _asked_again(
    results: Results,
    judges: Mapping[str, Judge],
    golden: Mapping[str, Mapping[DType, Trace]],
) -> tuple[dict[str, bytes], list[str]]:
    """Requests and answers by file, and lines that say how asking again turned out."""
    failing = [v for v in results.results if v.status.wrong]
    if failing:
        told = ["Each verdict that failed, and what the port answered when it was asked again:"]
    else:
        told = ["Nothing failed. Everything that was judged was asked again:"]
    compared = [v for v in results.results if v.status in (Status.PASS, Status.XFAIL)]
    # Case by case, so that no port takes all of the time.
    order = {name: place for place, name in enumerate(golden)}
    wanted = sorted(failing or compared, key=lambda v: order[v.case])
    files: dict[str, bytes] = {}
    size, until = 0, time.monotonic() + MOST_SECONDS
    progress(f"bundle: asking for {len(wanted)} verdicts again, {MOST_SECONDS:.0f} s at most")
    for verdict in wanted:
        judge, trace = judges[verdict.port], golden[verdict.case][verdict.dtype]
        line = f"{verdict.port} on {verdict.case} in {verdict.dtype}: {verdict.status}"
        if isinstance(judge.prepared, NotReady):
            told.append(f"{line}: {verdict.reason}; it cannot be asked")
            continue
        if time.monotonic() > until:
            told.append(f"{line}; left out: asking took more than {MOST_SECONDS:.0f} s")
            continue
        recorder, again = _repeated(judge, trace)
        lines = {
            "requests": b"".join(recorder.requests),
            "answers": b"".join(answer + b"\n" for answer in recorder.answers),
        }
        told.append(f"{line}; {_outcome(verdict, again)}")
        if size + (more := sum(map(len, lines.values()))) > MOST_BYTES:
            told[-1] += f"; left out: all files would be above {MOST_BYTES // 10**6} MB"
            continue
        size += more
        where = f"wire/{_folder(judge.target)}/{verdict.case}-{verdict.dtype}"
        files |= {f"{where}.{kind}.jsonl": data for kind, data in lines.items()}
    return files, told


def _repeated(judge: Judge, trace: Trace) -> tuple[Recorder, Verdict]:
    """What a new process of the target is asked and answers, and the verdict on that."""
    recorder = Recorder()
    alone = judge.again(recorder.client)
    try:
        return recorder, alone.judge(trace.case, replace(trace, diagnosed=False))
    finally:
        alone.close()


def _outcome(verdict: Verdict, again: Verdict) -> str:
    if (again.status, again.reason) == (verdict.status, verdict.reason):
        return "the same answer"
    return f"a different answer: {again.status} {again.reason}".rstrip()


def _built(prepared: Ready | NotReady) -> str:
    """How a target was built and started, and what its build printed."""
    log = build_log(prepared.target) or "(there was nothing to build)\n"
    if isinstance(prepared, NotReady):
        return f"cannot be started: {prepared.reason}\n\n{log}"
    return f"toolchain: {prepared.toolchain}\nstarted as: {shlex.join(prepared.command)}\n\n{log}"


def _folder(target: Target) -> str:
    return target.word.replace(":", ".")
