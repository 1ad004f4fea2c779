import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._data.labels import Labels
from skrelu._data.rows import WeightedRows, class_factors, is_counted, scale_weights, weigh_rows


def weights_of(rows):
    return rows.sample_weight * rows.weight_unit


def test_class_weights_become_factors_of_rows():
    y = np.array(["a", "a", "a", "b"])
    labels = Labels.of(y, None)
    targets = labels.encode(y)
    X = np.zeros((4, 1))
    assert class_factors(labels, None, targets, None) is None
    factors = class_factors(labels, {"a": 2}, targets, None)
    assert_array_equal(weights_of(weigh_rows(X, labels, targets, factors, None)), [2, 2, 2, 1])
    assert_allclose(class_factors(labels, "balanced", targets, None), [4 / 6, 4 / 2])
    weights = np.array([0.0, 1.0, 1.0, 4.0])
    assert_allclose(class_factors(labels, "balanced", targets, weights), [6 / (2 * 2), 6 / (2 * 4)])
    rows = weigh_rows(X, labels, targets, np.array([3.0, 0.5]), weights)
    assert_array_equal(weights_of(rows), [0, 3, 3, 2])
    assert_array_equal(rows.selection, [1, 2, 3])
    assert rows.total_weight == 8


def test_rows_of_weight_zero_do_not_count():
    y = np.array([0, 1, 1])
    labels, X = Labels.of(y, None), np.zeros((3, 1))
    targets = labels.encode(y)
    assert is_counted(None) is None
    assert is_counted(np.array([1.0, 0.0, 2.0])).tolist() == [True, False, True]
    assert weigh_rows(X, labels, targets, None, np.array([1.0, 2.0, 1.0])).selection is None
    rows = weigh_rows(X, labels, targets, None, np.array([1.0, 0.0, 2.0]))
    assert_array_equal(rows.selection, [0, 2])
    assert rows.n_rows == 2
    assert rows.total_weight == 3


def test_rows_without_weights_weigh_one():
    rows = WeightedRows(np.zeros((7, 2)), np.zeros(7, dtype=int))
    assert rows.n_rows == rows.total_weight == 7
    assert_array_equal(rows.numbers(), np.arange(7))


@pytest.mark.parametrize("largest", [5e-324, 1e-320, 1e-300, 0.3, 1.0, 7.0, 1e300, np.finfo(float).max])
def test_scaled_weights_are_the_weights_to_the_bit(largest):
    weights = np.array([largest, largest / 2, 0.0])
    relative, unit = scale_weights(weights)
    assert np.frexp(unit)[0] == 0.5  # a power of two
    assert 0.5 <= relative.max() < 2
    assert_array_equal(relative * unit, weights)


def test_factors_and_weights_whose_product_overflows():
    y = np.array([0, 1])
    labels = Labels.of(y, None)
    rows = weigh_rows(np.zeros((2, 1)), labels, labels.encode(y), np.array([1e300, 1.0]), np.array([1e300, 1e300]))
    assert np.isfinite(rows.sample_weight).all()
    assert_allclose(rows.sample_weight[0] / rows.sample_weight[1], 1e300)
