"""What a resumed run takes from an earlier one: a PASS on the same things, and nothing else."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.ground.statuses import Status
from conformance.record.models import Results
from conformance.record.store import ResultsError
from conformance.selftest.tests.conftest import CASES, NOTING, MakePort, notes_of, options_of
from conformance.session import resume
from conformance.session.engine import Finished, Session, execute
from conformance.session.options import Options

KEPT: Any = {"strict": False, "isolated": False}  # all that passed


def ignore(_: str) -> None:
    pass


def run(options: Options) -> Finished:
    return execute(options, ignore)


@pytest.fixture
def asked(make_port: MakePort, tmp_path: Path) -> tuple[Options, Callable[[], list[str]]]:
    """A run of one port on two cases that may be edited, and the words that the port was asked."""
    suite = tmp_path / "suite"
    for name in ("one-step", "smallest"):
        for kind, end in (("cases", "toml"), ("golden", "json")):
            (suite / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy(CASES.parent / kind / f"{name}.{end}", suite / kind)
    shutil.copy(CASES.parent / "golden" / "SHA256SUMS", suite / "golden")
    note = "if op == 'train': open(sys.argv[1], 'a').write(f'{request[\"layers\"]} ')"
    port = make_port("mine", note, NOTING)

    def words() -> list[str]:
        log = notes_of(port)
        if not log.exists():
            return []
        found = sorted(set(log.read_text().replace(", ", ",").split()))
        log.unlink()
        return found

    options = options_of(port, results=tmp_path / "results.json", cases=str(suite / "cases"))
    return options, words


ONE_STEP, SMALLEST = "[2,2,1]", "[1,1]"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1, path
    path.write_text(text.replace(old, new, 1))


def test_what_passed_is_not_asked_again(
    asked: tuple[Options, Callable[[], list[str]]],
) -> None:
    options, words = asked
    first = run(options)
    assert not first.failed
    assert words() == [SMALLEST, ONE_STEP]
    again = run(replace(options, resume=True))
    assert words() == []
    assert again.results.results == first.results.results


def test_a_changed_case_is_judged_again(
    asked: tuple[Options, Callable[[], list[str]]], tmp_path: Path
) -> None:
    """Its golden file is also gone, since it is of the old case."""
    options, words = asked
    run(options)
    words()
    edit(tmp_path / "suite" / "cases" / "smallest.toml", "0.75", "0.5")
    (tmp_path / "suite" / "golden" / "smallest.json").unlink()
    again = run(replace(options, resume=True))
    assert words() == [SMALLEST]
    assert [v.status for v in again.results.results] == [Status.PASS, Status.PASS]


def test_a_changed_golden_file_is_judged_by(
    asked: tuple[Options, Callable[[], list[str]]], tmp_path: Path
) -> None:
    """It was derived again with other tolerances: what passed before may fail now."""
    from reference.golden import checksums

    options, words = asked
    run(options)
    words()
    golden = tmp_path / "suite" / "golden"
    text = (golden / "smallest.json").read_text()
    (golden / "smallest.json").write_text(text.replace('"numpy": "', '"numpy": "9'))
    checksums.record(golden, [golden / "smallest.json"])
    run(replace(options, resume=True))
    assert words() == [SMALLEST]


def results_of(options: Options) -> Results:
    return run(options).results


@pytest.mark.parametrize("changed", ["commit", "system", "processor", "python", "numpy"])
def test_another_machine_or_commit_has_nothing_to_resume(
    changed: str, asked: tuple[Options, Callable[[], list[str]]]
) -> None:
    options, _ = asked
    earlier = results_of(options)
    session = Session(options, ignore)
    try:
        kept = resume.passed(
            earlier, session.judges, session.judged_by, strict=False, isolated=False
        )
        assert len(kept) == 2
        other = earlier.machine.model_copy(update={changed: "another"})
        elsewhere = earlier.model_copy(update={"machine": other})
        with pytest.raises(ResultsError, match=r"the earlier run was of commit .* start a new run"):
            resume.passed(
                elsewhere, session.judges, session.judged_by, strict=False, isolated=False
            )
    finally:
        session.finish(interrupted=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"sha256": "0" * 64},
        {"toolchain": "another compiler"},
        {"build": ["cc -O3"]},
        {"driver": "another"},
        {"language": "another"},
        {"port": "another"},
    ],
    ids=str,
)
def test_a_port_that_is_built_in_another_way_is_judged_again(
    changed: dict[str, object], asked: tuple[Options, Callable[[], list[str]]]
) -> None:
    options, _ = asked
    earlier = results_of(options)
    session = Session(options, ignore)
    try:
        [info] = earlier.ports
        before = earlier.model_copy(update={"ports": [info.model_copy(update=changed)]})
        assert resume.passed(before, session.judges, session.judged_by, **KEPT) == {}
        on_device = info.model_copy(update={"device": "what it ran on then"})
        before = earlier.model_copy(update={"ports": [on_device]})
        assert (
            len(
                resume.passed(
                    before, session.judges, session.judged_by, strict=False, isolated=False
                )
            )
            == 2
        )
    finally:
        session.finish(interrupted=True)


def test_only_a_pass_is_kept(asked: tuple[Options, Callable[[], list[str]]]) -> None:
    options, _ = asked
    earlier = results_of(options)
    session = Session(options, ignore)
    try:
        for status in Status:
            first, second = earlier.results
            before = earlier.model_copy(update={"results": [first.but(status=status), second]})
            kept = resume.passed(
                before, session.judges, session.judged_by, strict=False, isolated=False
            )
            right = [first, second] if status == Status.PASS else [second]
            assert kept == {verdict.key: verdict for verdict in earlier.results if verdict in right}
    finally:
        session.finish(interrupted=True)


def test_cases_of_the_earlier_run_that_are_not_in_this_one_are_left_out(
    asked: tuple[Options, Callable[[], list[str]]],
) -> None:
    options, _ = asked
    earlier = results_of(options)
    session = Session(options, ignore)
    try:
        kept = resume.passed(
            earlier, session.judges, session.judged_by[:1], strict=False, isolated=False
        )
        assert [case for _, case, _ in kept] == [session.judged_by[0].case]
    finally:
        session.finish(interrupted=True)
