"""The one screen after a run: what it says, that it fits, and that nothing is said twice."""

import io
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from conformance.ground import live
from conformance.ground.statuses import Status
from conformance.ground.units import count, duration, scaled
from conformance.record import screen
from conformance.record.machine import machine
from conformance.record.models import CaseInfo, PortInfo, Results, Timing
from conformance.selftest.tests.conftest import CASES, MANIFEST, ROOT, Conformance, MakePort
from conformance.verdict.verdict import Divergence, Verdict
from reference.cases.tables import DType

DTYPES: tuple[DType, ...] = ("float64", "float32")


def verdicts(
    port: str, status: Status = Status.PASS, reason: str = "", cases: Sequence[str] = ("a", "b")
) -> list[Verdict]:
    """The same verdict on each of these cases, in both dtypes."""
    found = [
        Verdict.without_numbers(port, case, dtype, status, reason)
        for case in cases
        for dtype in DTYPES
    ]
    ran = status in (Status.PASS, Status.FAIL)
    return [v.but(margin=0.05, numbers_compared=10) for v in found] if ran else found


def wrong(
    port: str, case: str, tensor: str, bugs: Sequence[str] = (), numbers: int = 10
) -> Verdict:
    """A number that is wrong."""
    at = Divergence(
        check="step",
        iteration=0,
        tensor=tensor,
        index=[0],
        got="1.0",
        got_hex="0x1p+0",
        expected=0.5,
        expected_hex="0x1p-1",
        tolerance=1e-15,
        line=None,
        bugs=[*bugs],
    )
    story = f"FAIL: {port} on {case}, float64: first divergence\n  reproduce: try {port} {case}"
    [found, _] = verdicts(port, Status.FAIL, f"{tensor}: got 1.0", [case])
    return found.but(divergence=at, explanation=story, margin=5e14, numbers_compared=numbers)


def timing(port: str, ns: float) -> Timing:
    return Timing(
        port=port,
        case="a",
        dtype="float64",
        ns_per_iteration=ns,
        ns_low=ns,
        ns_high=ns,
        fixed_ms=1.0,
        ratio_to_numpy=None,
    )


def results(found: list[Verdict], *timings: Timing, complete: bool = True) -> Results:
    return Results(
        complete=complete,
        machine=machine(),
        ports=[
            PortInfo(
                port=port,
                sha256="",
                language="L",
                toolchain=None,
                build=[],
                device=None,
                driver=None,
            )
            for port in dict.fromkeys(v.port for v in found)
        ],
        cases=[CaseInfo(case=case, sha256="") for case in dict.fromkeys(v.case for v in found)],
        results=found,
        capabilities=[],
        timings=[*timings],
    )


def shown(found: Results, width: int = 100, encoding: str = "utf-8", **more: object) -> str:
    """The screen as it is printed."""
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding, errors="strict")
    run = screen.Run(**{"file": Path("r.json"), "seconds": 12.0, "wanted": 4} | more)  # type: ignore[arg-type]
    screen.show(Console(file=file, width=width, highlight=False, markup=False), found, run)
    file.flush()
    return buffer.getvalue().decode(encoding)


def test_a_run_is_a_line_a_port() -> None:
    found = verdicts("c") + verdicts("c:fast") + verdicts("numpy")
    found += verdicts("zig", Status.SKIP, "Zig is not installed")
    times = timing("c", 205.2), timing("c:fast", 37.84), timing("numpy", 19_422.0)
    head, c, numpy, absent, foot = shown(
        results(found, *times), missing={"zig": "toolchain"}
    ).splitlines()
    assert re.fullmatch(
        r"backprop conformance \d+\.\d+\.\d+, 2 cases, float64 and float32, 120 numbers compared",
        head,
    )
    assert c == "  c      PASS  4  worst 0.05 of tolerance  37.8 ns/iteration (c:fast)"
    assert numpy == "  numpy  PASS  4  worst 0.05               19.4 µs"
    assert absent.startswith("  not run: zig: ")
    assert foot == "3 ports and rungs passed · details: make report RESULTS=r.json · 12 s"


def test_a_rung_that_fails_has_a_line_of_its_own() -> None:
    found = [*verdicts("c"), wrong("c:fast", "a", "l1"), *verdicts("c:fast", cases=["b"])]
    told = shown(results(found, timing("c", 205.2)))
    assert "  c       PASS  4  worst 0.05 of tolerance  205 ns/iteration\n" in told
    assert (
        "  c:fast  FAIL  1 of 2 cases in float64, first at l1: 5e+14 times the tolerance\n" in told
    )
    assert "1 of 2 ports and rungs failed" in told


def test_rungs_of_a_port_that_fails_are_lines() -> None:
    found = [wrong("c", "a", "l1"), *verdicts("c:fast")]
    told = shown(results(found, timing("c:fast", 20.0)))
    assert "  c:fast  PASS  4  worst 0.05 of tolerance  20.0 ns/iteration\n" in told


def test_causes_are_grouped_and_the_smallest_case_is_the_example() -> None:
    found = [wrong("p", f"case-{n}", "l2_delta", ["some-bug"], 100 + n) for n in range(60)]
    found += [wrong("p", f"other-{n}", "syn0", numbers=200 - n) for n in range(8)]
    found += verdicts("p", Status.CRASH, "ended with signal 11", ["last"])
    told = shown(results(found))
    assert told.splitlines()[1:5] == [
        "  p  FAIL  69 of 69 cases:",
        "      60 first at l2_delta: probable bug some-bug",
        "      8 first at syn0: 5e+14 times the tolerance",
        "      1 CRASH: ended with signal 11",
    ]
    assert told.count("first divergence") == 1
    assert "FAIL: p on case-0, float64: first divergence\n  reproduce: try p case-0\n" in told


def test_many_causes_are_cut() -> None:
    words = ("one", "two", "three", "four", "five", "six")
    found = [v for w in words for v in verdicts("p", Status.FAIL, f"reason {w}", [w])]
    told = shown(results(found))
    assert "      3 for 3 other reasons\n" in told
    assert told.count("reason ") == 3 + told.count("FAIL: p on")


def test_a_reason_that_stands_in_the_line_is_not_repeated() -> None:
    [one] = verdicts("p", Status.CRASH, "ended with signal 11", ["a"])[:1]
    story = "CRASH: p on a, float64: ended with signal 11\n  reproduce: make it so"
    told = shown(results([one.but(explanation=story)]))
    assert told.count("signal 11") == 1
    assert "  reproduce: make it so\n" in told


def test_a_long_reason_is_cut_in_the_line_and_whole_below() -> None:
    text = "does not build: " + " ".join(f"word{n}" for n in range(60))
    told = shown(results(verdicts("p", Status.FAIL, text, ["a"])))
    assert told.count("word3 ") == 2
    assert told.count("word59") == 1


def test_a_compilers_words_are_cut() -> None:
    text = "does not build: in file\n" + "\n".join(f"x.c:{n}: error: no such" for n in range(200))
    told = shown(results(verdicts("p", Status.FAIL, text, ["a"])))
    assert len(told.splitlines()) < 24
    assert "  p  FAIL  1 of 1 case, x.c:0: error: no such\n" in told
    assert "more lines: VERBOSE=1 shows all" in told


def test_what_did_not_run_is_one_line_by_kind_of_reason() -> None:
    names = ["cpp", "d", "jax", "cuda", "cuda:warp", "torch:gpu-a", "torch:gpu-b"]
    found = [v for n in names for v in verdicts(n, Status.SKIP, "no CUDA device: none")]
    found += verdicts("cuda (emulation)") + verdicts("torch")
    found += verdicts("mine", Status.SKIP, "does not list the capability bias")
    gpus = dict.fromkeys(names[3:], "device")
    missing = {"cpp": "toolchain", "d": "toolchain", "jax": "packages"} | gpus
    told = shown(results(found), width=200, missing=missing)
    [line] = [line for line in told.splitlines() if "not run" in line]
    assert line == (
        "  not run: cpp d (toolchain missing: make ports), jax (packages), "
        "cuda (no GPU, emulated), 2 rungs of torch (no GPU), mine (also needs bias (2 cases))"
    )


def test_few_that_did_not_run_say_why_themselves() -> None:
    found = verdicts("zig", Status.SKIP, "Zig is not installed: apt-get install zig")
    told = shown(results(found), missing={"zig": "toolchain"}, problems=["nothing was compared"])
    assert "not run: zig: Zig is not installed: apt-get install zig\n" in told
    assert told.splitlines()[-2:] == [
        "error: nothing was compared",
        "no port ran · details: make report RESULTS=r.json · 12 s",
    ]


def test_options_and_an_early_end_are_said_once() -> None:
    found = results(verdicts("c", cases=["a"]), complete=False)
    told = shown(found, chosen=["CASES=a", "SHARD=1/3"], wanted=8)
    assert "1 case (CASES=a, SHARD=1/3)" in told
    assert "stopped after 2 of 8 verdicts · 1 port passed · to go on: RESUME=1" in told
    assert told.count("RESUME") == told.count("SHARD") == told.count("r.json") == 1


def test_known_failures_and_parts_are_told() -> None:
    found = [*verdicts("k", Status.XFAIL, "sums in a table", ["a"]), *verdicts("k", cases=["b"])]
    found += verdicts("part", reason="first 100 of 1000 iterations", cases=["a"])
    found += verdicts("part", Status.SKIP, "does not list the capability bias", ["b"])
    told = shown(results(found))
    assert "  k     XFAIL  1 of 2 cases, as predicted: sums in a table\n" in told
    assert "1 case skipped, 1 case in part\n" in told
    assert "2 ports passed" in told


CROWDS: dict[str, Callable[[int], str]] = {
    "short": lambda n: f"p{n}",
    "long": lambda n: f"{'a-very-long-name-of-a-port-' * 3}{n} (some emulation)",
    "wide": lambda n: f"港口{'反向传播' * (n % 7)}{n}",
}


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", CROWDS)
def test_no_line_is_wider_than_the_screen(name: str, width: int) -> None:
    found: list[Verdict] = []
    for n in range(27):
        port = CROWDS[name](n)
        if n % 9 == 0:
            found += [
                wrong(port, "a", "l1_delta"),
                wrong(port, "b", "传播" * 30 if name == "wide" else "syn0"),
            ]
        else:
            found += verdicts(port, Status.SKIP if n % 9 == 8 else Status.PASS)
    times = [timing(port, 3.0) for port in dict.fromkeys(v.port for v in found)]
    lines = shown(results(found, *times), width).splitlines()
    free = [
        line for line in lines[:-1] if "reproduce: " not in line and "first divergence" not in line
    ]
    assert [line for line in free if cell_len(line) > width] == []
    if (name, width) == ("short", 80):
        assert len(lines) <= 40


def test_a_crowd_is_cut_and_what_is_wrong_stays() -> None:
    found = [v for n in range(60) for v in verdicts(f"p{n}")]
    found += [wrong(f"bad{n}", "a", "l1") for n in range(3)]
    lines = shown(results(found)).splitlines()
    assert len(lines) <= 40
    assert sum(" FAIL " in line for line in lines) == 3
    assert "  and 39 more targets: 39 PASS (VERBOSE=1 shows all)" in lines


def test_an_encoding_without_the_signs_gets_others() -> None:
    told = shown(results(verdicts("c"), timing("c", 1234.0)), encoding="ascii")
    assert "1.23 us/iteration" in told
    assert "passed - details" in told


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (scaled(37.84), "37.8 ns"),
        (scaled(684.2), "684 ns"),
        (scaled(1_234.0), "1.23 µs"),
        (scaled(2.5e9), "2.50 s"),
        (duration(0.84), "0.8 s"),
        (duration(9.96), "10 s"),
        (duration(59.7), "1 min 0 s"),
        (duration(192.4), "3 min 12 s"),
        (duration(3840), "1 h 4 min"),
        (count(1, "case"), "1 case"),
        (count(8_122_423, "number"), "8,122,423 numbers"),
    ],
)
def test_numbers_are_as_people_read_them(said: str, text: str) -> None:
    assert said == text


# From here on, real runs.


@pytest.mark.parametrize("pytest_", [False, True])
def test_nothing_comes_after_the_screen(
    pytest_: bool, conformance: Conformance, make_port: MakePort
) -> None:
    bad = make_port("bad", "if op == 'step':\n    answer['delta'][0][0][0] *= -1")
    done = conformance(make_port("good"), bad, cases="one-step smallest", pytest=pytest_)
    assert done.returncode == 1
    head, *_, foot = done.stdout.splitlines()
    assert head.startswith("backprop conformance ")
    assert "2 cases (CASES=" in head
    assert re.fullmatch(r"1 of 2 ports failed · details: make report RESULTS=\S+ · [\d.]+ s", foot)
    assert done.stdout.count("first divergence: ") == 1
    assert done.stdout.count("reproduce: make conformance PORT=") == 1
    assert "┃" not in done.stdout
    assert len(done.stdout.splitlines()) < 20
    assert "reproduce" not in done.stderr
    for word in ("passed in", "failed in", "FAILED", "[100%]", "short test summary", "===="):
        assert word not in done.stdout + done.stderr


@pytest.mark.parametrize("pytest_", [False, True])
def test_all_tables_come_with_verbose(
    pytest_: bool, conformance: Conformance, make_port: MakePort
) -> None:
    port = make_port("mine", manifest=MANIFEST.replace('"layers"', '"layers", "bias"'))
    done = conformance(
        port, cases="one-step two-layer", options=("--no-timing", "-vv"), pytest=pytest_
    )
    screen_, _, tables = done.stdout.partition("\n\nVerdicts, ")
    assert screen_.startswith("backprop conformance")
    assert "│ two-layer" in tables
    assert "│ layers " in tables
    assert "momentum" not in tables  # it does not list that


def test_pytest_still_tells_of_faults_of_the_harness(make_port: MakePort, tmp_path: Path) -> None:
    """With a plugin that makes the comparison raise."""
    (tmp_path / "fault.py").write_text(
        "from conformance.verdict import outcome\n"
        "def broken(*_): raise ZeroDivisionError('of the harness')\n"
        "outcome.compare = broken\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "conformance",
        "-p",
        "fault",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--port", str(make_port("p")), "--cases", "one-step", "--no-timing"]
    command += ["--results", str(tmp_path / "r.json")]
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 1
    assert "ZeroDivisionError: of the harness" in done.stderr
    assert "stopped after 0 of 1 verdict" in done.stdout


def on_a_terminal(command: list[str], **environment: str) -> str:
    """What a command prints on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", **environment},
        close_fds=True,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    process.wait()
    return said.decode()


def test_a_terminal_has_one_line_of_what_goes_on(make_port: MakePort, tmp_path: Path) -> None:
    slow = make_port("slow", "time.sleep(0.15)")
    command = [sys.executable, "-m", "conformance", "check", str(slow)]
    command += ["--cases", "one-step smallest", "--no-timing", "--results", str(tmp_path / "r")]
    said = on_a_terminal(command, NO_COLOR="1")
    going, _, rest = said.rpartition(live.CLEAR)
    assert re.search(r"\r\x1b\[Kjudging slow: [01] of 2", going)
    assert "\n" not in going  # always the same line
    assert rest.startswith("backprop conformance")
    assert not re.search(r"\x1b\[[\d;]*3\d", rest)  # no colour


def test_a_log_has_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "TICK_S", 0.01)
    monkeypatch.setattr(live, "PLAIN_S", 0.3)
    with live.Task("judging", of=1000) as task:
        task.begin("c")
        for _ in range(70):
            time.sleep(0.01)
            task.done += 1
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) <= 3
    assert all(re.fullmatch(r"judging c: \d+ of 1000", line) for line in lines)


def test_a_short_run_has_no_line_in_a_log(conformance: Conformance, make_port: MakePort) -> None:
    assert conformance(make_port("p"), cases=CASES / "one-step.toml").stderr == ""
