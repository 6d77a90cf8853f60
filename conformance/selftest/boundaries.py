"""What each function of the algorithm meets in a case, to see whether it is on a boundary.

`suite/boundaries.toml` is a table of functions and boundaries. An entry names cases and says in
`at` what is true of one call of the function: an expression over the names that are recorded here.
The calls are recorded in the exact run, in ball arithmetic, so that "equal" means equal.
"""

import functools
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import flint
import numpy as np
from pydantic import Field, StringConstraints

from conformance.suite import known_bugs
from reference.algorithm import batches, layers, network, philox, settings
from reference.arithmetic.ball import BALLS, PRECISIONS
from reference.array import Array
from reference.cases.capabilities import CAPABILITIES
from reference.cases.case import Case, load
from reference.cases.tables import DType, Strict, one_of
from reference.golden.checks import RunCheck
from reference.golden.start import Start

TABLE = Path(known_bugs.__file__).parent / "boundaries.toml"
BOUNDARIES = ("branch", "overflow", "cancels", "zero_forward", "zero_backward", "tiny")
DTYPES: tuple[DType, ...] = ("float64", "float32")

Text = Annotated[str, StringConstraints(min_length=1)]
Call = dict[str, Any]


class Entry(Strict):
    """Cases on a boundary: what is true there, what naive code gets wrong, and its known bugs."""

    cases: list[Text] = Field(min_length=1)
    at: Text
    naive: Text
    bugs: list[Text] = []
    ordinary: Text | None = None  # a case that is not on this boundary, if the row's is
    # The boundary depends on the range of the dtype, and is met only in this one.
    dtype: Annotated[str, one_of(DTYPES)] | None = None

    @property
    def dtypes(self) -> tuple[DType, ...]:
        """Those in which the cases are on the boundary."""
        return tuple(d for d in DTYPES if self.dtype in (None, d))


Cell = Annotated[list[Entry], Field(min_length=1)] | Text


class Function(Strict):
    """A row: entries for each boundary, or the reason why it cannot occur or cannot show."""

    about: Text
    spec: Text  # where SPEC.md gives its value at the boundaries
    needs: list[Annotated[str, one_of(CAPABILITIES)]] = []
    settings: list[Annotated[str, one_of(settings.Settings._fields)]]
    ordinary: Text  # a case that is not on the boundaries
    branch: Cell
    overflow: Cell
    cancels: Cell
    zero_forward: Cell
    zero_backward: Cell
    tiny: Cell

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Each entry, with its boundary."""
        for boundary in BOUNDARIES:
            cell = getattr(self, boundary)
            yield from ((boundary, entry) for entry in cell if not isinstance(cell, str))


class Table(Strict):
    """All rows, by the name of the function, and the capabilities that have no row."""

    function: dict[str, Function]
    nothing_of_its_own: dict[Annotated[str, one_of(CAPABILITIES)], Text]


@functools.cache
def table() -> Table:
    """The table in the repository."""
    return Table.model_validate(tomllib.loads(TABLE.read_text(encoding="utf-8")))


def holds(at: str, function: str, case: Case, dtype: DType) -> list[bool]:
    """Whether `at` is true, for each call of the function in the exact run of the case."""
    info = np.finfo(dtype)
    limits = {
        "np": np,
        "exp_max": float(np.log(np.float64(info.max))),  # exp of more than this overflows
        "largest": float(info.max),
        "tiny": float(info.tiny),
        "least": flint.arb(float(info.smallest_subnormal)) / 2,  # what is below this rounds to 0
        "eps": float(info.eps),
        "initial": np.concatenate([w.ravel() for w in case.weights]),
    }
    calls = observed(case.path, dtype).get(function, [])
    with flint.ctx.workprec(PRECISIONS[-1]):
        return [bool(eval(at, {**limits, **call})) for call in calls]


@functools.cache
def observed(path: Path, dtype: DType) -> dict[str, list[Call]]:
    """The calls of each function in the exact run of a case, by the row's name."""
    case = load(path)
    check = RunCheck(Start(case, dtype), RunCheck.points_of(case))

    def run() -> dict[str, list[Call]]:
        with recording() as calls:
            for _ in check.computed(network, BALLS):
                pass
        return calls | {"initial-weights": [{"seeds": case.drawn_by_port}]}

    return BALLS.certified(run)[0]


@contextmanager
def recording() -> Iterator[dict[str, list[Call]]]:
    """Records what functions of the reference are given, and what they give, by row."""
    calls: dict[str, list[Call]] = {}

    def record(function: str, **values: Any) -> None:
        calls.setdefault(function, []).append(values)

    with ExitStack() as patches:
        for owner, name, watch in WATCHED:
            wrapped = functools.partial(watch, record, getattr(owner, name))
            # A function, so that as a method it gets its object.
            patches.enter_context(patch.object(owner, name, _function(wrapped)))
        yield calls


def _function(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: call(*args)


def _flat(arrays: Any) -> Array:
    return np.concatenate([np.ravel(a) for a in arrays])


def _activation(record: Any, original: Any, self: Any, x: Array) -> Any:
    self.seen = x
    return original(self, x)


def _slope(record: Any, original: Any, self: Any, error: Array) -> Any:
    delta = original(self, error)
    [name] = [name for name, (value, _) in layers.ACTIVATIONS.items() if value is self.value]
    seen = {"x": self.seen, "l": self.output, "error": error, "delta": delta}
    record(name, **seen)
    if isinstance(self, layers.CrossEntropyOutput):
        record("cross-entropy", y=error + self.output, **seen)
    return delta


def _clip(record: Any, original: Any, delta: Array, limit: float) -> Any:
    record("trim-value", delta=delta, limit=limit)
    return original(delta, limit)


def _shrink(record: Any, original: Any, descent: list[Array], limit: float) -> Any:
    flat = _flat(descent)
    record("trim-norm", squares=(flat * flat).sum(), limit=limit)  # a ball around 0 has no power
    return original(descent, limit)


def _decay(record: Any, original: Any, w: Array, l1: float, l2: float, bias: bool) -> Any:
    for name, used in (("l1", l1), ("l2", l2)):
        if used:
            record(name, w=w, l1=l1, l2=l2)
    return original(w, l1, l2, bias)


def _kept(record: Any, original: Any, shape: Any, dropout: float, *drawn_by: Any) -> Any:
    seed, iteration, k = drawn_by
    words = philox.words(shape[0] * shape[1], seed, iteration, k, philox.FOR_DROPOUT)
    kept = original(shape, dropout, *drawn_by)
    record("dropout-mask", words=words.astype(np.float64), limit=dropout * 2**32, kept=kept)
    record("dropout-factor", dropout=dropout, kept=kept)
    record("random-words", seed=seed)
    return kept


def _norm(record: Any, original: Any, self: Any, x: Array) -> Any:
    result = original(self, x)
    record("batch-statistics", x=x, mean=self.mean, variance=self.variance, normal=self.normal)
    return result


def _improve(
    record: Any, original: Any, self: Any, state: Any, descent: Any, norms: Any, iteration: int
) -> Any:
    new = original(self, state, descent, norms, iteration)
    if norms:
        variance = _flat(n.variance for n in norms)
        record("running-averages", old=_flat(state.variance), variance=variance)
    record("weight-update", w=_flat(state.parameters), new=_flat(new.parameters), alpha=self.alpha)
    return new


def _momentum(
    record: Any, original: Any, memory: Any, descent: Any, momentum: float, nesterov: bool
) -> Any:
    function = "nesterov" if nesterov else "momentum"
    record(function, v=_flat(memory[0]), d=_flat(descent), momentum=momentum)
    return original(memory, descent, momentum, nesterov)


def _adam(record: Any, original: Any, memory: Any, descent: Any, *rates: float) -> Any:
    beta1, beta2, _, t = rates
    steps, (m, v) = original(memory, descent, *rates)
    record("adam-root", m=_flat(memory[0]), v=_flat(v), d=_flat(descent))
    record("adam-powers", beta1=beta1, beta2=beta2, t=t)
    return steps, [m, v]


def _update(
    record: Any, original: Any, X: Array, y: Array, state: Any, given: Any, iteration: int
) -> Any:
    if given.batch_size:
        samples = X.shape[-2]
        rows = len(np.arange(samples)[given.rows(samples, iteration)])
        record("batches", samples=samples, batch_size=given.batch_size, rows=rows)
    return original(X, y, state, given, iteration)


def _permutation(record: Any, original: Any, count: int, seed: int, epoch: int) -> Any:
    i = np.arange(count)
    places = philox.words(count, seed, epoch, 0, philox.FOR_SHUFFLE) * (i + 1.0) / 2**32
    record("shuffle", count=count, i=i[1:], places=places[1:])
    record("random-words", seed=seed)
    return original(count, seed, epoch)


def _add_unit(record: Any, original: Any, l: Array) -> Any:
    record("bias-units", l=l)
    return original(l)


def _mean_error(record: Any, original: Any, error: Array) -> Any:
    record("mean-error", error=error)
    return original(error)


# Each function of the reference that is watched, in the module that calls it.
WATCHED: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (layers.Activation, "forward", _activation),
    (layers.Activation, "back", _slope),
    (layers.CrossEntropyOutput, "back", _slope),
    (layers, "kept", _kept),
    (layers.BatchNorm, "forward", _norm),
    (settings, "clip", _clip),
    (settings, "shrink", _shrink),
    (settings, "decay", _decay),
    (settings, "with_momentum", _momentum),
    (settings, "adam", _adam),
    (settings, "add_unit", _add_unit),
    (settings.Settings, "improve", _improve),
    (batches, "permutation", _permutation),
    (network, "update", _update),
    (network, "mean_error", _mean_error),
)
