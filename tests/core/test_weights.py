"""Relative weights: of all rows, of a part of them, and of a few rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._core.weights import RelativeWeights


@pytest.mark.parametrize("unit", [1.0, 2.0**-30, 1e300])
def test_rows_have_their_weights_again(unit):
    s = np.array([0.5, 3.0, 1e-8, 2.0])
    weights = RelativeWeights.of(s, 4, unit)
    assert weights.relative.max() == 1
    assert_allclose(weights.total, s.sum(), rtol=1e-15)
    assert_allclose(weights.take(np.array([3, 0])), s[[3, 0]] * unit, rtol=1e-15)


def test_without_weights_each_row_weighs_a_unit():
    weights = RelativeWeights.of(None, 7, 2.0)
    assert weights.relative is None
    assert weights.sum == weights.total == 7
    assert_array_equal(weights.take(np.array([1, 6])), [2.0, 2.0])


def test_the_sum_of_the_relative_weights_does_not_overflow():
    weights = RelativeWeights.of(np.full(100, 1e308), 100, 1.0)
    assert weights.sum == 100
    assert_array_equal(weights.relative, np.ones(100))


def test_a_part_keeps_the_sums_of_all_rows():
    s = np.array([1.0, 4.0, 2.0])
    weights = RelativeWeights.of(s, 3, 1.0)
    part = weights.of_part(weights.relative[1:])
    assert part.sum == weights.sum
    assert_allclose(part.take(np.array([0, 1])), s[1:], rtol=1e-15)
