"""Makes `pytest conformance` the conformance run: options, matrix, results, tables."""

import signal
from pathlib import Path
from typing import Any

import pytest

from conformance.arguments import OptionError, text
from conformance.record import merge, results, tables
from conformance.session.options import Options, add
from conformance.session.run import Run
from conformance.terminal import console, progress
from reference.errors import UserError

HERE = Path(__file__).parent
MATRIX = HERE / "test_ports.py"
RUN = pytest.StashKey[Run]()
INTERRUPTED = 130  # as shells have it: 128 + SIGINT


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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that ports are ended, too
    try:
        if config.getoption("numprocesses", None):
            raise OptionError("-n: ports are judged in one process; leave it out")
        config.stash[RUN] = Run(options)
    except (UserError, OSError) as error:
        progress(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        progress("interrupted")
        return INTERRUPTED
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if not {"target", "case"} <= set(metafunc.fixturenames):
        return
    run = metafunc.config.stash.get(RUN, None)
    pairs = run.matrix() if run else []
    ids = [f"{target}-{case.id}" for target, case in pairs]
    metafunc.parametrize(("target", "case"), pairs, ids=ids)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Have the selected cases judged at once; the tests then wait for their verdicts."""
    run = session.config.stash.get(RUN, None)
    if run is not None and not session.config.option.collectonly:
        chosen: list[Any] = session.items
        run.begin(
            [(item.callspec.params["target"], item.callspec.params["case"]) for item in chosen]
        )


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """The conformance run that the options describe."""
    return pytestconfig.stash[RUN]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Time what passed, write the results, and fail if too little was compared."""
    run = session.config.stash.get(RUN, None)
    if run is None or session.config.option.collectonly:
        return
    complete = exitstatus != pytest.ExitCode.INTERRUPTED
    if not complete:
        run.take_finished()  # before ports are ended, which looks like a crash
    try:
        if complete and run.options.timed:
            run.time()
    except KeyboardInterrupt:
        complete = False
    finally:
        run.close()
    if not complete:
        progress("interrupted: the results are not complete")
        session.exitstatus = INTERRUPTED
    else:
        run.problems = run.not_compared() + run.empty_claims()
        if run.problems or run.wrong_when_timed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    try:
        results.write(run.options.results, run.results(complete))
        run.written = True
    except results.ResultsError as error:  # the disk is full by now
        run.problems.append(str(error))
        session.exitstatus = 2


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if run is None or config.option.collectonly:
        return
    out = console()
    tables.show(out, run.results(complete=True))
    for line in merge.elsewhere(run.without_device()):
        out.print(line, soft_wrap=True)
    if run.written:
        out.print(f"results: {run.options.results}", soft_wrap=True)
    for problem in run.problems:
        progress(f"error: {problem}")
