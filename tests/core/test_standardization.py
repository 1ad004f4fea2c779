"""The change of the first layer, against networks on rows that are standardised explicitly."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.arrays import CentredRows
from skrelu._core.standardization import Standardization
from tests import literal

CENTER = np.array([3.0, -50.0, 0.0, 7.0])
FACTOR = np.array([0.5, 4.0, 1e-3, 0.0])  # the last column is constant
UNITS = Standardization(CENTER, FACTOR)


def make_rows(n_rows=6, seed=0):
    """Return rows with these means and deviations, about; some entries are zero, and the last column is constant."""
    X = np.random.RandomState(seed).randn(n_rows, 4) / np.where(FACTOR > 0, FACTOR, np.inf) + CENTER
    X[1, :2] = 0
    return X


def standardize(X):
    return (X - CENTER) * FACTOR


def dense(rows):
    """Return rows of any kind as an array."""
    return rows @ np.eye(rows.shape[1])


def with_ones(X):
    return np.column_stack([X, np.ones(len(X))])


def test_scale_and_distance():
    assert_allclose(UNITS.scale, [2.0, 0.25, 1e3, 1.0], rtol=1e-15)
    assert UNITS.distance == 200.0
    assert (
        Standardization(np.array([-8.0, 1e9]), np.array([2.0, 0.0])).distance == 16.0
    )  # constant columns do not count
    assert Standardization(np.empty(0), np.empty(0)).distance == 0.0


def test_without_center_only_the_scale_is_left():
    other = UNITS.without_center()
    assert not other.center.any()
    assert other.factor is UNITS.factor
    assert_array_equal(UNITS.center, CENTER)


@pytest.mark.parametrize("n_outputs", [1, 3])
class TestLayer:
    def layers(self, n_outputs):
        """Return the layer for standardised columns, and for X, where the constant column has no weight."""
        layer = np.random.RandomState(1).randn(5, n_outputs)
        return layer, UNITS.to_given(layer)

    def test_both_have_the_same_values_at_every_row(self, n_outputs):
        layer, given = self.layers(n_outputs)
        X = make_rows()
        assert_allclose(with_ones(X) @ given, with_ones(standardize(X)) @ layer, rtol=1e-11, atol=1e-11)

    def test_a_constant_column_has_no_weight(self, n_outputs):
        _, given = self.layers(n_outputs)
        assert not given[3].any()

    def test_there_and_back(self, n_outputs):
        layer, given = self.layers(n_outputs)
        layer[3] = 0
        assert_allclose(UNITS.from_given(given), layer, rtol=1e-11, atol=1e-11)
        assert_allclose(UNITS.to_given(UNITS.from_given(given)), given, rtol=1e-11, atol=1e-11)

    def test_a_weight_of_a_constant_column_goes_into_the_bias(self, n_outputs):
        """A warm start from weights that were fitted to other rows: on this column's one value they say the same."""
        given = np.random.RandomState(2).randn(5, n_outputs)
        X = make_rows()
        assert (X[:, 3] == CENTER[3]).all()
        assert_allclose(with_ones(standardize(X)) @ UNITS.from_given(given), with_ones(X) @ given, rtol=1e-10)

    def test_the_arguments_are_unchanged(self, n_outputs):
        layer, given = self.layers(n_outputs)
        kept = layer.copy(), given.copy()
        UNITS.to_given(layer), UNITS.from_given(given)
        assert_array_equal(layer, kept[0])
        assert_array_equal(given, kept[1])

    def test_the_gradient_is_pulled_back_by_the_transpose(self, n_outputs):
        """Against central differences of a function of the layer in the units of X."""
        layer, _ = self.layers(n_outputs)
        slopes = np.random.RandomState(3).randn(5, n_outputs)

        def function(flat):
            given = UNITS.to_given(flat.reshape(layer.shape))
            return np.sum(slopes * given) + 0.5 * np.sum(given**2)

        gradient = slopes + UNITS.to_given(layer)
        UNITS.pull_back(gradient)
        expected = literal.central_differences(function, layer.ravel())
        assert_allclose(gradient.ravel(), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
        assert not gradient[3].any()


class TestRows:
    def test_dense(self):
        X = make_rows()
        kept = X.copy()
        assert_array_equal(UNITS.rows(X), standardize(X))
        assert_array_equal(X, kept)

    @pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
    def test_sparse_rows_stay_sparse(self, kind):
        X = kind(make_rows())
        kept = X.copy()
        rows = UNITS.rows(X)
        assert isinstance(rows, CentredRows)
        assert sparse.issparse(rows.values)
        assert rows.values.format == "csr"
        assert rows.values.nnz <= X.nnz
        assert_allclose(dense(rows), standardize(make_rows()), atol=1e-13)
        assert_array_equal(X.toarray(), kept.toarray())

    def test_without_a_mean_there_is_nothing_to_subtract(self):
        rows = UNITS.without_center().rows(sparse.csr_array(make_rows()))
        assert sparse.issparse(rows)
        assert_allclose(rows.toarray(), make_rows() * FACTOR, rtol=1e-15)
        constant = Standardization(np.array([0, 0, 0, 7.0]), FACTOR).rows(sparse.csr_array(make_rows()))
        assert_allclose(dense(constant), make_rows() * FACTOR, rtol=1e-15)  # the constant column vanishes

    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
    @pytest.mark.parametrize("units", [UNITS, UNITS.without_center()])
    def test_squared_norms(self, units, container):
        X = make_rows()
        expected = (((X - units.center) * FACTOR) ** 2).sum(axis=1)
        norms = units.squared_norms(container(X))
        assert norms.shape == (6,)
        assert_allclose(norms, expected, rtol=1e-10)

    def test_squared_norms_are_never_negative(self):
        units = Standardization(np.array([1e8]), np.array([1.0]))
        X = sparse.csr_array(1e8 + np.random.RandomState(0).rand(1000, 1) * 1e-7)
        assert (units.squared_norms(X) >= 0).all()
