"""Inner products of dense, sparse and centred rows, against dense arithmetic."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.arrays import CentredRows
from skrelu._laplace import inner_products as module
from skrelu._laplace.inner_products import column_forms, inner_products, squared_norms

CENTER = np.array([2.0, -30.0, 0.0, 0.25])
ALPHAS = [0.7, np.float64(2.5), np.asarray(2.5), np.array([0.5, 3.0, 1.0, 20.0])]


def make(kind, n_rows, seed=0, center=CENTER):
    """Return rows of a kind, and the same as a dense array."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n_rows, 4) * (rng.rand(n_rows, 4) > 0.4)
    if kind == "dense":
        return X, X
    if kind == "centred":
        return CentredRows(sparse.csr_array(X), center), X - center
    return {"csr_array": sparse.csr_array, "csr_matrix": sparse.csr_matrix}[kind](X), X


KINDS = ["dense", "csr_array", "csr_matrix", "centred"]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("others", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_inner_products_of_all_pairs(kind, others, alpha):
    """Also of two kinds: a model of sparse rows predicts for dense ones, and the other way round."""
    (z, Z), (y, Y) = make(kind, 6), make(others, 5, seed=1)
    products = inner_products(z, y, alpha)
    assert isinstance(products, np.ndarray)
    assert_allclose(products, Z / alpha @ Y.T, rtol=1e-11, atol=1e-11)


def test_two_centers_may_differ():
    (z, Z), (y, Y) = make("centred", 6), make("centred", 5, seed=1, center=-2 * CENTER)
    assert_allclose(inner_products(z, y, 0.5), Z / 0.5 @ Y.T, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("kind", KINDS)
def test_squared_norms(kind, alpha):
    z, Z = make(kind, 6)
    assert_allclose(squared_norms(z, alpha), (Z**2 / alpha).sum(axis=1), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("n_values", [1, 13, 2**20])
@pytest.mark.parametrize("kind", KINDS)
def test_forms_of_each_column(kind, n_values, monkeypatch):
    """Of a symmetric matrix, and of its lower triangle that is doubled off the diagonal; some columns at a time."""
    monkeypatch.setattr(module, "_MAX_PRODUCT_VALUES", n_values)
    z, Z = make(kind, 6)
    matrix = np.random.RandomState(2).randn(6, 6)
    matrix = matrix + matrix.T
    triangle = 2 * np.tril(matrix, -1) + np.diag(np.diag(matrix))
    expected = [column @ matrix @ column for column in Z.T]
    for form in (matrix, triangle):
        kept = form.copy()
        assert_allclose(column_forms(z, form), expected, rtol=1e-9, atol=1e-9)
        assert_array_equal(form, kept)


def test_the_rows_are_unchanged():
    z, _ = make("centred", 6)
    values, center = z.values.copy(), z.center.copy()
    inner_products(z, z, np.full(4, 2.0)), squared_norms(z, 2.0), column_forms(z, np.ones((6, 6)))
    assert_array_equal(z.values.toarray(), values.toarray())
    assert_array_equal(z.center, center)
