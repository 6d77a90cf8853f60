"""Which of several machines' verdicts count, in this process: test_merge.py has the command.

The ports c, numpy, far and cuda, and the case one-step, are in the clone with hash "now"; no other.
"""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from conformance.ground.screen import Screen
from conformance.record import merge
from conformance.record.merge import Merged, join
from conformance.record.models import Results
from conformance.record.store import ResultsError
from conformance.selftest.tests.conftest import CASES, ROOT
from conformance.selftest.tests.test_parsers import RESULT
from conformance.suite import traces
from conformance.targets.build import files_sha256
from reference.cases.case import load

HERE = {"system": "Linux", "processor": "this", "commit": "c0ffee"}
THERE = HERE | {"processor": "that"}

PORT, CASE = merge._port, merge._case


@pytest.fixture(autouse=True)
def _clone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"c": "now", "numpy": "now", "far": "now", "far:fast": "now", "one-step": "now"}
    monkeypatch.setattr(merge, "_port", now.get)
    monkeypatch.setattr(merge, "_case", now.get)


def run(
    *verdicts: tuple[str, str],
    day: int = 1,
    machine: dict[str, str] = HERE,
    device: str | None = "cpu",
    driver: str | None = None,
    port_hash: str = "now",
    case_hash: str = "now",
    **fields: Any,
) -> Results:
    """A file with these ports and statuses, in float64 on one-step, or another `case`."""
    complete, case = fields.pop("complete", True), fields.pop("case", "one-step")
    entry: dict[str, Any] = {"sha256": port_hash, "language": "L", "toolchain": None, "build": []}
    entry |= {"device": device, "driver": driver, "within_reach": fields.pop("reach", None)}
    named = {"case": case, "dtype": "float64"}
    date = f"2026-01-{day:02}T10:00Z"
    return Results.model_validate(
        RESULT
        | {
            "complete": complete,
            "machine": RESULT["machine"] | machine | {"date": date},  # type: ignore[operator]
            "ports": [{"port": port, **entry} for port, _ in verdicts],
            "cases": [{"case": case, "sha256": case_hash}],
            "results": [
                {
                    **named,
                    "port": port,
                    "status": status,
                    "reason": "" if status == "PASS" else f"it is {status}",
                    "margin": 0.5 if status in ("PASS", "FAIL") else None,
                    "numbers_compared": 3 if status in ("PASS", "FAIL") else 0,
                }
                for port, status in verdicts
            ],
        }
    )


def joined(*files: Results) -> tuple[Merged, list[str]]:
    return join({Path(f"{n}.json"): file for n, file in enumerate(files)})


def marks(*files: Results) -> list[str]:
    """The verdicts that count: port, status and mark."""
    return [f"{c.port} {c.status} {c.mark}" for c in joined(*files)[0].cells]


def shown(*files: Results) -> list[str]:
    buffer = io.StringIO()
    merge.show(Screen(file=buffer, width=90), *joined(*files))
    return buffer.getvalue().splitlines()


PASS, FAIL = ("c", "PASS"), ("c", "FAIL")


def test_marks_are_letters_and_then_numbered() -> None:
    files = [run(PASS, machine=HERE | {"processor": str(n)}) for n in range(54)]
    found = " ".join(source.mark for source in joined(*files)[0].sources)
    assert found.startswith("A B C ")
    assert " Y Z A1 B1 " in found
    assert found.endswith(" Y1 Z1 A2 B2")


def test_of_one_machine_the_newest_counts_and_of_one_date_the_worst() -> None:
    assert marks(run(PASS, day=2), run(FAIL, day=1)) == ["c PASS A"]
    assert marks(run(PASS, day=1), run(FAIL, day=2)) == ["c FAIL B"]
    assert marks(run(PASS), run(FAIL)) == ["c FAIL B"]
    assert marks(run(FAIL), run(("c", "CRASH"))) == ["c FAIL A"]
    assert marks(run(PASS, day=2), run(("c", "SKIP"), day=3)) == ["c SKIP B"]


@pytest.mark.parametrize("part", ["processor", "system"])
def test_verdicts_of_several_machines_all_count(part: str) -> None:
    found, notes = joined(run(PASS, day=2), run(FAIL, machine=HERE | {part: "other"}))
    assert [c.mark for c in found.cells] == ["A", "B"]
    assert notes == []


def test_what_is_not_stale_counts_before_what_is_newer() -> None:
    for old in ({"port_hash": "old"}, {"case_hash": "old"}):
        assert marks(run(PASS), run(FAIL, day=9, **old)) == ["c PASS A"]  # type: ignore[arg-type]
        assert marks(run(FAIL, day=9, **old)) == ["c FAIL A*"]  # type: ignore[arg-type]
    assert marks(run(("gone", "PASS"))) == ["gone PASS A?"]
    assert marks(run(PASS, case="fresh-1")) == ["c PASS A?"]
    assert marks(run(PASS, case="fresh-1", port_hash="old")) == ["c PASS A*"]


def test_each_device_counts_and_none_gives_way() -> None:
    one, other = run(PASS, device="one", day=2), run(FAIL, device="other")
    assert marks(one, other) == ["c PASS A", "c FAIL B"]
    down = ("c", "CRASH")
    assert marks(one, run(down, device=None, day=1)) == ["c PASS A"]
    assert marks(one, run(down, device=None, day=3)) == ["c PASS A", "c CRASH B"]
    assert marks(run(PASS, device=None, day=2), run(FAIL, device=None)) == ["c PASS A"]


def test_a_verdict_that_does_not_count_and_is_different_has_a_note() -> None:
    says = "which is from the same machine, and is stale or not newer"
    _, notes = joined(run(PASS, ("numpy", "PASS"), day=2), run(FAIL, ("numpy", "PASS")))
    assert notes == [f"c, one-step float64: PASS A counts instead of FAIL B, {says}"]
    assert notes[0] in shown(run(PASS, ("numpy", "PASS"), day=2), run(FAIL, ("numpy", "PASS")))
    for status in ("PASS", "SKIP"):
        assert joined(run(PASS, day=2), run(("c", status)))[1] == []
    assert joined(run(("c", "SKIP"), day=2), run(FAIL))[1] == []
    two = [
        run(PASS, day=2),
        run(PASS, day=2, case="smallest"),
        run(FAIL),
        run(FAIL, case="smallest"),
    ]
    assert len(joined(*two)[1]) == 2  # of other sources


def test_a_merged_file_has_the_number_of_its_format() -> None:
    assert joined(run(PASS))[0].format == 1


def test_cells_are_in_order() -> None:
    files = [run(PASS, ("a", "PASS"), case=case, machine=m) for case in "yx" for m in (HERE, THERE)]
    found = [(c.port, c.case, c.source) for c in joined(*files)[0].cells]
    assert found == [
        (p, case, s) for p in "ac" for case, two in (("x", "CD"), ("y", "AB")) for s in two
    ]


@pytest.mark.parametrize(
    ("device", "driver", "said"),
    [
        ("cpu", None, "cpu"),
        (None, None, "no device"),
        ("GPU", "GPU, driver 5", "GPU, driver 5"),
        ("cpu", "GPU, driver 5", "cpu; GPU, driver 5"),
    ],
)
def test_what_it_ran_on(device: str | None, driver: str | None, said: str) -> None:
    [cell] = joined(run(PASS, device=device, driver=driver))[0].cells
    assert cell.ran_on == said


def test_the_screen_says_what_counts_and_where_it_is_from() -> None:
    port, case = "port changed since: c", "case or its golden data"
    lines = shown(
        run(PASS, ("gone", "PASS"), port_hash="old", complete=False, reach=["the network"]),
        run(FAIL, device="GPU", driver="GPU 5", machine=THERE, case="fresh-1"),
        run(("numpy", "SKIP"), ("far", "PASS"), machine=THERE, device=None),
    )
    at = next(n for n, line in enumerate(lines) if line.startswith("A  "))
    cores = f"{RESULT['machine']['cores']} cores"  # type: ignore[index]
    when = "2026-01-01 10:00 UTC, commit c0ffee"
    reach = "within the ports' reach: the network (no name spaces)"
    assert lines[at - 1] == ""
    assert lines[at:] == [
        f"A  0.json: {when}, not complete, Linux, this, {cores}",
        f"   {reach}; see conformance/process/README.md",
        "   on cpu: c, gone",
        f"   A* {port}",
        "   A? port not in this clone: gone",
        f"B  1.json: {when}, Linux, that, {cores}",
        "   on GPU 5: c",
        f"   B? {case} not in this clone: fresh-1",
        f"C  2.json: {when}, Linux, that, {cores}",
        "3 PASS, 1 SKIP, 1 FAIL; stale: 1",
    ]
    assert any(line.startswith("FAIL c, fresh-1 float64 B?: it is FAIL") for line in lines)


def test_in_a_cell_a_skip_and_what_is_stale_give_way() -> None:
    skip = ("c", "SKIP")
    old = run(FAIL, machine=THERE, port_hash="old")
    assert shown(run(skip), run(PASS, machine=THERE))[-1] == "1 PASS; stale: 0"
    assert shown(run(PASS), old)[-1] == "1 PASS; stale: 0"
    assert shown(run(skip), old)[-1] == "1 FAIL; stale: 1"
    assert shown(run(skip), run(skip, machine=THERE))[-1] == "2 SKIP; stale: 0"
    assert shown(run(PASS), run(PASS, machine=THERE))[-1] == "2 PASS; stale: 0"
    assert any("PASS 0.5 AB" in line for line in shown(run(PASS), run(PASS, machine=THERE)))
    notes = [line for line in shown(run(PASS, day=2), run(FAIL)) if "counts instead of" in line]
    assert len(notes) == 1


def test_a_line_quotes_what_ran_on_another_device() -> None:
    when = "2026-01-01 10:00 UTC, commit c0ffee"

    def quoted(*files: Results) -> list[str]:
        found = joined(*files)[0]
        return merge.quoted(found.cells, {source.mark: source.when for source in found.sources})

    gpu = {"device": "GPU", "machine": THERE}
    both = run(("far", "PASS"), ("far:fast", "FAIL"), **gpu)  # type: ignore[arg-type]
    assert quoted(both) == [f"on another machine: far far:fast: 1 PASS, 1 FAIL; GPU, {when}"]
    old = run(("far", "PASS"), port_hash="old", case_hash="old", **gpu)  # type: ignore[arg-type]
    assert quoted(old) == [
        f"on another machine: far: 1 PASS; GPU, {when} (stale: port changed since)"
    ]
    old = run(("far", "PASS"), case_hash="old", **gpu)  # type: ignore[arg-type]
    assert quoted(old)[0].endswith(" (stale: case or golden data changed since: one-step)")
    assert len(quoted(both, run(("far", "PASS"), device="cpu"))) == 2


def kept(monkeypatch: pytest.MonkeyPatch, folder: Path, *files: Results) -> None:
    monkeypatch.setattr(merge, "COMMITTED", folder)
    for n, file in enumerate(files):
        (folder / f"{n}.json").write_text(file.model_dump_json())


def test_kept_files_tell_of_missing_targets_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept(monkeypatch, tmp_path, run(("far", "PASS"), PASS), run(("numpy", "SKIP")))
    assert merge.elsewhere(set()) == []
    [line] = merge.elsewhere({"far", "numpy"})
    assert line.startswith("on another machine: far: 1 PASS; cpu, 2026-01-01")
    (tmp_path / "0.json").write_text("{")
    [line] = merge.elsewhere({"far"})
    assert line.startswith(f"results of other machines left out: {tmp_path}/0.json: is not a ")
    (tmp_path / "0.json").unlink()
    (tmp_path / "1.json").unlink()
    assert merge.elsewhere({"far"}) == []


def test_the_command_gives_1_if_what_counts_and_is_not_stale_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(*files: Results, target: Path | None = None) -> int:
        kept(monkeypatch, tmp_path, *files)
        return merge.main(argparse.Namespace(files=[], json=target))

    assert main(run(PASS)) == 0
    assert main(run(FAIL)) == 1
    assert main(run(FAIL, port_hash="old")) == 0
    assert main(run(PASS), run(FAIL, machine=THERE)) == 1
    assert "1 PASS, 1 FAIL; stale: 0" in capsys.readouterr().out
    target = tmp_path / "out" / "merged"
    assert main(run(PASS), target=target) == 1
    found = Merged.model_validate(json.loads(target.read_text()))
    assert [c.mark for c in found.cells] == ["A", "B"]
    with pytest.raises(ResultsError, match=r"1\.json: is one of the files to merge"):
        main(run(PASS), target=tmp_path / "out" / ".." / "1.json")
    with pytest.raises(ResultsError, match="cannot be written: it is a folder"):
        main(run(PASS), target=tmp_path / "out")
    (tmp_path / "1.json").unlink()
    with pytest.raises(ResultsError, match="none of these files has a verdict"):
        main(run())
    (tmp_path / "0.json").unlink()
    with pytest.raises(ResultsError, match="no results files: name some, since "):
        main()
    with pytest.raises(ResultsError, match=r"no\.json: cannot be read"):
        merge.main(argparse.Namespace(files=[tmp_path / "no.json"], json=None))


def test_a_clone_that_cannot_be_read_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(_: str) -> str:
        raise PermissionError(13, "Permission denied", "port.c")

    monkeypatch.setattr(merge, "_port", locked)
    with pytest.raises(ResultsError) as refused:
        joined(run(PASS))
    assert str(refused.value) == "port.c: cannot be read: Permission denied"


def test_what_a_clone_has() -> None:
    of_c = files_sha256(ROOT / "ports" / "c", documents=False)
    for target in ("c", "c:simd", "c (emulation)", "c:simd (emulation)"):
        assert PORT(target) == of_c
    assert PORT("gone") is None
    assert CASE("one-step") == traces.sha256(load(CASES / "one-step.toml"))
    assert CASE("gone") is None
