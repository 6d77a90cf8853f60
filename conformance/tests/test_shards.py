"""A run in parts: each machine has a shard, and a run that was interrupted goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.tests.conftest import ROOT, Conformance
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
