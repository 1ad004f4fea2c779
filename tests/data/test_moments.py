"""Means and deviations of the columns, against sums of exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from skrelu._data import moments
from skrelu._data.labels import Labels
from skrelu._data.moments import measure_columns
from skrelu._data.rows import WeightedRows, class_factors, row_factors, weigh_rows

CONTAINERS = [np.asarray, sparse.csr_array, sparse.csr_matrix]


def exact(X, weights=None):
    """Return the weighted means and deviations, rounded once (the root twice)."""
    X = X.toarray() if sparse.issparse(X) else X
    weights = [Fraction(1)] * len(X) if weights is None else [Fraction(float(weight)) for weight in weights]
    total = sum(weights)
    means, deviations = [], []
    for column in X.T:
        values = [Fraction(float(value)) for value in column]
        mean = sum(w * v for w, v in zip(weights, values, strict=True)) / total
        variance = sum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)) / total
        exponent = 0  # so that the root neither overflows nor underflows
        if variance:
            exponent = (variance.numerator.bit_length() - variance.denominator.bit_length()) // 2
        means.append(float(mean))
        deviations.append(float(np.ldexp(np.sqrt(float(variance / Fraction(4) ** exponent)), exponent)))
    return np.array(means), np.array(deviations)


def measure(X, weights=None, *, selection=None, n_threads=1, class_weights=None):
    rows = WeightedRows(X, np.zeros(X.shape[0]), weights, 1.0, selection)
    return measure_columns(rows, class_weights, n_threads)


def make_table(n_rows=300, dtype=np.float64, seed=0):
    """Return columns of several units; a third of the entries are zero in two of them."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n_rows, 6) * [1.0, 1e5, 1e-6, 3e9, 40.0, 0.2] + [0.0, 1.6e9, 0.3, -5.0, 100.0, -7.0]
    X[:, 4:] *= rng.rand(n_rows, 2) > 1 / 3
    return X.astype(dtype)


def assert_exact(units, X, weights=None, rtol=1e-12):
    """The mean to a part of the deviation, the deviation to a part of itself."""
    mean, deviation = exact(X, weights)
    assert units.center.dtype == units.factor.dtype == np.float64
    rtol = rtol + 4e-16 * np.abs(mean / deviation).max()  # of the rounding of values far from 0
    assert_allclose((units.center - mean) / deviation, 0, atol=10 * rtol)
    assert_allclose(units.scale, deviation, rtol=rtol)


class TestExact:
    @pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sparse.csr_array, sparse.csr_matrix])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_columns_of_every_unit(self, dtype, weighted, container):
        """float32 is measured in float64."""
        X = make_table(dtype=dtype)
        weights = np.random.RandomState(1).uniform(0.1, 3, len(X)) if weighted else None
        assert_exact(measure(container(X), weights), X, weights)

    @pytest.mark.parametrize("container", CONTAINERS)
    @pytest.mark.parametrize("n_values", [6, 100, 2**17])
    def test_whatever_the_blocks(self, n_values, container, monkeypatch):
        monkeypatch.setattr(moments, "_MAX_VALUES", n_values)
        monkeypatch.setattr(moments, "_MAX_SPARSE_VALUES", n_values)
        X = make_table()
        weights = np.random.RandomState(1).uniform(0.1, 3, len(X))
        assert_exact(measure(container(X), weights), X, weights)

    @pytest.mark.parametrize("n_values", [1, 7, 60, 2**17])
    def test_a_deviation_of_a_few_units_in_the_last_place(self, n_values, monkeypatch):
        """Means of blocks are kept to more digits than a float has."""
        monkeypatch.setattr(moments, "_MAX_VALUES", n_values)
        X = 1e6 + 1e-8 * np.random.RandomState(0).randn(300, 1)
        X[:60] = 1e6
        weights = np.random.RandomState(1).uniform(0.1, 3, len(X))
        units, (mean, deviation) = measure(X, weights), exact(X, weights)
        assert_allclose(units.scale, deviation, rtol=1e-9)
        assert_allclose(units.center, mean, rtol=1e-16)

    def test_a_memory_map(self, tmp_path):
        X = make_table(dtype=np.float32)
        np.save(tmp_path / "X.npy", X)
        mapped = measure(np.load(tmp_path / "X.npy", mmap_mode="r"))
        in_memory = measure(X)
        assert_array_equal(mapped.center, in_memory.center)
        assert_array_equal(mapped.factor, in_memory.factor)

    @pytest.mark.parametrize("container", CONTAINERS)
    def test_the_selected_rows_alone_count(self, container):
        X = make_table()
        selection = np.random.RandomState(2).permutation(300)[:120]
        weights = np.random.RandomState(1).uniform(0.1, 3, 300)
        weights[np.setdiff1d(np.arange(300), selection)] = 1e6
        units = measure(container(X), weights, selection=selection)
        assert_exact(units, X[selection], weights[selection])

    @pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
    def test_duplicates_and_explicit_zeros(self, kind):
        """Entries of the same place are added; a zero is a zero, stored or not."""
        data = np.array([1.0, 2.0, 0.0, 5.0, -1.0, 3.0, 0.0])
        indices, indptr = np.array([0, 0, 1, 1, 0, 1, 1]), np.array([0, 3, 4, 5, 7])
        X = kind((data, indices, indptr), shape=(4, 2))
        kept = [part.copy() for part in (X.data, X.indices, X.indptr)]
        dense = np.array([[3.0, 0], [0, 5], [-1, 0], [0, 3]])
        assert_array_equal(X.toarray(), dense)
        assert_exact(measure(X), dense)
        for part, before in zip((X.data, X.indices, X.indptr), kept, strict=True):
            assert_array_equal(part, before)

    def test_scikit_learn_says_the_same(self):
        X = np.random.RandomState(0).randn(500, 4) * [1, 2, 30, 1e-3] + [0, 1, -5, 2]
        weights = np.random.RandomState(1).randint(1, 4, 500).astype(float)
        scaler = StandardScaler().fit(X, sample_weight=weights)
        units = measure(X, weights)
        assert_allclose(units.center, scaler.mean_, rtol=1e-12, atol=1e-14)
        assert_allclose(units.scale, scaler.scale_, rtol=1e-12)


class TestMagnitudes:
    @pytest.mark.parametrize("container", CONTAINERS)
    @pytest.mark.parametrize("unit", [1e200, 1e-200, 1e300, 1e-300, 2.0**1000])
    def test_squares_that_are_no_numbers(self, unit, container):
        """Beside a column that is as it was; the others are measured in units of their magnitude."""
        X = np.random.RandomState(0).randn(60, 3) + np.array([0.0, 2.0, 0.5])
        X[:, 0] *= unit
        plain = measure(container(X[:, 1:]))
        with np.errstate(all="ignore"):  # as in a fit
            units = measure(container(X))
        assert_exact(units, X, rtol=1e-12)
        assert_allclose(units.center[1:], plain.center, rtol=1e-13)
        assert_allclose(units.factor[1:], plain.factor, rtol=1e-13)

    def test_subnormal_float32_has_a_factor_that_float32_can_multiply(self):
        X = (np.random.RandomState(0).randn(60, 1) * 1e-40).astype(np.float32)
        factor = measure(X).factor.astype(np.float32)
        assert np.isfinite(factor * np.float32(100)).all()
        assert factor > 1e20


class TestConstantColumns:
    @pytest.mark.parametrize("container", CONTAINERS)
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("value", [0.0, 0.1, -3.0, 1e-6, 1e300, 1e-300])
    def test_the_factor_is_zero_and_the_scale_one(self, value, dtype, container):
        """0.1 has no exact sum; the mean of such a column is its value to the bit."""
        with np.errstate(all="ignore"):
            X = np.column_stack([np.full(70, value), np.arange(70.0)]).astype(dtype)
        if not np.isfinite(X).all():
            return
        with np.errstate(all="ignore"):
            units = measure(container(X), np.linspace(0.3, 1, 70))
        assert units.factor[0] == 0
        assert units.scale[0] == 1
        assert units.center[0] == float(X[0, 0])
        assert units.factor[1] > 0

    def test_a_column_that_varies_in_the_last_digit_is_constant(self):
        """0.1 + 0.2 is not 0.3. A column that varies by a little more is not."""
        rounded = np.tile([0.3, 0.1 + 0.2], 20)
        assert rounded[0] != rounded[1]
        varies = 0.3 * (1 + np.tile([0.0, 1e-13], 20))
        units = measure(np.column_stack([rounded, varies, -rounded]))
        assert_array_equal(units.factor > 0, [False, True, False])
        assert units.center[0] in rounded

    def test_a_column_of_one_other_value_is_not_constant(self):
        X = np.zeros((1000, 1))
        X[17] = 1e-9
        assert_exact(measure(X), X)
        assert_exact(measure(sparse.csr_array(X)), X)

    def test_one_row(self):
        units = measure(np.array([[3.0, 0.0]]))
        assert units.factor.tolist() == [0, 0]
        assert units.center.tolist() == [3, 0]

    @pytest.mark.parametrize("container", CONTAINERS)
    def test_constant_over_the_selected_rows(self, container):
        X = np.array([[1.0, 2.0], [5.0, 3.0], [1.0, 4.0]])
        assert measure(container(X), selection=np.array([0, 2])).factor[0] == 0


class TestStandardColumns:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_they_stay_exactly_as_they_are(self, weighted, dtype):
        raw = make_table(2000)[:, [0, 3, 4, 5]]  # a float32 scaler cannot scale 0.3 +- 1e-6
        weights = np.random.RandomState(1).uniform(0.1, 3, 2000) if weighted else None
        X = StandardScaler().fit_transform(raw.astype(dtype), sample_weight=weights)
        units = measure(X, weights)
        assert_array_equal(units.center, 0)
        assert_array_equal(units.factor, 1)

    def test_scaled_sparse_columns_keep_their_scale(self):
        X = sparse.random_array((400, 5), density=0.2, format="csr", rng=np.random.default_rng(0))
        units = measure(StandardScaler(with_mean=False).fit_transform(X))
        assert_array_equal(units.factor, 1)
        assert (units.center > 0.1).all()

    def test_a_column_that_is_nearly_standard_is_measured(self):
        X = StandardScaler().fit_transform(np.random.RandomState(0).randn(200, 2))
        units = measure(X * [1 + 1e-7, 1] + [0, 1e-7])
        assert_allclose(units.scale[0], 1 + 1e-7, rtol=1e-14)
        assert_allclose(units.center[1], 1e-7, rtol=1e-6)
        assert units.center[0] == 0
        assert units.scale[1] == 1


class TestWeights:
    def test_integer_weights_are_repeated_rows(self):
        X = make_table(100)
        weights = np.random.RandomState(1).randint(1, 5, 100)
        units, repeated = measure(X, weights.astype(float)), measure(np.repeat(X, weights, axis=0))
        assert_allclose(units.center, repeated.center, rtol=1e-12, atol=1e-14)
        assert_allclose(units.factor, repeated.factor, rtol=1e-12)

    @pytest.mark.parametrize("unit", [2.0**-900, 2.0**900])
    def test_their_unit_does_not_matter(self, unit):
        X, weights = make_table(100), np.random.RandomState(1).uniform(0.1, 3, 100)
        units, scaled = measure(X, weights), measure(X, weights * unit)
        assert_array_equal(units.center, scaled.center)
        assert_array_equal(units.factor, scaled.factor)

    @pytest.mark.parametrize("class_weight", [{"a": 5.0, "b": 0.1}, "balanced"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_class_weights_do_not_count(self, weighted, class_weight):
        """They change what a row is worth to the loss, and not the columns that a model is given."""
        X, y = make_table(100), np.repeat(["a", "b"], [20, 80])
        weights = np.random.RandomState(1).uniform(0.1, 3, 100) if weighted else None
        labels = Labels.of(y, None)
        targets = labels.encode(y)
        factors = class_factors(labels, class_weight, targets, weights)
        rows = weigh_rows(X, labels, targets, factors, weights)
        by_row, unit = row_factors(labels, factors, targets)
        assert_exact(measure_columns(rows, by_row * unit, 1), X, weights)
        with_them = measure_columns(rows, None, 1)
        assert np.abs(with_them.center - exact(X, weights)[0]).max() > 0.01

    def test_the_lightest_rows_count_a_little(self):
        """As a millionth of the heaviest, so that a column that only they know is not constant."""
        X = np.zeros((10, 1))
        X[1:, 0] = np.arange(1.0, 10)
        weights = np.r_[1.0, np.full(9, 1e-30)]
        assert_exact(measure(X, weights), X, np.maximum(weights, 2.0**-20))


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_number_of_threads_changes_no_bit(weighted, container, monkeypatch):
    monkeypatch.setattr(moments, "_MAX_VALUES", 600)
    monkeypatch.setattr(moments, "_MAX_SPARSE_VALUES", 600)
    X = container(make_table(2000))
    weights = np.random.RandomState(1).uniform(0.1, 3, 2000) if weighted else None
    first, *others = (measure(X, weights, n_threads=n_threads) for n_threads in (1, 2, 3, 8))
    for other in others:
        assert_array_equal(other.center, first.center)
        assert_array_equal(other.factor, first.factor)


@pytest.mark.parametrize("selection", [None, np.arange(250, 0, -2)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_order_in_memory_changes_no_bit(dtype, selection):
    X = make_table(dtype=dtype)
    weights = np.random.RandomState(1).uniform(0.1, 3, 300)
    by_row, by_column = (measure(rows, weights, selection=selection) for rows in (X, np.asfortranarray(X)))
    assert_array_equal(by_row.center, by_column.center)
    assert_array_equal(by_row.factor, by_column.factor)


def test_X_is_unchanged():
    X = make_table()
    X[:, 0] *= 1e200
    kept = X.copy()
    for container in CONTAINERS:
        rows = container(X)
        with np.errstate(all="ignore"):
            measure(rows)
        assert_array_equal(rows.toarray() if sparse.issparse(rows) else rows, kept)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
@pytest.mark.parametrize("rows", [slice(3, 4), slice(None)])
def test_a_column_that_is_not_finite_is_an_error(rows, value, name, container):
    X = make_table()
    X[rows, 1] = value
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=f"X holds {name}. Every value must be a finite"):
        measure(container(X))
