"""How a network computes and learns, beyond its sizes: the settings of a case.

Each default leaves its capability out, so the defaults are the article's network.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from reference.array import Array
from reference.batches import batch_slice
from reference.layers import ACTIVATIONS, Activation, add_unit, drop_unit
from reference.update import clip, decay, shrink


class Rules(NamedTuple):
    """The settings; conformance/SPEC.md says what each does, with formulas."""

    alpha: float = 1.0
    bias: bool = False
    activation: Literal["sigmoid", "tanh", "relu"] = "sigmoid"
    output: Literal["sigmoid", "tanh", "relu", "softmax"] = "sigmoid"
    loss: Literal["squared", "cross-entropy"] = "squared"
    batch_size: int = 0
    trim_value: float = 0.0
    trim_norm: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False

    def batch(self, samples: Array, iteration: int) -> Array:
        """The rows that an update learns from."""
        if not self.batch_size:
            return samples
        return samples[..., batch_slice(samples.shape[-2], self.batch_size, iteration), :]

    def inputs(self, l: Array) -> Array:
        """What a layer hands on: its outputs, and 1 from its bias unit if there are such."""
        return add_unit(l) if self.bias else l

    def without_bias(self, weights: Array) -> Array:
        """The weights through which an error goes back: a bias unit has none."""
        return drop_unit(weights) if self.bias else weights

    def layer(self, k: int, last: int) -> Activation:
        """The activation of layer k of 1 ... last."""
        return ACTIVATIONS[self.output if k == last else self.activation]

    def output_delta(self, error: Array, output: Array) -> Array:
        """Minus the loss's gradient in the output layer's weighted inputs.

        Cross-entropy belongs with sigmoid or softmax outputs, whose slope it cancels.
        """
        if self.loss == "cross-entropy":
            return error
        return error * ACTIVATIONS[self.output].slope(output)

    def trim(self, delta: Array) -> Array:
        """Delta trimming by value."""
        return clip(delta, self.trim_value) if self.trim_value else delta

    def improve(self, state: Sequence[Array], descent: Sequence[Array]) -> list[Array]:
        """The state after an update: the weights, and then the velocities if there are such."""
        last = len(descent)
        if self.trim_norm:
            descent = shrink(descent, self.trim_norm)
        if self.l1 or self.l2:
            pulls = [decay(w, self.l1, self.l2, self.bias) for w in state[:last]]
            descent = [d - pull for d, pull in zip(descent, pulls, strict=True)]
        if not self.momentum:
            return [w + self.alpha * d for w, d in zip(state, descent, strict=True)]
        velocity = [self.momentum * v + d for v, d in zip(state[last:], descent, strict=True)]
        if self.nesterov:
            descent = [d + self.momentum * v for d, v in zip(descent, velocity, strict=True)]
        else:
            descent = velocity
        return [w + self.alpha * d for w, d in zip(state[:last], descent, strict=True)] + velocity

    def weight_matrices(self, state: Sequence[Array]) -> int:
        """How many of the state's matrices are weights."""
        return len(state) // (2 if self.momentum else 1)
