"""A run in parts: each machine has a shard, and a run that was interrupted goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import (
    CASES,
    NOTING,
    ROOT,
    Conformance,
    Done,
    MakePort,
    notes_of,
)
from conformance.selftest.tests.test_run import refused
from conformance.verdict.pool import WORTH_A_PROCESS


def test_shards_are_all_cases_once_and_merge_into_one_table(
    conformance: Conformance, tmp_path: Path
) -> None:
    files, seen = [], []
    for part in (1, 2, 3):
        done = conformance("c", cases="softmax", options=("--no-timing", "--shard", f"{part}/3"))
        assert done.returncode == 0, done.stdout
        assert done.results is not None
        seen += [r["case"] for r in done.results["results"] if r["dtype"] == "float64"]
        files.append(tmp_path / f"part-{part}.json")
        files[-1].write_text(json.dumps(done.results))
    whole = conformance("c", cases="softmax")
    assert whole.results is not None
    cases = [c["case"] for c in whole.results["cases"]]
    assert sorted(seen) == sorted(cases)
    words = [sys.executable, "-m", "conformance", "merge", *map(str, files)]
    merged = tmp_path / "merged.json"
    joined = subprocess.run(
        [*words, "--json", str(merged)], capture_output=True, text=True, cwd=ROOT
    )
    assert joined.returncode == 0, joined.stderr
    cells = json.loads(merged.read_text())["cells"]
    assert {cell["case"] for cell in cells if cell["status"] == "PASS"} == {*cases}


@pytest.mark.parametrize("word", ["0/3", "4/3"])
def test_a_shard_that_is_none_is_refused(word: str) -> None:
    command = [sys.executable, "-m", "conformance", "check", "c", "--shard", word]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    refused(
        Done(done.returncode, done.stdout, done.stderr, None),
        f"SHARD={word} is not of the form i/n",
    )


def test_a_shard_without_a_case_is_refused(conformance: Conformance) -> None:
    done = conformance("c", options=("--shard", "2/2"))
    refused(done, "SHARD=2/2: selects nothing: there are only 1 cases")


def test_a_resumed_run_judges_again_what_did_not_pass_or_changed(
    conformance: Conformance, make_port: MakePort
) -> None:
    """Each request that a port gets is a word in its log."""
    note = "open(sys.argv[1], 'a').write(op + ' ')"
    right = make_port("right", note, NOTING)
    wrong = make_port("wrong", f"{note}\nanswer.pop('l', None)", NOTING)
    log = notes_of(right)
    first = conformance(right, wrong, cases="one-step smallest")
    assert first.returncode == 1
    assert "train" in log.read_text()
    log.write_text("")
    again = conformance(
        right, wrong, cases="one-step smallest", options=("--no-timing", "--resume")
    )
    assert again.returncode == 1
    assert "resumed: 2 verdicts of " in again.stderr
    assert again.results is not None
    assert first.results is not None
    assert again.statuses("right") == {"PASS"}
    assert "PASS" not in again.statuses("wrong")

    def told(done: Done) -> list[str]:
        assert done.results is not None
        return sorted(str(result) for result in done.results["results"])

    assert told(again) == told(first)
    assert "train" not in log.read_text()  # of the right port, which was not asked again
    (right / "port.py").write_text((right / "port.py").read_text() + "# another version\n")
    once_more = conformance(
        right, wrong, cases="one-step smallest", options=("--no-timing", "--resume")
    )
    assert "resumed: 0 verdicts of " in once_more.stderr
    assert "train" in log.read_text()
    assert told(once_more) == told(first)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the other port would also wait")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_where_it_was(
    make_port: MakePort, tmp_path: Path, number: signal.Signals
) -> None:
    """A port waits in the middle, until a file is there, and another is done meanwhile."""
    waiting = (
        "while request['layers'] == [1, 1] and not os.path.exists(sys.argv[1] + '-go'):"
        " time.sleep(0.05)"
    )
    note = "if op != 'hello': print(request['layers'], file=open(sys.argv[1], 'a'))"
    patient = NOTING.replace("time_limit_s = 2.0", "time_limit_s = 99")
    port = make_port("waits", f"{note}\nif op != 'hello':\n    {waiting}", patient)
    done_port = make_port("done", note, NOTING)
    log, other, file = notes_of(port), notes_of(done_port), tmp_path / "results.json"
    words = [sys.executable, "-m", "conformance", "check", str(port), str(done_port), "--no-timing"]
    words += ["--cases", "late-checkpoint one-step smallest two-layer", "--results", str(file)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as run:
        for path, seen in ((log, "[1, 1]"), (other, "[3, 1]")):
            while seen not in (path.read_text() if path.exists() else ""):
                time.sleep(0.05)
        os.killpg(run.pid, number)
        run.communicate(timeout=patience(30))
    assert run.returncode == 130
    cut = json.loads(file.read_text())
    assert not cut["complete"]
    had = {(r["port"], r["case"]) for r in cut["results"]}
    first, second, third, _ = (c["case"] for c in cut["cases"])
    assert {case for name, case in had if name == "waits"} == {first, second}
    assert {("done", case) for case in (first, second, third)} <= had
    log.unlink()
    other.unlink()
    log.with_name("notes-go").touch()
    done = subprocess.run([*words, "--resume"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert f"resumed: {len(had)} verdicts of " in done.stderr
    asked = log.read_text() + (other.read_text() if other.exists() else "")
    assert {*asked.splitlines()} == {"[1, 1]", "[3, 1]"}  # of the first two, nothing
    whole = json.loads(file.read_text())
    assert whole["complete"]
    assert len(whole["results"]) == len({(r["port"], r["case"]) for r in whole["results"]}) == 8
    assert {r["status"] for r in whole["results"]} == {"PASS"}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core has one process")
@pytest.mark.parametrize(("device", "processes"), [("", 2), ('device = { detect = ["true"] }', 1)])
def test_a_port_alone_has_a_process_on_each_core_and_one_on_a_device(
    device: str, processes: int, conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    """Each process writes down what it was asked, and the harness ends all of them."""
    note = "if op == 'train': print(os.getpid(), request['X'], file=open(sys.argv[1], 'a'))"
    port = make_port("alone", note, NOTING.replace("[toolchain]", f"{device}\n[toolchain]"))
    cases, names = many_cases(tmp_path)
    done = conformance(port, cases=cases)
    assert done.returncode == 0, done.stdout
    assert [r["case"] for r in done.verdicts("alone")] == sorted(names)
    lines = notes_of(port).read_text().splitlines()
    pids = {line.split()[0] for line in lines}
    assert len(pids) == processes
    assert len({line.split(maxsplit=1)[1] for line in lines}) == len(names)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def many_cases(folder: Path) -> tuple[Path, list[str]]:
    """Small cases for two processes, and their names."""
    cases = folder / "cases"
    cases.mkdir()
    text = (CASES / "smallest.toml").read_text()
    names = [f"case-{i}" for i in range(2 * WORTH_A_PROCESS)]
    for i, name in enumerate(names):
        mine = text.replace('"smallest"', f'"{name}"').replace("[[0.75]]", f"[[{i / 16}]]")
        (cases / f"{name}.toml").write_text(mine)
    return cases, names


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core has one process")
def test_a_core_that_is_free_helps_with_a_slow_port(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    note = "if op == 'train': time.sleep(0.5); print(os.getpid(), file=open(sys.argv[1], 'a'))"
    slow = make_port("slow", note, NOTING)
    cases, names = many_cases(tmp_path)
    done = conformance(make_port("quick"), slow, cases=cases)
    assert done.returncode == 0, done.stdout
    assert len(done.verdicts("slow")) == len(done.verdicts("quick")) == len(names)
    assert len({*notes_of(slow).read_text().split()}) >= 2


def test_what_was_made_elsewhere_is_not_resumed(conformance: Conformance, tmp_path: Path) -> None:
    assert conformance("c").returncode == 0
    file = tmp_path / "results.json"
    found = json.loads(file.read_text())
    found["machine"]["commit"] = "another"
    for content, says in (
        (json.dumps(found), "RESUME=1: the earlier run was of commit another"),
        ("{}", "results.json: is not a results file to resume: "),
        (None, "results.json: cannot be read: No such file"),
    ):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        words = [sys.executable, "-m", "conformance", "check", "c", "--cases", "one-step"]
        done = subprocess.run(
            [*words, "--results", str(file), "--no-timing", "--resume"],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert done.returncode == 2
        assert says in done.stderr
