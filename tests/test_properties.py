"""What must hold for every architecture, loss and data set, on random ones (hypothesis)."""

import os

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from skrelu import DeepLogisticClassifier, loss_and_gradient
from tests import literal
from tests.problems import KINDS, make_problem, relative_error

# A deadline would be a timed test. The examples are drawn anew in every run, but not in the gate, which should say the
# same of the same code.
settings.register_profile("skrelu", deadline=None, max_examples=60, derandomize=bool(os.environ.get("CI")))
settings.load_profile("skrelu")

problems = st.builds(
    make_problem,
    kind=st.sampled_from(KINDS),
    hidden=st.lists(st.integers(1, 6), max_size=4).map(tuple),
    n_samples=st.integers(6, 25),
    n_features=st.integers(1, 5),
    n_outputs=st.integers(2, 4),
    scale=st.floats(0.1, 3.0),
    seed=st.integers(0, 10_000),
).filter(lambda problem: problem.kind != "multiclass" or problem.coefs[-1].shape[1] > 2)
alphas = st.floats(0, 10)
seeds = st.integers(0, 10_000)


def evaluate(problem, X=None, y=None, **options):
    """Return the loss and the gradient as one vector."""
    X = problem.X if X is None else X
    y = problem.y if y is None else y
    loss, coef_grads, intercept_grads = loss_and_gradient(problem.coefs, problem.intercepts, X, y, **options)
    return loss, np.concatenate([part.ravel() for part in coef_grads + intercept_grads])


@given(problems, alphas)
def test_gradient_is_the_literal_sum(problem, alpha):
    expected = literal.loss_and_gradient(problem.W, problem.intercepts, problem.X, problem.targets, alpha=alpha)
    loss, gradient = evaluate(problem, alpha=alpha)
    literal_gradient = np.concatenate([part.T.ravel() for part in expected[1]] + expected[2])
    assert_allclose(loss, expected[0], rtol=1e-11)
    assert relative_error([gradient], [literal_gradient]) < 1e-9


@given(problems, alphas, seeds)
def test_gradient_is_the_difference_quotient_along_any_line(problem, alpha, seed):
    rng = np.random.RandomState(seed)
    directions = [rng.randn(*part.shape) for part in problem.coefs + problem.intercepts]
    direction = np.concatenate([part.ravel() for part in directions])
    n_layers, step = len(problem.coefs), 1e-6

    def shifted(sign):
        parts = [
            part + sign * step * change
            for part, change in zip(problem.coefs + problem.intercepts, directions, strict=True)
        ]
        return loss_and_gradient(parts[:n_layers], parts[n_layers:], problem.X, problem.y, alpha=alpha)

    plus, minus = shifted(1), shifted(-1)
    slope = direction @ evaluate(problem, alpha=alpha)[1]
    # Where a unit crosses its kink within the step, the quotient lies between the slopes at both ends.
    ends = [direction @ np.concatenate([part.ravel() for part in side[1] + side[2]]) for side in (plus, minus)]
    quotient = (plus[0] - minus[0]) / (2 * step)
    scale = np.abs(direction) @ np.abs(evaluate(problem, alpha=alpha)[1]) + abs(plus[0]) + 1
    assert min(*ends, slope) - 1e-7 * scale <= quotient <= max(*ends, slope) + 1e-7 * scale


@given(problems, alphas, seeds)
def test_the_order_of_the_rows_does_not_matter(problem, alpha, seed):
    order = np.random.RandomState(seed).permutation(len(problem.X))
    weights = np.random.RandomState(seed + 1).rand(len(problem.X)) + 0.1
    loss, gradient = evaluate(problem, alpha=alpha, sample_weight=weights)
    permuted = evaluate(problem, problem.X[order], problem.y[order], alpha=alpha, sample_weight=weights[order])
    assert_allclose(permuted[0], loss, rtol=1e-12)
    assert relative_error([permuted[1]], [gradient]) < 1e-10


@given(problems, alphas, st.floats(1e-6, 1e6), seeds)
def test_weights_and_alpha_scale_the_loss(problem, alpha, factor, seed):
    weights = np.random.RandomState(seed).rand(len(problem.X)) + 0.1
    loss, gradient = evaluate(problem, alpha=alpha, sample_weight=weights)
    scaled = evaluate(problem, alpha=factor * alpha, sample_weight=factor * weights)
    assert_allclose(scaled[0], factor * loss, rtol=1e-11)
    assert relative_error([scaled[1]], [factor * gradient]) < 1e-10


@given(problems, alphas, seeds)
def test_sparse_rows_are_dense_rows(problem, alpha, seed):
    mask = np.random.RandomState(seed).rand(*problem.X.shape) > 0.5
    X = problem.X * mask
    loss, gradient = evaluate(problem, X, alpha=alpha)
    for container in (sparse.csr_array, sparse.csc_array, sparse.coo_matrix):
        as_sparse = evaluate(problem, container(X), alpha=alpha)
        assert_allclose(as_sparse[0], loss, rtol=1e-12)
        assert relative_error([as_sparse[1]], [gradient]) < 1e-10


@given(problems, alphas, st.lists(st.integers(0, 3), min_size=6, max_size=25))
def test_integer_weights_are_repeated_rows(problem, alpha, weights):
    weights = np.resize(weights, len(problem.X))
    weights[0] += 1
    repeats = np.repeat(np.arange(len(problem.X)), weights)
    loss, gradient = evaluate(problem, alpha=alpha, sample_weight=weights)
    X, y = problem.X[repeats], problem.y[repeats]
    if problem.kind == "binary" and len(np.unique(y)) < 2:
        y = np.where(y, 1, -1)  # a single label is read as one of -1/+1
    repeated = evaluate(problem, X, y, alpha=alpha)
    assert_allclose(repeated[0], loss, rtol=1e-11)
    assert relative_error([repeated[1]], [gradient]) < 1e-10


@settings(max_examples=15)
@given(problems, st.floats(0.1, 10), seeds)
def test_fits_do_not_see_order_or_repetition(problem, alpha, seed):
    rng = np.random.RandomState(seed)
    weights = rng.randint(1, 4, size=len(problem.X))
    repeats = rng.permutation(np.repeat(np.arange(len(problem.X)), weights))
    hidden = tuple(coef.shape[1] for coef in problem.coefs[:-1])
    probabilities = [
        DeepLogisticClassifier(hidden, alpha=alpha, max_iter=1000, max_fun=100_000, tol=1e-3, random_state=0)
        .fit(*data)
        .predict_proba(problem.X)
        for data in [(problem.X, problem.y, weights), (problem.X[repeats], problem.y[repeats])]
    ]
    assert np.array_equal(*probabilities)
