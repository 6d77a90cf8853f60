"""Rules for combinations of keys that are each fine alone."""

import itertools

from reference.cases.capabilities import ENSEMBLE, NUMPY_SEED, PREDICT, implied_needs
from reference.cases.tables import Tables, table_of

MAX_WEIGHTS = 10_000_000


def problems(case: Tables) -> list[str]:
    """What is wrong with a combination of keys that are each fine alone."""
    return [
        *_size_problems(case),
        *_data_problems(case),
        *_weight_problems(case),
        *_trace_problems(case),
        *_predict_problems(case),
        *_rule_problems(case),
        *_need_problems(case),
    ]


def _size_problems(case: Tables) -> list[str]:
    weights = sum(a * b for a, b in itertools.pairwise(case.network.layers))
    if weights > MAX_WEIGHTS:
        return [f"network.layers makes {weights} weights, and {MAX_WEIGHTS} is the limit"]
    return []


def _data_problems(case: Tables) -> list[str]:
    data, layers = case.data, case.network.layers
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


def _weight_problems(case: Tables) -> list[str]:
    weights, layers = case.init.weights, case.network.layers
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


def _ensemble_problems(case: Tables) -> list[str]:
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


def _trace_problems(case: Tables) -> list[str]:
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
        if values and values[-1] > last and key != "trace.steps":
            problems.append(f"{key} has {values[-1]}, beyond training.iterations = {last}")
    for key, values in (
        ("trace.steps", trace.steps),
        ("timing.iterations", timed),
        ("predict.checkpoints", predicted),
    ):
        for n in values:
            late = key == "trace.steps" and n > last  # from the last checkpoint
            if n not in trace.checkpoints and not late:
                problems.append(f"{key} has {n}, which is not in trace.checkpoints")
    return problems


def _predict_problems(case: Tables) -> list[str]:
    problems = []
    if case.predict is not None:
        why = "the first of network.layers"
        problems += _shape_problem("predict.X", case.predict.X, None, case.network.layers[0], why)
    if (case.accuracy is None) != (case.data.held_out is None):
        problems.append("accuracy.at_least and data.held_out go together")
    return problems


def _rule_problems(case: Tables) -> list[str]:
    settings, hidden = case.settings, len(case.network.layers) > 2
    problems = []
    if (settings.output == "softmax") > (settings.loss == "cross-entropy"):
        problems.append('network.output = "softmax" needs training.loss = "cross-entropy"')
    elif settings.loss == "cross-entropy" and settings.output not in ("sigmoid", "softmax"):
        problems.append(
            'training.loss = "cross-entropy" needs network.output = "sigmoid" or "softmax"'
        )
    needed = [
        ("training.nesterov", settings.nesterov, "training.momentum", settings.momentum),
        ("training.shuffle", settings.shuffle, "training.batch_size", settings.batch_size),
        ("network.batch_norm", settings.batch_norm, "a hidden layer", hidden),
        ("training.dropout", settings.dropout, "a hidden layer", hidden),
    ]
    problems += [f"{key} needs {other}" for key, used, other, there in needed if used and not there]
    for switch, keys in (
        ("batch_norm", ("norm_epsilon", "norm_rate")),
        ("adam", ("beta1", "beta2", "adam_epsilon")),
    ):
        table = table_of(switch)
        problems += [
            f"{table}.{switch} and {table}.{key} go together"
            for key in keys
            if bool(getattr(settings, switch)) != bool(getattr(settings, key))
        ]
    if settings.adam and settings.momentum:
        problems.append("training.adam has averages of its own: leave training.momentum out")
    if settings.philox_seed and not (settings.shuffle or settings.dropout):
        problems.append("training.philox_seed needs training.shuffle or training.dropout")
    return problems


def _need_problems(case: Tables) -> list[str]:
    implied = implied_needs(case.network.layers, case.settings)
    implied += [NUMPY_SEED] * bool(case.init.drawn_by_port)
    implied += [PREDICT] * bool(case.predict or case.accuracy)
    implied += [ENSEMBLE] * bool(case.init.networks)
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
