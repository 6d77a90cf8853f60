"""How large a random case is: from wide ranges, and still derived within a budget."""

import itertools
from dataclasses import dataclass

from conformance.suite.dice import Dice
from reference.algorithm.layers import HIDDEN
from reference.cases.capabilities import ENSEMBLE

# What the derivation of one dtype may cost, in multiply-adds: a million take about a second.
BUDGET = 250_000
PER_UNIT = 12  # an activation and its slope, in multiply-adds
PER_WEIGHT = 10  # an optimiser's step
# Where a descent is exactly 0, precision is raised until its bound underflows.
CANCELLED = 8
MOST_ITERATIONS = 60
SAMPLES = ((1, 1), (2, 6), (7, 40), (17, 17), (100, 100), (257, 257))  # from, to
UNITS = ((1, 6), (1, 6), (7, 40))
# Of one row, batch normalisation makes zeros: relu's kink, where rounding decides.
KINKED = {"batch-norm", "relu"}


@dataclass(frozen=True)
class Size:
    """How large a case is. A batch_size of 0 is none, and networks are 1 without an ensemble."""

    layers: list[int]
    samples: int
    batch_size: int
    networks: int
    cancelled: bool

    @property
    def rows(self) -> int:
        """The samples of the first batch."""
        return min(self.batch_size or self.samples, self.samples)

    def cost(self, iterations: int) -> float:
        """What one dtype costs, by the number of iterations."""
        weights = sum((a + 1) * b for a, b in itertools.pairwise(self.layers))
        units = sum(self.layers[1:]) + self.layers[-1] ** 2 // 4  # softmax has pairs of them
        update = self.rows * (3 * weights + PER_UNIT * units) + PER_WEIGHT * weights
        inference = self.samples * (weights + PER_UNIT * units / 2)
        updates = iterations + len(single_steps(iterations))
        total = updates * update + len(checkpoints(iterations)) * inference
        return total * self.networks * (CANCELLED if self.cancelled else 1)

    @property
    def most_iterations(self) -> int:
        """As many as fit the budget, and at least 1."""
        fitting = (n for n in range(MOST_ITERATIONS, 1, -1) if self.cost(n) <= BUDGET)
        return next(fitting, 1)


def checkpoints(iterations: int) -> list[int]:
    """Where the free run is compared."""
    return [n for n in (0, 1, 2, 10) if n < iterations] + [iterations]


def single_steps(iterations: int) -> list[int]:
    """The updates that are asked for one by one."""
    return [n for n in checkpoints(iterations) if n in (0, 1, 10)]


def drawn(dice: Dice, names: set[str], at: set[str]) -> Size:
    """The size of a case that uses these capabilities and is at these boundaries.

    Layers are halved until one iteration fits the budget.
    """
    samples = dice.whole(*dice.pick(SAMPLES[names >= KINKED :]))
    batch_size = batches(dice, samples, names, at) if "mini-batch" in names else 0
    layers = widths(dice, names)
    one_row = 1 in (samples, batch_size, samples % (batch_size or samples + 1))
    cancelled = "batch-norm" in names and (one_row or "bias" in names)
    size = Size(
        layers,
        samples,
        batch_size,
        networks=dice.whole(2, 4) if ENSEMBLE in names else 1,
        cancelled=cancelled and bool({"momentum", "adam"} & names),
    )
    while size.cost(1) > BUDGET and max(layers) > 2:
        layers[layers.index(max(layers))] = max(2, max(layers) // 2)
    return size


def batches(dice: Dice, samples: int, names: set[str], at: set[str]) -> int:
    """The size of a batch: also 1, all samples, and more than there are."""
    part = dice.whole(1, samples)
    found = dice.pick((1, part, part, part, samples, samples + 1))
    if "batches of one" in at:
        found = 1
    elif "one batch" in at:
        found = samples + dice.whole(0, 50)
    if names >= KINKED and 1 in (found, samples % found):
        return samples
    return found


def widths(dice: Dice, names: set[str]) -> list[int]:
    """The sizes of the layers: one hidden layer and one output, if `layers` is not to be used."""
    if "layers" not in names:
        return [dice.whole(*dice.pick(UNITS)), dice.whole(*dice.pick(UNITS)), 1]
    hidden = {"dropout", "batch-norm", *HIDDEN} & names
    depth = dice.pick((3, 3, 4, 5, 6) if hidden else (2, 2, 3, 3, 4, 5, 6))
    found = [dice.whole(*dice.pick(UNITS)) for _ in range(depth)]
    return [*found[:-1], max(found[-1], 2)] if depth == 3 else found
