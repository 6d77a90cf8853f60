"""The article's first program: no hidden layer, so it learns only a linear rule.

The answer to learn is the first input. `python -m reference.article.two_layer` prints the outputs
after 10,000 updates; the article prints 0.00966449 0.00786506 0.99358898 0.99211957.
"""

import numpy as np

from reference.array import Array


def nonlin(x: Array, deriv: bool = False) -> Array:
    """The sigmoid of x; with `deriv`, its slope where x is already a sigmoid's output."""
    if deriv:
        return x * (1 - x)
    return 1 / (1 + np.exp(-x))


X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0, 0, 1, 1]]).T


def train(iterations: int = 10_000) -> tuple[Array, Array]:
    """The outputs of the last forward pass (4, 1), and the weights after the last update."""
    np.random.seed(1)
    syn0 = 2 * np.random.random((3, 1)) - 1  # uniform in [-1, 1)
    l1 = np.empty((4, 1))
    for _ in range(iterations):
        l0 = X
        l1 = nonlin(np.dot(l0, syn0))
        l1_error = y - l1
        l1_delta = l1_error * nonlin(l1, deriv=True)
        syn0 += np.dot(l0.T, l1_delta)
    return l1, syn0


if __name__ == "__main__":
    print("Output After Training:")
    print(train()[0])
