"""How fast an iteration could be: the formulas, and what the machine and a rung's program say."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.bench import limits
from conformance.bench.files import Said
from conformance.bench.limits import LimitError, Probe
from conformance.bench.workloads import Workload
from conformance.selftest.tests.conftest import MakePort
from conformance.targets.build import Outcome
from conformance.targets.manifest import Target, load

TINY = Workload((2, 3, 2), samples=4, alpha=0.5, counts=(1, 2, 5, 10), turn_s=0.02)
FLOPS = 2 * 4 * (2 * 2 * 3 + 3 * 3 * 2)  # F = 2 m (2 n_0 n_1 + 3 n_1 n_2)
BYTES = 5 * 4 * (3 + 2) * 4  # B = 5 m (n_1 + n_2) size, in float32


def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *sizes: str) -> None:
    """A processor with caches of these sizes, as Linux writes them."""
    for index, size in enumerate(sizes):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
    monkeypatch.setattr(limits, "Path", lambda _: tmp_path)


@pytest.mark.parametrize(
    ("sizes", "largest"),
    [
        ((), 0),
        (("48K", "2048K", "36M", "900"), 36 * 2**20),
        (("1G", "1023M"), 2**30),
        (("unknown", "512"), 512),
        (("32K",), 2**15),
    ],
)
def test_the_last_cache_is_the_largest(
    sizes: tuple[str, ...], largest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches(tmp_path, monkeypatch, *sizes)
    assert limits.last_cache() == largest


def test_a_layer_counts_if_two_of_its_matrices_fill_the_cache() -> None:
    # m n_k size: 4 * 3 * 8 and 4 * 2 * 8 bytes.
    assert limits.traffic(TINY, "float64", 2 * 64) == 5 * (96 + 64)
    assert limits.traffic(TINY, "float64", 2 * 64 + 1) == 5 * 96
    assert limits.traffic(TINY, "float64", 2 * 96) == 5 * 96
    assert limits.traffic(TINY, "float64", 2 * 96 + 1) == 0
    assert limits.traffic(TINY, "float32", 0) == BYTES


@pytest.mark.parametrize("bandwidth", [1e3, 1e9])
def test_a_roofline_is_by_the_best_of_all_rounds(
    bandwidth: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caches(tmp_path, monkeypatch)
    peaks, bandwidths = [2e6, 4e6, 1e6], [bandwidth / 2, bandwidth / 4, bandwidth]
    probes = [
        Probe({"float64": 1e20, "float32": peak}, copied)
        for peak, copied in zip(peaks, bandwidths, strict=True)
    ]
    found = limits.roofline(TINY, "float32", probes)
    products_s, passes_s = FLOPS / 4e6, BYTES / bandwidth
    assert (found.workload, found.dtype) == ("2-3-2", "float32")
    assert found.gflop == pytest.approx(FLOPS / 1e9)
    assert found.gbytes == pytest.approx(BYTES / 1e9)
    assert found.gflops_peak == pytest.approx(4e-3)
    assert found.gbytes_per_s == pytest.approx(bandwidth / 1e9)
    assert found.limit_ns == pytest.approx(max(products_s, passes_s) * 1e9)
    assert found.gemm_share == pytest.approx(products_s / (products_s + passes_s))
    assert found.rounds_gflops == pytest.approx([peak / 1e9 for peak in peaks])
    assert found.rounds_gbytes_per_s == pytest.approx([copied / 1e9 for copied in bandwidths])


def test_the_machine_is_measured_with_these_threads_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh\necho "{\\"flops_per_s\\": {\\"float64\\": $3}, \\"bytes_per_s\\": $MINE}"\n'
        '[ "$1 $2 $THEIRS" = "-m conformance.bench.probe here" ]\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    monkeypatch.setenv("THEIRS", "here")
    assert limits.probe(3, {"MINE": "7"}) == Probe({"float64": 3}, 7)
    monkeypatch.setenv("THEIRS", "gone")
    with pytest.raises(subprocess.CalledProcessError):
        limits.probe(3, {"MINE": "7"})


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Outcome(False, "no such processor"), "rung: limit: no such processor"),
        (Outcome(True, "fast"), "rung: limit: prints something unexpected: invalid JSON"),
        (Outcome(True, '{"limit_ns": 0, "links": []}'), "rung: limit: prints something unexpected"),
    ],
)
def test_a_program_that_states_no_limit_is_one_sentence(
    outcome: Outcome, says: str, make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.targets.build.measure_limit", lambda *_: outcome)
    with pytest.raises(LimitError, match=says) as error:
        limits.measure_latency(Target(load(make_port("rung"))), ["program"])
    assert "\n" not in str(error.value)


def test_the_smallest_limit_that_a_program_states_counts(
    make_port: MakePort, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def measure(*words: Any) -> Outcome:
        asked.append(words)
        return Outcome(True, '{"limit_ns": 2.5, "links": [{"name": "add", "count": 2, "ns": 1}]}')

    monkeypatch.setattr("conformance.targets.build.measure_limit", measure)
    target = Target(load(make_port("rung")))
    said = limits.measure_latency(target, ["program"])
    assert asked == [(target, ["program"])]
    assert (said.limit_ns, said.links[0].count) == (2.5, 2)
    runs = [Said(limit_ns=3.0, links=[]), said, Said(limit_ns=4.0, links=[])]
    found = limits.latency("rung", TINY, runs)
    assert (found.port, found.workload, found.limit_ns) == ("rung", "2-3-2", 2.5)
    assert found.runs == runs
