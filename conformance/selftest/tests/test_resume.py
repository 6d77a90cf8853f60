"""What a resumed run takes from an earlier one: a PASS on the same things, and nothing else."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.ground.statuses import Status
from conformance.process.sandbox import Reach
from conformance.record.machine import machine
from conformance.record.models import CaseInfo, Results, port_info
from conformance.record.store import ResultsError
from conformance.selftest.tests.conftest import CASES, NOTING, MakePort, notes_of, options_of
from conformance.session import resume
from conformance.session.engine import Finished, execute
from conformance.session.options import Options
from conformance.targets import build
from conformance.targets.manifest import load
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Repeat, Verdict


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
    patient = NOTING.replace("time_limit_s = 2.0", "time_limit_s = 99")
    port = make_port("mine", note, patient)

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


class Earlier:
    """What an earlier run was about: one port, and two cases that it passed."""

    def __init__(self, port: Path) -> None:
        self.judge = Judge(build.prepare(load(port))[0])
        self.cases = [CaseInfo(case=name, sha256=64 * name) for name in ("a", "b")]
        passed = Verdict.without_numbers("mine", "a", "float64", Status.PASS)
        passed = passed.but(numbers_compared=5, margin=0.5)
        self.results = Results(
            complete=True,
            machine=machine(),
            ports=[port_info(self.judge)],
            cases=self.cases,
            results=[passed, passed.but(case="b")],
            capabilities=[],
            timings=[],
        )

    def kept(
        self,
        earlier: Results,
        cases: Sequence[CaseInfo] | None = None,
        *,
        strict: bool = False,
        isolated: bool = False,
    ) -> list[str]:
        """The cases whose verdict of an earlier run stands."""
        judges, now = {"mine": self.judge}, self.cases if cases is None else cases
        found = resume.passed(earlier, judges, now, strict=strict, isolated=isolated)
        assert found == {v.key: v for v in earlier.results if v.key in found}
        return [case for _, case, _ in found]

    def of_port(self, **changes: object) -> Results:
        """The same of a port about which something was different."""
        [info] = self.results.ports
        return self.results.model_copy(update={"ports": [info.model_copy(update=changes)]})

    def of_first(self, **changes: object) -> Results:
        """The same with another first verdict."""
        first, second = self.results.results
        return self.results.model_copy(update={"results": [first.but(**changes), second]})


@pytest.fixture
def earlier(make_port: MakePort) -> Earlier:
    return Earlier(make_port("mine"))


def test_what_is_as_it_was_is_kept(earlier: Earlier) -> None:
    assert earlier.kept(earlier.results) == ["a", "b"]


@pytest.mark.parametrize("changed", ["commit", "system", "processor", "python", "numpy"])
def test_another_machine_or_commit_has_nothing_to_resume(changed: str, earlier: Earlier) -> None:
    other = earlier.results.machine.model_copy(update={changed: "another"})
    elsewhere = earlier.results.model_copy(update={"machine": other})
    with pytest.raises(ResultsError, match=r"the earlier run was of commit .* start a new run"):
        earlier.kept(elsewhere)


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
    changed: dict[str, object], earlier: Earlier
) -> None:
    assert earlier.kept(earlier.of_port(**changed)) == []


def test_what_is_known_once_a_port_has_run_makes_no_difference(earlier: Earlier) -> None:
    assert earlier.kept(earlier.of_port(device="what it ran on then")) == ["a", "b"]


@pytest.mark.parametrize("reach", [None, [], [Reach.NETWORK]])
def test_where_ports_must_be_shut_in_they_must_have_been(
    reach: list[Reach] | None, earlier: Earlier
) -> None:
    """What is not known may have been anything."""
    before = earlier.of_port(within_reach=reach)
    assert earlier.kept(before) == ["a", "b"]
    assert earlier.kept(before, isolated=True) == (["a", "b"] if reach == [] else [])


def test_a_strict_run_keeps_nothing_that_is_not_reproducible(earlier: Earlier) -> None:
    before = earlier.of_first(repeat=Repeat(says="other bits"))
    assert earlier.kept(before) == ["a", "b"]
    assert earlier.kept(before, strict=True) == ["b"]


@pytest.mark.parametrize("status", Status)
def test_only_a_pass_is_kept(status: Status, earlier: Earlier) -> None:
    right = ["a", "b"] if status == Status.PASS else ["b"]
    assert earlier.kept(earlier.of_first(status=status)) == right


def test_a_case_that_changed_or_is_not_in_this_run_is_left_out(earlier: Earlier) -> None:
    first, second = earlier.cases
    assert earlier.kept(earlier.results, [first]) == ["a"]
    changed = first.model_copy(update={"sha256": "another"})
    assert earlier.kept(earlier.results, [changed, second]) == ["b"]
