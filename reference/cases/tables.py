"""The tables of a case file, each with its keys and what these may be."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Capability = Literal[
    "alpha",
    "layers",
    "bias",
    "mini-batch",
    "tanh",
    "relu",
    "softmax",
    "cross-entropy",
    "delta-trimming",
    "l1",
    "l2",
    "momentum",
    "adam",
    "batch-norm",
    "dropout",
    "philox",
    "numpy-seed",
    "predict",
    "ensemble",
]
DType = Literal["float64", "float32"]
Size = Annotated[int, Field(ge=1, le=65536)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Matrix = Annotated[list[Annotated[list[Finite], Field(min_length=1)]], Field(min_length=1)]
Iteration = Annotated[int, Field(ge=0, le=10_000_000)]


class Strict(BaseModel):
    """Unknown keys and loosely typed values are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Network(Strict):
    """Layer sizes, inputs first, and the functions that hidden and output units apply."""

    layers: list[Size] = Field(min_length=2, max_length=64)
    bias: bool = False
    activation: Literal["sigmoid", "tanh", "relu"] = "sigmoid"
    output: Literal["sigmoid", "tanh", "relu", "softmax"] = "sigmoid"
    batch_norm: bool = False
    norm_epsilon: NotNegative = 0.0
    norm_rate: Fraction = 0.0


class Training(Strict):
    """How long and how; conformance/contract/SPEC.md says what each does."""

    iterations: Annotated[int, Field(ge=1, le=10_000_000)]
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    loss: Literal["squared", "cross-entropy"] = "squared"
    batch_size: Annotated[int, Field(ge=0)] = 0
    shuffle: bool = False
    dropout: Fraction = 0.0
    philox_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    trim_value: NotNegative = 0.0
    trim_norm: NotNegative = 0.0
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0
    momentum: Fraction = 0.0
    nesterov: bool = False
    adam: bool = False
    beta1: Fraction = 0.0
    beta2: Fraction = 0.0
    adam_epsilon: NotNegative = 0.0


class Init(Strict):
    """Initial weights: drawn as the article does, or given."""

    numpy_seed: Seed | None = None
    # An ensemble: so many networks side by side, from the seeds numpy_seed, numpy_seed + 1, ...
    networks: Annotated[int, Field(ge=2, le=65536)] | None = None
    weights: list[Matrix] | None = None
    # Seeds from which the port itself draws initial weights, to be compared bit for bit.
    drawn_by_port: list[Seed] = []


class Data(Strict):
    """Training data: inline, or the first rows of a CSV file of numbers and a class label.

    Of these, every `held_out`-th is not trained with but tested on, if that is given.
    """

    X: Matrix | None = None
    y: Matrix | None = None
    file: str | None = None
    rows: Size | None = None
    held_out: Annotated[int, Field(ge=2)] | None = None
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Trace(Strict):
    """Where the free run is compared, and from which of those states single steps are."""

    checkpoints: list[Iteration] = Field(min_length=1)
    # By default, one step from the first checkpoint.
    steps: list[Iteration] = Field(default_factory=lambda data: data.get("checkpoints", [])[:1])


class Predict(Strict):
    """Inputs for inference, and the checkpoints with whose golden states it is done."""

    X: Matrix
    checkpoints: list[Iteration] = Field(min_length=1)


class Accuracy(Strict):
    """What part of the held-out samples the whole run learns to classify."""

    at_least: Annotated[float, Field(gt=0, le=1)]


class Timing(Strict):
    """Iteration counts to time; they are checkpoints, so that a timed answer is checked too."""

    iterations: list[Iteration] = Field(min_length=2)
