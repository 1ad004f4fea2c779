import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.class_weight import compute_sample_weight

from skrelu._data.labels import Labels
from skrelu._data.rows import (
    WeightedRows,
    are_counts,
    class_factors,
    count_effective_rows,
    is_counted,
    row_factors,
    scale_weights,
    weigh_rows,
)


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


@pytest.mark.parametrize(("lightest", "heaviest"), [(1e-320, 1e5), (5e-324, 1.7e308)])
def test_a_positive_weight_stays_positive(lightest, heaviest):
    weights = np.array([heaviest, lightest, 0.0])
    relative, unit = scale_weights(weights)
    assert_array_equal(relative > 0, [True, True, False])
    assert relative[0] * unit == heaviest
    assert relative[1] < 1e-150
    assert is_counted(weights).tolist() == [True, True, False]


def test_rows_of_the_lightest_weights_are_balanced_too():
    y = np.array([0, 0, 1, 1])
    labels = Labels.of(y, None)
    targets, weights = labels.encode(y), np.array([1e5, 1e5, 1e-320, 1e-320])
    with np.errstate(all="raise"):
        factors = class_factors(labels, "balanced", targets, weights)
        rows = weigh_rows(np.zeros((4, 1)), labels, targets, factors, weights)
        effective = count_effective_rows(rows, labels, factors, weights + 0.5)
    assert np.isfinite(factors).all()
    assert_allclose(rows.sample_weight / rows.sample_weight[0], np.ones(4))
    assert_allclose(effective.total_weight, 4)
    # A factor and a weight that are both tiny.
    rows = weigh_rows(np.zeros((4, 1)), labels, targets, np.array([1.0, 1e-300]), weights)
    assert rows.selection is None
    assert (rows.sample_weight > 0).all()


class TestMultilabel:
    y = np.random.RandomState(0).randint(2, size=(60, 3))
    labels = Labels.of(y, None)
    targets = labels.encode(y)
    class_weight = ({0: 0.7, 1: 11.0}, {1: 0.3}, {})

    def weigh(self, class_weight, weights=None, rows=slice(None)):
        factors = class_factors(self.labels, class_weight, self.targets[rows], weights)
        return weigh_rows(np.zeros((len(self.targets[rows]), 1)), self.labels, self.targets[rows], factors, weights)

    @pytest.mark.parametrize("class_weight", [list(class_weight), "balanced"])
    def test_a_row_has_the_weight_of_scikit_learn(self, class_weight):
        expected = compute_sample_weight(class_weight, self.y)
        assert_array_equal(weights_of(self.weigh(class_weight)), expected)

    def test_balanced_counts_the_weights_of_rows(self):
        counts = np.random.RandomState(1).randint(0, 4, size=60).astype(float)
        repeats = np.repeat(np.arange(60), counts.astype(int))
        rows = self.weigh("balanced", counts)
        by_rows = compute_sample_weight("balanced", self.y[repeats])
        assert_allclose(weights_of(rows)[repeats], by_rows * counts[repeats])
        factors = class_factors(self.labels, "balanced", self.targets, counts)
        assert_array_equal(factors, class_factors(self.labels, "balanced", self.targets[repeats], None))

    def test_a_column_of_one_kind_is_left_as_it_is(self):
        targets = self.targets.copy()
        targets[:, 1] = -1
        factors = class_factors(self.labels, "balanced", targets, None)
        assert_array_equal(factors[1], [1.0, 1.0])
        assert_allclose(row_factors(self.labels, factors, targets)[0].max(), 1.0, atol=0.5)

    def test_the_product_of_many_columns_does_not_overflow(self):
        y = np.ones((5, 400), dtype=int)
        y[1, 0] = y[2, :7] = y[3, :300] = 0
        labels = Labels.of(y, None)
        factors = np.tile([1.0, 1e10], (400, 1))
        relative, unit = row_factors(labels, factors, labels.encode(y))
        assert unit == np.inf
        assert_allclose(relative[[1, 2, 4]] / relative[0], [1e-10, 1e-70, 1.0])
        assert 0 < relative[3] < 1e-300

    @pytest.mark.parametrize("weights", [None, np.random.RandomState(1).rand(60)])
    def test_the_evidence_counts_rows_of_a_weight(self, weights):
        s = compute_sample_weight(list(self.class_weight), self.y) * (1 if weights is None else weights)
        rows = self.weigh(self.class_weight, weights)
        counted = count_effective_rows(rows, self.labels, rows.factors, weights)
        assert_allclose(weights_of(counted), s * s.sum() / (s**2).sum())

    def test_repeated_rows_are_counts(self):
        counts = np.random.RandomState(1).randint(0, 5, size=60)
        repeats = np.random.RandomState(2).permutation(np.repeat(np.arange(60), counts))
        by_count, by_rows = (
            self.weigh(self.class_weight, counts.astype(float)),
            self.weigh(self.class_weight, rows=repeats),
        )
        by_count = count_effective_rows(by_count, self.labels, by_count.factors, counts.astype(float))
        by_rows = count_effective_rows(by_rows, self.labels, by_rows.factors, None)
        assert by_count.weight_unit * np.ldexp(1.0, -3) == by_rows.weight_unit  # the largest count is 4


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_the_order_of_rows_changes_no_bit_of_balanced_weights(n_outputs):
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=(500, n_outputs)).squeeze()
    weights, order = rng.rand(500), rng.permutation(500)
    labels = Labels.of(y, None)
    targets = labels.encode(y)
    factors = class_factors(labels, "balanced", targets, weights)
    assert_array_equal(class_factors(labels, "balanced", targets[order], weights[order]), factors)


def test_factors_and_weights_whose_product_overflows():
    y = np.array([0, 1])
    labels = Labels.of(y, None)
    rows = weigh_rows(np.zeros((2, 1)), labels, labels.encode(y), np.array([1e300, 1.0]), np.array([1e300, 1e300]))
    assert np.isfinite(rows.sample_weight).all()
    assert_allclose(rows.sample_weight[0] / rows.sample_weight[1], 1e300)


@pytest.mark.parametrize("weights", [[3, 0, 1], [True, False, True], [2.0, 1.0, 7e15], None])
def test_whole_weights_are_counts(weights):
    assert are_counts(weights if weights is None else np.array(weights, dtype=np.float64))


@pytest.mark.parametrize("weights", [[3, 0.5], [5e-324, 1], [1e6 + 0.5, 1e6 + 0.5], [2.0**53, 1.0], [1e300, 1e300]])
def test_other_weights_are_not(weights):
    assert not are_counts(np.array(weights))


class TestEffectiveRows:
    y = np.random.RandomState(0).randint(3, size=60)
    labels = Labels.of(y, None)
    factors = np.array([0.7, 11.0, 1.3])

    def count(self, factors, weights, rows=slice(None)):
        """Return rows in the unit of the evidence."""
        y = self.y[rows]
        arguments = self.labels, factors, weights
        weighed = weigh_rows(np.zeros((len(y), 1)), self.labels, self.labels.encode(y), *arguments[1:])
        return count_effective_rows(weighed, *arguments)

    def test_counts_are_left_as_they_are(self):
        assert self.count(None, None).sample_weight is None
        counts = np.random.RandomState(1).randint(0, 9, size=60).astype(float)
        assert_array_equal(weights_of(self.count(None, counts)), counts)

    @pytest.mark.parametrize("factors", [None, factors])
    def test_other_weights_add_up_to_the_effective_number_of_rows(self, factors):
        weights = np.random.RandomState(1).rand(60)
        weights[::7] = 0
        s = weights if factors is None else weights * factors[self.y]
        rows = self.count(factors, weights)
        assert_allclose(weights_of(rows), s * s.sum() / (s**2).sum())
        assert_allclose(rows.total_weight, s.sum() ** 2 / (s**2).sum())
        assert rows.total_weight < (s > 0).sum()

    @pytest.mark.parametrize("weight", [1 / 60, 0.01, 1e6 + 0.5, 5e-324, 1e300])
    def test_equal_weights_count_as_all_rows(self, weight):
        assert_allclose(weights_of(self.count(None, np.full(60, weight))), np.ones(60))

    def test_class_weights_count_repeated_rows(self):
        counts = np.random.RandomState(1).randint(0, 5, size=60)
        by_count = self.count(self.factors, counts.astype(float))
        repeats = np.random.RandomState(2).permutation(np.repeat(np.arange(60), counts))
        by_rows = self.count(self.factors, None, repeats)
        assert by_count.weight_unit * np.ldexp(1.0, -3) == by_rows.weight_unit  # the largest count is 4
        s = self.factors[self.y[repeats]]
        assert_allclose(by_rows.total_weight, s.sum() ** 2 / (s**2).sum())
        assert_allclose(by_count.total_weight, by_rows.total_weight)

    @pytest.mark.parametrize("exponent", [-900, -1, 900])
    def test_the_unit_of_the_caller_changes_no_bit(self, exponent):
        weights = np.random.RandomState(1).rand(60)
        rows, scaled = self.count(self.factors, weights), self.count(self.factors, np.ldexp(weights, exponent))
        assert_array_equal(scaled.sample_weight, rows.sample_weight)
        assert scaled.weight_unit == rows.weight_unit
        rows, scaled = self.count(self.factors, None), self.count(np.ldexp(self.factors, exponent), None)
        assert_array_equal(scaled.sample_weight, rows.sample_weight)
        assert scaled.weight_unit == rows.weight_unit

    def test_the_order_of_rows_changes_no_bit(self):
        weights = np.random.RandomState(1).rand(60)
        order = np.random.RandomState(2).permutation(60)
        assert (
            self.count(self.factors, weights[order], order).weight_unit == self.count(self.factors, weights).weight_unit
        )
