"""How a network computes and learns, beyond its sizes: the settings of a case.

Each default leaves its capability out, so the defaults are the article's network.
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from reference.algorithm.batches import batch_slice, shuffled_batch
from reference.algorithm.layers import (
    ACTIVATIONS,
    HIDDEN,
    Activation,
    BatchNorm,
    CrossEntropyOutput,
    Dropout,
    FixedNorm,
    Stage,
    add_unit,
    drop_unit,
)
from reference.algorithm.optimise import adam, clip, decay, shrink, with_momentum
from reference.algorithm.state import State, split
from reference.array import Array


class Range(NamedTuple):
    """The numbers that a setting may be, beyond being finite."""

    least: float | None = None
    above: float | None = None
    below: float | None = None


NOT_NEGATIVE = Range(least=0)
FRACTION = Range(least=0, below=1)
LOSSES = ("squared", "cross-entropy")


class Settings(NamedTuple):
    """The settings; conformance/contract/SPEC.md says what each does, with formulas.

    This is the one list of them: case files, requests and the capabilities follow from it.
    Beside a type is what is allowed: a Range of numbers, or the names to choose from.
    """

    alpha: Annotated[float, Range(above=0)] = 1.0
    bias: bool = False
    activation: Annotated[str, HIDDEN] = "sigmoid"
    output: Annotated[str, tuple(ACTIVATIONS)] = "sigmoid"
    loss: Annotated[str, LOSSES] = "squared"
    batch_size: Annotated[int, NOT_NEGATIVE] = 0
    shuffle: bool = False
    dropout: Annotated[float, FRACTION] = 0.0
    philox_seed: Annotated[int, Range(least=0, below=2**63)] = 0
    batch_norm: bool = False
    norm_epsilon: Annotated[float, NOT_NEGATIVE] = 0.0
    norm_rate: Annotated[float, FRACTION] = 0.0
    trim_value: Annotated[float, NOT_NEGATIVE] = 0.0
    trim_norm: Annotated[float, NOT_NEGATIVE] = 0.0
    l1: Annotated[float, NOT_NEGATIVE] = 0.0
    l2: Annotated[float, NOT_NEGATIVE] = 0.0
    momentum: Annotated[float, FRACTION] = 0.0
    nesterov: bool = False
    adam: bool = False
    beta1: Annotated[float, FRACTION] = 0.0
    beta2: Annotated[float, FRACTION] = 0.0
    adam_epsilon: Annotated[float, NOT_NEGATIVE] = 0.0

    @property
    def memories(self) -> tuple[str, ...]:
        """What the optimiser remembers for each parameter."""
        return ("m", "v") if self.adam else ("velocity",) if self.momentum else ()

    def split(self, state: Sequence[Array]) -> State:
        """The parts of a flat state."""
        return split(state, len(self.memories), self.batch_norm)

    def rows(self, samples: int, iteration: int) -> Any:
        """The rows that an update learns from."""
        if self.shuffle:
            return shuffled_batch(samples, self.batch_size, iteration, self.philox_seed)
        return batch_slice(samples, self.batch_size, iteration)

    def inputs(self, l: Array) -> Array:
        """What a layer passes on: its outputs, and 1 from its bias unit if it has one."""
        return add_unit(l) if self.bias else l

    def without_bias(self, weights: Array) -> Array:
        """The weights through which an error goes back: none of a bias unit's."""
        return drop_unit(weights) if self.bias else weights

    def stages(self, state: State, iteration: int | None = None) -> list[list[Stage]]:
        """What each layer does with its weighted inputs; without an iteration, in inference."""
        hidden = [self.hidden_stages(k, state, iteration) for k in range(1, state.last)]
        output = CrossEntropyOutput if self.loss == "cross-entropy" else Activation
        return [[], *hidden, [output(self.output)]]

    def hidden_stages(self, k: int, state: State, iteration: int | None) -> list[Stage]:
        """The stages of layer k of 1 ... K-1, in order."""
        stages: list[Stage] = [Activation(self.activation)]
        if self.batch_norm:
            averages = state.mean[k - 1], state.variance[k - 1]
            fixed = FixedNorm(*state.scale(k), self.norm_epsilon, *averages)
            batch = BatchNorm(*state.scale(k), self.norm_epsilon)
            stages.insert(0, fixed if iteration is None else batch)
        if self.dropout and iteration is not None:
            stages.append(Dropout(self.dropout, self.philox_seed, iteration, k))
        return stages

    def trim(self, delta: Array) -> Array:
        """Delta trimming by value."""
        return clip(delta, self.trim_value) if self.trim_value else delta

    def improve(
        self, state: State, descent: list[Array], norms: list[BatchNorm], iteration: int
    ) -> State:
        """The state after an update; `descent` is the weights' descent."""
        if norms:
            descent = descent + [n.gamma_descent for n in norms] + [n.beta_descent for n in norms]
        if self.trim_norm:
            descent = shrink(descent, self.trim_norm)
        if self.l1 or self.l2:
            pulls = [decay(w, self.l1, self.l2, self.bias) for w in state.syn]
            weights = zip(descent[: state.last], pulls, strict=True)
            descent = [d - pull for d, pull in weights] + descent[state.last :]
        # [update]
        steps, memory = self.steps(state, descent, iteration)
        parameters = [w + self.alpha * d for w, d in zip(state.parameters, steps, strict=True)]
        # [/update]
        rate = self.norm_rate
        mean = [a + rate * (n.mean - a) for a, n in zip(state.mean, norms, strict=True)]
        variance = [a + rate * (n.variance - a) for a, n in zip(state.variance, norms, strict=True)]
        return State(parameters, memory, mean, variance, state.last)

    def steps(
        self, state: State, descent: list[Array], iteration: int
    ) -> tuple[list[Array], list[list[Array]]]:
        """The optimiser's steps, over alpha, and its new memory."""
        # [update]
        if self.adam:
            rates = self.beta1, self.beta2, self.adam_epsilon
            return adam(state.memory, descent, *rates, iteration + 1)
        if self.momentum:
            return with_momentum(state.memory, descent, self.momentum, self.nesterov)
        return descent, []
        # [/update]
