"""Beyond X and the parameters a fit needs some tens of bytes a row and a constant."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skrelu import DeepLogisticClassifier

N_ROWS = 400_000
CONSTANT = 24 * 2**20  # a few blocks for each thread, and the pairs of L-BFGS


def peak_of(work):
    """Return the most bytes that were allocated at a time; NumPy tells tracemalloc of its arrays."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "X.npy"
    np.save(path, np.random.RandomState(0).standard_normal((N_ROWS, 16)).astype(np.float32))
    X = np.load(path, mmap_mode="r")
    return X, (X[:, 0] > 0).astype(np.int8)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("hidden", [(), (20,), (64, 32)])
def test_a_fit_to_a_memory_map(mapped, hidden, early_stopping):
    X, y = mapped
    model = DeepLogisticClassifier(
        hidden, alpha=1.0, early_stopping=early_stopping, max_iter=2, n_jobs=2, random_state=0
    )
    assert peak_of(lambda: model.fit(X, y)) < 64 * N_ROWS + CONSTANT < X.nbytes * 2


def test_weights_cost_their_own_bytes_only(mapped):
    X, y = mapped
    weights = np.random.RandomState(0).rand(N_ROWS)
    model = DeepLogisticClassifier((20,), alpha=1.0, early_stopping=False, class_weight="balanced", max_iter=2)
    assert peak_of(lambda: model.fit(X, y, weights)) < 64 * N_ROWS + CONSTANT


@pytest.mark.parametrize("n_terms", [300, 1000])
@pytest.mark.parametrize("hidden", [(), (64, 32)])
def test_evidence_takes_a_few_matrices_of_its_terms(mapped, hidden, n_terms):
    X, y = mapped
    model = DeepLogisticClassifier(hidden, n_curvature_terms=n_terms, max_iter=11, n_jobs=2, random_state=0)
    assert peak_of(lambda: model.fit(X, y)) < 64 * N_ROWS + CONSTANT + 5 * 8 * n_terms**2


@pytest.mark.parametrize("hidden", [(), (64, 32)])
def test_predictions_of_a_memory_map(mapped, hidden):
    X, y = mapped
    model = DeepLogisticClassifier(hidden, random_state=0, max_iter=500).fit(X[:1000], y[:1000])
    assert peak_of(lambda: model.predict(X)) < 16 * N_ROWS + CONSTANT


def test_sparse_rows_are_never_made_dense():
    rng = np.random.default_rng(0)
    X = sparse.random_array((100_000, 5000), density=2e-3, format="csr", rng=rng)
    y = rng.integers(2, size=100_000)
    model = DeepLogisticClassifier((10,), alpha=1.0, early_stopping=False, max_iter=2, random_state=0)
    peak = peak_of(lambda: model.fit(X, y))
    assert peak < 64 * 100_000 + 2 * CONSTANT < X.shape[0] * X.shape[1] * 8 / 50


def test_a_sparse_indicator_is_never_made_wider_than_a_byte():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 3))
    y = sparse.random_array((20_000, 400), density=1e-3, format="csr", rng=rng)
    y.data[:] = 1
    model = DeepLogisticClassifier((), alpha=1.0, max_iter=1, random_state=0)
    assert peak_of(lambda: model.fit(X, y)) < 20_000 * 400 * 2 + 3 * CONSTANT < 20_000 * 400 * 16


def test_evidence_never_makes_sparse_rows_dense():
    rng = np.random.default_rng(0)
    X = sparse.random_array((20_000, 50_000), density=2e-4, format="csr", rng=rng)
    y = rng.integers(2, size=20_000)
    model = DeepLogisticClassifier((), n_curvature_terms=500, max_iter=15, random_state=0)
    assert peak_of(lambda: model.fit(X, y)) < 64 * 20_000 + 2 * CONSTANT < 500 * 50_000 * 8 / 2
