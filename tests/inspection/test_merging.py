"""Merging of linear models, against literal sums over rows and a general minimiser."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

from skrelu._core.regions import find_patterns, linear_models
from skrelu._data.labels import Labels
from skrelu._fit.outcome import Outcome
from skrelu._fitted import FittedNetwork
from skrelu.inspection import _merging
from skrelu.inspection._merging import ModelSpace, assign_rows, distil, merge_regions, model_blocks
from tests.problems import make_problem

KINDS = ("binary", "multiclass")


def make_rows(n_samples=60, n_features=4, seed=0):
    rng = np.random.RandomState(seed)
    return rng.randn(n_samples, n_features) @ rng.randn(n_features, n_features) + rng.randn(n_features), rng.rand(
        n_samples
    )


def make_network(kind, **options):
    problem = make_problem(kind, n_samples=80, **options)
    n_outputs = len(problem.intercepts[-1])
    activation = "logistic" if n_outputs == 1 else "softmax"
    labels = Labels.fitted(np.arange(max(n_outputs, 2)), n_outputs, activation)
    return FittedNetwork(problem.coefs, problem.intercepts, labels), problem.X


def space_of(Z, weights, seed=0):
    return ModelSpace.of(Z, weights, 1, np.random.RandomState(seed))


class TestModelSpace:
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_the_squared_distance_is_the_mean_squared_difference_of_the_scores(self, n_outputs, container):
        Z, weights = make_rows()
        Z[:, 2] = 7.0
        rng = np.random.RandomState(1)
        coef, intercept = rng.randn(2, n_outputs, 4), rng.randn(2, n_outputs)
        points = space_of(container(Z), weights).points(coef, intercept)
        scores = np.einsum("mkp,ip->mik", coef, Z) + intercept[:, np.newaxis]
        expected = np.average(np.square(scores[0] - scores[1]).sum(axis=1), weights=weights)
        assert_allclose(np.square(points[0] - points[1]).sum(), expected, rtol=1e-9)

    def test_many_columns_have_few_directions(self, monkeypatch):
        """Rows that vary in few directions lose nothing."""
        rng = np.random.RandomState(0)
        Z = rng.randn(50, 3) @ rng.randn(3, 12)
        coef, intercept = rng.randn(2, 1, 12), rng.randn(2, 1)
        expected = space_of(Z, np.ones(50)).points(coef, intercept)
        monkeypatch.setattr(_merging, "_MAX_DIRECTIONS", 5)
        points = space_of(Z, np.ones(50)).points(coef, intercept)
        assert points.shape == (2, 6)
        assert_allclose(np.linalg.norm(points[0] - points[1]), np.linalg.norm(expected[0] - expected[1]), rtol=1e-9)

    def test_very_many_columns_have_fewer_directions(self, monkeypatch):
        monkeypatch.setattr(_merging, "_MAX_DIRECTIONS", 5)
        monkeypatch.setattr(_merging, "_MAX_ROOT", 24)
        assert space_of(np.random.RandomState(0).randn(50, 12), np.ones(50)).root.shape == (12, 2)

    def test_blocks_change_nothing(self, monkeypatch):
        Z, weights = make_rows()
        expected = space_of(Z, weights).root
        monkeypatch.setattr(_merging, "_MAX_VALUES", 20)
        assert_allclose(space_of(Z, weights).root, expected, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_models_of_blocks_have_the_probabilities_of_the_network(kind, monkeypatch):
    network, X = make_network(kind)
    monkeypatch.setattr(_merging, "_MAX_VALUES", 25)
    patterns = find_patterns(network.coefs, network.intercepts, X, 1)
    blocks = list(model_blocks(network, patterns, 1))
    assert len(blocks) > 3
    coef, intercept = (np.concatenate(parts) for parts in list(zip(*blocks, strict=True))[1:])
    exact_coef, exact_intercept = linear_models(network.coefs, network.intercepts, patterns, 1)
    labels = network.labels
    scores, expected = (
        np.einsum("ikp,ip->ik", c, X) + b for c, b in ((coef, intercept), (exact_coef, exact_intercept))
    )
    assert_allclose(
        labels.loss.log_probabilities(labels.per_class(scores)),
        labels.loss.log_probabilities(labels.per_class(expected)),
        atol=1e-12,
    )
    if kind == "multiclass":
        assert_allclose(coef.sum(axis=1), 0, atol=1e-12)


def merge(network, X, weights, n_regions):
    return merge_regions(network, X, weights, n_regions, n_jobs=1, random_state=np.random.RandomState(0))


@pytest.mark.parametrize("kind", KINDS)
class TestMergeRegions:
    def test_the_merged_model_is_the_mean_of_the_models_of_its_rows(self, kind):
        network, X = make_network(kind)
        weights = np.random.RandomState(1).rand(len(X)) + 0.1
        merged = merge(network, X, weights, 3)
        coef, intercept = linear_models(
            network.coefs, network.intercepts, find_patterns(network.coefs, network.intercepts, X, 1), 1
        )
        if kind == "multiclass":
            coef, intercept = coef - coef.mean(axis=1, keepdims=True), intercept - intercept.mean(axis=1, keepdims=True)
        assert merged.coef.shape[0] == 3
        for r in range(3):
            rows = merged.region == r
            assert_allclose(merged.coef[r], np.average(coef[rows], axis=0, weights=weights[rows]), atol=1e-10)
            assert_allclose(merged.intercept[r], np.average(intercept[rows], axis=0, weights=weights[rows]), atol=1e-10)
        totals = np.bincount(merged.region, weights)
        assert (np.diff(totals) <= 0).all()

    def test_the_groups_are_those_of_k_means_over_the_rows(self, kind):
        """Each row with its own model and weight: no row is nearer to the mean of another group."""
        network, X = make_network(kind)
        weights = np.random.RandomState(1).rand(len(X)) + 0.1
        merged = merge(network, X, weights, 3)
        patterns = find_patterns(network.coefs, network.intercepts, X, 1)
        points = np.concatenate([merged.space.points(*models) for _, *models in model_blocks(network, patterns, 1)])
        means = np.array(
            [np.average(points[rows], axis=0, weights=weights[rows]) for rows in (merged.region == r for r in range(3))]
        )
        assert_allclose(merged.centers, means, atol=1e-10)
        assert_array_equal(np.square(points[:, np.newaxis] - means).sum(axis=2).argmin(axis=1), merged.region)
        one_start = KMeans(3, n_init=1, random_state=0).fit(points, sample_weight=weights).inertia_
        assert weights @ np.square(points - means[merged.region]).sum(axis=1) <= 1.2 * one_start

    def test_rows_are_assigned_as_in_the_merging(self, kind):
        network, X = make_network(kind)
        merged = merge(network, X, np.ones(len(X)), 4)
        assert_array_equal(assign_rows(network, X, merged.space, merged.centers, 1), merged.region)

    def test_one_region_for_each_pattern_if_there_are_no_more(self, kind):
        network, X = make_network(kind, hidden=(2,))
        patterns = find_patterns(network.coefs, network.intercepts, X, 1)
        n_patterns = len(np.unique(patterns, axis=0))
        assert n_patterns <= 4
        merged = merge(network, X, np.ones(len(X)), 50)
        # Two patterns may have the same model only if a unit has no weight, which random ones do not.
        assert len(merged.coef) == n_patterns
        assert len({(p.tobytes(), r) for p, r in zip(patterns, merged.region, strict=True)}) == n_patterns

    def test_the_order_of_the_rows_does_not_matter(self, kind):
        network, X = make_network(kind)
        order = np.random.RandomState(3).permutation(len(X))
        first, second = merge(network, X, np.ones(len(X)), 3), merge(network, X[order], np.ones(len(X)), 3)
        assert_array_equal(first.region[order], second.region)
        assert_allclose(first.coef, second.coef, atol=1e-12)

    def test_equal_models_are_one(self, kind):
        """Dead later layers: many patterns, one model."""
        network, X = make_network(kind)
        network = network._replace(coefs=[*network.coefs[:-1], np.zeros_like(network.coefs[-1])])
        merged = merge(network, X, np.ones(len(X)), 3)
        assert len(merged.coef) == 1

    def test_of_too_many_models_some_are_drawn(self, kind, monkeypatch):
        network, X = make_network(kind)
        monkeypatch.setattr(_merging, "_MAX_COORDINATES", 100)
        merged = merge(network, X, np.ones(len(X)), 3)
        assert len(merged.coef) == 3
        assert len(merged.region) == len(X)


class TestDistil:
    def problem(self, kind):
        Z, weights = make_rows()
        rng = np.random.RandomState(2)
        n_outputs = 1 if kind == "binary" else 3
        labels = Labels.fitted(np.arange(max(n_outputs, 2)), n_outputs, "logistic" if n_outputs == 1 else "softmax")
        scores = labels.per_class(2 * rng.randn(len(Z), n_outputs))
        probabilities = labels.loss.probabilities(scores)
        prior = rng.randn(n_outputs, 4), rng.randn(n_outputs)
        if n_outputs > 1:
            prior = prior[0] - prior[0].mean(axis=0), prior[1] - prior[1].mean()
        return Z, probabilities, weights, prior, labels

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_minimises_the_literal_objective(self, kind, container):
        Z, probabilities, weights, prior, labels = self.problem(kind)
        n_outputs, alpha = len(prior[1]), 0.7
        mean = np.average(Z, axis=0, weights=weights)
        deviations = np.sqrt(np.average(np.square(Z - mean), axis=0, weights=weights))

        def literal(flat):
            coef, intercept = flat[:-n_outputs].reshape(n_outputs, 4), flat[-n_outputs:]
            scores = Z @ coef.T + intercept
            scores = np.column_stack((np.zeros(len(Z)), scores)) if n_outputs == 1 else scores
            cross_entropy = -(weights[:, np.newaxis] * probabilities * log_softmax(scores, axis=1)).sum()
            return cross_entropy + alpha / 2 * np.square((coef - prior[0]) * deviations).sum()

        start = np.concatenate((prior[0].ravel(), prior[1]))
        expected = minimize(literal, start, options={"gtol": 1e-7, "maxiter": 5000})
        space = space_of(container(Z), weights)
        coef, intercept, outcome = distil(container(Z), probabilities, weights, prior, space, labels, alpha=alpha)
        assert outcome.is_converged
        found = np.concatenate((coef.ravel(), intercept))
        assert literal(found) <= expected.fun + 1e-8
        assert_allclose(found, expected.x, atol=2e-4)

    @pytest.mark.parametrize("kind", KINDS)
    def test_without_a_penalty_it_is_logistic_regression_on_labels_weighted_by_probabilities(self, kind):
        Z, probabilities, weights, prior, labels = self.problem(kind)
        n_classes = probabilities.shape[1]
        theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(
            np.tile(Z, (n_classes, 1)),
            np.repeat(np.arange(n_classes), len(Z)),
            (weights[:, np.newaxis] * probabilities).T.ravel(),
        )
        coef, intercept, _ = distil(Z, probabilities, weights, prior, space_of(Z, weights), labels, alpha=0.0)
        scores = labels.per_class(Z @ coef.T + intercept)
        assert_allclose(labels.loss.probabilities(scores), theirs.predict_proba(Z), atol=1e-5)

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_probabilities_of_the_prior_model_leave_it_as_it_is(self, kind):
        Z, _, weights, prior, labels = self.problem(kind)
        probabilities = labels.loss.probabilities(labels.per_class(Z @ prior[0].T + prior[1]))
        coef, intercept, _ = distil(Z, probabilities, weights, prior, space_of(Z, weights), labels, alpha=1.0)
        assert_allclose(coef, prior[0], atol=1e-6)
        assert_allclose(intercept, prior[1], atol=1e-6)

    def test_ctrl_c_is_not_lost(self, monkeypatch):
        Z, probabilities, weights, prior, labels = self.problem("binary")
        minimize_until = partial(_merging.minimize, on_iterate=lambda iterate: Outcome.INTERRUPTED)
        monkeypatch.setattr(_merging, "minimize", lambda *args, on_iterate, **kwargs: minimize_until(*args, **kwargs))
        with pytest.raises(KeyboardInterrupt):
            distil(Z, probabilities, weights, prior, space_of(Z, weights), labels, alpha=1.0)
