"""`make bench`: what is timed is right, what is wrong is not timed, and numbers mean something."""

import dataclasses
import functools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from conformance.__main__ import main
from conformance.bench import limits, plot
from conformance.bench.files import Bench, Interval, Row
from conformance.bench.options import Plan
from conformance.bench.tournament import Tournament
from conformance.bench.workloads import WORKLOADS, Workload
from conformance.selftest import warm
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import (
    MANIFEST,
    PYTHON_MANIFEST,
    PYTHON_MODULE,
    ROOT,
    MakePort,
    PatchedC,
)
from conformance.suite import known_bugs
from conformance.suite.compare import compare
from reference.algorithm import network
from reference.cases.tables import DType
from reference.golden.derive import DTYPES
from reference.golden.tensors import checkpoint_tensors

SCHEMA = ROOT / "conformance" / "contract" / "bench.schema.json"
TINY = Workload((2, 3, 2), samples=4, alpha=0.5, counts=(1, 2, 5, 10), turn_s=0.02)
MEDIUM = WORKLOADS[1]
medium_trace = functools.cache(MEDIUM.trace)
ROUNDS = 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_known_bugs_are_not_timed(dtype: DType) -> None:
    # Those cannot show: nothing is saturated, no run has the iteration that one loses, and one is
    # of a single output.
    silent = {"exp-clipped-at-20", "exp-overflows", "update-lost", "targets-broadcast"}
    if dtype == "float32":  # the first two are within its rounding, and so is what it does itself
        silent |= {"table-sigmoid", "weights-from-8-digits", "weight-decay"}
        silent |= {name for name in known_bugs.catalogue() if name.endswith("-float32")}
    due = medium_trace(dtype).run.upto(MEDIUM.counts[4])
    assert due is not None
    caught = 0
    for bug in known_bugs.concerning(MEDIUM.case):
        if bug.id in silent:
            continue
        answers = known_bugs.answer(bug, due.check)
        worst = max(compare(answers[n], wanted, dtype).margin for n, wanted in due.expected)
        assert worst > {"float64": 1e5, "float32": 50}[dtype], bug.id
        caught += 1
    assert caught > 40


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_orders_of_the_same_sums_pass(dtype: DType) -> None:
    # Matrices in the other memory order make NumPy's products add up in another order.
    trace, (X, y, state) = medium_trace(dtype), MEDIUM.case.arrays(dtype)
    expected = dict(trace.run.expected)
    start = [np.asfortranarray(w[::-1])[::-1] for w in state]
    data = np.asfortranarray(X), np.asfortranarray(y)
    run = network.train(*data, start, MEDIUM.counts, **MEDIUM.case.settings_for(dtype))
    for n, error, weights in run:
        found = checkpoint_tensors(MEDIUM.case, weights, error)
        assert compare(found, expected[n], dtype).margin <= 0.5


def test_the_work_of_a_network_is_counted() -> None:
    m, a, b, c = TINY.samples, *TINY.layers
    multiply_adds = m * a * b + m * b * c + m * b * c + m * a * b + m * b * c
    assert TINY.flops == 2 * multiply_adds
    large = WORKLOADS[2]
    assert limits.traffic(large, "float64", 0) == 5 * 4096 * (1024 + 10) * 8
    assert limits.traffic(large, "float32", 2**25) == 5 * 4096 * 1024 * 4
    assert limits.traffic(MEDIUM, "float64", 2**25) == 0


def test_a_roofline_is_the_slower_of_arithmetic_and_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "last_cache", lambda: 0)
    slow, fast = (
        limits.Probe({"float64": f, "float32": f}, b) for f, b in ((1e6, 1e9), (2e6, 2e6))
    )
    roof = limits.roofline(TINY, "float64", [slow, fast])
    assert roof.gflops_peak == 2e-3
    assert roof.gbytes_per_s == 1.0
    products, passes = TINY.flops / 2e6, 5 * 4 * 5 * 8 / 1e9
    assert roof.limit_ns == pytest.approx(products * 1e9)
    assert roof.gemm_share == pytest.approx(products / (products + passes))


def test_the_machine_is_measured_by_a_process_of_its_own() -> None:
    probe = limits.probe(1, {"OPENBLAS_NUM_THREADS": "1"})
    assert set(probe.flops_per_s) == set(DTYPES)
    assert all(value > 0 for value in (*probe.flops_per_s.values(), probe.bytes_per_s))


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Time ports on a workload, with a made-up machine: the file, and rows by port and dtype."""
    machine = limits.Probe({"float64": 1e9, "float32": 1e9}, 1e9)
    monkeypatch.setattr(limits, "probe", lambda threads, environment: machine)

    def run(*ports: Path | str, workload: Workload = TINY) -> tuple[Bench, dict[Any, Row]]:
        names = [str(port) for port in ports]
        tournament = Tournament(Plan(names, [workload], DTYPES, threads=1, rounds=ROUNDS))
        tournament.time()
        found = tournament.file(complete=True)
        jsonschema.validate(found.model_dump(mode="json"), json.loads(SCHEMA.read_text()))
        return found, {(row.port, row.dtype): row for row in found.rows}

    return run


def test_all_kinds_of_ports_are_timed(timed: Any, make_port: MakePort) -> None:
    bench, rows = timed("c", "numpy", make_port("scripted"))
    both = [(name, dtype) for name in ("c", "numpy") for dtype in DTYPES]
    assert set(rows) == {*both, ("scripted", "float64")}
    for (name, _), row in rows.items():
        assert row.status == "PASS"
        assert 0 <= row.margin <= 1
        assert set(row.timed.counts) <= set(TINY.counts)
        assert len(row.timed.counts) > 1
        assert len(row.timed.rounds) == ROUNDS
        if name == "numpy" and row.timed.ratio_to_numpy:
            assert row.timed.ratio_to_numpy.value == 1.0
    assert [roof.dtype for roof in bench.rooflines] == list(DTYPES)
    assert {info.port for info in bench.ports} == {"c", "numpy", "scripted"}
    assert {left.name for left in bench.left_out} == {"genann", "FANN"}


CLOCK = """
def device_seconds():
    return 0.5, asked * 2e-3, 0.25
"""
CLOCKED = PYTHON_MODULE.replace("SABOTAGE", "global asked; asked = checkpoints[-1]") + CLOCK


@pytest.mark.parametrize("generated", [True, False])
def test_a_devices_own_clock_stands_beside_the_hosts(
    timed: Any, tmp_path: Path, generated: bool
) -> None:
    device = '[device]\ndetect = ["true"]\n'
    manifest = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha", "layers"]')
    for name, more in (("clocked", device), ("plain", "")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "port.toml").write_text(manifest + more)
        (folder / "port.py").write_text(CLOCKED)
    workload = TINY if generated else dataclasses.replace(WORKLOADS[0], turn_s=0.02)
    _, rows = timed(tmp_path / "clocked", tmp_path / "plain", workload=workload)
    clock = rows["clocked", "float64"].timed.device
    assert clock.ns_per_iteration.value == pytest.approx(2e6)
    assert clock.copies_ms.value == pytest.approx(750.0)
    # It is not what the host measured, and a port without a device is not asked for one.
    assert rows["clocked", "float64"].timed.ns_per_iteration.value != clock.ns_per_iteration.value
    assert rows["plain", "float64"].timed.device is None


@pytest.mark.parametrize(
    ("answer", "clock", "says"),
    [
        ("[*run, run[-1]]", "0.5, 0.1, 0.2", "checkpoints has 2 entries, not 1"),
        (
            "[(n, e, w[:1]) for n, e, w in run]",
            "0.5, 0.1, 0.2",
            "weights at checkpoint 2 has 1 entry, not 2",
        ),
        (
            "[(n, [e], w) for n, e, w in run]",
            "0.5, 0.1, 0.2",
            "error at checkpoint 2 holds [",
        ),
        (
            "[(n, e, [w[1], w[0]]) for n, e, w in run]",
            "0.5, 0.1, 0.2",
            "weights at checkpoint 2[0] is (3, 2) of float64",
        ),
        ("run", "0.5, 0.1", "device_seconds is not 3"),
        ("run", "0.5, float('nan'), 0.2", "device_seconds is not finite"),
        ("run", "0.5, 1e300, 0.2", "device_seconds is longer than any run"),
    ],
)
def test_whatever_a_port_in_bulk_answers_is_its_own_fault(
    timed: Any, tmp_path: Path, answer: str, clock: str, says: str
) -> None:
    manifest = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha", "layers"]')
    (tmp_path / "port.toml").write_text(manifest + '[device]\ndetect = ["true"]\n')
    later = f"    return {answer} if checkpoints[-1] > 1 else run\n"
    (tmp_path / "port.py").write_text(
        PYTHON_MODULE.replace("SABOTAGE", "pass").replace("def train(", "def right(")
        + "\ndef train(X, y, state, checkpoints, *, alpha):\n"
        + "    run = list(right(X, y, state, checkpoints, alpha=alpha))\n"
        + later
        + f"\ndef device_seconds():\n    return {clock}\n"
    )
    _, rows = timed(tmp_path)
    [row] = rows.values()
    assert row.status == "GARBAGE"
    assert row.reason.startswith(f"when timed: {says}")


def test_a_wrong_port_fails_and_is_not_timed(
    timed: Any, make_port: MakePort, patched_c: PatchedC
) -> None:
    wrong = make_port("wrong", "if op == 'train':\n    answer['checkpoints'][0]['error'] *= 1.001")
    bulk = patched_c(
        "bulk", ("return 1 / (1 + EXP(-x));", "return 1 / (1 + EXP(-x)) + (real)1e-3;")
    )
    _, rows = timed(wrong, bulk, "c")
    assert rows["wrong", "float64"].reason.startswith("error in the run at iteration 1: got ")
    assert rows["bulk", "float32"].reason.startswith("syn0[")
    for name in ("wrong", "bulk"):
        assert rows[name, "float64"].status == "FAIL"
        assert rows[name, "float64"].timed is None
    assert rows["c", "float64"].timed is not None


# Asked at least ten times: greeted, judged, tried on two counts, and timed on these in each round.
LATER = "globals().setdefault('asked', []).append(op)\nif len(asked) > 8:\n    "


@pytest.mark.parametrize(
    ("sabotage", "status", "says"),
    [
        ("answer['checkpoints'][0]['error'] += 1e-9", "FAIL", "error in the run at iteration "),
        ("answer['checkpoints'][0]['error'] = float('nan')", "FAIL", "got nan"),
        ("answer['checkpoints'][0]['weights'] = []", "GARBAGE", "has 0 entries, not 2"),
        ("sys.exit(3)", "CRASH", "ended with exit code 3"),
    ],
)
def test_a_port_that_goes_wrong_while_it_is_timed_is_dropped(
    timed: Any, make_port: MakePort, sabotage: str, status: str, says: str
) -> None:
    _, rows = timed(make_port("later", LATER + sabotage), "c")
    row = rows["later", "float64"]
    assert row.status == status
    assert row.reason.startswith("when timed: ")
    assert says in row.reason
    assert row.timed is None
    assert rows["c", "float64"].timed is not None


def test_a_port_that_is_slow_or_cannot_be_told_is_named(
    timed: Any, make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.bench.admission.TOO_SLOW_S", 0.0)
    _, rows = timed("c")
    assert rows["c", "float64"].timed is None
    assert rows["c", "float64"].reason.startswith("not timed: a run of 1 iteration takes ")
    monkeypatch.setattr("conformance.bench.tournament.MOST_NUMBERS", 3)
    bench, rows = timed(make_port("scripted"), "c")
    assert "scripted" not in {name for name, _ in rows}
    assert "speaks JSON lines" in bench.left_out[-1].reason


def test_a_network_that_is_not_a_ports_own_is_left_out(timed: Any, make_port: MakePort) -> None:
    says = "answer = {'id': request['id'], 'unsupported': 'only 3-4-1'}"
    bench, rows = timed(make_port("narrow", f"if op == 'train':\n    {says}"), "c")
    assert set(rows) == {("c", "float64"), ("c", "float32")}
    left = bench.left_out[-1]
    assert (left.name, left.workload, left.dtype) == ("narrow", "2-3-2", "float64")
    assert left.reason == "only 3-4-1"


def test_what_is_not_here_and_what_does_not_build(
    timed: Any, make_port: MakePort, patched_c: PatchedC
) -> None:
    manifest = MANIFEST.replace('["true"]', '["no-such-compiler"]')
    absent = make_port("absent", manifest=manifest.replace('"nothing"', '"apt-get install it"'))
    broken = patched_c("broken", ("static real sigmoid(real x) {", "static rael sigmoid(x) {"))
    bench, rows = timed(absent, broken)
    reason = "no-such-compiler: not found; install: apt-get install it"
    assert bench.left_out[-1].reason == reason
    assert rows["broken", "float64"].status == "FAIL"
    assert "does not build" in rows["broken", "float64"].reason


def test_all_have_the_same_threads_on_the_same_processors(timed: Any, make_port: MakePort) -> None:
    variables = "os.environ['OMP_NUM_THREADS'], os.environ['NPROC'], os.sched_getaffinity(0)"
    port = make_port("p", f"if op == 'hello':\n    answer['device'] = str([{variables}])")
    bench, _ = timed(port)
    [setting] = bench.settings
    assert bench.ports[0].device == f"['1', '1', {set(setting.cores)}]"
    assert len(setting.cores) == setting.threads == 1


def test_memory_is_not_filled_while_it_is_timed(timed: Any, make_port: MakePort) -> None:
    tell = "answer['device'] = str(os.environ.get('MALLOC_PERTURB_'))"
    bench, _ = timed(make_port("p", f"if op == 'hello': {tell}"))
    assert bench.ports[0].device == "None"


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return warm.run(["bench", *arguments], patience(600))


LIMIT = """
import json, pathlib, sys
before = pathlib.Path(sys.argv[1])
limit = 25.0 if before.exists() else 30.0
before.touch()
print(json.dumps({"limit_ns": limit, "links": [{"name": "divide", "count": 2, "ns": 3.5}]}))
"""


def with_limit(patched_c: PatchedC, program: str) -> tuple[Path, str]:
    """A copy of the C port, and a rung that is the same port and states a limit."""
    folder = patched_c("stub")
    (folder / "limit.py").write_text(program)
    rung = (
        '[[rung]]\nname = "again"\ndtypes = ["float64"]\ncapabilities = ["alpha"]\n'
        'build = [["gcc", "-std=c11", "-O1", "-fPIC", "-shared", "-I{include}", "-DBITS=64", '
        '"backprop.c", "-lm", "-o", "{build}/libbackprop.so"]]\n'
        'library = "{build}/libbackprop.so"\n'
        'limit = ["{python}", "{port}/limit.py", "{build}/before"]\n'
    )
    with (folder / "port.toml").open("a") as manifest:
        manifest.write(rung)
    return folder, f"{folder}:again"


def test_the_command_shows_the_limit_that_a_rung_states(
    patched_c: PatchedC, tmp_path: Path
) -> None:
    file = tmp_path / "out" / "bench.json"
    both = with_limit(patched_c, LIMIT)
    options = ("--workload", "3-4-1", "--rounds", str(ROUNDS), "--results", file)
    done = command(*both, *options)
    assert done.returncode == 0, done.stderr
    bench = Bench.model_validate_json(file.read_text())
    assert bench.complete
    [latency] = bench.latencies
    assert (latency.port, latency.limit_ns) == ("stub:again", 25.0)
    assert [said.limit_ns for said in latency.runs] == [30.0, 25.0]
    for row in bench.rows:
        assert row.timed is not None
        stated = row.dtype == "float64" and row.timed.resolved
        limit = 25.0 / row.timed.ns_per_iteration.value if stated else None
        assert row.timed.of_limit == limit
    assert "limit in float64, by stub:again: 25.0 ns: 2 x divide 3.50 ns" in done.stdout
    assert "left out: genann: " in done.stdout
    assert "on 3-4-1, 3 rounds" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ('print(\'{"limit_ns": 0, "links": []}\')', "limit: prints something unexpected: limit_ns"),
        ("print('fast')", "limit: prints something unexpected: invalid JSON"),
        ("import sys; sys.exit('no such processor')", "limit: no such processor"),
    ],
)
def test_a_limit_that_is_none_is_named(
    timed: Any, patched_c: PatchedC, program: str, says: str
) -> None:
    workload = dataclasses.replace(WORKLOADS[0], turn_s=0.02)
    bench, rows = timed(*with_limit(patched_c, program), workload=workload)
    assert not bench.latencies
    assert f"stub:again: {says}" in bench.left_out[-1].reason
    assert rows["stub:again", "float64"].timed.of_limit is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["c", "nosuch"], "PORT=nosuch: there is no such port"),
        (
            ["--workload", "1-2-3"],
            "--workload: there is no workload 1-2-3, only ensembles, layers, 3-4-1, ensemble-10",
        ),
        (["--dtype", "float16"], "--dtype: invalid choice: 'float16' (choose from "),
        (["--rounds", "2"], "--rounds: 2 is not a whole number of 3 or more"),
        (["--threads", "0"], "--threads: 0 is not a whole number of 1 or more"),
        (["--threads", "9999"], "--threads: 9999 is more than "),
        (["--results", "Makefile/bench.json"], "Makefile/bench.json: cannot be written"),
        (["--plot", "conformance"], "conformance: cannot be written: it is a folder"),
    ],
)
def test_a_mistake_is_one_sentence(
    options: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["conformance", "bench", *options])
    try:
        status: Any = main()
    except SystemExit as ended:  # as argparse does
        status = ended.code
    assert status == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert says in err


def test_nothing_timed_is_a_failure(
    make_port: MakePort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = MANIFEST.replace('["true"]', '["no-such-compiler"]')
    port, file = make_port("p", manifest=manifest), tmp_path / "bench.json"
    argv = ["conformance", "bench", str(port), "--results", str(file), "--workload", "3-4-1"]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main() == 1
    assert capsys.readouterr().err.endswith("error: nothing was timed, which is a failure\n")
    assert Bench.model_validate_json(file.read_text()).rows == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "bench.json"
    words = [sys.executable, "-m", "conformance", "bench", "c", "--workload", "3-4-1"]
    running = subprocess.Popen(
        [*words, "--results", str(file)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    assert any("on 3-4-1, " in line for line in running.stderr)
    running.send_signal(number)
    assert running.wait(60) == 130
    assert "Traceback" not in running.stderr.read()
    running.stderr.close()
    found = Bench.model_validate_json(file.read_text())
    assert not found.complete
    assert [row.timed for row in found.rows] == [None, None]


def test_the_published_schema_is_that_of_the_file() -> None:
    assert json.loads(SCHEMA.read_text()) == Bench.model_json_schema()


def test_a_plot_is_drawn_of_what_there_is_to_show(timed: Any, tmp_path: Path) -> None:
    bench, _ = timed("c")

    def with_time(low: float) -> Bench:
        found = {"ns_per_iteration": Interval(value=1.0, low=low, high=2.0)}
        rows = [
            row.model_copy(update={"timed": row.timed and row.timed.model_copy(update=found)})
            for row in bench.rows
        ]
        return bench.model_copy(update={"rows": rows})

    file = tmp_path / "bench.svg"
    assert plot.draw(with_time(low=-1.0), file) is None
    assert not file.exists()
    assert plot.draw(with_time(low=0.5), file) == f"plot: {file}"
    assert "<svg" in file.read_text()


@pytest.mark.parametrize("words", [["bench", "c"], ["curves", "x.json"], ["report"]])
def test_a_package_that_is_missing_is_told_before_any_work_is_done(words: list[str]) -> None:
    program = "import sys; sys.modules['matplotlib'] = None\n"
    program += "from conformance import command_line; sys.exit(command_line.main())"
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    says = "error: matplotlib is not installed; install it: make .venv/reported\n"
    assert done.stderr == says
