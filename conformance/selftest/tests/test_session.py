"""One run from its options to its results, where the verdicts are given: no port is started."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.ground.statuses import Status
from conformance.process.sandbox import Reach
from conformance.record import store
from conformance.record.models import Fresh, Results, Timing
from conformance.selftest.tests.conftest import CASES, MANIFEST, PYTHON_MANIFEST, options_of
from conformance.session import command, engine
from conformance.session.engine import Finished, Session, execute
from conformance.session.options import Options
from conformance.suite import traces
from conformance.targets.manifest import PortError
from conformance.verdict.judge import Judge
from conformance.verdict.verdict import Repeat, Verdict
from reference.cases.case import Case, load
from reference.cases.tables import DType
from reference.errors import UserError

PASS, SKIP, FAIL, XFAIL = Status.PASS, Status.SKIP, Status.FAIL, Status.XFAIL
BOTH = MANIFEST.replace('["float64"]', '["float64", "float32"]')
BIAS = MANIFEST.replace('"layers"', '"bias"')
RUNG = '[[rung]]\nname = "fast"\ndtypes = ["float64"]\nmodule = "p"\n'
LADDER = PYTHON_MANIFEST.replace("CAPABILITIES", '["alpha", "layers"]').replace(
    "port.py", "port.toml"
)
CARD = MANIFEST + '[device]\ndetect = ["false"]\n[emulation]\nname = "imitation"\n'
ABSENT = ('["true"]', '["no-such-tool"]')
Key = tuple[str, str, DType]


def given(key: Key, status: Status, numbers: int = 5) -> Verdict:
    bare = Verdict.without_numbers(*key, status)
    return bare.but(numbers_compared=numbers, margin=0.5 if numbers else None)


class World:
    """Ports and the verdicts on them: PASS where `statuses` has no other by target and dtype."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.statuses: dict[tuple[str, ...], Status] = {}
        self.reach: list[Reach] | None = None
        self.ends: BaseException | None = None  # what comes in place of the second verdict
        self.pools: list[Given] = []
        self.closed: list[str] = []  # targets of which a process was ended
        self.said: list[str] = []

    def port(self, name: str, manifest: str = MANIFEST) -> Path:
        path = self.folder / "ports" / name
        path.mkdir(parents=True, exist_ok=True)
        (path / "port.toml").write_text(manifest)
        return path

    def options(self, *ports: Path | str, **more: Any) -> Options:
        return options_of(*ports, results=self.folder / "results.json", **more)

    def run(self, *ports: Path | str, **more: Any) -> Finished:
        return execute(self.options(*ports, **more), self.said.append)

    def session(self, *ports: Path | str, **more: Any) -> Session:
        return Session(self.options(*ports, **more), self.said.append)

    def suite(self, *names: str) -> str:
        """A folder of these cases alone, which is judged as a whole."""
        for name in names:
            for kind, end in (("cases", "toml"), ("golden", "json")):
                (self.folder / kind).mkdir(exist_ok=True)
                shutil.copy(CASES.parent / kind / f"{name}.{end}", self.folder / kind)
        shutil.copy(CASES.parent / "golden" / "SHA256SUMS", self.folder / "golden")
        return str(self.folder / "cases")


class Given:
    """Stands in for a Pool."""

    def __init__(
        self, world: World, judged: Iterable[tuple[Judge, Case]], traces: Mapping[str, Any]
    ) -> None:
        self.world, self.judged, self.closed = world, [*judged], 0
        self.found: dict[Key, Verdict] = {}
        for judge, case in self.judged:
            assert {*traces[case.id]} == {"float64", "float32"}
            judge.within_reach = world.reach

    def verdicts_of(self, target: str, case: Case) -> dict[DType, Verdict]:
        """See Pool."""
        if self.found and self.world.ends is not None:
            raise self.world.ends
        [judge] = [j for j, c in self.judged if (j.target.name, c) == (target, case)]
        found: dict[DType, Verdict] = {}
        for dtype in judge.target.dtypes:
            status = self.world.statuses.get((target, case.id, dtype))
            status = status or self.world.statuses.get((target,), PASS)
            found[dtype] = given((target, case.id, dtype), status, 0 if status == SKIP else 5)
        self.found |= {verdict.key: verdict for verdict in found.values()}
        return found

    def finished(self) -> list[Verdict]:
        """See Pool: in the order in which they came."""
        return [*self.found.values()][::-1]

    def close(self) -> None:
        """See Pool."""
        self.closed += 1


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(tmp_path)

    def pool(*arguments: Any) -> Given:
        found.pools.append(Given(found, *arguments))
        return found.pools[-1]

    monkeypatch.setattr(engine, "Pool", pool)
    monkeypatch.setattr(Judge, "close", lambda judge: found.closed.append(judge.target.name))
    return found


def keys(results: Results) -> list[Key]:
    return [verdict.key for verdict in results.results]


def test_a_run_has_a_verdict_for_each_pair_in_order(world: World) -> None:
    done = world.run(world.port("b", BOTH), world.port("a"), cases="one-step smallest")
    both: tuple[DType, DType] = ("float64", "float32")
    expected: list[Key] = [("b", case, d) for case in ("one-step", "smallest") for d in both]
    expected += [("a", "one-step", "float64"), ("a", "smallest", "float64")]
    assert keys(done.results) == expected
    assert done.results.complete
    assert (done.problems, done.hints, done.missing, done.elsewhere) == ([], [], {}, set())
    assert done.written
    assert not done.failed
    assert done.wanted == len(expected)
    assert 0 <= done.seconds < 100
    assert store.read_results(world.folder / "results.json", "") == done.results
    assert [port.port for port in done.results.ports] == ["b", "a"]
    cases = {name: load(CASES / f"{name}.toml") for name in ("one-step", "smallest")}
    judged_by = {info.case: info.sha256 for info in done.results.cases}
    assert judged_by == {name: traces.sha256(case) for name, case in cases.items()}
    entries = {(e.port, e.capability): (e.passed, e.cases) for e in done.results.capabilities}
    assert entries == {("b", "layers"): (1, 1), ("a", "layers"): (1, 1)}
    assert (done.results.fresh, done.results.timings, world.said) == (None, [], [])
    assert world.pools[0].closed == 1
    assert {*world.closed} == {"a", "b"}


def test_a_shard_is_a_run_of_its_cases(world: World) -> None:
    done = world.run(world.port("a"), cases="one-step smallest two-layer", shard=(2, 2))
    assert keys(done.results) == [("a", "smallest", "float64")]
    assert [case.case for case in done.results.cases] == ["smallest"]


def test_a_run_that_is_interrupted_keeps_what_it_has(world: World) -> None:
    world.ends = KeyboardInterrupt()
    done = world.run(world.port("a"), cases="one-step smallest", timed=True)
    assert keys(done.results) == [("a", "one-step", "float64")]
    assert not done.results.complete
    assert done.problems == []
    assert done.wanted == 2
    assert command.status(done) == 130
    assert store.read_results(world.folder / "results.json", "") == done.results


def test_a_run_that_stops_early_is_not_complete(world: World) -> None:
    """As pytest does at a failure, with -x."""
    session = world.session(world.port("a"), cases="one-step smallest")
    session.begin(session.matrix())
    session.verdicts_of(*session.matrix()[0])
    done = session.finish()
    assert keys(done.results) == [("a", "one-step", "float64")]
    assert not done.results.complete
    assert done.problems == []


def test_a_fault_of_the_harness_ends_all_processes_and_is_raised(world: World) -> None:
    world.ends = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        world.run(world.port("a"), cases="one-step smallest")
    assert world.pools[0].closed == 1
    assert world.closed == ["a"]
    assert not (world.folder / "results.json").exists()


def test_what_the_system_refuses_at_the_start_is_one_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise PermissionError(13, "Permission denied", "port.toml")

    port = world.port("a")
    monkeypatch.setattr("conformance.targets.manifest.select", refused)
    with pytest.raises(UserError, match=r"Permission denied: 'port\.toml'"):
        world.run(port)


def test_what_cannot_be_is_refused_before_anything_is_judged(world: World) -> None:
    known = '[[known_failure]]\ncase = "nosuch"\nreason = "r"\nstatus = "FAIL"\nmessage = "m"\n'
    with pytest.raises(PortError, match="there is no case 'nosuch'"):
        world.run(world.port("a", MANIFEST + known))
    assert not world.pools


@pytest.mark.parametrize("which", ["results", "bundle"])
def test_a_file_that_cannot_be_written_is_told_first(which: str, world: World) -> None:
    (world.folder / "file").touch()
    changed: dict[str, Any] = {which: world.folder / "file" / "r.zip"}
    options = replace(world.options(world.port("a")), **changed)
    with pytest.raises(UserError, match=r"r\.zip"):
        execute(options, world.said.append)
    assert not world.pools


@pytest.mark.parametrize(
    ("require", "required"),
    [
        ([], set()),
        (["plain"], {"plain"}),
        (["card"], {"card"}),
        (["card:imitation"], {"card (imitation)"}),
        (["lost:imitation"], {"lost"}),  # which cannot run at all
        (["all"], {"plain", "card (imitation)", "lost"}),
    ],
)
def test_what_is_required_is_a_target_that_is_judged(
    require: list[str], required: set[str], world: World
) -> None:
    ports = [
        world.port("plain"), world.port("card", CARD), world.port("lost", CARD.replace(*ABSENT))
    ]  # fmt: skip
    session = world.session(*ports, require=require)
    assert {name for name, judge in session.judges.items() if judge.required} == required
    assert [*session.judges] == ["plain", "card", "card (imitation)", "lost"]
    assert not any(judge.strict for judge in session.judges.values())


def test_strict_is_for_all(world: World) -> None:
    assert world.session(world.port("a"), strict=True).judges["a"].strict


NOTHING = ["nothing was compared, and that is a failure"]


@pytest.mark.parametrize(
    ("statuses", "require", "problems"),
    [
        ({}, ["a"], []),
        ({"a": SKIP}, [], []),
        ({"a": SKIP}, ["a"], ["a is required, and nothing of it was compared"]),
        ({"a": SKIP}, ["b"], []),
        ({"a": SKIP, "b": SKIP}, [], NOTHING),
        ({"a": SKIP, "b": SKIP}, ["b"], NOTHING),
    ],
)
def test_something_must_be_compared(
    statuses: dict[str, Status], require: list[str], problems: list[str], world: World
) -> None:
    world.statuses = {(name,): status for name, status in statuses.items()}
    done = world.run(world.port("a"), world.port("b"), require=require)
    assert done.problems == problems
    assert done.failed is bool(problems)


def test_a_failure_without_a_number_says_enough(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second problem would say less than the verdict, wherever that is."""
    world.statuses = {("a",): FAIL, ("b",): SKIP}
    bare = given
    monkeypatch.setitem(globals(), "given", lambda key, status, _: bare(key, status, 0))
    done = world.run(world.port("a"), world.port("b"), require=["b"])
    assert done.problems == []
    assert done.failed


def test_a_rung_that_declines_all_of_a_part_is_no_lack(world: World) -> None:
    world.statuses = {("mine:fast",): SKIP}
    port = world.port("mine", LADDER + RUNG.replace('"p"', '"port.toml"'))
    names = (port, f"{port}:fast")
    assert world.run(*names, require=["mine:fast"]).problems == []
    whole = world.run(*names, require=["mine:fast"], cases=world.suite("one-step"))
    assert whole.problems == ["mine:fast is required, and nothing of it was compared"]


def test_rungs_are_judged_on_cases_that_can_be_theirs(world: World) -> None:
    port = world.port("mine", LADDER + RUNG.replace('"p"', '"port.toml"'))
    session = world.session(port, f"{port}:fast", cases="one-step smallest bias-step")
    pairs = [(name, case.id) for name, case in session.matrix()]
    assert pairs == [
        *(("mine", name) for name in ("one-step", "smallest", "bias-step")),
        ("mine:fast", "one-step"),  # it lists nothing
    ]


@pytest.mark.parametrize("require", [[], ["isolation"]])
@pytest.mark.parametrize("reach", [None, [], [Reach.NETWORK]])
def test_isolation_may_be_required(
    reach: list[Reach] | None, require: list[str], world: World
) -> None:
    world.reach = reach
    done = world.run(world.port("a"), require=require)
    said = "isolation is required, but within the ports' reach: "
    assert [p.startswith(said) for p in done.problems] == ([True] if reach and require else [])
    assert done.results.ports[0].within_reach == reach


@pytest.mark.parametrize(
    ("more", "claims"),
    [({}, 1), ({"shard": (1, 1)}, 0), ({"cases": "bias-step"}, 0)],
)
def test_what_is_claimed_in_vain_shows_in_a_whole_run_alone(
    more: dict[str, Any], claims: int, world: World
) -> None:
    world.statuses = {("a",): XFAIL}
    done = world.run(world.port("a", BIAS), **{"cases": world.suite("bias-step")} | more)
    said = ["a lists the capability bias, and passes no case for it"]
    assert done.problems == claims * said


def test_who_declines_all_random_cases_is_found_in_any_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The random cases are drawn for the ports of the run, and come last."""
    asked: list[Any] = []

    def drawn(*arguments: object) -> list[Case]:
        asked.append(arguments)
        return [load(CASES / "smallest.toml")]

    monkeypatch.setattr(engine, "fresh_cases", drawn)
    monkeypatch.setattr(
        "conformance.session.capabilities.is_fresh", lambda case: case.id == "smallest"
    )
    world.statuses = {("a", "smallest", "float64"): SKIP}
    done = world.run(world.port("a"), seed=7, fresh=1)
    assert done.problems == ["a passes published cases, and declines all random ones"]
    assert done.results.fresh == Fresh(seed=7, number=1)
    assert [case.case for case in done.results.cases] == ["one-step", "smallest"]
    [(fresh, [port])] = asked
    assert (fresh, port.name) == (done.results.fresh, "a")


def test_results_that_cannot_be_written_in_the_end_are_a_problem(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise store.ResultsError("results.json: the disk is full")

    monkeypatch.setattr(store, "write", full)
    done = world.run(world.port("a"))
    assert not done.written
    assert done.problems == ["results.json: the disk is full"]
    assert command.status(done) == 2


def test_a_bundle_is_written_of_the_whole_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def write(path: Path, results: Results, judges: object, golden: object) -> list[str]:
        asked.append((path, keys(results)))
        return ["no bundle"]

    monkeypatch.setattr("conformance.record.bundle.write", write)
    assert world.run(world.port("a")).problems == []
    file = world.folder / "b.zip"
    assert world.run(world.port("a"), bundle=file).problems == ["no bundle"]
    assert asked == [(file, [("a", "one-step", "float64")])]


def test_what_is_missing_is_told_and_what_another_machine_may_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ports of this project alone other machines' results are known."""
    monkeypatch.setattr(engine, "PORTS", world.folder / "ports")
    plain = world.port("plain")
    lost = world.port("lost", MANIFEST.replace(*ABSENT))
    card = world.port("card", CARD)
    here = world.port("here", CARD.replace('["false"]', '["true"]'))
    away = world.folder / "mine"
    shutil.copytree(card, away)
    done = world.run(plain, lost, card, here, away)
    assert done.missing == {"lost": "toolchain", "card": "device", "mine": "device"}
    assert done.elsewhere == {"card"}


HINTS = [f"hint {number}" for number in range(5)]


@pytest.mark.parametrize(
    ("ports", "more", "told"),
    [
        (["a"], {}, HINTS[:3]),
        (["a", "b"], {}, []),
        (["a"], {"cases": "one-step"}, []),
        (["a"], {"shard": (1, 1)}, []),
    ],
)
def test_who_runs_one_port_on_all_cases_is_told_what_comes_next(
    ports: list[str],
    more: dict[str, Any],
    told: list[str],
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hints(listed: list[str], cases: list[Case]) -> list[Any]:
        assert listed == ["alpha", "layers"]
        assert [case.id for case in cases] == ["one-step", "smallest"]
        return [SimpleNamespace(text=text) for text in HINTS]

    monkeypatch.setattr("conformance.session.hints.hints", hints)
    folders = [world.port(name) for name in ports]
    asked = {"cases": world.suite("one-step", "smallest")} | more
    assert world.run(*folders, **asked).hints == told
    world.ends = KeyboardInterrupt()
    assert world.run(*folders, **asked | {"cases": world.suite("smallest")}).hints == []


TIMING = Timing(
    port="a", case="three-layer", dtype="float64", ns_per_iteration=2.0, ns_low=1.0, ns_high=3.0,
    fixed_ms=0.0, ratio_to_numpy=None,
)  # fmt: skip
Raced = list[tuple[str, list[str]]]


@pytest.fixture
def raced(world: World, monkeypatch: pytest.MonkeyPatch) -> Raced:
    """What is timed, on which case; port b goes wrong under the clock."""
    found: Raced = []

    def race(
        passed: list[tuple[Judge, Verdict]], case: Case, trace: Any
    ) -> tuple[list[Timing], dict[str, Verdict]]:
        assert trace.dtype == "float64"
        assert not any(judge._filled for judge, _ in passed)
        assert all(verdict.key[1:] == (case.id, "float64") for _, verdict in passed)
        found.append((case.id, [judge.target.name for judge, _ in passed]))
        if world.ends is not None:
            raise world.ends
        wrong = {v.port: v.but(status=FAIL, reason="wrong") for j, v in passed if v.port == "b"}
        return [TIMING], wrong

    monkeypatch.setattr("conformance.bench.short_race.short_race", race)
    return found


def test_what_passed_is_timed_and_may_still_fail(world: World, raced: Raced) -> None:
    world.statuses = {("c",): FAIL, ("card",): SKIP}
    ports = [world.port(name) for name in ("a", "b", "c")] + [world.port("card", CARD)]
    done = world.run(*ports, cases="one-step three-layer", timed=True)
    assert raced == [("three-layer", ["a", "b"])]
    assert done.results.timings == [TIMING]
    found = {v.key[:2]: v for v in done.results.results}
    assert found["a", "three-layer"].status == PASS
    assert found["b", "one-step"].status == PASS
    wrong = found["b", "three-layer"]
    assert (wrong.status, wrong.reason) == (FAIL, "wrong")
    assert "reproduce: " in wrong.explanation
    assert done.failed
    assert sorted(world.closed) == sorted(2 * ["a", "b", "c", "card", "card (imitation)"])


def test_nothing_is_timed_after_an_interrupt(world: World, raced: Raced) -> None:
    world.ends = KeyboardInterrupt()
    done = world.run(world.port("a"), cases="three-layer smallest", timed=True)
    assert keys(done.results) == [("a", "three-layer", "float64")]
    assert raced == []


@pytest.mark.parametrize("timed", [False, True])
def test_nothing_is_timed_unless_something_passed(timed: bool, world: World, raced: Raced) -> None:
    world.statuses = {("a",): FAIL if timed else PASS}
    assert world.run(world.port("a"), cases="three-layer", timed=timed).results.timings == []
    assert raced == []


def test_an_interrupt_under_the_clock_leaves_the_verdicts(world: World, raced: Raced) -> None:
    session = world.session(world.port("a"), cases="three-layer", timed=True)
    session.begin(session.matrix())
    session.verdicts_of(*session.matrix()[0])
    world.ends = KeyboardInterrupt()
    done = session.finish()
    assert not done.results.complete
    assert keys(done.results) == [("a", "three-layer", "float64")]
    assert len(raced) == 1


def test_a_session_may_end_before_it_has_begun(world: World) -> None:
    done = world.session(world.port("a")).finish(interrupted=True)
    assert (done.results.complete, done.results.results, done.wanted) == (False, [], 0)


def test_what_passed_in_all_dtypes_stands_in_a_run_that_is_resumed(world: World) -> None:
    """A port that was not started again could reach what it could before."""
    ports = [world.port("a", BOTH), world.port("b"), world.port("c")]
    world.statuses = {("a", "one-step", "float32"): FAIL, ("c",): FAIL}
    world.reach = [Reach.NETWORK]
    run = {"cases": "one-step smallest"}
    first = world.run(*ports, **run)
    world.reach, world.statuses = None, {("a",): XFAIL}
    again = world.run(*ports, resume=True, **run)
    judged = [(judge.target.name, case.id) for judge, case in world.pools[1].judged]
    assert judged == [("a", "one-step"), ("c", "one-step"), ("c", "smallest")]
    assert world.said == [f"resumed: 5 verdicts of {world.folder / 'results.json'} stand"]
    statuses = {v.key: v.status for v in again.results.results}
    assert [*statuses] == keys(first.results)
    assert {key for key, status in statuses.items() if status != PASS} == {
        ("a", "one-step", "float64"), ("a", "one-step", "float32")
    }  # fmt: skip
    reaches = {info.port: info.within_reach for info in again.results.ports}
    assert reaches == {"a": [Reach.NETWORK], "b": [Reach.NETWORK], "c": None}
    world.reach = []
    world.run(*ports, resume=True, **run)
    once_more = store.read_results(world.folder / "results.json", "")
    assert {info.port: info.within_reach for info in once_more.ports} == {
        "a": [], "b": [Reach.NETWORK], "c": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "count"), [({}, 1), ({"strict": True}, 0), ({"require": ["isolation"]}, 0)]
)
def test_a_stricter_run_takes_less_from_an_earlier_one(
    more: dict[str, Any], count: int, world: World
) -> None:
    """The earlier verdict was not reproducible, and the port could reach the network."""
    world.reach = [Reach.NETWORK]
    earlier = world.run(world.port("a")).results
    loose = [v.but(repeat=Repeat(says="other bits")) for v in earlier.results]
    store.write(world.folder / "results.json", earlier.model_copy(update={"results": loose}))
    assert len(world.session(world.port("a"), resume=True, **more).kept) == count
