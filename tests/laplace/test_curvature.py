"""The Gram form against the full P x P matrix, which is built row by row from the literal equations."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skrelu._core.network import Network
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._laplace.curvature import Curvature, Tangents, predictive_variances
from tests import literal
from tests.problems import KINDS, make_datafit, make_problem

ALL = 10**6


def literal_curvature(problem, sample_weight=None):
    return literal.curvature(problem.W, problem.intercepts, problem.X, problem.is_multinomial, sample_weight)


def make_curvature(problem, alphas, n_terms=ALL, seed=0, X=None, sample_weight=None, **options):
    with Team(1) as team:
        datafit, parameters = make_datafit(problem, team, X, sample_weight=sample_weight)
        terms = datafit.sample_terms(parameters, n_terms, seed)
    return Curvature(datafit.network.layers(parameters), terms, alphas, **options)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("grouping", ["shared", "layer", "feature"])
@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gram_form_is_the_full_matrix(kind, hidden, grouping, container):
    problem = make_problem(kind, hidden)
    n_groups = {"shared": 1, "layer": len(hidden) + 1, "feature": 4}[grouping]
    alphas = np.random.RandomState(1).uniform(0.5, 3.0, n_groups)
    s = np.random.RandomState(2).uniform(0.1, 2.0, len(problem.X))
    network = Network.of(problem.coefs)
    penalty, groups = Penalty(network, grouping, alphas), literal.group_of_each_weight(problem.W, grouping)
    alpha = alphas[groups]
    A = literal_curvature(problem, s) + np.diag(alpha)
    inverse = np.linalg.inv(A)

    curvature = make_curvature(problem, penalty.per_layer, X=container(problem.X), sample_weight=s)
    gammas = penalty.add_up(curvature.effective_parameters(by_feature=grouping == "feature"))
    expected = [np.sum(1 - alpha[groups == g] * np.diag(inverse)[groups == g]) for g in range(n_groups)]
    assert_allclose(gammas, expected, rtol=1e-8, atol=1e-10)
    assert_allclose(curvature.log_determinant, np.linalg.slogdet(A)[1] - np.log(alpha).sum(), rtol=1e-8)

    new = np.random.RandomState(3).randn(5, 3)
    layers = network.layers(network.join(problem.coefs, problem.intercepts))
    for k in range(network.layer_sizes[-1]):
        slopes = np.zeros((5, network.layer_sizes[-1]))
        slopes[:, k] = 1
        tangents = Tangents.of(layers, container(new), slopes)
        v, prior = predictive_variances(tangents, curvature.tangents, curvature.factor, curvature.alphas)
        jacobians = [literal.jacobian(problem.W, problem.intercepts, x)[k] for x in new]
        assert_allclose(v, [j @ inverse @ j for j in jacobians], rtol=1e-8)
        assert_allclose(prior, [j @ (j / alpha) for j in jacobians], rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_terms_sum_to_the_exact_curvature(kind):
    """All pairs of rows and outputs together are sum_i s_i J_i^T Lambda_i J_i, though each is one drawn label's."""
    problem = make_problem(kind, (4,))
    curvature = make_curvature(problem, [1.0, 1.0])
    assert curvature.terms.is_complete
    assert_allclose(_matrix(curvature), literal_curvature(problem), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_terms_are_the_exact_curvature_in_expectation(kind):
    problem = make_problem(kind, (3,), n_samples=40)
    expected = literal_curvature(problem)
    draws = np.array([_matrix(make_curvature(problem, [1.0, 1.0], n_terms=12, seed=seed)) for seed in range(2000)])
    assert all(len(make_curvature(problem, [1.0, 1.0], 12, seed).terms.inclusion) == 12 for seed in range(3))
    error = draws.mean(axis=0) - expected
    standard_error = draws.std(axis=0) / np.sqrt(len(draws))
    # z-scores of hundreds of entries: none should be wild, and together they should be like noise
    z = error / np.maximum(standard_error, 1e-12)
    assert np.abs(z).max() < 5
    assert np.linalg.norm(error) < 0.05 * np.linalg.norm(expected)


def _matrix(curvature):
    """Return sum_t g_t g_t^T from the outer factors."""
    tangents = curvature.tangents
    rows = [
        np.concatenate([np.outer(z[t], d[t]).ravel() for z, d in zip(tangents.inputs, tangents.deltas, strict=True)])
        for t in range(len(tangents.deltas[0]))
    ]
    return np.array(rows).T @ np.array(rows)


def test_the_correction_gives_back_gamma_and_the_determinant_of_all_terms():
    """Half of the terms see too few directions: uncorrected, gamma is far too small."""
    problem = make_problem("binary", (8,), n_samples=600, n_features=10, scale=0.5)
    alphas = [2.0, 2.0]
    exact = make_curvature(problem, alphas)
    gamma = sum(exact.effective_parameters(by_feature=False))
    corrected, uncorrected, determinants = [], [], []
    for seed in range(40):
        sampled = make_curvature(problem, alphas, n_terms=200, seed=seed, n_corrections=20)
        corrected.append(sum(sampled.effective_parameters(by_feature=False)))
        determinants.append(sampled.log_determinant)
        plain = make_curvature(problem, alphas, n_terms=200, seed=seed)
        uncorrected.append(sum(plain.effective_parameters(by_feature=False)))
    assert abs(np.mean(corrected) / gamma - 1) < 0.02
    assert np.mean(uncorrected) / gamma < 0.95
    assert abs(np.mean(determinants) / exact.log_determinant - 1) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_repeated_rows_are_weights(kind):
    problem = make_problem(kind, (4,))
    times = np.random.RandomState(0).randint(1, 4, size=len(problem.X))
    repeated = make_problem(kind, (4,))
    repeated.X, repeated.y = np.repeat(problem.X, times, axis=0), np.repeat(problem.y, times, axis=0)
    by_weight = make_curvature(problem, [0.5, 2.0], sample_weight=times.astype(float))
    by_rows = make_curvature(repeated, [0.5, 2.0])
    assert_allclose(
        by_weight.effective_parameters(by_feature=False), by_rows.effective_parameters(by_feature=False), rtol=1e-10
    )
    assert_allclose(by_weight.log_determinant, by_rows.log_determinant, rtol=1e-10)


@pytest.mark.parametrize("guess", [0.0, 0.3])
def test_the_first_correction_is_a_guess_and_the_leverages_are_those_of_the_dense_inverse(guess):
    """c = 1 - h (1 - pi) with h guessed; the mean leverage counts a term by what is missing of it, 1 - pi."""
    problem = make_problem("binary", (4,), n_samples=40)
    curvature = make_curvature(problem, [2.0, 2.0], n_terms=15, mean_leverage=guess)
    pi = curvature.terms.inclusion
    c = 1 - guess * (1 - pi)
    assert 0 < np.count_nonzero(pi == 1) < 15
    assert_allclose(curvature.damping, c, rtol=1e-14)
    tangents = curvature.tangents
    parts = [zip(tangents.inputs, tangents.deltas, strict=True) for _ in pi]
    gammas = [np.concatenate([np.outer(z[t], d[t]).ravel() for z, d in part]) for t, part in enumerate(parts)]
    K = np.array(gammas) @ np.array(gammas).T / 2.0
    leverages = np.diag(np.linalg.solve(np.diag(c) + K, K))
    assert_allclose(curvature.mean_leverage, np.average(leverages, weights=1 - pi), rtol=1e-9)
    assert make_curvature(problem, [2.0, 2.0], mean_leverage=guess).mean_leverage == 0


def test_the_correction_is_a_fixed_point():
    """c = (1 - h) / (1 - pi h), h the leverage of a term."""
    problem = make_problem("binary", (4,), n_samples=40)
    curvature = make_curvature(problem, [2.0, 2.0], n_terms=15, n_corrections=200)
    pi, c = curvature.terms.inclusion, curvature.damping
    kernel = curvature.tangents.kernel(curvature.tangents, [2.0, 2.0])
    h = np.diag(np.linalg.solve(np.diag(c) + kernel, kernel))
    assert_allclose(c, (1 - h) / (1 - pi * h), rtol=1e-6, atol=1e-9)  # one of them tends to 0
