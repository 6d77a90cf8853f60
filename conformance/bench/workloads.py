"""The workloads: networks from tiny to large, and what is expected of each.

`3-4-1` is the case three-layer, with its certified golden data. For the others ball arithmetic
would take hours, so the expected values come from the reference's run in float64, from inputs
rounded to the dtype that is judged. The tolerance is derived as for golden data, from how far
correct runs stray, with the same factor. But here the correct runs are of the reference in that
dtype, on REPLICAS networks with samples, inputs and hidden units in a different order.
Mathematically that is the same network, but each sum is added up in a different order. `noise` is
the farthest that any of them, or the run in the given order, strays, for each checkpoint and tensor
by itself; at least one unit in the last place.

`ensemble-N` are N networks 3-4-1 side by side. Beyond BASE of them, network i equals
network i - BASE, so that only BASE are derived, and all are compared.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from conformance.ground.places import CASES
from conformance.suite import traces
from conformance.suite.compare import Expected
from conformance.suite.traces import Due, Trace
from reference.algorithm import network
from reference.algorithm.settings import Settings
from reference.array import Array
from reference.cases import tables
from reference.cases.case import Case, load
from reference.cases.tables import DType
from reference.golden.checks import RunCheck
from reference.golden.derive import tolerance
from reference.golden.start import Start
from reference.golden.tensors import Tensors, checkpoint_tensors

REPLICAS = 3
SEED = 2015
BASE = 1000


@dataclass(frozen=True)
class Workload:
    """Networks with sigmoid units, one hidden layer, full batches and squared error.

    `counts` are the iteration counts that may be timed, each checked; a target is timed for about
    `turn_s` seconds a round. `generated` is False for the case three-layer only.
    """

    layers: tuple[int, int, int]
    samples: int
    alpha: float
    counts: tuple[int, ...]
    turn_s: float
    all_cores: bool = True
    generated: bool = True
    networks: int = 1

    @property
    def name(self) -> str:
        """Its layers, as in "3-4-1", or the number of networks."""
        return f"ensemble-{self.networks}" if self.networks > 1 else "-".join(map(str, self.layers))

    @property
    def numbers(self) -> int:
        """How many there are in data and initial weights."""
        inputs, hidden, outputs = self.layers
        return self.samples * (inputs + outputs) + self.networks * hidden * (inputs + outputs)

    @property
    def flops(self) -> int:
        """Floating-point operations in the matrix products of an iteration of all networks.

        Each of the two weight matrices, (n_k, n_{k+1}), takes part in the forward product l[k]
        syn[k] and in the update's l[k]^T delta[k+1]; the second one also in delta[2] syn[1]^T.
        The first does not, since no error goes back to the data. Each is m n_k n_{k+1}
        multiply-adds.
        """
        inputs, hidden, outputs = self.layers
        one = 2 * self.samples * (2 * inputs * hidden + 3 * hidden * outputs)
        return self.networks * one

    @cached_property
    def case(self) -> Case:
        """What ports are asked."""
        if not self.generated:
            return load(CASES / "three-layer.toml")
        return self._ensemble() if self.networks > 1 else self._generated()

    def run(self, dtype: DType) -> RunCheck:
        """The request of a run, without its length."""
        *_, state = self.case.arrays(dtype)
        if self.networks > BASE:
            state = [self._repeated(w) for w in state]
        return RunCheck(Start(self.case, dtype, state), self.counts)

    def expected(self, tensors: list[Expected]) -> list[Expected]:
        """The expected values of all networks, from those of the first BASE."""
        if self.networks <= BASE:
            return tensors
        return [replace(tensor, value=self._repeated(tensor.value)) for tensor in tensors]

    def _repeated(self, first: Array) -> Array:
        return np.resize(first, (self.networks, *first.shape[1:]))

    def _ensemble(self) -> Case:
        """The case ensemble-thousand, with other numbers of networks and iterations."""
        ensemble = load(CASES / "ensemble-thousand.toml")
        networks = min(self.networks, BASE)
        return replace(
            ensemble,
            id=self.name,
            iterations=self.counts[-1],
            weights=[w[:networks] for w in ensemble.weights],
            networks=networks,
            trace=tables.Trace(checkpoints=list(self.counts), steps=[]),
            file=None,
        )

    def _generated(self) -> Case:
        """Weights and data from NumPy's generator.

        The data are in [0, 1), and the weights so small that units begin far from saturation.
        Targets are classes.
        """
        random = np.random.default_rng(SEED)
        inputs, hidden, outputs = self.layers
        return Case(
            id=self.name,
            needs=["alpha", "layers"],
            layers=list(self.layers),
            settings=Settings(alpha=self.alpha),
            iterations=self.counts[-1],
            X=random.random((self.samples, inputs)),
            y=np.eye(outputs)[random.integers(outputs, size=self.samples)],
            weights=[
                (2 * random.random((a, b)) - 1) / np.sqrt(a)
                for a, b in itertools.pairwise((inputs, hidden, outputs))
            ],
            trace=tables.Trace(checkpoints=list(self.counts), steps=[]),
        )

    def trace(self, dtype: DType) -> Trace:
        """What is expected: the golden trace, or one that is derived now."""
        return derived(self.case, dtype) if self.generated else traces.load(self.case)[dtype]


WORKLOADS = [
    Workload(
        (3, 4, 1),
        samples=4,
        alpha=1.0,
        counts=(1, 10, 100, 300, 1000, 3000, 10000, 20000, 30000, 40000, 50000, 60000),
        turn_s=0.5,
        all_cores=False,
        generated=False,
    ),
    Workload(
        (64, 128, 10),
        samples=64,
        alpha=1e-3,
        counts=(1, 2, 5, 10, 20, 50, 100, 200, 500),
        turn_s=0.5,
    ),
    Workload((784, 1024, 10), samples=4096, alpha=2e-6, counts=(1, 2, 3, 4), turn_s=1.5),
]
TINY, MEDIUM, LARGE = WORKLOADS


def ensemble(networks: int) -> Workload:
    """This many networks 3-4-1. The more networks, the fewer iterations are derived."""
    most = 10_000 if networks < BASE else 2000
    counts = [n for n in (1, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000) if n <= most]
    return Workload((3, 4, 1), 4, 1.0, tuple(counts), turn_s=0.5, networks=networks)


# Each is a series of workloads of one kind, from small to large.
SWEEPS = {
    "ensembles": [TINY, *(ensemble(10**power) for power in range(1, 7))],
    "layers": [
        TINY,
        Workload((16, 32, 10), 64, 1e-3, counts=MEDIUM.counts, turn_s=0.5),
        MEDIUM,
        Workload((256, 512, 10), 1024, 1e-4, counts=(1, 2, 5, 10, 20), turn_s=0.5),
        LARGE,
        Workload((784, 4096, 10), samples=8192, alpha=1e-6, counts=(1, 2), turn_s=1.5),
    ],
}


def derived(case: Case, dtype: DType) -> Trace:
    """The expected run and its tolerances in one dtype, as the text above says."""
    random = np.random.default_rng([SEED, 1])
    exact = list(_run(case, dtype, "float64", None))
    noise = [[_last_place(value, dtype) for _, value in tensors] for _, tensors in exact]
    # One after the other, since each may be a large network.
    for order in (None, *[random] * REPLICAS):
        for found, (_, values), (_, strayed) in zip(
            noise, exact, _run(case, dtype, dtype, order), strict=True
        ):
            for i, ((_, a), (_, b)) in enumerate(zip(values, strayed, strict=True)):
                found[i] = max(found[i], float(np.abs(a - b).max()))
    expected = [
        (
            n,
            [
                Expected(name, value, tolerance(strayed, dtype))
                for (name, value), strayed in zip(tensors, found, strict=True)
            ],
        )
        for (n, tensors), found in zip(exact, noise, strict=True)
    ]
    run = RunCheck(Start(case, dtype), case.trace.checkpoints)
    return Trace(case, dtype, [Due(run, expected)], diagnosed=False)


def _last_place(value: Array, dtype: DType) -> float:
    """One unit in the last place of the largest element: the least possible noise.

    The expected value and the port's are both rounded, each by up to half of that.
    """
    return float(np.spacing(np.abs(value).max().astype(dtype)))


def _run(
    case: Case, dtype: DType, arithmetic: DType, random: np.random.Generator | None
) -> Iterator[tuple[int, Tensors]]:
    """The reference's free run; with samples, inputs and hidden units in another order if asked.

    The inputs and alpha are rounded to `dtype`. The tensors are in float64, in the given order.
    """
    X, y, start = case.arrays(dtype)
    sizes = len(X), *case.layers[:2]
    if random is None:
        rows, inputs, hidden = (np.arange(size) for size in sizes)
    else:
        rows, inputs, hidden = (random.permutation(size) for size in sizes)
    # The last two axes; in an ensemble, all networks have the same order.
    orders = [(inputs, hidden), (hidden, np.arange(case.layers[2]))]
    there: list[Any] = [(..., *np.ix_(*order)) for order in orders]
    back: list[Any] = [(..., *np.ix_(*map(np.argsort, order))) for order in orders]
    X, y = X[np.ix_(rows, inputs)].astype(arithmetic), y[rows].astype(arithmetic)
    settings = Settings(**case.settings_for(dtype))
    state = settings.split(
        [w[axes].astype(arithmetic) for w, axes in zip(start, there, strict=True)]
    )
    for n in range(case.trace.checkpoints[-1] + 1):
        # In these networks, an update starts with the same forward pass as inference.
        l, _, _, new = network.update(X, y, state, settings, n)
        if n in case.trace.checkpoints:
            found = [w[axes].astype(np.float64) for w, axes in zip(state.syn, back, strict=True)]
            # NumPy's mean adds in pairs, in any order of samples; most loops add one by one.
            absolute = np.abs(y - l[-1])
            if random is None:
                mean = absolute.mean(axis=(-2, -1))
            else:
                added = np.cumsum(absolute.reshape(*absolute.shape[:-2], -1), axis=-1)
                mean = added[..., -1] / added.shape[-1]
            yield n, checkpoint_tensors(case, found, np.float64(mean))
        state = new
