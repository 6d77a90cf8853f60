"""The article's network while it learns: weights, activations and deltas at golden checkpoints."""

from dataclasses import dataclass
from typing import Any

from conformance.page.article import Article, dict_of
from conformance.suite.traces import golden_state
from reference.algorithm.network import step
from reference.array import Array

DIGITS = 5  # shown of each number; the pictures matter more


@dataclass(frozen=True)
class Learning:
    """What the view shows: the data, and a frame for each checkpoint, as plain lists."""

    X: list[list[float]]
    y: list[list[float]]
    layers: list[int]
    frames: list[dict[str, Any]]


def learning(article: Article) -> Learning:
    """The frames: the golden weights, and all that one update computes from them."""
    case = article.case
    X, y, _ = case.arrays("float64")
    trace = article.exact["float64"]
    frames = []
    for n, tensors in trace.run.expected:
        syn = golden_state(tensors, "float64")
        found = step(X, y, syn, iteration=n, **case.settings_for("float64"))
        frames.append(
            {
                "n": n,
                "error": float(dict_of(tensors)["error"].value),
                "syn": [_rounded(weights) for weights in syn],
                "change": [_rounded(new - old) for new, old in zip(found.state, syn, strict=True)],
                "l": [_rounded(layer) for layer in found.l],
                "l_error": [_rounded(error) for error in found.error],
                "delta": [_rounded(delta) for delta in found.delta],
            }
        )
    return Learning(X.tolist(), y.tolist(), case.layers, frames)


def _rounded(values: Array) -> Any:
    """To DIGITS significant digits, as nested lists: the page's data."""
    return [[float(f"{value:.{DIGITS}g}") for value in row] for row in values]
