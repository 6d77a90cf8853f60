"""Whatever a port, a manifest or somebody's file says: where it is shown, it is only text.

Every field of every record holds text that would do harm, and every output is made of them.
"""

import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from rich.console import Console

from conformance.bench import command as bench_command
from conformance.bench import curves, plot, show
from conformance.bench.files import Bench
from conformance.ground import live, terminal
from conformance.ground.screen import Screen
from conformance.ground.statuses import Status
from conformance.ground.text import LONGEST_STORY, Markdown, fenced, inline, plain
from conformance.page import command as report
from conformance.page import plots, verdicts
from conformance.page.article import Band, Line
from conformance.record import merge, screen, tables
from conformance.record.merge import Merged
from conformance.record.models import Results, Teeth
from conformance.record.remarks import remarks
from conformance.selftest.tests.outside import (
    HARMS,
    TEXT,
    assert_harmless_markdown,
    assert_harmless_on_a_terminal,
    assert_harmless_page,
    filled,
    rotated,
    texts_of,
    unseen,
)

pytestmark = pytest.mark.xdist_group("report")

NAMES: dict[str, int] = {}


def harmful(name: str) -> str:
    """The text of a field: that of two fields of one name is the same, so that records match."""
    if name == "got":  # the only text that must be a number
        return "0.5"
    return rotated(NAMES.setdefault(name, len(NAMES)))


def only(text: str) -> Callable[[str], str]:
    """The same text for every field that need not be a number."""
    return lambda name: "0.5" if name == "got" else text


def of_each_status(texts: Callable[[str], str]) -> Results:
    """Results with a port and its rung for each status, in which all texts are these."""
    base = filled(Results, texts)
    [port], [verdict], [timing] = base["ports"], base["results"], base["timings"]
    [entry] = base["capabilities"]
    names = [rotated(number) for number in range(len(Status))]
    names += [name.replace(":", ";") for name in names]  # not a rung's
    statuses = [*Status, *Status]
    base |= {
        "ports": [{**port, "port": name} for name in names],
        "results": [
            {**verdict, "port": name, "status": status, "divergence": found, "dtype": dtype}
            for name, status in zip(names, statuses, strict=True)
            for dtype, found in (("float64", None), ("float32", verdict["divergence"]))
        ],
        "timings": [{**timing, "port": name} for name in names],
        "capabilities": [{**entry, "port": name} for name in names],
    }
    return Results.model_validate(base)


def of_bench(texts: Callable[[str], str]) -> Bench:
    """A bench file of two sweeps' workloads, in which all other texts are these."""
    base = filled(Bench, texts)
    [setting], [row], [port] = base["settings"], base["rows"], base["ports"]
    workloads = {"3-4-1": 1, "ensemble-100": 100, row["workload"]: 1}
    names = [rotated(number) for number in (0, 5)]
    base |= {
        "settings": [{**setting, "workload": w, "networks": n} for w, n in workloads.items()],
        "ports": [{**port, "port": name} for name in names],
        "rows": [
            {**row, "workload": w, "port": name, "timed": timed}
            for w in workloads
            for name, timed in zip(names, (row["timed"], {**row["timed"]}), strict=True)
        ],
    }
    return Bench.model_validate(base)


RESULTS, BENCH = of_each_status(harmful), of_bench(harmful)


def printed(show: Callable[[Console], object], width: int = 100) -> str:
    """What is printed."""
    out = io.StringIO()
    show(Screen(file=out, width=width))
    return out.getvalue()


def models() -> list[type[BaseModel]]:
    """All records that are written to files, with those inside."""
    found: list[type[BaseModel]] = []

    def add(model: type[BaseModel]) -> None:
        if model not in found:
            found.append(model)
            for field in model.model_fields.values():
                inside(field.annotation)

    def inside(kind: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            add(kind)
        for inner in getattr(kind, "__args__", ()):
            inside(inner)

    for model in (Results, Bench, Merged):
        add(model)
    return found


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_no_record_keeps_text_that_does_something(model: type[BaseModel]) -> None:
    found = model.model_validate(filled(model, harmful))
    given = [*texts_of(filled(model, harmful))]
    kept = [*texts_of(found)]
    assert any(unseen(text) for text in given) or not any("canary" in text for text in given)
    assert set().union(*map(unseen, kept)) == set()
    stories = {"reason", "explanation"}
    for name, value in found:
        if isinstance(value, str) and name not in stories:
            assert "\n" not in value


@pytest.mark.parametrize("harm", HARMS)
def test_a_record_is_the_same_when_it_is_read_again(harm: str) -> None:
    for text in (HARMS[harm], HARMS[harm] * (LONGEST_STORY // len(HARMS[harm]) + 1)):
        found = of_each_status(only(text))
        assert Results.model_validate_json(found.model_dump_json()) == found
        assert len(found.results[0].explanation) <= LONGEST_STORY
    assert found.results[0].explanation.endswith(" characters)")


def test_the_screen_and_all_tables() -> None:
    run = screen.Run(
        file=None,
        seconds=1.0,
        wanted=9,
        chosen=[TEXT],
        elsewhere=[TEXT],
        hints=[TEXT],
        problems=[rotated(n) for n in range(len(HARMS))],
    )
    for width in (40, 100):
        assert_harmless_on_a_terminal(printed(lambda o: screen.show(o, RESULTS, run), width))
        assert_harmless_on_a_terminal(printed(lambda o: tables.show(o, RESULTS), width))
    passing = RESULTS.model_copy(
        update={"results": [r for r in RESULTS.results if not r.status.wrong]}
    )
    assert_harmless_on_a_terminal(printed(lambda o: screen.show(o, passing, run)))
    teeth = Teeth.model_validate(filled(Teeth, harmful))
    assert_harmless_on_a_terminal(printed(lambda o: tables.show_teeth(o, teeth)))


def test_what_merge_and_bench_print(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    merged, notes = merge.join({tmp_path / TEXT.replace("/", "").replace("\0", ""): RESULTS})
    assert_harmless_on_a_terminal(printed(lambda o: merge.show(o, merged, [*notes, TEXT])))
    assert_harmless_on_a_terminal(printed(lambda o: show.show(o, BENCH)))
    assert bench_command.show_curves([BENCH, BENCH], tmp_path / "curves.svg")
    plot.draw(BENCH, tmp_path / "bench.svg")
    for name in ("curves.svg", "bench.svg"):
        assert_harmless_page((tmp_path / name).read_text())
        ET.parse(tmp_path / name)
    said = capsys.readouterr()
    assert "canary" in said.out
    assert_harmless_on_a_terminal(said.out + said.err)


def test_a_merged_file_holds_no_text_that_does_something(tmp_path: Any) -> None:
    merged, _ = merge.join({tmp_path / "a.json": RESULTS})
    again = json.loads(merged.model_dump_json())
    assert set().union(*map(unseen, texts_of(again))) == set()


@pytest.mark.parametrize("harm", HARMS)
def test_a_line_on_either_stream(harm: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{HARMS[harm]}\n{HARMS[harm]}"
    terminal.say(text)
    terminal.progress(text)
    live.LIVE.note(text)
    terminal.console().print(text)
    with live.Task("building", text) as task:
        live.LIVE._plain, live.LIVE._last_plain = "", -1e9
        live.LIVE._draw(task.text)
    said = capsys.readouterr()
    assert_harmless_on_a_terminal(said.out)
    assert_harmless_on_a_terminal(said.err)
    if "canary" in HARMS[harm]:
        assert said.out.count("canary") == 4 * HARMS[harm].count("canary")


def test_the_report() -> None:
    written = report.render(RESULTS, [BENCH])
    assert_harmless_markdown(written[report.SUMMARY])
    assert_harmless_page(written[report.PAGE])
    own = [r for r in RESULTS.results if ":" not in r.port]
    badges = [name for name in written if name.endswith(".svg")]
    assert len(badges) == 1 + len({r.port for r in own})
    for name in badges:
        assert re.fullmatch(r"badges/\w[\w.-]*\.svg", name), name
        assert len(name.encode()) < 255
        assert_harmless_page(written[name])
        ET.fromstring(written[name])
    assert "canary" in written[report.PAGE]
    assert "canary" in written[report.SUMMARY]


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_alone_in_the_summary(harm: str) -> None:
    """A text that begins with it, ends with it, and is nothing else."""
    for text in (HARMS[harm], f"x{HARMS[harm]}", f"{HARMS[harm]}x"):
        found = of_each_status(only(text))
        environment = report._environment(in_markdown=True)
        rows = verdicts.rows(found)
        said = environment.get_template("summary.md").render(
            results=found,
            machine=found.machine,
            counts=Markdown(tables.counts(found.results)),
            compared=1,
            rows=rows,
            remarks=[*remarks(found)],
            failures=[r for r in found.results if r.status.wrong],
            timed_case=found.timings[0].case,
            timed={t.port: t for t in found.timings},
        )
        assert_harmless_markdown(said)


def test_no_port_has_the_badge_of_all_or_of_another() -> None:
    names = ["all", "ALL", "a b", "a-b", "a/b", "..", "../../x", "-", "é" * 300, "c"]
    base = filled(Results, lambda name: "0.5" if name == "got" else name)
    [port], [verdict] = base["ports"], base["results"]
    base |= {
        "ports": [{**port, "port": name} for name in names],
        "results": [{**verdict, "port": name} for name in names],
        "timings": [],
        "capabilities": [],
    }
    written = report.render(Results.model_validate(base), [])
    badges = [name for name in written if name.endswith(".svg")]
    assert len({name.casefold() for name in badges}) == len(badges) == 1 + len(names)
    assert "backpropagation: " in written["badges/all.svg"]
    assert "badges/c.svg" in badges
    for name in badges:
        assert re.fullmatch(r"badges/\w[\w.-]*\.svg", name), name
        assert len(name.encode()) < 255


def test_the_plots() -> None:
    lines = [
        Line(text, [0, 1], [0.5, 1e300]) for text in map(plain, map(rotated, range(len(HARMS))))
    ]
    band = Band([0, 1], [1.0, 1.0], [2.0, 2.0])
    for drawn in (
        plots.drift(plain(TEXT), "float64", lines, lines, band),
        plots.times(RESULTS.timings),
        *(plots.crossovers(one) for one in curves.curves([BENCH])),
    ):
        assert_harmless_page(drawn)
        ET.fromstring(drawn)


def test_a_text_that_must_be_a_number_is_none_but_a_number() -> None:
    with pytest.raises(ValidationError):
        of_each_status(lambda name: TEXT)


@pytest.mark.parametrize("backslashes", range(5))
def test_no_bar_ends_a_cell(backslashes: int) -> None:
    """GitHub reads two backslashes as one of the text, and a bar behind them as the cell's end."""
    said = inline("a" + "\\" * backslashes + "|b|")
    found = re.findall(r"(\\*)\|", said)
    assert [len(before) % 2 for before in found] == [1, 1]


def test_a_block_is_cut_with_a_note_inside_its_fence() -> None:
    said = fenced("`" * 8000 + "\n" + "x\n" * 8000)
    assert said.startswith("`" * 4000)
    assert said.splitlines()[0].removesuffix("text") == said.splitlines()[-1]
    assert said.splitlines()[-2].endswith("characters)")
    assert fenced("") == "```text\n\n```"
    assert inline("") == ""
