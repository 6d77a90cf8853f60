"""What `make report` writes: a page, a summary and badges; and the JUnit file beside them."""

import io
import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from conformance.ground.statuses import Status
from conformance.page import article, verdicts
from conformance.page import command as report
from conformance.page.excerpts import STEPS, Program, programs
from conformance.record import tables
from conformance.selftest.tests.page.report_files import command, read
from conformance.suite.markers import MarkerError, excerpts
from conformance.targets import manifest

pytestmark = pytest.mark.xdist_group("report")


def test_tests_of_a_group_share_a_worker(request: pytest.FixtureRequest) -> None:
    """Where pytest-xdist ignores groups, it does so in silence, and each worker makes all of it."""
    if request.config.getoption("loadgroup", default=False):
        assert request.node.nodeid.endswith("@report")


def test_the_page_says_what_the_results_say(judged: Path, folder: Path) -> None:
    page = (folder / "index.html").read_text()
    found = read(judged)
    for r in found.results:
        assert f'id="{r.port}--three-layer"' in page or not re.fullmatch(r"\w+", r.port)
    [wrong] = [r for r in found.results if r.status == "FAIL"]
    assert wrong.divergence is not None
    assert "updated-weights-in-backward" in wrong.divergence.bugs
    for line in wrong.explanation.splitlines():
        # Jinja escapes; the quote is the only such character in a diagnosis.
        assert line.replace("'", "&#39;") in page
    for timing in found.timings:
        assert report.number(timing.ns_per_iteration) in page
    for said in (found.machine.processor, str(found.machine.commit), found.machine.system):
        assert said in page
    for info in found.ports:
        for flags in info.build:
            assert flags.replace("'", "&#39;").replace('"', "&#34;") in page
    assert "fastest from about 1e+02 networks on: cuda, A GPU" in page


def test_drift_is_recorded_for_each_checkpoint_that_was_compared(judged: Path) -> None:
    found = {(r.port, r.dtype): r for r in read(judged).results}
    right = {d.tensor: d for d in found["c", "float64"].drift}
    assert [*right] == ["syn0", "syn1", "error"]
    assert right["syn0"].iterations[0] == 0
    assert right["syn0"].iterations[-1] == 60_000
    assert right["syn0"].deviations[0] == 0.0  # the weights that it was given
    margin = found["c", "float64"].margin
    assert margin is not None
    assert margin < 1
    wrong = {d.tensor: d for d in found["wrong", "float64"].drift}
    assert max(d or 0 for d in right["syn1"].deviations) < 1e-12
    assert max(d or 0 for d in wrong["syn1"].deviations) > 1e-5
    assert found["cuda", "float64"].status != "SKIP" or not found["cuda", "float64"].drift


def test_the_page_needs_nothing_from_elsewhere(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    assert not re.search(r"<(?:img|iframe|object|embed|audio|video)\b", page)
    assert not re.search(r"<script[^>]*\bsrc=", page)
    assert re.findall(r"<link[^>]*>", page) == ['<link rel="icon" href="data:,">']
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_a_large_report_is_smaller_than_3_mb(judged: Path) -> None:
    """Of 80 targets on 80 cases, with all sources and 40 lines of drift in each plot."""
    found = read(judged)
    [right] = [r for r in found.results if (r.port, r.dtype) == ("c", "float64")]
    [info] = [p for p in found.ports if p.port == "c"]
    names = [f"port-{number}" for number in range(80)]
    ids = ["three-layer", *(f"case-number-{number}" for number in range(79))]
    [case] = found.cases
    many = [
        right.model_copy(
            update={
                "port": port,
                "case": case,
                "dtype": dtype,
                "status": Status.SKIP if position % 3 == 2 else Status.PASS,
                "reason": "Why this was not run, in a sentence of the usual length."
                * (position % 3 == 2),
                "drift": right.drift if position < 40 and case == "three-layer" else [],
            }
        )
        for position, port in enumerate(names)
        for case in ids
        for dtype in ("float64", "float32")
    ]
    large = found.model_copy(
        update={
            "ports": [info.model_copy(update={"port": name}) for name in names],
            "cases": [case.model_copy(update={"case": name}) for name in ids],
            "results": many,
            "capabilities": [],
        }
    )
    page = report.render(large, [])["index.html"]
    assert "port-79--case-number-78" in page
    assert len(page.encode()) < 3_000_000


def test_text_of_ports_is_shown_and_not_run(judged: Path) -> None:
    found = read(judged)
    evil = "<script>document.title = 'owned'</script> | ``` </pre>"
    told = [r.model_copy(update={"reason": evil, "explanation": evil}) for r in found.results]
    written = report.render(found.model_copy(update={"results": told}), [])
    assert "<script>document.title" not in written["index.html"]
    assert "&lt;script&gt;document.title" in written["index.html"]
    # In Markdown it is in a block that is fenced by more backticks than it has.
    before, after = written["summary.md"].split(evil)[0], written["summary.md"].split(evil)[1]
    assert before.rstrip().endswith("````text")
    assert after.lstrip().startswith("````")


def test_the_summary_has_a_row_a_target_and_the_failure(judged: Path, folder: Path) -> None:
    summary = (folder / "summary.md").read_text()
    assert summary.startswith("## Conformance of backpropagation: FAIL\n")
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \|", summary, re.M)
    assert [name for name, _ in rows] == list(dict.fromkeys(r.port for r in read(judged).results))
    assert dict(rows)["wrong"] == "FAIL"
    assert dict(rows)["c"] == "PASS"
    assert "### FAIL: `wrong` on `three-layer`, float64" in summary
    assert "probable bug: updated-weights-in-backward" in summary
    # A table breaks at an empty line.
    table = summary[summary.index("| port |") :].split("\n\n")[0]
    assert len(table.splitlines()) == len(rows) + 2


def test_badges_say_what_is_wrong_what_passed_and_what_did_not_run(
    judged: Path, folder: Path
) -> None:
    said = {path.stem: ET.parse(path).getroot() for path in (folder / "badges").glob("*.svg")}
    labels = {name: root.get("aria-label") for name, root in said.items()}
    rungs = {r.port for r in read(judged).results if ":" in r.port}
    assert labels["wrong"] == "wrong: 1 wrong, 0 pass"
    assert labels["c"] == "c: 1 pass"
    assert str(labels["all"]).startswith("backpropagation: 1 wrong, ")
    assert not {re.sub(r"\W", "-", rung) for rung in rungs} & {*labels}
    skipped = {r.port for r in read(judged).results if r.status == "SKIP"}
    assert ("cuda" in skipped) == (labels["cuda"] == "cuda: not run")


@pytest.mark.parametrize(
    ("status", "complete", "heading", "badge"),
    [
        ("PASS", True, "PASS", "c: 1 pass"),
        ("PASS", False, "not complete", "c: interrupted"),
        ("SKIP", True, "nothing passed", "c: not run"),
        ("XFAIL", True, "nothing passed", "c: 1 known to fail"),
    ],
)
def test_what_did_not_pass_is_not_called_so(
    judged: Path, status: str, complete: bool, heading: str, badge: str
) -> None:
    found = read(judged)
    told = [r.but(status=status) for r in found.results if r.port == "c"]
    some = found.model_copy(update={"results": told, "complete": complete})
    written = report.render(some, [])
    assert written["summary.md"].startswith(f"## Conformance of backpropagation: {heading}\n")
    assert ('class="verdict right"' in written["index.html"]) == (heading == "PASS")
    assert ("Everything that ran passed" in written["index.html"]) == (status == "PASS")
    assert f'aria-label="{badge}"' in written["badges/c.svg"]


def test_a_failure_that_is_not_finite_is_not_hidden_by_a_smaller_one(judged: Path) -> None:
    found = read(judged)
    first, second = [r for r in found.results if r.port == "c"]
    told = [
        first.but(status="FAIL", margin=None),
        second.but(status="FAIL"),
    ]
    infinite = found.model_copy(update={"results": told})
    [row] = verdicts.rows(infinite)
    assert row.margin == math.inf
    # The terminal and the page show the same.
    out = io.StringIO()
    tables.verdicts(Console(file=out, width=100), told)
    assert "FAIL inf" in out.getvalue()
    assert ">FAIL inf</a>" in report.render(infinite, [])["index.html"]
    [row] = verdicts.rows(found.model_copy(update={"results": [first, second]}))
    assert row.margin == max(first.margin or 0, second.margin or 0) > 0


@pytest.mark.parametrize("damage", ["nothing", "missing", "half", "[]", "{}", "one point less"])
def test_answers_of_known_bugs_are_kept_unless_the_file_is_damaged(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = article.article().exact
    right, whole = article.answers(exact), article.kept(article.article().case).read_text()
    made: list[object] = []

    def again(runs: list[object]) -> list[article.Answers]:
        made.extend(runs)
        return [*right.values()]

    monkeypatch.setattr(article, "BUILD", tmp_path)
    monkeypatch.setattr(article, "in_parallel", again)
    file = article.kept(article.article().case)
    file.parent.mkdir()
    lists = json.loads(whole)
    lists["float32"]["update-lost"].pop()
    shown = {"nothing": whole, "half": whole[:999], "one point less": json.dumps(lists)}
    if damage != "missing":
        file.write_text(shown.get(damage, damage))
    for _ in range(2):
        assert repr(article.answers(exact)) == repr(right)
    assert len(made) == (0 if damage == "nothing" else len(exact))
    assert file.read_text() == whole


def test_odd_names_and_times_are_shown(judged: Path) -> None:
    """A name that Matplotlib would take for a formula, and a slope that is lost in the noise."""
    name = "x$\\frac{$名"
    found = read(judged)
    [info] = [p for p in found.ports if p.port == "c"]
    results = [
        r.model_copy(update={"port": name})
        for r in found.results
        if (r.port, r.dtype) == ("c", "float32")
    ]
    [time] = [t for t in found.timings if t.port == "c"]
    times = [time, time.model_copy(update={"ns_per_iteration": -1.0, "ns_low": -2.0})]
    odd = found.model_copy(
        update={
            "ports": [info.model_copy(update={"port": name})],
            "results": results,
            "timings": [t.model_copy(update={"port": name}) for t in times],
        }
    )
    written = report.render(odd, [])
    assert f"<option>{name}</option>" in written["index.html"]  # though it has no float64
    assert "badges/x-frac-名.svg" in written


def test_badges_of_ports_that_are_gone_go(folder: Path) -> None:
    names = {path.stem for path in (folder / "badges").glob("*.svg")}
    assert {"all", "c", "wrong"} <= names
    assert "gone" not in names


def test_the_junit_file_has_each_target_and_the_diagnosis(judged: Path) -> None:
    suite = next(iter(ET.parse(judged.parent / "junit.xml").getroot()))
    assert suite.get("name") == "backprop-conformance"
    found = read(judged)
    assert suite.get("tests") == str(len({r.port for r in found.results}))
    [failure] = suite.findall("testcase/failure")
    assert "probable bug: updated-weights-in-backward" in str(failure.text)
    skipped = {r.port for r in found.results if r.status == "SKIP"}
    assert len(suite.findall("testcase/skipped")) == len(skipped)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere.json"], "nowhere.json: cannot be read: No such file"),
        (["{empty}"], "empty.json: is not a results file of make conformance: "),
        (["{none}"], "none.json: has no verdicts: a report needs"),
        (["{results}", "--bench", "{results}"], "results.json: is not a file of make bench: "),
        (["{results}", "--folder", "{empty}"], "all.svg: cannot be written: "),
    ],
)
def test_a_mistake_is_one_sentence(
    judged: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    files = {"empty": tmp_path / "empty.json", "none": tmp_path / "none.json", "results": judged}
    files["empty"].write_text("{}")
    nothing = read(judged).model_copy(update={"results": [], "timings": []})
    files["none"].write_text(nothing.model_dump_json())
    done = command("report", "--folder", tmp_path / "out", *[w.format(**files) for w in words])
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


FOUND = {p.name: p for p in programs([(p.name, p.manifest.language) for p in manifest.select([])])}


@pytest.mark.parametrize("name", ["article", *(port.name for port in manifest.select([]))])
def test_each_port_has_all_steps_marked(name: str) -> None:
    steps = FOUND[name].steps
    assert [*steps] == [*STEPS]
    for pieces in steps.values():
        for piece in pieces:
            assert piece.text.strip()
            whole = piece.file.read_text().splitlines()
            assert piece.text.splitlines()[0].strip() == whole[piece.line - 1].expandtabs(4).strip()
        assert (
            sum(len(piece.text.splitlines()) for piece in pieces) <= 60
        )  # to be read, not skimmed


@pytest.mark.parametrize("name", ["c", "cuda", "numba_cpu", "numba_cuda"])
def test_ladders_are_marked(name: str) -> None:
    rungs: list[Program] = [p for p in FOUND.values() if p.name.startswith(f"{name}/ladder/")]
    assert len(rungs) >= 2
    assert {step for rung in rungs for step in rung.steps} == {*STEPS}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("// [forward]\nx\n", r"f\.c:1: \[forward\] has no \[/forward\] after it"),
        ("x\n// [/update]\n", r"f\.c:2: // \[/update\] without \[update\] before it"),
        ("# [update]\nx\n# [update]\n", r"f\.c:3: # \[update\] without \[/update\] before it"),
        ("! [update]\n! [/update]\n", r"f\.c:2: there are no lines in \[update\]"),
    ],
)
def test_a_marker_without_its_other_end_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "f.c").write_text(text)
    with pytest.raises(MarkerError, match=says):
        excerpts(tmp_path / "f.c", STEPS)


def test_steps_may_overlap_and_have_several_pieces(tmp_path: Path) -> None:
    file = tmp_path / "f.py"
    file.write_text(
        "# [forward]\n    a\n# [update]\n      b\n# [/forward]\n    c\n# [/update]\n"
        "d\n# [forward]\ne\n# [/forward]\n"
    )
    found = [(step, piece.line, piece.text) for step, piece in excerpts(file, STEPS)]
    assert found == [("forward", 2, "a\n  b"), ("update", 4, "  b\nc"), ("forward", 10, "e")]
