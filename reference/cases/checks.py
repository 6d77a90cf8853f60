"""What can be wrong between the keys of a case that are each fine alone."""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from reference.cases.case import Case

MAX_WEIGHTS = 10_000_000


def problems(case: "Case") -> list[str]:
    """What is wrong between keys that are each fine alone."""
    return [
        *_size_problems(case),
        *_data_problems(case),
        *_weight_problems(case),
        *_trace_problems(case),
        *_predict_problems(case),
        *_rule_problems(case),
        *_need_problems(case),
    ]


def _size_problems(case: "Case") -> list[str]:
    weights = sum(a * b for a, b in itertools.pairwise(case.layers))
    if weights > MAX_WEIGHTS:
        return [f"network.layers makes {weights} weights, and {MAX_WEIGHTS} is the limit"]
    return []


def check_range(case: "Case") -> None:
    """Raise ValueError for inputs that float32 cannot hold."""
    with np.errstate(over="ignore"):
        X, y, syn = case.arrays("float32")
        settings = case.settings_for("float32")
    if not all(np.isfinite(a).all() for a in (X, y, *syn)):
        raise ValueError("data or init has a number that is too large for float32")
    for name, value in settings.items():
        if isinstance(value, float) and not 0 < value < np.inf:
            table = "network" if hasattr(case.network, name) else "training"
            given = getattr(getattr(case, table), name)
            raise ValueError(f"{table}.{name} is {given:g}, which float32 cannot hold")


def _data_problems(case: "Case") -> list[str]:
    data, layers = case.data, case.layers
    if data.file is not None:
        inline = [key for key in ("X", "y") if getattr(data, key) is not None]
        return [f"data.{key}: give either data.file or data.X and data.y" for key in inline]
    if data.X is None or data.y is None:
        missing = "data.X" if data.X is None else "data.y"
        return [f"{missing} is missing: give data.X and data.y, or data.file"]
    problems = [
        *_shape_problem("data.X", data.X, None, layers[0], "the first of network.layers"),
        *_shape_problem("data.y", data.y, len(data.X), layers[-1], "the last of network.layers"),
    ]
    if data.rows is not None or data.held_out is not None or data.scale != 1.0:
        problems.append("data.rows, data.held_out and data.scale go with data.file")
    return problems


def _weight_problems(case: "Case") -> list[str]:
    weights, layers = case.init.weights, case.layers
    if case.init.networks is not None:
        return _ensemble_problems(case)
    if (weights is None) == (case.init.numpy_seed is None):
        return ["init needs either init.numpy_seed or init.weights"]
    if weights is None:
        return []
    if len(weights) != len(layers) - 1:
        return [
            f"init.weights has {len(weights)} matrices, "
            f"but network.layers asks for {len(layers) - 1}"
        ]
    problems = []
    for k, matrix in enumerate(weights):
        name, why = f"init.weights[{k}]", f"network.layers[{k}] x network.layers[{k + 1}]"
        problems += _shape_problem(name, matrix, *case.weight_shapes[k], why)
    return problems


def _ensemble_problems(case: "Case") -> list[str]:
    init, networks = case.init, case.init.networks or 1
    if init.numpy_seed is None or init.weights is not None:
        return ["init.networks needs init.numpy_seed, and no init.weights"]
    if init.numpy_seed + networks > 2**32:
        return ["init.networks asks for seeds beyond 2^32 - 1"]
    problems = []
    if networks * sum(a * b for a, b in case.weight_shapes) > MAX_WEIGHTS:
        problems.append(f"init.networks makes more than {MAX_WEIGHTS} weights, which is the limit")
    for key, used in (
        ("predict", case.predict),
        ("accuracy", case.accuracy),
        ("init.drawn_by_port", init.drawn_by_port),
    ):
        if used:
            problems.append(f"{key} is of one network: leave init.networks out")
    if case.trace.steps:
        problems.append("trace.steps must be [], since only one network is asked for single steps")
    return problems


def _shape_problem(
    name: str, matrix: list[list[float]], rows: int | None, columns: int, why: str
) -> list[str]:
    if rows is not None and len(matrix) != rows:
        return [f"{name} has {len(matrix)} rows, but {rows} are needed"]
    for i, row in enumerate(matrix):
        if len(row) != columns:
            return [f"{name}[{i}] has {len(row)} numbers, but {columns} are needed ({why})"]
    return []


def _trace_problems(case: "Case") -> list[str]:
    trace, last = case.trace, case.training.iterations
    timed = case.timing.iterations if case.timing else []
    predicted = case.predict.checkpoints if case.predict else []
    problems = []
    for key, values in (
        ("trace.checkpoints", trace.checkpoints),
        ("trace.steps", trace.steps),
        ("timing.iterations", timed),
        ("predict.checkpoints", predicted),
    ):
        if values != sorted(set(values)):
            problems.append(f"{key} must rise, without repeats")
        if values and values[-1] > last:
            problems.append(f"{key} has {values[-1]}, beyond training.iterations = {last}")
    for key, values in (
        ("trace.steps", trace.steps),
        ("timing.iterations", timed),
        ("predict.checkpoints", predicted),
    ):
        for n in values:
            if n not in trace.checkpoints:
                problems.append(f"{key} has {n}, which is not in trace.checkpoints")
    return problems


def _predict_problems(case: "Case") -> list[str]:
    problems = []
    if case.predict is not None:
        why = "the first of network.layers"
        problems += _shape_problem("predict.X", case.predict.X, None, case.layers[0], why)
    if (case.accuracy is None) != (case.data.held_out is None):
        problems.append("accuracy.at_least and data.held_out go together")
    return problems


def _rule_problems(case: "Case") -> list[str]:
    network, training = case.network, case.training
    problems = []
    if (network.output == "softmax") > (training.loss == "cross-entropy"):
        problems.append('network.output = "softmax" needs training.loss = "cross-entropy"')
    elif training.loss == "cross-entropy" and network.output not in ("sigmoid", "softmax"):
        problems.append(
            'training.loss = "cross-entropy" needs network.output = "sigmoid" or "softmax"'
        )
    needed = [
        ("training.nesterov", training.nesterov, "training.momentum", training.momentum),
        ("training.shuffle", training.shuffle, "training.batch_size", training.batch_size),
        ("network.batch_norm", network.batch_norm, "a hidden layer", len(case.layers) > 2),
        ("training.dropout", training.dropout, "a hidden layer", len(case.layers) > 2),
    ]
    problems += [f"{key} needs {other}" for key, used, other, there in needed if used and not there]
    for table, switch, keys in (
        ("network", "batch_norm", ("norm_epsilon", "norm_rate")),
        ("training", "adam", ("beta1", "beta2", "adam_epsilon")),
    ):
        owner = getattr(case, table)
        problems += [
            f"{table}.{switch} and {table}.{key} go together"
            for key in keys
            if bool(getattr(owner, switch)) != bool(getattr(owner, key))
        ]
    if training.adam and training.momentum:
        problems.append("training.adam has averages of its own: leave training.momentum out")
    if training.philox_seed and not (training.shuffle or training.dropout):
        problems.append("training.philox_seed needs training.shuffle or training.dropout")
    return problems


def _need_problems(case: "Case") -> list[str]:
    implied = implied_needs(case.layers, case.network.model_dump(), case.training.model_dump())
    implied += ["numpy-seed"] * bool(case.init.drawn_by_port)
    implied += ["predict"] * bool(case.predict or case.accuracy)
    implied += ["ensemble"] * bool(case.init.networks)
    return [
        *(
            f"needs must list {name!r}, which this case uses"
            for name in implied
            if name not in case.needs
        ),
        *(
            f"needs lists {name!r}, which this case does not use"
            for name in case.needs
            if name not in implied
        ),
    ]


def implied_needs(
    layers: list[int], network: dict[str, Any], training: dict[str, Any]
) -> list[str]:
    """The capabilities that these settings use; a setting that is not there is its default."""
    activations = {network.get("output")}
    if len(layers) > 2:
        activations.add(network.get("activation"))
    used = {
        "alpha": training.get("alpha", 1.0) != 1.0,
        "layers": len(layers) != 3 or layers[-1] != 1,
        "bias": network.get("bias"),
        "mini-batch": training.get("batch_size"),
        "tanh": "tanh" in activations,
        "relu": "relu" in activations,
        "softmax": "softmax" in activations,
        "cross-entropy": training.get("loss") == "cross-entropy",
        "delta-trimming": training.get("trim_value") or training.get("trim_norm"),
        "l1": training.get("l1"),
        "l2": training.get("l2"),
        "momentum": training.get("momentum"),
        "adam": training.get("adam"),
        "batch-norm": network.get("batch_norm"),
        "dropout": training.get("dropout"),
        "philox": training.get("dropout") or training.get("shuffle"),
    }
    return [name for name, is_used in used.items() if is_used]
