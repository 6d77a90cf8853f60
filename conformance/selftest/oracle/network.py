"""What a network does, as SPEC.md says: forward, backward, update, one number at a time."""

from dataclasses import dataclass, field

from conformance.selftest.oracle import random_numbers
from conformance.selftest.oracle.case import Case
from conformance.selftest.oracle.numbers import Matrix, Number, Row

State = dict[str, Matrix]


@dataclass
class Passed:
    """The results of a forward pass: `l[k]` with dropout, and what the backward pass needs."""

    l: dict[int, Matrix] = field(default_factory=dict)
    slope: dict[int, Matrix] = field(default_factory=dict)  # f s', from the activation's own output
    z: dict[int, Matrix] = field(default_factory=dict)
    root: dict[int, Row] = field(default_factory=dict)  # sqrt(v + norm_epsilon)
    mu: dict[int, Row] = field(default_factory=dict)
    v: dict[int, Row] = field(default_factory=dict)


class Network:
    """The network of a case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.zero, self.one = case.numbers.number(0.0), case.numbers.number(1.0)
        self.last = len(case.layers) - 1

    def dot(self, a: Row, b: Row) -> Number:
        """The sum of products."""
        total = self.zero
        for x, y in zip(a, b, strict=True):
            total += x * y
        return total

    def average(self, rows: Matrix) -> Row:
        """The mean over the rows, for each column."""
        return [sum(column, self.zero) / len(rows) for column in zip(*rows, strict=True)]

    def activate(self, name: str, x: Row) -> Row:
        """An activation of the weighted inputs of one sample."""
        exp = self.case.numbers.exp
        if name == "sigmoid":
            return [1 / (1 + exp(-value)) for value in x]
        if name == "tanh":
            return [self.case.numbers.tanh(value) for value in x]
        if name == "relu":
            return [max(value, self.zero) for value in x]
        # These numbers have exponents of any size, so that softmax needs no shift.
        powers = [exp(value) for value in x]
        total = sum(powers, self.zero)
        return [power / total for power in powers]

    def slope(self, name: str, output: Number) -> Number:
        """The slope of an activation, from its output."""
        if name == "sigmoid":
            return output * (1 - output)
        if name == "tanh":
            return 1 - output * output
        return self.one if output > 0 else self.zero

    def with_bias(self, l: Row) -> Row:
        """[l, 1] with bias units, otherwise l."""
        return [*l, self.one] if self.case.bias else l

    def normalise(self, state: State, k: int, x: Matrix, training: bool, passed: Passed) -> Matrix:
        """Batch normalisation of the weighted inputs of layer k."""
        if training:
            mu = self.average(x)
            v = self.average([[(a - b) ** 2 for a, b in zip(row, mu, strict=True)] for row in x])
        else:
            mu, v = state[f"mean{k}"][0], state[f"variance{k}"][0]
        root = [self.case.numbers.sqrt(a + self.case.settings["norm_epsilon"]) for a in v]
        z = [[(a - b) / r for a, b, r in zip(row, mu, root, strict=True)] for row in x]
        passed.mu[k], passed.v[k], passed.root[k], passed.z[k] = mu, v, root, z
        gamma, beta = state[f"gamma{k}"][0], state[f"beta{k}"][0]
        return [[a * g + b for a, g, b in zip(row, gamma, beta, strict=True)] for row in z]

    def forward(self, state: State, X: Matrix, n: int | None = None) -> Passed:
        """A forward pass: of update n, or inference."""
        case = self.case
        passed = Passed({0: X})
        for k in range(1, self.last + 1):
            columns = [list(column) for column in zip(*state[f"syn{k - 1}"], strict=True)]
            inputs = [self.with_bias(row) for row in passed.l[k - 1]]
            x = [[self.dot(row, column) for column in columns] for row in inputs]
            if k < self.last and case.batch_norm:
                x = self.normalise(state, k, x, n is not None, passed)
            name = case.activation if k < self.last else case.output
            output = [self.activate(name, row) for row in x]
            if name != "softmax" and n is not None:
                passed.slope[k] = [[self.slope(name, value) for value in row] for row in output]
            if k < self.last and n is not None and case.dropout:
                factors = self.dropout_factors(n, k, len(X))
                output = times(output, factors)
                passed.slope[k] = times(passed.slope[k], factors)
            passed.l[k] = output
        return passed

    def dropout_factors(self, n: int, k: int, rows: int) -> Matrix:
        """The factors f of SPEC.md: 1 / (1 - dropout) for what is kept, and 0 for what is not."""
        case = self.case
        kept = random_numbers.kept(case.philox_seed, case.dropout, n, k, rows, case.layers[k])
        factor = 1 / (1 - case.numbers.number(case.dropout))
        return [[factor if unit else self.zero for unit in row] for row in kept]

    def trimmed(self, delta: Matrix) -> Matrix:
        """Each element within trim_value."""
        limit = self.case.settings["trim_value"]
        if limit is None:
            return delta
        return [[min(max(value, -limit), limit) for value in row] for row in delta]

    def backward(
        self, state: State, passed: Passed, y: Matrix
    ) -> tuple[dict[int, Matrix], dict[int, Matrix], State]:
        """Errors and deltas of the layers, and the descents of the parameters."""
        case, last = self.case, self.last
        descent: State = {}
        error = {
            last: [
                [a - b for a, b in zip(due, got, strict=True)]
                for due, got in zip(y, passed.l[last], strict=True)
            ]
        }
        at_output = error[last] if case.cross_entropy else times(error[last], passed.slope[last])
        delta = {last: self.trimmed(at_output)}
        for k in range(last - 1, 0, -1):
            syn = state[f"syn{k}"][: case.layers[k]]
            error[k] = [[self.dot(row, weights) for weights in syn] for row in delta[k + 1]]
            e = times(error[k], passed.slope[k])
            if case.batch_norm:
                e = self.through_norm(state, k, e, passed, descent)
            delta[k] = self.trimmed(e)
        for k in range(last):
            inputs = [self.with_bias(row) for row in passed.l[k]]
            to = [list(column) for column in zip(*delta[k + 1], strict=True)]
            descent[f"syn{k}"] = [
                [self.dot(list(column), other) for other in to]
                for column in zip(*inputs, strict=True)
            ]
        return error, delta, descent

    def through_norm(
        self, state: State, k: int, e: Matrix, passed: Passed, descent: State
    ) -> Matrix:
        """Back through batch normalisation; the descents of gamma and beta on the way."""
        z, root = passed.z[k], passed.root[k]
        descent[f"gamma{k}"] = [
            [sum(column, self.zero) for column in zip(*times(e, z), strict=True)]
        ]
        descent[f"beta{k}"] = [[sum(column, self.zero) for column in zip(*e, strict=True)]]
        g = times(e, [state[f"gamma{k}"][0]] * len(e))
        mean_g, mean_gz = self.average(g), self.average(times(g, z))
        return [
            [(g[i][j] - mean_g[j] - z[i][j] * mean_gz[j]) / root[j] for j in range(len(root))]
            for i in range(len(g))
        ]


def times(a: Matrix, b: Matrix) -> Matrix:
    """The elementwise product."""
    return [
        [x * y for x, y in zip(row, other, strict=True)] for row, other in zip(a, b, strict=True)
    ]
