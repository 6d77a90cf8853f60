"""The exit status of a run, from how it ended: only a run that is whole and all right gives 0."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.ground.statuses import Status
from conformance.record import merge
from conformance.selftest.tests.conftest import MakePort, options_of
from conformance.session import command
from conformance.session.engine import Finished, execute
from conformance.session.options import Options

RIGHT = {Status.PASS, Status.SKIP, Status.XFAIL}  # as SPEC.md has them


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """A run of NumPy, which passes."""
    return options_of("numpy", results=tmp_path_factory.mktemp("run") / "results.json")


@pytest.fixture(scope="module")
def finished(options: Options) -> Finished:
    return execute(options, lambda _: None)


def test_a_run_that_is_all_right_gives_0(finished: Finished) -> None:
    assert not finished.failed
    assert command.status(finished) == 0


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("which", [0, 1])
def test_one_verdict_decides_wherever_it_is(which: int, status: Status, finished: Finished) -> None:
    """The two verdicts are on the two dtypes."""
    verdicts = list(finished.results.results)
    assert [verdict.dtype for verdict in verdicts] == ["float64", "float32"]
    verdicts[which] = verdicts[which].but(status=status, reason="because")
    results = finished.results.model_copy(update={"results": verdicts})
    ended = replace(finished, results=results)
    assert ended.failed is (status not in RIGHT)
    assert command.status(ended) == (0 if status in RIGHT else 1)


def test_a_problem_fails_a_run_whose_verdicts_are_right(finished: Finished) -> None:
    assert command.status(replace(finished, problems=["nothing was compared"])) == 1


def test_an_interrupted_run_gives_130_whatever_its_verdicts(finished: Finished) -> None:
    cut = finished.results.model_copy(update={"complete": False})
    assert command.status(replace(finished, results=cut)) == 130
    assert command.status(replace(finished, results=cut, problems=["a problem"])) == 130


def test_results_that_could_not_be_written_give_2(finished: Finished) -> None:
    assert command.status(replace(finished, written=False)) == 2
    cut = finished.results.model_copy(update={"complete": False})
    assert command.status(replace(finished, written=False, results=cut)) == 2


def test_main_shows_the_run_and_gives_its_status(
    options: Options,
    make_port: MakePort,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM ends it as ^C does, so that no port lives on."""
    set_to = []
    monkeypatch.setattr("signal.signal", lambda *how: set_to.append(how))
    assert command.main(options) == 0
    assert (signal.SIGTERM, signal.default_int_handler) in set_to
    out = capsys.readouterr().out
    assert "PASS  2" in out
    assert "│ one-step │" not in out
    wrong = make_port("wrong", "if op == 'step': answer['l'][0][0][0] += 1")
    mine = replace(options, ports=[str(wrong)], results=tmp_path / "r.json", verbose=True)
    assert command.main(mine) == 1
    said = capsys.readouterr().out
    assert "FAIL" in said
    assert "│ one-step │" in said  # the table that only verbose shows


def test_results_of_other_machines_are_shown_for_what_this_one_lacks(
    finished: Finished,
    options: Options,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {"card": "card passed elsewhere"}
    monkeypatch.setattr(merge, "elsewhere", lambda missing: [told[name] for name in missing])
    command.show(finished, options)
    assert "elsewhere" not in capsys.readouterr().out
    command.show(replace(finished, elsewhere={"card"}), options)
    assert "card passed elsewhere" in capsys.readouterr().out


@pytest.mark.parametrize("written", [False, True])
def test_the_results_file_is_named_if_it_is_there(
    written: bool, finished: Finished, options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    command.show(replace(finished, written=written), options)
    out = "".join(capsys.readouterr().out.split())
    assert (options.results.name in out) is written
