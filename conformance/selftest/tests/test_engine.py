"""The engine does a whole run by itself: no pytest, and a question changes nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from conformance.ground.statuses import Status
from conformance.selftest.tests.conftest import (
    MANIFEST,
    NOTING,
    ROOT,
    Conformance,
    MakePort,
    notes_of,
    options_of,
)
from conformance.session.engine import Session, execute
from conformance.session.options import Options

WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None
from pathlib import Path
from conformance.session.engine import execute
from conformance.session.options import Options
port, results = sys.argv[1:]
said = []
options = Options(
    [port], "one-step smallest", [], Path(results), "none", None, False, False, False, None
)
outcome = execute(options, said.append)
assert said == [], said
sys.exit(outcome.failed)
"""


def options(port: Path, results: Path) -> Options:
    return options_of(port, results=results, cases="one-step smallest", seed=None)


def test_a_run_needs_no_pytest(make_port: MakePort, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_PYTEST, str(make_port("right"))]
    file = tmp_path / "results.json"
    done = subprocess.run([*command, str(file)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {r["status"] for r in json.loads(file.read_text())["results"]} == {"PASS"}


PORTS = {
    "right": "",
    "wrong": "answer.pop('l', None)",
    "off": "if op == 'step':\n    answer['delta'][0][0][0] *= -1",
    "crashing": "import os\nos.abort()",
    "silent": "time.sleep(60)",
}


@pytest.mark.parametrize("names", [[name] for name in PORTS] + [[*PORTS]])
def test_check_and_pytest_come_to_the_same(
    names: list[str], conformance: Conformance, make_port: MakePort
) -> None:
    ports = [make_port(name, PORTS[name]) for name in names]
    mine, theirs = (conformance(*ports, cases="one-step", pytest=way) for way in (False, True))
    assert mine.returncode == theirs.returncode == (names != ["right"])
    assert mine.results is not None
    assert theirs.results is not None
    del mine.results["machine"], theirs.results["machine"]  # it has the date
    assert mine.results == theirs.results
    for verdict in mine.results["results"]:
        line = rf"^  {verdict['port']} +{verdict['status']} "
        assert re.search(line, mine.stdout, re.M)
        assert re.search(line, theirs.stdout, re.M)


def test_check_and_pytest_refuse_the_same(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    broken = make_port("broken", manifest=MANIFEST.replace("format = 1", "format = 2"))
    missing = make_port("absent", manifest=MANIFEST.replace('["true"]', '["no-such-compiler"]'))
    (tmp_path / "file").write_text("")
    below = ("--no-timing", "--results", str(tmp_path / "file" / "r.json"))
    for port, cases, more in (
        ("nosuch", "one-step", ()),
        (broken, "one-step", ()),
        ("numpy", "no-such-case", ()),
        ("numpy", "one-step", below),
        (missing, "one-step", ()),  # nothing was compared
        ("c:simd", "one-step", ("--require", "c")),
    ):
        ways = (False, True)
        done = [conformance(port, cases=cases, options=more, pytest=way) for way in ways]
        ends = [
            (d.returncode, [line for line in (d.stderr + d.stdout).splitlines() if "error" in line])
            for d in done
        ]
        assert ends[0] == ends[1]
        assert ends[0][0] in (1, 2)
        assert len(ends[0][1]) == 1


def test_a_question_records_nothing(make_port: MakePort, tmp_path: Path) -> None:
    """Verdicts that nobody asked for are in the results, and asking twice changes nothing."""
    session = Session(options(make_port("right"), results=tmp_path / "r.json"), lambda _: None)
    session.begin(session.matrix())
    (target, first), _ = session.matrix()
    assert session.verdicts_of(target, first) == session.verdicts_of(target, first)
    session.verdicts_of(*session.matrix()[1])
    found = session.finish().results.results
    assert [(v.case, v.status) for v in found] == [
        ("one-step", Status.PASS),
        ("smallest", Status.PASS),
    ]


def test_a_resumed_run_with_nothing_left_to_judge_passes(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    port = make_port("right", "open(sys.argv[1], 'a').write(op + ' ')", NOTING)
    first = conformance(port, cases="one-step smallest")
    log = notes_of(port)
    log.write_text("")
    again = conformance(port, cases="one-step smallest", options=("--no-timing", "--resume"))
    assert again.returncode == 0, again.stdout
    assert first.results is not None
    assert again.results is not None
    assert again.results["results"] == first.results["results"]
    assert again.results["complete"]
    assert log.read_text() == ""


def test_a_fault_of_the_harness_is_no_verdict(
    make_port: MakePort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("conformance.verdict.outcome.compare", broken)
    before = {*psutil.Process().children(recursive=True)}  # other tests may have a browser
    with pytest.raises(ZeroDivisionError):
        execute(options(make_port("right"), results=tmp_path / "r.json"), lambda _: None)
    assert {*psutil.Process().children(recursive=True)} <= before
    session = Session(options(make_port("again"), results=tmp_path / "r.json"), lambda _: None)
    session.begin(session.matrix())
    with pytest.raises(ZeroDivisionError):
        session.verdicts_of(*session.matrix()[0])
    assert not session.finish().results.complete


def test_a_run_that_stops_at_a_failure_is_not_complete(
    conformance: Conformance, make_port: MakePort
) -> None:
    wrong = make_port("wrong", "answer.pop('l', None)")
    slow = make_port("slow", "time.sleep(0.3)")
    done = conformance(
        wrong, slow, cases="one-step smallest", options=("--no-timing", "-x"), pytest=True
    )
    assert done.returncode == 1
    assert "\nstopped after " in done.stdout
    assert done.results is not None
    assert not done.results["complete"]
