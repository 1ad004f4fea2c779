import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._core.network import Network
from skrelu._core.scores import compute_scores, forward_blocks
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


@pytest.mark.parametrize("n_rows", [2, 5000])
@pytest.mark.parametrize(
    ("of_X", "of_weights", "expected"), [("f4", "f4", "f4"), ("f4", "f8", "f8"), ("f8", "f4", "f8")]
)
def test_scores_are_of_the_wider_dtype(of_X, of_weights, expected, n_rows):
    rng = np.random.RandomState(0)
    W, b = (
        [part.astype(of_weights) for part in parts]
        for parts in ([rng.randn(3, 4), rng.randn(4, 2)], [rng.randn(4), rng.randn(2)])
    )
    X = (1e3 * rng.randn(n_rows, 3)).astype(of_X)
    scores = compute_scores(W, b, X, 1)
    assert scores.dtype == np.dtype(expected)
    exact = literal.score([w.T.astype(float) for w in W], [bias.astype(float) for bias in b], X[1].astype(float))
    assert_allclose(scores[1], exact, rtol=1e-4 if expected == "f4" else 1e-11)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_block_is_kept_once_with_the_inputs_of_every_layer(form, n_jobs):
    rng = np.random.RandomState(0)
    X = rng.randn(11003, 7) * (rng.rand(11003, 7) < 0.5)  # blocks of two sizes
    coefs = [rng.randn(7, 40), rng.randn(40, 30), rng.randn(30, 2)]
    intercepts = [rng.randn(40), rng.randn(30), rng.randn(2)]
    n_visits = np.zeros(len(X), dtype=int)
    hidden, scores = [np.empty((len(X), 40)), np.empty((len(X), 30))], np.empty((len(X), 2), dtype=np.float32)

    def keep(where, workspace):
        n_visits[where] += 1
        for values, inputs in zip(hidden, workspace.inputs[1:], strict=True):
            values[where] = inputs[:, :-1]
            assert (inputs[:, -1] == 1).all()
        scores[where] = workspace.scores

    forward_blocks(coefs, intercepts, form(X), keep, dtype=np.dtype(np.float64), n_jobs=n_jobs)
    assert (n_visits == 1).all()
    W = [coef.T for coef in coefs]
    for row in (0, 1, 5501, 11002):
        _, *expected = literal.layer_inputs(W, intercepts, X[row])
        for values, z in zip(hidden, expected, strict=True):
            assert_allclose(values[row], z, rtol=1e-11, atol=1e-12)
    assert_array_equal(scores, compute_scores(coefs, intercepts, form(X), 1).astype(np.float32))


def test_an_error_in_a_block_is_raised():
    def keep(where, workspace):
        raise KeyError(where.start)

    coefs, intercepts = [np.ones((1, 1))], [np.ones(1)]
    with pytest.raises(KeyError, match="0"):
        forward_blocks(coefs, intercepts, np.ones((9, 1)), keep, dtype=np.dtype(np.float64), n_jobs=2)
