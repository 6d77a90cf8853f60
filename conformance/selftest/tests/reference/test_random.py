"""Random numbers against what others published and against libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.algorithm.initial import draw
from reference.algorithm.network import initial
from reference.algorithm.philox import FOR_DROPOUT, kept, permutation, philox, words

# Counter, key, words: the file kat_vectors of Random123 1.14, lines "philox4x32 10".
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter: str, key: str, expected: str) -> None:
    k0, k1 = numbers(key)
    assert [int(word) for word in philox(numbers(counter), (k0, k1))] == numbers(expected)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(1, 50))
def test_words_do_not_depend_on_how_many_are_asked_for(seed: int, time: int, count: int) -> None:
    many = words(60, seed, time, 3, FOR_DROPOUT)
    assert (words(count, seed, time, 3, FOR_DROPOUT) == many[:count]).all()
    assert many.max() < 2**32


def test_about_the_right_part_of_units_is_kept() -> None:
    for dropout in (0.0, 0.1, 0.5, 0.9):
        share = kept((400, 250), dropout, 7, 3, 1).mean()
        assert share == pytest.approx(1 - dropout, abs=0.01)
    assert not (kept((400, 250), 0.5, 7, 3, 1) == kept((400, 250), 0.5, 7, 4, 1)).all()


@given(st.integers(1, 40), st.integers(0, 2**63 - 1), st.integers(0, 1000))
def test_an_order_has_every_sample_once(count: int, seed: int, epoch: int) -> None:
    assert sorted(permutation(count, seed, epoch).tolist()) == list(range(count))


def test_all_orders_are_about_equally_likely() -> None:
    """6000 shuffles of 3: each of the 6 orders 1000 times, give or take 5 deviations of 29."""
    orders = [tuple(permutation(3, 11, epoch).tolist()) for epoch in range(6000)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert all(abs(count - 1000) < 145 for count in counts)


@given(st.integers(0, 2**32 - 1))
def test_weights_are_those_of_the_article(seed: int) -> None:
    np.random.seed(seed)
    expected = [2 * np.random.random((3, 4)) - 1, 2 * np.random.random((4, 1)) - 1]
    for drawn, weights in zip(draw(seed, [3, 4, 1], bias=False), expected, strict=True):
        assert (drawn == weights).all()


def test_what_is_not_drawn_has_its_start() -> None:
    state = initial([2, 3, 1], 1, dtype="float32", bias=True, batch_norm=True, adam=True)
    shapes = [(3, 3), (4, 1), (1, 3), (1, 3)]
    assert [w.shape for w in state] == [*shapes, *shapes, *shapes, (1, 3), (1, 3)]
    assert all(w.dtype == np.float32 for w in state)
    assert (state[0][-1] == 0).all()
    constants = [float(w.flat[0]) for w in state[2:]]
    assert constants == [1, 0, *[0] * 8, 0, 1]
