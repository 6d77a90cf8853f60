"""Makes `pytest conformance` the conformance run: options, matrix, results, tables."""

import contextlib
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from conformance.ground.terminal import OptionError, progress, text
from conformance.session import command
from conformance.session.engine import Session
from conformance.session.options import Options, add
from reference.errors import UserError

HERE = Path(__file__).parent
MATRIX = HERE / "test_ports.py"
SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption(
        "--port",
        action="append",
        type=text,
        default=[],
        dest="ports",
        help="names or folders of ports; default: all of ports/",
    )
    add(group.addoption)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Set up the run first of all, so that a mistake is one sentence and status 2."""
    roots = {Path(str(argument).split("::")[0]).resolve() for argument in config.args}
    if not roots & {HERE, MATRIX}:
        return None
    # `python -m conformance check` has parsed them already, and hands them over as a plugin.
    parsed = [p for p in config.pluginmanager.get_plugins() if isinstance(p, Options)]
    options = parsed[0] if parsed else Options.of(config.option)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that ports are ended
    try:
        if config.getoption("numprocesses", None):
            raise OptionError("-n: ports are judged in one process; leave it out")
        config.stash[SESSION] = Session(options, progress)
    except (UserError, OSError) as error:
        progress(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        progress("interrupted")
        return command.INTERRUPTED
    return None


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """The screen says how each port did; pytest says it too only where it is asked for more."""
    asked = config.option
    if SESSION in config.stash and not (asked.collectonly or asked.usepdb or asked.setupshow):
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:  # `-p no:terminal` leaves it out
            config.pluginmanager.unregister(reporter)
        config.pluginmanager.register(Faults())


class Faults:
    """Prints what no port is to blame for; the screen has the rest."""

    def pytest_exception_interact(
        self,
        call: pytest.CallInfo[object],
        report: pytest.CollectReport | pytest.TestReport,
    ) -> None:
        """Tests fail in words of their own; all that is raised else is a fault of the harness."""
        if call.excinfo and not isinstance(call.excinfo.value, pytest.fail.Exception):
            progress(f"{report.nodeid}: {report.longreprtext}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if not {"target", "case"} <= set(metafunc.fixturenames):
        return
    session = metafunc.config.stash.get(SESSION, None)
    pairs = session.matrix() if session else []
    ids = [f"{target}-{case.id}" for target, case in pairs]
    metafunc.parametrize(("target", "case"), pairs, ids=ids)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have the selected cases judged at once; the tests then wait for their verdicts."""
    run = session.config.stash.get(SESSION, None)
    if run is not None and not session.config.option.collectonly:
        found = [getattr(item, "callspec", None) for item in session.items]
        chosen = [callspec.params for callspec in found if callspec is not None]
        run.begin([(p["target"], p["case"]) for p in chosen if "target" in p])


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Session:
    """The conformance run that the options describe."""
    return pytestconfig.stash[SESSION]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for the verdict before the test begins, since pytest takes what is printed in one."""
    run = item.config.stash.get(SESSION, None)
    params = getattr(getattr(item, "callspec", None), "params", {})
    if run is not None and "target" in params:
        with contextlib.suppress(Exception):  # the test raises it again
            run.verdicts_of(params["target"], params["case"])
    return (yield)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Time what passed, write the results, and show them; fail if too little was compared."""
    run = session.config.stash.get(SESSION, None)
    if run is None or session.config.option.collectonly:
        return
    finished = run.finish(interrupted=exitstatus == pytest.ExitCode.INTERRUPTED)
    stopped = finished.written and not finished.results.complete
    if stopped and exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.INTERRUPTED):
        session.exitstatus = exitstatus
    elif found := command.status(finished):
        session.exitstatus = found
    command.show(finished, run.options)
