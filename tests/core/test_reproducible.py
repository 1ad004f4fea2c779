"""Reproducible sums: exact to the last digits, and the same bits in every order."""

from fractions import Fraction
from functools import reduce
from operator import add

import numpy as np
import pytest

from skrelu._core.reproducible import ReproducibleSum


def total(vectors):
    return reduce(add, map(ReproducibleSum.of, vectors)).result()


def exact_sum(vectors):
    """The sum of each entry in rational numbers, rounded once."""
    return np.array([float(sum(map(Fraction, column))) for column in np.transpose(vectors).tolist()])


@pytest.mark.parametrize("spread", [0, 1, 8, 30, 200])
def test_the_order_does_not_change_a_bit(spread):
    rng = np.random.default_rng(spread)
    vectors = rng.normal(size=(50, 7)) * 10.0 ** rng.uniform(-spread, spread, (50, 1))
    sums = {total(vectors[rng.permutation(50)]).tobytes() for _ in range(10)}
    halves = (reduce(add, map(ReproducibleSum.of, part)) for part in (vectors[:13], vectors[13:]))
    sums.add(reduce(add, halves).result().tobytes())
    assert len(sums) == 1


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1.0, 3e7, 1e290])
def test_the_sum_is_exact_to_the_last_digits(scale):
    vectors = scale * np.random.default_rng(0).normal(size=(100, 20))
    vectors[1] = 1e-9 * vectors[0] - vectors[2]  # digits cancel
    lost = len(vectors) * np.abs(vectors).max() * 2.0**-80
    np.testing.assert_allclose(total(vectors), exact_sum(vectors), rtol=4e-16, atol=lost)


def test_small_entries_beside_large_ones_keep_their_digits():
    vectors = np.random.default_rng(1).normal(size=(10, 4)) * [1e12, 1.0, 1e-3, 1e-9]
    lost = len(vectors) * np.abs(vectors).max() * 2.0**-80
    np.testing.assert_allclose(total(vectors)[:3], exact_sum(vectors)[:3], rtol=1e-8)
    np.testing.assert_allclose(total(vectors), exact_sum(vectors), rtol=4e-16, atol=lost)


def test_numbers_at_the_edges_of_a_digit():
    edges = 2.0 ** np.arange(-200, 200)
    numbers = np.concatenate([edges, -edges, np.nextafter(edges, 0), np.nextafter(edges, np.inf)])
    for number in numbers:
        assert ReproducibleSum.of(np.array([number])).result()[0] == number


def test_zeros_and_no_entries():
    assert total(np.zeros((3, 4))).tolist() == [0, 0, 0, 0]
    assert total(np.array([[0.0, 0.0], [1.5, -2.0]])).tolist() == [1.5, -2.0]
    assert len(total(np.empty((2, 0)))) == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_spoils_the_sum_in_any_order(bad):
    vectors = np.ones((3, 2))
    vectors[1, 0] = bad
    assert np.isnan(total(vectors)).all()
    assert np.isnan(total(vectors[::-1])).all()


def test_many_terms_of_both_signs_leave_no_rounding():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(4000, 3))
    assert total(np.concatenate([vectors, -vectors[rng.permutation(4000)]])).tolist() == [0, 0, 0]
