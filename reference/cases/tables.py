"""The tables of a case file, each with its keys and what these may be."""

import itertools
from collections.abc import Sequence
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, GetPydanticSchema, create_model
from pydantic_core import core_schema

from reference.algorithm.settings import Range, Settings
from reference.cases.capabilities import CAPABILITIES


def one_of(names: Sequence[str]) -> GetPydanticSchema:
    """Annotates a text: one of these names, like a Literal with names known only at run time."""
    return GetPydanticSchema(lambda *_: core_schema.literal_schema([*names]))


Capability = Annotated[str, one_of(CAPABILITIES)]
DType = Literal["float64", "float32"]
Size = Annotated[int, Field(ge=1, le=65536)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Matrix = Annotated[list[Annotated[list[Finite], Field(min_length=1)]], Field(min_length=1)]
Iteration = Annotated[int, Field(ge=0, le=10_000_000)]


class Strict(BaseModel):
    """Unknown keys and loosely typed values are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Network(Strict):
    """Layer sizes, inputs first. `File` adds the settings in NETWORK."""

    layers: list[Size] = Field(min_length=2, max_length=64)


class Training(Strict):
    """How long. `File` adds the other settings."""

    iterations: Annotated[int, Field(ge=1, le=10_000_000)]


class Init(Strict):
    """Initial weights: drawn as the article does, or given."""

    numpy_seed: Seed | None = None
    # An ensemble: this many networks side by side, from the seeds numpy_seed, numpy_seed +
    # 1, ...
    networks: Annotated[int, Field(ge=2, le=65536)] | None = None
    weights: list[Matrix] | None = None
    # Seeds from which the port itself draws initial weights, to be compared bit for bit.
    drawn_by_port: list[Seed] = []


class Data(Strict):
    """Training data: inline, or the first rows of a CSV file of numbers and a class label.

    If `held_out` is given, every `held_out`-th row is kept for the test and not trained
    with.
    """

    X: Matrix | None = None
    y: Matrix | None = None
    file: str | None = None
    rows: Size | None = None
    held_out: Annotated[int, Field(ge=2)] | None = None
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Trace(Strict):
    """Where the free run is compared, and from which of those states single steps start."""

    checkpoints: list[Iteration] = Field(min_length=1)
    # By default, one step from the first checkpoint. The number of an update may be beyond the
    # run: then the step starts from the last checkpoint.
    steps: list[Iteration] = Field(default_factory=lambda data: data.get("checkpoints", [])[:1])


class Predict(Strict):
    """Inputs for inference, and the checkpoints whose golden states it uses."""

    X: Matrix
    checkpoints: list[Iteration] = Field(min_length=1)


class Accuracy(Strict):
    """What part of the held-out samples the whole run learns to classify."""

    at_least: Annotated[float, Field(gt=0, le=1)]


class Timing(Strict):
    """Iteration counts to time; they are checkpoints, so that a timed answer is also checked."""

    iterations: list[Iteration] = Field(min_length=2)


class Tables(Strict):
    """A whole case file. Read one with `File`: it adds the settings."""

    format: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    title: str = Field(min_length=1)
    purpose: str = Field(min_length=1)
    needs: list[Capability] = []
    network: Network
    training: Training
    init: Init
    data: Data
    trace: Trace
    predict: Predict | None = None
    accuracy: Accuracy | None = None
    timing: Timing | None = None

    @property
    def settings(self) -> Settings:
        """The settings, unrounded."""
        given = {**self.network.model_dump(), **self.training.model_dump()}
        return Settings(**{name: given[name] for name in Settings._fields})

    @property
    def weight_shapes(self) -> list[tuple[int, int]]:
        """The shapes of syn[0] ... syn[K-1]."""
        more = int(self.settings.bias)
        return [(a + more, b) for a, b in itertools.pairwise(self.network.layers)]


# The settings in the table [network]; the others are in [training].
NETWORK = ("bias", "activation", "output", "batch_norm", "norm_epsilon", "norm_rate")


def table_of(setting: str) -> str:
    """The table of a case file that has a setting."""
    return "network" if setting in NETWORK else "training"


def _checked(hint: Any) -> Any:
    """A setting's type, with what is allowed as pydantic checks it."""
    if get_origin(hint) is not Annotated:
        return hint
    kind, allowed = get_args(hint)
    if not isinstance(allowed, Range):
        return Annotated[str, one_of(allowed)]
    least, above, below = allowed
    not_finite = False if kind is float else None
    return Annotated[kind, Field(ge=least, gt=above, lt=below, allow_inf_nan=not_finite)]


def _with_settings(base: type[Strict], table: str) -> type[Strict]:
    """The table with its settings as keys."""
    hints = get_type_hints(Settings, include_extras=True)
    keys: dict[str, Any] = {
        name: (_checked(hints[name]), default)
        for name, default in Settings._field_defaults.items()
        if table_of(name) == table
    }
    return create_model(base.__name__, __base__=base, **keys)


_WITH_SETTINGS: dict[str, Any] = {
    "network": (_with_settings(Network, "network"), ...),
    "training": (_with_settings(Training, "training"), ...),
}
File = create_model("File", __base__=Tables, **_WITH_SETTINGS)
