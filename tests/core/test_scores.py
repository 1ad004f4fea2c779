import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.network import Network
from skrelu._core.scores import compute_scores
from tests import literal


def test_memory_mapped_rows_are_read_block_by_block(tmp_path):
    X = np.random.RandomState(0).randn(5000, 7)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    network = Network((7, 4, 3))
    parameters = network.initial_parameters(np.random.RandomState(0))
    W, b = network.split(parameters)
    scores = compute_scores(W, b, mapped, 2)
    assert_array_equal(scores, compute_scores(W, b, X, 2))
    assert_allclose(compute_scores(W, b, X[:5], 2), scores[:5], rtol=1e-12)  # few rows take a shorter way
    assert_allclose(compute_scores(W, b, sparse.csr_array(X[:5]), 2), scores[:5], rtol=1e-12)
    assert_allclose(scores[17], literal.score([w.T for w in W], b, X[17]), rtol=1e-12)
