"""A run in parts: each machine has a shard, and a run that was interrupted goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.tests.conftest import ROOT, Conformance, Done, MakePort
from conformance.tests.test_run import refused


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


@pytest.mark.parametrize("word", ["0/3", "4/3", "1", "a/b", "1/0", "1/3/3", "1 / 3"])
def test_a_shard_that_is_none_is_refused(conformance: Conformance, word: str) -> None:
    refused(conformance("c", options=("--shard", word)), f"SHARD={word}: is not of the form i/n")


def test_a_shard_without_a_case_is_refused(conformance: Conformance) -> None:
    refused(conformance("c", options=("--shard", "2/2")), "SHARD=2/2: there are only 1 cases")


def test_a_resumed_run_judges_again_what_did_not_pass_or_changed(
    conformance: Conformance, make_port: MakePort, tmp_path: Path
) -> None:
    """Each request that a port gets is a word in the log."""
    log = tmp_path / "asked.txt"
    note = f"open({str(log)!r}, 'a').write(op + ' ')"
    right, wrong = make_port("right", note), make_port("wrong", f"{note}\nanswer.pop('l', None)")
    first = conformance(right, wrong, cases="one-step smallest")
    assert first.returncode == 1
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


def test_what_was_made_elsewhere_is_not_resumed(conformance: Conformance, tmp_path: Path) -> None:
    assert conformance("c").returncode == 0
    file = tmp_path / "results.json"
    found = json.loads(file.read_text())
    found["machine"]["commit"] = "another"
    for content, says in (
        (json.dumps(found), "RESUME: the earlier run was of commit another"),
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
