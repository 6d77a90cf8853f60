"""Makes `pytest conformance` the conformance run: options, matrix, results, tables."""

import secrets
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import build, fresh, ports, report, results, timing, traces
from conformance.judge import Judge, Verdict, explain
from reference.case import Case, CaseError, DType, load_all

HERE = Path(__file__).parent
MATRIX = HERE / "test_ports.py"


class Run:
    """One conformance run: what is judged on what, and what came of it."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.getoption
        names = [name for value in option("port") for name in value.split()]
        require = [name for value in option("require") for name in value.split()]
        self.results_path = Path(option("results"))
        self.timed = not option("no_timing")
        chosen = ports.select(names)
        self.cases = load_all(Path(option("cases") or HERE / "cases"))
        self.cases += fresh_case(option("seed"), chosen)
        check_known_failures(chosen, self.cases)
        self.required = required_targets(require, chosen)
        results.check_writable(self.results_path)
        self.traces = {case.id: traces.load(case) for case in self.cases}
        with ThreadPoolExecutor() as pool:
            prepared = [ready for group in pool.map(build.prepare, chosen) for ready in group]
        self.judges = {p.target.name: Judge(p) for p in prepared}
        self.verdicts: dict[tuple[str, str, DType], Verdict] = {}
        self.timings: list[results.Timing] = []

    def judge(self, target: str, case: Case) -> dict[DType, Verdict]:
        """The verdicts of one target and case, by dtype; REQUIRE makes a skip a failure."""
        judge = self.judges[target]
        found = {}
        for dtype, trace in self.traces[case.id].items():
            verdict = judge.judge(case, trace)
            if verdict.missing and verdict.status == "SKIP" and target in self.required:
                reason = f"required, but skipped: {verdict.reason}"
                verdict = replace(verdict, status="FAIL", reason=reason)
            found[dtype] = self.verdicts[target, case.id, dtype] = verdict
        return found

    def explain(self, target: str, case: Case, dtype: DType, verdict: Verdict) -> str:
        """What a person needs to know of a failure."""
        text = f"{verdict.status}: {target} on {case.id}, {dtype}: {verdict.reason}"
        reproduce = f"make conformance PORT={self.port_word(target)} CASES={case.path}"
        if verdict.divergence is None:
            return f"{text}\n  reproduce: {reproduce}"
        return f"{verdict.status}: {target} on {case.id}, {dtype}: " + explain(
            verdict.divergence, reproduce
        )

    def port_word(self, target: str) -> str:
        """What to give as PORT for this target."""
        port = self.judges[target].target.port
        return port.name if port.folder.parent == ports.PORTS else str(port.folder)

    def time(self) -> None:
        """Time what passed, and check the timed answers; a wrong one becomes a FAIL."""
        for case in self.cases:
            if case.timing is None:
                continue
            passed = [
                judge
                for name, judge in self.judges.items()
                if (v := self.verdicts.get((name, case.id, "float64"))) is not None
                and v.status == "PASS"
                and not judge.target.emulated
            ]
            if not passed:
                continue
            lines, wrong = timing.measure(passed, case, self.traces[case.id]["float64"], progress)
            numpy = lines.get("numpy")
            for name, line in lines.items():
                self.timings.append(
                    results.Timing(
                        port=name,
                        case=case.id,
                        dtype="float64",
                        ns_per_iteration=line.slope * 1e9,
                        ns_low=line.low * 1e9,
                        ns_high=line.high * 1e9,
                        fixed_ms=line.intercept * 1e3,
                        ratio_to_numpy=numpy.slope / line.slope if numpy else None,
                    )
                )
            for name, reason in wrong.items():
                key: tuple[str, str, DType] = (name, case.id, "float64")
                self.verdicts[key] = replace(self.verdicts[key], status="FAIL", reason=reason)

    def results(self) -> results.Results:
        """Everything so far, as it goes to the results file."""
        return results.Results(
            machine=results.machine(),
            ports=[results.port_info(judge) for judge in self.judges.values()],
            results=[results.result(*key, verdict) for key, verdict in self.verdicts.items()],
            timings=self.timings,
        )

    def close(self) -> None:
        """End all ports' processes."""
        for judge in self.judges.values():
            judge.close()


def fresh_case(seed: str, chosen: list[ports.Port]) -> list[Case]:
    """The random case of this run, which every selected port can do; none for "none".

    Raises PortError for a seed that is not one.
    """
    if seed == "none":
        return []
    if seed and not (seed.isdecimal() and int(seed) < fresh.SEEDS):
        raise ports.PortError(
            f'SEED={seed}: is not a whole number below {fresh.SEEDS}, and not "none"'
        )
    number = int(seed) if seed else secrets.randbelow(fresh.SEEDS)
    progress(f"fresh case: SEED={number} repeats it")
    common = set.intersection(*(set(port.manifest.capabilities) for port in chosen))
    return [fresh.draw(number, common)]


def check_known_failures(chosen: list[ports.Port], cases: list[Case]) -> None:
    """Raise PortError where a manifest foretells a failure on a case that does not exist."""
    known = {case.id for case in cases} | {p.stem for p in (HERE / "cases").glob("*.toml")}
    for port in chosen:
        for failure in port.manifest.known_failure:
            if failure.case not in known:
                path = port.folder / ports.MANIFEST
                raise ports.PortError(
                    f"{path}: known_failure.case: there is no case {failure.case!r}"
                )


def required_targets(words: list[str], chosen: list[ports.Port]) -> set[str]:
    """The names of the targets that REQUIRE means: ports, or "PORT:EMULATION", or "all" ports.

    Raises PortError for one that is not selected.
    """
    by_word = {port.name: ports.Target(port) for port in chosen}
    if words == ["all"]:
        return {target.name for target in by_word.values()}
    for port in chosen:
        if port.manifest.emulation is not None:
            word = f"{port.name}:{port.manifest.emulation.name}"
            by_word[word] = ports.Target(port, emulated=True)
    for word in words:
        if word not in by_word:
            raise ports.PortError(
                f"REQUIRE={word}: there is no such port among those selected: {', '.join(by_word)}"
            )
    return {by_word[word].name for word in words}


def progress(text: str) -> None:
    """A line about long work, on stderr so that stdout stays for results."""
    print(text, file=sys.stderr, flush=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--port", action="append", default=[], help="names or folders of ports")
    group.addoption("--cases", default=str(HERE / "cases"), help="a case file or a folder of them")
    group.addoption("--require", action="append", default=[], help='ports, or "all"')
    group.addoption("--results", default="build/results.json", help="the results file")
    group.addoption("--seed", default="", help='of the random case; "none": leave it out')
    group.addoption("--no-timing", action="store_true", help="judge only")


RUN = pytest.StashKey[Run]()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Set up the run first of all, so that a mistake is one sentence and status 2."""
    roots = {Path(str(argument).split("::")[0]).resolve() for argument in config.args}
    if not roots & {HERE, MATRIX}:
        return None
    try:
        config.stash[RUN] = Run(config)
    except (ports.PortError, CaseError, results.ResultsError) as error:
        progress(f"error: {error}")
        return 2
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if not {"target", "case"} <= set(metafunc.fixturenames):
        return
    run = metafunc.config.stash[RUN]
    metafunc.parametrize("target", list(run.judges))
    metafunc.parametrize("case", run.cases, ids=[case.id for case in run.cases])


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """The conformance run that the options describe."""
    return pytestconfig.stash[RUN]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Time what passed, write the results, and fail if nothing was compared."""
    run = session.config.stash.get(RUN, None)
    if run is None or session.config.option.collectonly:
        return
    try:
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        if run.timed and not interrupted:
            run.time()
        if any("when timed" in v.reason for v in run.verdicts.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if not interrupted and not any(v.numbers for v in run.verdicts.values()):
            progress("error: nothing was compared, and that is a failure")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        results.write(run.results_path, run.results())
    finally:
        run.close()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    run = config.stash.get(RUN, None)
    if run is None or config.option.collectonly:
        return
    out = report.console()
    report.show(out, run.results())
    out.print(f"results: {run.results_path}", soft_wrap=True)
