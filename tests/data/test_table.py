from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.utils.class_weight import compute_sample_weight

from skrelu._data.order import in_canonical_order
from skrelu._data.table import Table


class Estimator(BaseEstimator):
    def __init__(self, class_weight=None):
        self.class_weight = class_weight


def make_table(class_weight=None, sample_weight=None):
    X = np.random.RandomState(0).randn(10, 2)
    y = np.array(["a", "b"])[np.array([0, 0, 0, 1, 0, 1, 0, 0, 1, 0])]
    return Table.of(Estimator(class_weight), X, y, sample_weight)


def weights_of(rows):
    """Return the weight of each row, 0 for those that do not count."""
    weights = np.zeros(rows.X.shape[0])
    weights[rows.numbers()] = (rows.sample_weight * rows.weight_unit)[rows.numbers()]
    return weights


def test_rows_are_checked_labelled_and_encoded():
    table = make_table(sample_weight=np.arange(10))
    assert table.labels.classes.tolist() == ["a", "b"]
    assert_array_equal(table.targets.ravel(), np.where(table.y == "b", 1, -1))
    assert table.sample_weight.dtype == np.float64
    assert_array_equal(weights_of(table.weighed()), np.arange(10))


def test_weights_are_times_the_balanced_ones_of_the_rows_that_are_used():
    table = make_table("balanced")
    assert_allclose(weights_of(table.weighed()), compute_sample_weight("balanced", table.y))
    numbers = np.array([0, 1, 2, 3, 7])
    expected = np.zeros(10)
    expected[numbers] = compute_sample_weight("balanced", table.y[numbers])
    assert_allclose(weights_of(table.weighed(numbers)), expected)


def test_a_number_that_comes_twice_counts_twice():
    weights = np.linspace(1, 2, 10)
    rows = make_table(sample_weight=weights).weighed(np.array([3, 3, 0, 3]))
    assert_array_equal(rows.numbers(), [0, 3])
    assert_allclose(weights_of(rows)[[0, 3]], [weights[0], 3 * weights[3]])


@pytest.mark.parametrize("weights", [None, np.arange(10.0)])
def test_the_rows_of_a_test_part_have_the_class_weights_of_its_training_part(weights):
    table = make_table("balanced", weights)
    train, test = np.arange(6), np.array([9, 8, 6])
    rows = table.test_rows((train, test))
    assert_array_equal(rows.X, table.X[test])
    assert_array_equal(rows.targets, table.targets[test])
    weights = np.ones(10) if weights is None else weights
    totals = [weights[train][table.y[train] == label].sum() for label in ("a", "b", "a")]
    expected = weights[test] * weights[train].sum() / 2 / totals
    assert_allclose(rows.sample_weight * rows.weight_unit, expected[[0, 1, 2]])


def test_some_rows_in_the_unit_of_the_evidence():
    weights = np.linspace(0.1, 2, 10)
    table = make_table({"a": 0.3, "b": 4.0}, weights)
    rows = replace(table.weighed(), selection=np.arange(2, 9))
    s = weights_of(rows)
    counted = table.counted_as_rows(rows)
    assert_allclose(weights_of(counted), s * s.sum() / (s**2).sum())
    assert_allclose(counted.total_weight, s.sum() ** 2 / (s**2).sum())
    assert_array_equal(counted.numbers(), rows.numbers())
    s = weights_of(table.weighed())
    assert_allclose(table.weight_of_a_row, (s**2).sum() / s.sum())
    assert make_table(sample_weight=np.arange(10)).weight_of_a_row == 1


class TestRelativeClassWeights:
    """The part of the weights that class weights made, over a power of two."""

    @staticmethod
    def assert_are(factors, expected):
        exponent = np.frexp(expected.max())[1] - np.frexp(factors.max())[1]
        assert_allclose(np.ldexp(factors, exponent), expected)

    @pytest.mark.parametrize("class_weight", ["balanced", {"a": 0.3, "b": 4.0}])
    @pytest.mark.parametrize("sample_weight", [None, np.arange(10) / 4])
    def test_the_rest_is_the_weight_of_the_caller(self, sample_weight, class_weight):
        table = make_table(class_weight, sample_weight)
        weights = np.ones(10) if sample_weight is None else sample_weight
        for rows in (table.weighed(), replace(table.weighed(), selection=np.array([7, 2, 8]))):
            of_both = (rows.sample_weight * rows.weight_unit)[rows.numbers()]
            self.assert_are(table.relative_class_weights(rows), of_both / weights[rows.numbers()])
            counted = table.counted_as_rows(rows)
            assert_array_equal(table.relative_class_weights(counted), table.relative_class_weights(rows))

    def test_of_a_fold_and_of_its_test_rows(self):
        table = make_table("balanced")
        train, test = np.array([0, 1, 2, 3, 7, 7]), np.array([9, 8])
        expected = np.array([6 / (2 * 5), 6 / (2 * 1)])[(table.y == "b").astype(int)]
        self.assert_are(table.relative_class_weights(table.weighed(train)), expected[[0, 1, 2, 3, 7]])
        self.assert_are(table.relative_class_weights(table.test_rows((train, test))), expected[test])

    def test_of_rows_that_are_merged_and_ordered(self):
        table = Table.of(Estimator({0: 3.0}), np.zeros((4, 1)), [0, 1, 0, 1], None)
        rows = in_canonical_order(table.weighed(), merge=True)
        self.assert_are(table.relative_class_weights(rows), np.where(table.y == 0, 3.0, 1.0)[rows.numbers()])

    def test_without_class_weights_there_are_none(self):
        table = make_table(sample_weight=np.arange(10))
        assert table.relative_class_weights(table.weighed()) is None

    def test_of_several_labels(self):
        y = np.random.RandomState(0).randint(2, size=(10, 3))
        class_weight = [{0: 2.0}, {1: 0.1}, {0: 5.0, 1: 7.0}]
        table = Table.of(Estimator(class_weight), np.zeros((10, 1)), y, np.arange(10) / 4)
        rows = table.weighed()
        self.assert_are(table.relative_class_weights(rows), compute_sample_weight(class_weight, y)[1:])

    def test_factors_whose_products_overflow(self):
        y = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
        table = Table.of(Estimator([{0: 1e300, 1: 2e300}, {1: 3e300, 0: 1e300}]), np.zeros((4, 1)), y, None)
        factors = table.relative_class_weights(table.weighed())
        assert_allclose(factors / factors[3], [3, 6, 2, 1])


def test_validation_rows_have_the_class_weights_of_the_table():
    estimator = Estimator("balanced")
    table = Table.of(estimator, np.zeros((4, 1)), [0, 0, 0, 1], None)
    rows = table.validation_rows(estimator, np.zeros((2, 1)), [1, 0], [1.0, 3.0])
    assert_allclose(weights_of(rows), [4 / 2, 3 * 4 / 6])


@pytest.mark.parametrize(
    ("X", "y", "weights", "message"),
    [
        ([[0.0, 1.0]], [0], None, "X_val, y_val or sample_weight_val is not valid.*features"),
        ([[0.0]], [2], None, r"y_val holds labels that y does not: \[2\]"),
        ([[0.0]], [0], [-1.0], "sample_weight_val must not be negative"),
    ],
)
def test_validation_data_that_do_not_fit_are_refused(X, y, weights, message):
    estimator = Estimator()
    table = Table.of(estimator, np.zeros((4, 1)), [0, 0, 0, 1], None)
    with pytest.raises(ValueError, match=message):
        table.validation_rows(estimator, X, y, weights)
