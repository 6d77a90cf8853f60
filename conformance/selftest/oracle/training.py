"""Updates of the state, as SPEC.md says."""

from functools import lru_cache

from conformance.selftest.oracle.case import Case
from conformance.selftest.oracle.network import Network, Passed, State
from conformance.selftest.oracle.numbers import Matrix, Number
from conformance.selftest.oracle.random_numbers import order_of_epoch

Answer = dict[str, Matrix | Number]

# Each update of an epoch asks for the epoch's order.
order_of = lru_cache(maxsize=4)(order_of_epoch)


def batch(case: Case, n: int) -> tuple[Matrix, Matrix]:
    """The samples that update n learns from."""
    samples, size = len(case.X), case.batch_size
    batches = -(-samples // size)
    epoch, number = divmod(n, batches)
    order = list(range(samples))
    if case.shuffle:
        order = order_of(case.philox_seed, epoch, samples)
    chosen = order[number * size : (number + 1) * size]
    return [case.X[i] for i in chosen], [case.y[i] for i in chosen]


def step(case: Case, state: State, n: int) -> tuple[Answer, State]:
    """Update n: everything that a single step must return, and the new state."""
    network = Network(case)
    X, y = batch(case, n)
    passed = network.forward(state, X, n)
    error, delta, descent = network.backward(state, passed, y)
    trim_norm(case, descent)
    regularise(case, state, descent)
    new = updated(case, state, descent, n)
    if case.batch_norm:
        new |= averages(case, state, passed)
    answer: Answer = {f"l{k}": passed.l[k] for k in error}
    answer |= {f"l{k}_error": value for k, value in error.items()}
    answer |= {f"l{k}_delta": value for k, value in delta.items()}
    return answer | new, new


def trim_norm(case: Case, descent: State) -> None:
    """Scale all descents if their norm is above the limit."""
    limit = case.settings["trim_norm"]
    if limit is None:
        return
    squares = [x * x for matrix in descent.values() for row in matrix for x in row]
    norm = case.numbers.sqrt(sum(squares, case.numbers.number(0.0)))
    if norm > limit:
        for name, matrix in descent.items():
            descent[name] = [[x * limit / norm for x in row] for row in matrix]


def regularise(case: Case, state: State, descent: State) -> None:
    """Take l2 syn and l1 sign(syn) from the descents, but not in the rows of bias units."""
    l1, l2 = case.settings["l1"] or 0, case.settings["l2"] or 0
    if not l1 and not l2:
        return
    for k in range(len(case.layers) - 1):
        for i in range(case.layers[k]):
            for j, weight in enumerate(state[f"syn{k}"][i]):
                sign = (weight > 0) - (weight < 0)
                descent[f"syn{k}"][i][j] -= l2 * weight + l1 * sign


def updated(case: Case, state: State, descent: State, n: int) -> State:
    """The parameters and what goes with them after update n."""
    new: State = {}
    alpha, momentum = case.alpha, case.settings["momentum"]
    beta1, beta2 = case.settings["beta1"], case.settings["beta2"]
    for name in case.parameters:
        cells = [(i, j) for i, row in enumerate(state[name]) for j in range(len(row))]
        new[name] = [list(row) for row in state[name]]
        made = [f"{name}_{suffix}" for suffix in ("m", "v", "velocity")]
        new |= {key: [list(row) for row in state[key]] for key in made if key in state}
        for i, j in cells:
            d = descent[name][i][j]
            if case.adam:
                m = beta1 * state[f"{name}_m"][i][j] + (1 - beta1) * d
                v = beta2 * state[f"{name}_v"][i][j] + (1 - beta2) * d * d
                new[f"{name}_m"][i][j], new[f"{name}_v"][i][j] = m, v
                root = case.numbers.sqrt(v / (1 - beta2 ** (n + 1)))
                move = m / (1 - beta1 ** (n + 1)) / (root + case.settings["adam_epsilon"])
            elif momentum:
                velocity = momentum * state[f"{name}_velocity"][i][j] + d
                new[f"{name}_velocity"][i][j] = velocity
                move = d + momentum * velocity if case.nesterov else velocity
            else:
                move = d
            new[name][i][j] += alpha * move
    return new


def averages(case: Case, state: State, passed: Passed) -> State:
    """The running averages of batch normalisation after an update."""
    rate = case.settings["norm_rate"]
    new: State = {}
    for k in case.hidden:
        for name, seen in ((f"mean{k}", passed.mu[k]), (f"variance{k}", passed.v[k])):
            new[name] = [[a + rate * (b - a) for a, b in zip(state[name][0], seen, strict=True)]]
    return new


def mean_error(case: Case, state: State) -> Number:
    """The error of a checkpoint."""
    network = Network(case)
    output = network.forward(state, case.X).l[network.last]
    differences = [
        abs(a - b)
        for due, got in zip(case.y, output, strict=True)
        for a, b in zip(due, got, strict=True)
    ]
    return sum(differences, network.zero) / len(differences)
