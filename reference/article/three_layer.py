"""The article's second program: four hidden units, which are enough to learn XOR.

`python -m reference.article.three_layer` prints the mean absolute error every 10,000 updates; the
article prints 0.496410031903, 0.00858452565325, 0.00578945986251, 0.00462917677677,
0.00395876528027, 0.00351012256786.
"""

from collections.abc import Iterator

import numpy as np

from reference.array import Array
from reference.article.two_layer import X, nonlin

y = np.array([[0], [1], [1], [0]])


def train(iterations: int = 60_000) -> Iterator[tuple[int, float, list[Array]]]:
    """Before each update: its number, the error, and the weights [syn0, syn1] (not copied)."""
    np.random.seed(1)
    syn0 = 2 * np.random.random((3, 4)) - 1
    syn1 = 2 * np.random.random((4, 1)) - 1
    # [checkpoint]
    for j in range(iterations):
        # [forward]
        l0 = X
        l1 = nonlin(np.dot(l0, syn0))
        l2 = nonlin(np.dot(l1, syn1))
        # [/forward]
        # [output-delta]
        l2_error = y - l2
        # [/output-delta]
        yield j, float(np.mean(np.abs(l2_error))), [syn0, syn1]
        # [/checkpoint]
        # [output-delta]
        l2_delta = l2_error * nonlin(l2, deriv=True)
        # [/output-delta]
        # [hidden-delta]
        l1_error = l2_delta.dot(syn1.T)
        l1_delta = l1_error * nonlin(l1, deriv=True)
        # [/hidden-delta]
        # [update]
        syn1 += l1.T.dot(l2_delta)
        syn0 += l0.T.dot(l1_delta)
        # [/update]


if __name__ == "__main__":
    # [checkpoint]
    for j, error, _ in train():
        if j % 10_000 == 0:
            print(f"Error:{error:.12g}")
    # [/checkpoint]
