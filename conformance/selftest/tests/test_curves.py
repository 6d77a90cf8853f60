"""Sweeps: ensembles are checked and timed, and the curves of several machines are compared."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.bench.curves import curves, sentences
from conformance.bench.files import Bench
from conformance.bench.workloads import BASE, SWEEPS, ensemble
from conformance.selftest import warm
from conformance.selftest.patience import patience
from conformance.suite import known_bugs
from conformance.suite.compare import Expected, compare
from reference.golden.derive import DTYPES


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return warm.run([*arguments], patience(600))


def machine(processor: str, port: str, device: str, ns: dict[int, float]) -> Bench:
    """A file of one port; `ns` is the time of all networks' iteration, by their number."""

    def timed(value: float) -> dict[str, Any]:
        return {
            "counts": [1, 2],
            "ns_per_iteration": {"value": value, "low": value, "high": value},
            "fixed_ms": {"value": 1.0, "low": 1.0, "high": 1.0},
            "ratio_to_numpy": None,
            "of_limit": None,
            "of_gemm": None,
            "rounds": [],
        }

    names = {n: "3-4-1" if n == 1 else f"ensemble-{n}" for n in ns}
    machine: dict[str, Any] = {
        "date": "2026-01-01T00:00:00Z",
        "commit": None,
        "system": "x",
        "processor": processor,
    }
    machine |= {"cores": 1, "governor": None, "python": "3", "numpy": "2"}
    row = {"port": port, "dtype": "float64", "status": "PASS", "margin": 0.1, "reason": ""}
    setting = {"samples": 4, "threads": 1, "cores": [0], "environment": {}, "gflop": 1e-7}
    info: dict[str, Any] = {
        "port": port,
        "sha256": "0",
        "language": "x",
        "toolchain": None,
        "build": [],
    }
    info |= {"device": device, "driver": None}
    return Bench.model_validate(
        {
            "complete": True,
            "machine": machine,
            "settings": [{**setting, "workload": names[n], "networks": n} for n in ns],
            "ports": [info],
            "rows": [{**row, "workload": names[n], "timed": timed(t)} for n, t in ns.items()],
            "latencies": [],
            "rooflines": [],
            "left_out": [],
        }
    )


# Of a core, 40 ns for each network; of a GPU, 4000 ns for up to 1000 at once.
CPU = machine("A core", "c", "cpu", {1: 40.0, 100: 4000.0, 10_000: 400_000.0})
GPU = machine("A core", "cuda", "A GPU", {1: 4000.0, 100: 4000.0, 10_000: 40_000.0})


def test_the_crossover_of_two_machines_is_named() -> None:
    [found] = curves([CPU, GPU])
    assert found.ns["c, A core"] == {1.0: 40.0, 100.0: 40.0, 10_000.0: 40.0}
    assert found.on_device == {"cuda, A GPU"}
    # Equal at 100: the one that was fastest stays so, until the lines part.
    assert sentences([found]) == [
        "ensembles, float64: fastest at 1 networks: c, A core",
        "ensembles, float64: fastest from about 1e+02 networks on: cuda, A GPU",
    ]


def test_a_crossover_between_points_is_where_the_lines_meet() -> None:
    gpu = machine("A core", "cuda", "A GPU", {1: 4000.0, 10_000: 40_000.0})
    [found] = curves([CPU, gpu])
    # 4000 to 4 ns over four decades, against 40: after two of three parts, 10^(8/3) = 464.
    assert found._meeting("c, A core", "cuda, A GPU", 1.0, 10_000.0) == pytest.approx(10 ** (8 / 3))
    # At 100 only the core was measured, so that there is no line of both to the next point.
    assert sentences([found])[1].endswith("fastest between 100 and 1e+04 networks on: cuda, A GPU")


def test_the_command_draws_several_files(tmp_path: Path) -> None:
    files = []
    for name, bench in (("cpu", CPU), ("gpu", GPU)):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(bench.model_dump_json())
    picture = tmp_path / "curves.svg"
    done = command("curves", *files, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert "fastest from about 1e+02 networks on: cuda, A GPU" in done.stdout
    assert "<svg" in picture.read_text()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "other.json: cannot be read: No such file"),
        ("{}", "other.json: is not a file of make bench: "),
        (
            CPU.model_copy(update={"rows": []}).model_dump_json(),
            "do not have two points of any sweep",
        ),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, content: str | None, says: str) -> None:
    file = tmp_path / "other.json"
    if content is not None:
        file.write_text(content)
    done = command("curves", file, "--plot", tmp_path / "curves.svg")
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "curves.svg").exists()


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_expected_of_an_ensemble_holds_and_catches_its_bugs(dtype: Any) -> None:
    workload = ensemble(20)
    due = workload.trace(dtype).run.upto(100)
    assert due is not None
    for bug, capability in known_bugs.catalogue().values():
        if capability != "ensemble":
            continue
        answers = known_bugs.answer(bug, due.check)
        worst = max(compare(answers[n], wanted, dtype).margin for n, wanted in due.expected)
        assert worst > 100, bug.id


def test_more_networks_than_are_derived_repeat_them() -> None:
    workload = ensemble(BASE * 2 + 3)
    start = workload.run("float64").start
    state = start.state
    assert start.networks == len(state[0]) == 2003
    np.testing.assert_array_equal(state[0][2001], state[0][1])
    [expected] = workload.expected([Expected("syn0", state[0][:BASE], 1e-12)])
    assert compare([("syn0", state[0])], [expected], "float64").numbers == 2003 * 12


def test_a_sweep_goes_from_small_to_large() -> None:
    assert [w.networks for w in SWEEPS["ensembles"]] == [10**power for power in range(7)]
    flops = [w.flops for w in SWEEPS["layers"]]
    assert flops == sorted(flops)


def test_an_ensemble_is_timed_by_the_command(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    options = ("--workload", "ensemble-10", "--rounds", "3", "--dtype", "float64")
    done = command("bench", "numpy", *options, "--results", file)
    assert done.returncode == 0, done.stderr
    assert "all 10 networks" in done.stdout
    [row] = Bench.model_validate_json(file.read_text()).rows
    assert row.status == "PASS"
    assert row.timed is not None
