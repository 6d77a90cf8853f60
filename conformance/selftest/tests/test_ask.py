"""`ask` prints what a run asks, or starts the port with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import (
    MANIFEST,
    NOTING,
    ROOT,
    Conformance,
    MakePort,
    notes_of,
)


def ask(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "conformance", "ask", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=patience(300))


CASES = "one-step two-layer"


def test_it_prints_what_a_run_asks(conformance: Conformance, make_port: MakePort) -> None:
    port = make_port("p", "open(sys.argv[1], 'a').write(line)", NOTING)
    assert conformance(port, cases=CASES).returncode == 0
    # What is short is asked twice in a run, and greeted is only once.
    heard = [json.loads(line) for line in notes_of(port).read_text().splitlines()]
    told = [json.loads(line) for line in ask(port, "--cases", CASES).stdout.splitlines()]
    assert [request.pop("id") for request in told] == list(range(len(told)))
    once: list[dict[str, object]] = []
    for request in heard:
        del request["id"]
        if request not in once:
            once.append(request)
    assert told == once
    assert [request["op"] for request in told][:2] == ["hello", "step"]


@pytest.mark.parametrize(
    ("port", "dtypes"),
    [
        ("c", {"float64", "float32"}),
        ("c:simd", {"float64"}),
        ("numpy", {"float64", "float32"}),
    ],
)
def test_it_prints_for_ports_of_every_kind(port: str, dtypes: set[str]) -> None:
    done = ask(port, "--cases", "one-step")
    asked = [json.loads(line) for line in done.stdout.splitlines()]
    assert {r["op"] for r in asked} == {"hello", "step", "train"}
    assert {r.get("dtype") for r in asked} == {None, *dtypes}


@pytest.mark.parametrize("port", ["c", "numpy"])
def test_a_port_is_started_with_the_requests(port: str, make_port: MakePort) -> None:
    done = ask(port, "--cases", "one-step", "--run")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == list(range(7))


def test_its_end_is_told(make_port: MakePort) -> None:
    aborts = make_port("aborts", "if op == 'step':\n    import os\n    os.abort()")
    done = ask(aborts, "--cases", "one-step", "--run")
    assert done.returncode == 134
    assert json.loads(done.stdout)["device"]
    assert done.stderr.splitlines()[-1].startswith("aborts was killed by SIGABRT, which means")
    assert ask(make_port("ends", "sys.exit(3)"), "--run", "--cases", "one-step").returncode == 3


def test_what_a_port_answers_is_not_made_up() -> None:
    done = ask("c", "--cases", "digits-accuracy")
    assert done.stderr.count("digits-accuracy: one request is left out") == 2
    assert json.loads(done.stdout.splitlines()[-1])["op"] == "train"


def test_a_mistake_is_one_sentence(make_port: MakePort) -> None:
    few = make_port("few", manifest=MANIFEST.replace('["alpha", "layers"]', "[]"))
    absent = make_port("absent", manifest=MANIFEST.replace('["true"]', '["no-such-compiler"]'))
    for arguments, says in (
        (["nosuch"], "PORT=nosuch: there is no such port"),
        (["c numpy"], "ask: takes one port at a time, and not c, numpy"),
        (["c", "--cases", "nosuch"], "CASES=nosuch: no case"),
        ([few, "--cases", "two-layer"], "it does not list the capability layers"),
        ([absent, "--cases", "one-step", "--run"], "ask: absent cannot be started: "),
    ):
        done = ask(*arguments)
        assert done.returncode == 2
        assert not done.stdout
        assert done.stderr.startswith("error: ")
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
