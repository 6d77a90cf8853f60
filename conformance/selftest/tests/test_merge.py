"""Results files of several machines, joined: by the command, in a copy of the clone.

The files come from real runs: on this machine, and on one that has a GPU, as far as
a port made for the test can tell. Copies with another date, processor or verdict are further ones.
"""

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from conformance.record import merge
from conformance.selftest.patience import patience
from conformance.selftest.tests.conftest import MANIFEST, ROOT, SCRIPTED

DRIVER = "Big GPU, CUDA 13.0, driver 580.65"
DEVICE = f"""
[device]
detect = ["sh", "-c", 'test $BACKPROP_GPU && echo "{DRIVER}" || {{ echo none >&2; false; }}']
[emulation]
name = "pretence"
"""
File = dict[str, Any]
Made = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.xdist_group("merge")  # the runs that are joined take place once


def run(clone: Path, *command: str, ulimit: str = "", gpu: bool = False) -> Made:
    words = ["bash", "-c", f'{ulimit}exec "$@"', "-", sys.executable, "-m", "conformance", *command]
    env = {"PATH": "/usr/bin:/bin", "BACKPROP_GPU": "1" if gpu else ""}
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=clone, env=env, timeout=patience(300)
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def judged(clone: Path, *, gpu: bool, options: tuple[str, ...] = ()) -> Made:
    cases = ("--cases", "one-step smallest", "--seed", "none", "--no-timing")
    file = ("--results", "results.json")
    return run(clone, "check", "gpu", "numpy", *cases, *file, *options, gpu=gpu)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = tmp_path_factory.mktemp("clone") / "clone"
    without = shutil.ignore_patterns("tests", "__pycache__", "committed")
    for name in ("conformance", "reference", "ports/numpy"):
        shutil.copytree(ROOT / name, clone / name, ignore=without)
    shutil.copy(ROOT / "Makefile", clone)
    port = clone / "ports" / "gpu"
    port.mkdir()
    (port / "port.toml").write_text(MANIFEST.replace("[run]", f"{DEVICE}[run]"))
    (port / "port.py").write_text(SCRIPTED.read_text())
    (port / "README.md").write_text("A port.")
    return clone


@pytest.fixture(scope="module")
def files(copied: Path) -> tuple[File, File]:
    """What two machines found: the first has no GPU, the second is a different one, a day later."""
    found = []
    for gpu in (False, True):
        done = judged(copied, gpu=gpu)
        assert done.returncode == 0, done.stdout + done.stderr
        found.append(json.loads((copied / "results.json").read_text()))
        found[-1]["machine"] |= {
            "commit": f"c0ffee{int(gpu)}",
            "date": f"2026-01-0{1 + gpu}T10:00Z",
        }
    found[1]["machine"] |= {"processor": "Another", "system": "Linux-of-another"}
    return found[0], found[1]


@pytest.fixture
def clone(copied: Path) -> Iterator[Path]:
    """The copy, which is put back after the test as it was before."""
    changed = [
        *(copied / "ports" / "gpu").iterdir(),
        *copied.glob("conformance/suite/*/one-step.*"),
    ]
    kept = {path: path.read_bytes() for path in changed}
    yield copied
    for path, content in kept.items():
        path.write_bytes(content)
    shutil.rmtree(copied / "conformance" / "record" / "committed", ignore_errors=True)


Merging = Callable[..., Made]


@pytest.fixture
def merging(clone: Path, tmp_path: Path) -> Merging:
    """Write contents as a.json, b.json, ..., and merge these."""

    def merge_them(*contents: File | str, options: tuple[str, ...] = ()) -> Made:
        names = []
        for letter, content in zip("abcd", contents, strict=False):
            path = tmp_path / f"{letter}.json"
            path.write_text(content if isinstance(content, str) else json.dumps(content))
            names.append(str(path))
        return run(clone, "merge", *names, *options)

    return merge_them


def edited(file: File, port: str = "numpy", status: str = "", **machine: str) -> File:
    """A copy of another machine or date, or with another verdict on one-step in float64."""
    other = copy.deepcopy(file)
    other["machine"] |= machine
    [verdict] = [
        r
        for r in other["results"]
        if (r["port"], r["case"], r["dtype"]) == (port, "one-step", "float64")
    ]
    if status:
        verdict |= {"status": status, "reason": f"made to be {status}", "margin": None}
        verdict["numbers_compared"] = 0
    return other


def cells(done: Made, case: str = "one-step") -> list[str]:
    """The row of a case: gpu, gpu (pretence), numpy."""
    [row] = [line for line in done.stdout.splitlines() if line.startswith(f"│ {case} ")]
    return [re.sub(r" [\d.]+", "", cell).strip() for cell in row.split("│")[2:-1]]


def test_each_verdict_is_labelled_and_an_emulation_stays_one(
    merging: Merging, files: tuple[File, File], tmp_path: Path
) -> None:
    here, there = files
    target = tmp_path / "new" / "merged.json"
    done = merging(here, there, options=("--json", str(target)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert cells(done) == ["PASS B", "PASS A", "PASS AB"]
    assert f"A  {tmp_path}/a.json: 2026-01-01 10:00 UTC, commit c0ffee0, " in done.stdout
    assert "b.json: 2026-01-02 10:00 UTC, commit c0ffee1, Linux-of-another, Another" in done.stdout
    assert "on cpu; Big GPU, CUDA 13.0, driver 580.65: gpu\n" in done.stdout
    assert "on cpu: gpu (pretence), numpy\n" in done.stdout
    assert "stale: 0" in done.stdout
    assert "SKIP" not in done.stdout
    merged = json.loads(target.read_text())
    jsonschema.validate(
        merged, json.loads((ROOT / "conformance/contract/merged.schema.json").read_text())
    )
    assert len(merged["cells"]) == len(here["results"]) + len(there["results"])  # of two machines
    of_gpu = {
        (c["source"], c["status"], c["driver"]) for c in merged["cells"] if c["port"] == "gpu"
    }
    assert of_gpu == {("A", "SKIP", None), ("B", "PASS", DRIVER)}
    # Without the machine that has one, there is no GPU: its emulation does not replace it.
    done = merging(here)
    assert cells(done) == ["SKIP A", "PASS A", "PASS A"]
    assert "SKIP gpu, 2 cases float64 A: none" in done.stdout


def test_the_published_schema_is_that_of_merged_files() -> None:
    done = run(ROOT, "schema", "--merged")
    published = (ROOT / "conformance" / "contract" / "merged.schema.json").read_text()
    assert json.loads(done.stdout) == json.loads(published)


def test_a_changed_port_is_stale_and_its_failure_is_not_this_one_s(
    merging: Merging, files: tuple[File, File], clone: Path
) -> None:
    here, there = files
    (clone / "ports" / "gpu" / "README.md").write_text("It has run on a GPU.")
    failed = edited(there, "gpu", "FAIL")
    done = merging(here, failed)
    assert (done.returncode, cells(done)[0]) == (1, "FAIL B")
    with (clone / "ports" / "gpu" / "port.py").open("a") as file:
        file.write("# fixed\n")
    done = merging(here, failed)
    assert done.returncode == 0
    assert cells(done) == ["FAIL B*", "PASS A*", "PASS AB"]
    assert "   B* port changed since: gpu\n" in done.stdout
    assert "   A* port changed since: gpu, gpu (pretence)\n" in done.stdout
    assert "golden" not in done.stdout


@pytest.mark.parametrize("name", ["suite/cases/one-step.toml", "suite/golden/one-step.json"])
def test_a_changed_case_or_golden_file_is_stale(
    merging: Merging, files: tuple[File, File], clone: Path, name: str
) -> None:
    with (clone / "conformance" / name).open("a") as file:
        file.write("\n")
    done = merging(edited(files[0], status="FAIL"))
    assert done.returncode == 0
    assert cells(done) == ["SKIP A*", "PASS A*", "FAIL A*"]
    assert cells(done, "smallest") == ["SKIP A", "PASS A", "PASS A"]
    assert "   A* case or its golden data changed since: one-step\n" in done.stdout
    assert "A* port" not in done.stdout


@pytest.mark.parametrize(
    ("status", "code"), [("FAIL", 1), ("CRASH", 1), ("TIMEOUT", 1), ("GARBAGE", 1), ("XFAIL", 0)]
)
def test_the_exit_status_is_of_what_is_wrong(
    merging: Merging, files: tuple[File, File], status: str, code: int
) -> None:
    # On one of two machines: a PASS on the other does not hide it.
    done = merging(files[1], edited(files[0], status=status))
    assert (done.returncode, cells(done)[2]) == (code, f"{status} B")
    assert f"{status} numpy, one-step float64 B: made to be {status}" in done.stdout


def test_of_one_machine_the_newest_stands(merging: Merging, files: tuple[File, File]) -> None:
    old = edited(files[0], status="FAIL", date="2025-12-31T23:30:00-02:00")  # in 2026, in fact
    new = edited(files[0], status="", date="2026-01-01T01:31:00Z")
    done = merging(new, old)
    assert (done.returncode, cells(done)[2]) == (0, "PASS A")
    said = (
        "numpy, one-step float64: PASS A counts instead of FAIL B, which is from the same machine"
    )
    assert said in done.stdout
    done = merging(new, edited(old, date="2026-01-01T00:00:00-02:00"))
    assert (done.returncode, cells(done)[2]) == (1, "FAIL B")
    done = merging(new, edited(new, status="FAIL"))  # of one date: the worst
    assert (done.returncode, cells(done)[2]) == (1, "FAIL B")


def test_what_is_not_stale_stands_before_what_is_newer(
    merging: Merging, files: tuple[File, File]
) -> None:
    stale = edited(files[0], status="FAIL", date="2027-01-01T00:00:00Z")
    stale["cases"][0]["sha256"] = "of another"
    done = merging(files[0], stale)
    assert (done.returncode, cells(done)[2]) == (0, "PASS A")
    assert "PASS A counts instead of FAIL B*" in done.stdout


def test_each_device_of_a_machine_stands_for_itself(
    merging: Merging, files: tuple[File, File]
) -> None:
    other = edited(files[1], "gpu", "FAIL", date="2025-01-01T00:00:00Z")
    next(p for p in other["ports"] if p["port"] == "gpu")["device"] = "Small GPU"
    done = merging(files[1], other)
    assert (done.returncode, cells(done)[0]) == (1, "FAIL B")
    assert "on Small GPU; Big GPU, CUDA 13.0" in done.stdout


def test_a_port_that_did_not_come_up_is_of_the_machine_where_it_does(
    merging: Merging, files: tuple[File, File]
) -> None:
    down = edited(files[1], "gpu", "CRASH", date="2026-01-01T00:00:00Z")
    next(p for p in down["ports"] if p["port"] == "gpu")["device"] = None
    assert merging(down, files[1]).returncode == 0
    done = merging(edited(down, date="2026-01-09T00:00:00Z"), files[1])
    assert (done.returncode, cells(done)[0]) == (1, "CRASH A")


def test_what_is_not_here_counts_and_is_marked(merging: Merging, files: tuple[File, File]) -> None:
    text = json.dumps(edited(files[0], status="FAIL")).replace('"one-step"', '"fresh-7"')
    done = merging(text)
    assert (done.returncode, cells(done, "fresh-7")[2]) == (1, "FAIL A?")
    assert "   A? case or its golden data not in this clone: fresh-7\n" in done.stdout


def test_an_incomplete_file_is_marked(merging: Merging, files: tuple[File, File]) -> None:
    done = merging(files[0] | {"complete": False})
    assert done.returncode == 0
    assert "commit c0ffee0, not complete, " in done.stdout


BAD: list[tuple[Callable[[str], str], str]] = [
    (lambda text: text[:-9], "a.json: is not a results file of format 2: invalid JSON"),
    (lambda text: "[]", "a.json: is not a results file of format 2: input should be an object"),
    (lambda text: text.replace('"format": 2', '"format": 1'), "format: input should be 2"),
    (lambda text: text.replace('"reason"', '"reasons"', 1), "unknown key 'results[0].reasons'"),
    (
        lambda text: text.replace('"port": "numpy", "sha', '"port": "n", "sha'),
        "no entry of that port",
    ),
    (lambda text: text.replace('"smallest"', '"one-step"'), "there are two verdicts for gpu, one"),
    (lambda text: re.sub(r'"margin": 0\.\d+', '"margin": NaN', text), "margin: input should be"),
    (lambda text: text.replace("2026-01-01T10:00Z", "yesterday"), "machine.date: input should be"),
    (
        lambda text: re.sub(r'"results": \[.*?\], "cap', '"results": [], "cap', text),
        "none of these files",
    ),
]


@pytest.mark.parametrize(("change", "says"), BAD)
def test_a_file_that_cannot_be_used_is_one_sentence(
    merging: Merging, files: tuple[File, File], change: Callable[[str], str], says: str
) -> None:
    done = merging(change(json.dumps(files[0])))
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_files_that_are_not_there_are_one_sentence(merging: Merging, clone: Path) -> None:
    assert "error: no.json: cannot be read: No such file" in run(clone, "merge", "no.json").stderr
    assert "error: no results files: name some, since" in merging().stderr


def test_a_merged_file_is_written_whole_or_not_at_all(
    merging: Merging, files: tuple[File, File], clone: Path, tmp_path: Path
) -> None:
    target = tmp_path / "merged.json"
    target.write_text("as it was")
    (tmp_path / "a.json").write_text(json.dumps(files[0]))
    command = ("merge", str(tmp_path / "a.json"), "--json")
    done = run(clone, *command, str(target), ulimit="ulimit -f 1; ")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {target}: cannot be written: File too large\n"
    assert target.read_text() == "as it was"
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "merged.json"}
    done = run(clone, *command, str(target / "below"))
    assert done.returncode == 2
    assert "cannot be written: " in done.stderr
    done = run(clone, *command, f"{tmp_path}/../{tmp_path.name}/a.json")
    assert "a.json: is one of the files to merge, and is not overwritten" in done.stderr
    assert json.loads((tmp_path / "a.json").read_text()) == files[0]


def test_a_run_tells_what_kept_files_show_of_missing_devices(
    files: tuple[File, File], clone: Path
) -> None:
    kept = clone / "conformance" / "record" / "committed"
    kept.mkdir()
    for name, file in zip(("cpu", "gpu"), files, strict=True):
        (kept / f"{name}.json").write_text(json.dumps(file))
    done = judged(clone, gpu=False, options=("--require", "gpu"))
    line = (
        "on another machine: gpu: 2 PASS; cpu; Big GPU, CUDA 13.0, driver 580.65, "
        "2026-01-02 10:00 UTC, commit c0ffee1"
    )
    assert line in " ".join(done.stdout.split())
    assert done.stdout.count("on another machine") == 1
    # It is no PASS of this run, which requires one.
    assert done.returncode == 1
    assert "1 of 3 ports and rungs failed" in done.stdout
    assert cells(run(clone, "merge"))[0] == "PASS B"  # as those are merged that are kept
    with (clone / "ports" / "gpu" / "port.py").open("a") as port:
        port.write("# changed\n")
    (kept / "cpu.json").unlink()
    told = " ".join(judged(clone, gpu=False).stdout.split())
    assert f"{line} (stale: port changed since) " in told
    (kept / "cpu.json").write_text("{}")
    done = judged(clone, gpu=False)
    assert done.returncode == 0
    assert "other machines left out:" in " ".join(done.stdout.split())
    told = " ".join(done.stdout.split())
    assert "cpu.json: is not a results file of format 2: missing key" in told


def test_what_ran_on_one_device_is_one_line(files: tuple[File, File], tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    file.write_text(json.dumps(files[1]))
    merged, _ = merge.join({file: merge.read(file)})
    [cell, *_] = [c for c in merged.cells if c.port == "gpu"]
    names = ["cuda", "cuda:a", "cuda:b"]
    cells = [cell.model_copy(update={"port": name, "source": "A"}) for name in names]
    other = cell.model_copy(update={"port": "old", "source": "B"})
    lines = merge.quoted([*cells, other], {"A": "now", "B": "then"})
    assert lines == [
        f"on another machine: cuda, 2 rungs of cuda: 3 PASS; {cell.ran_on}, now",
        f"on another machine: old: 1 PASS; {cell.ran_on}, then",
    ]


def test_a_run_with_the_device_tells_nothing_of_others(
    files: tuple[File, File], clone: Path
) -> None:
    (clone / "conformance" / "record" / "committed").mkdir()
    (clone / "conformance" / "record" / "committed" / "gpu.json").write_text(json.dumps(files[1]))
    assert "on another machine" not in judged(clone, gpu=True).stdout


@pytest.mark.parametrize("path", merge.committed())
def test_files_that_are_kept_can_be_read(path: Path) -> None:
    assert merge.read(path).results
