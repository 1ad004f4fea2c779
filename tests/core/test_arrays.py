"""Sparse rows minus a vector, against the difference that is never formed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skrelu._core.arrays import CentredRows


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_a_product_is_that_of_the_difference(kind):
    rng = np.random.RandomState(0)
    X, center = rng.randn(7, 4) * (rng.rand(7, 4) > 0.5), rng.randn(4)
    rows = CentredRows(kind(X), center)
    assert rows.shape == (7, 4)
    for weights in (rng.randn(4), rng.randn(4, 3)):
        product = rows @ weights
        assert isinstance(product, np.ndarray)
        assert_allclose(product, (X - center) @ weights, rtol=1e-13, atol=1e-13)


def test_another_dtype_is_that_of_the_values():
    rows = CentredRows(sparse.csr_array(np.eye(3)), np.array([1.0, 0.1, 0.2]))
    single = rows.astype(np.float32)
    assert single.values.dtype == np.float32
    assert rows.values.dtype == np.float64
    assert single.center is rows.center  # in float64, as it is in the parameters
