"""How fast an iteration could possibly be.

**3-4-1** is bound by latency: each operation of an iteration waits for the one before. A rung may
come with a program (`limit` in its manifest) that measures the latencies of the links in that chain
and prints a line

    {"limit_ns": 28.4, "links": [{"name": "multiply-add", "count": 9, "ns": 1.1}, ...]}

**The larger networks** are bound by arithmetic and by memory. With m samples and layers of n_0, n_1
and n_2 units:

    F = 2 m (2 n_0 n_1 + 3 n_1 n_2)         operations of the products: see Workload.flops
    B = 5 m (sum of n_k for large k) size    bytes that also pass through the memory
    limit = max(F / peak, B / bandwidth)     if both happened at the same time
    share = (F / peak) / (F / peak + B / bandwidth)

If a library does the products, these passes over whole matrices cannot be avoided: the activation
reads and writes l[k], and delta[k] reads error[k] and l[k] and is written, five matrices of
(m, n_k). Layer k is large, and counts, if error[k] and l[k] together fill the last cache: smaller
ones need not pass through the memory. The weights' update can be part of its product. `peak` is the
speed of NumPy's product of two large matrices, in the same dtype and with as many threads, the
best of all rounds of this run; `bandwidth` is the same for a copy. `share` is the products'
part of the time if nothing happens at the same time. A target at 100 % of "peak times share"
does all products at the peak, and the passes at the bandwidth.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from conformance.bench.files import Latency, Roofline, Said
from conformance.bench.workloads import Workload
from conformance.ground.places import ROOT
from conformance.targets import build
from conformance.targets.manifest import Target
from reference.cases.tables import DType
from reference.errors import first_error

PASSES = 5
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


class LimitError(Exception):
    """A rung's program does not print what it should; the message is one sentence."""


class Probe(NamedTuple):
    """What conformance/bench/probe.py measured in one round."""

    flops_per_s: dict[DType, float]
    bytes_per_s: float


def probe(threads: int, environment: dict[str, str]) -> Probe:
    """Measure the machine with as many threads, on the processors of the calling process."""
    command = [sys.executable, "-m", "conformance.bench.probe", str(threads)]
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return Probe(**json.loads(done.stdout))


def roofline(workload: Workload, dtype: DType, probes: list[Probe]) -> Roofline:
    """The limit of a large network, as the text above says."""
    peaks = [found.flops_per_s[dtype] for found in probes]
    bandwidths = [found.bytes_per_s for found in probes]
    moved = traffic(workload, dtype, last_cache())
    products, passes = workload.flops / max(peaks), moved / max(bandwidths)
    return Roofline(
        workload=workload.name,
        dtype=dtype,
        gflops_peak=max(peaks) / 1e9,
        gbytes_per_s=max(bandwidths) / 1e9,
        gflop=workload.flops / 1e9,
        gbytes=moved / 1e9,
        gemm_share=products / (products + passes),
        limit_ns=max(products, passes) * 1e9,
        rounds_gflops=[value / 1e9 for value in peaks],
        rounds_gbytes_per_s=[value / 1e9 for value in bandwidths],
    )


def traffic(workload: Workload, dtype: DType, cache_bytes: int) -> int:
    """The bytes B of an iteration that must pass through the memory."""
    size = {"float64": 8, "float32": 4}[dtype]
    matrices = [workload.samples * units * size for units in workload.layers[1:]]
    return PASSES * sum(matrix for matrix in matrices if 2 * matrix >= cache_bytes)


def last_cache() -> int:
    """The bytes of the largest cache; 0 if the system does not say, so that every layer counts."""
    sizes = [0]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        if found := re.fullmatch(r"(\d+)([KMG]?)", path.read_text(encoding="utf-8").strip()):
            sizes.append(int(found[1]) * UNITS.get(found[2], 1))
    return max(sizes)


def measure_latency(target: Target, limit: list[str]) -> Said:
    """What a rung's program `limit` says now. Raises LimitError."""
    where = f"{target.name}: limit"
    done = build.measure_limit(target, limit)
    if not done.ok:
        raise LimitError(f"{where}: {done.text}")
    try:
        return Said.model_validate_json(done.text)
    except ValidationError as error:
        raise LimitError(f"{where}: prints something unexpected: {first_error(error)}") from error


def latency(name: str, workload: Workload, runs: list[Said]) -> Latency:
    """The limit that a rung states, from the runs of its program."""
    smallest = min(said.limit_ns for said in runs)
    return Latency(port=name, workload=workload.name, limit_ns=smallest, runs=runs)
