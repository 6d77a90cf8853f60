"""The article's programs print what the article prints, and the general algorithm equals them.

The expected digits are those printed in Andrew Trask, "A Neural Network in 11 Lines of Python
(Part 1)", iamtrask.github.io, 2015.
"""

import subprocess
import sys

import numpy as np
import pytest

from reference.algorithm import network
from reference.article import eleven_lines, three_layer, two_layer

PRINTED_OUTPUTS = [0.00966449, 0.00786506, 0.99358898, 0.99211957]
PRINTED_ERRORS = [
    "Error:0.496410031903",
    "Error:0.00858452565325",
    "Error:0.00578945986251",
    "Error:0.00462917677677",
    "Error:0.00395876528027",
    "Error:0.00351012256786",
]


def run(module: str) -> str:
    command = [sys.executable, "-m", f"reference.article.{module}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_two_layer_prints_the_articles_outputs() -> None:
    heading, *rows = run("two_layer").splitlines()
    assert heading == "Output After Training:"
    assert [float(row.strip(" []")) for row in rows] == PRINTED_OUTPUTS


def test_three_layer_prints_the_articles_errors() -> None:
    assert run("three_layer").splitlines() == PRINTED_ERRORS


def test_eleven_lines_is_the_three_layer_program() -> None:
    *_, (_, _, weights) = three_layer.train(300)  # the arrays that it updates
    output, eleven = eleven_lines.train(300)
    assert all((a == b).all() for a, b in zip(weights, eleven, strict=True))
    assert output.shape == (4, 1)


def test_eleven_lines_prints_xor() -> None:
    outputs = [float(row.strip(" []")) for row in run("eleven_lines").splitlines()]
    assert [round(value) for value in outputs] == [0, 1, 1, 0]


@pytest.mark.parametrize("iterations", [1, 2, 100, 5000])
def test_general_algorithm_equals_two_layer_bit_for_bit(iterations: int) -> None:
    random = np.random.RandomState(1)
    syn = [2 * random.random_sample((3, 1)) - 1]
    X, y = two_layer.X.astype(float), two_layer.y.astype(float)
    [(_, _, [syn0])] = network.train(X, y, syn, [iterations])
    assert (syn0 == two_layer.train(iterations)[1]).all()


def test_general_algorithm_equals_three_layer_bit_for_bit() -> None:
    random = np.random.RandomState(1)
    syn = [2 * random.random_sample((3, 4)) - 1, 2 * random.random_sample((4, 1)) - 1]
    X, y = two_layer.X.astype(float), three_layer.y.astype(float)
    checkpoints = [0, 1, 2, 10, 100, 1000, 10_000]
    mine = iter(network.train(X, y, syn, checkpoints))
    compared = 0
    for n, error, weights in three_layer.train(10_001):
        if n in checkpoints:
            iteration, my_error, my_weights = next(mine)
            assert iteration == n
            assert my_error == error
            assert all((a == b).all() for a, b in zip(my_weights, weights, strict=True))
            compared += 1
    assert compared == len(checkpoints)
