"""The article's opening program: the three-layer network with nothing left to remove.

It computes what `three_layer` computes, to the last bit. The article gives it no seed; seed 1
is set here, so that it can be checked.
`python -m reference.article.eleven_lines` prints the outputs after 60,000 updates.
"""

import numpy as np

from reference.array import Array


def train(iterations: int = 60_000) -> tuple[Array, list[Array]]:
    """The outputs of the last forward pass (4, 1), and the weights [syn0, syn1] at the end."""
    np.random.seed(1)
    # The eleven lines.
    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
    y = np.array([[0, 1, 1, 0]]).T
    syn0 = 2 * np.random.random((3, 4)) - 1
    syn1 = 2 * np.random.random((4, 1)) - 1
    for _ in range(iterations):
        l1 = 1 / (1 + np.exp(-(np.dot(X, syn0))))
        l2 = 1 / (1 + np.exp(-(np.dot(l1, syn1))))
        l2_delta = (y - l2) * (l2 * (1 - l2))
        l1_delta = l2_delta.dot(syn1.T) * (l1 * (1 - l1))
        syn1 += l1.T.dot(l2_delta)
        syn0 += X.T.dot(l1_delta)
    return l2, [syn0, syn1]


if __name__ == "__main__":
    print(train()[0])
