"""The approximation against fits that leave the row out."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier, loss_and_gradient
from skrelu._core.datafit import Datafit
from skrelu._core.network import Network
from skrelu._core.objective import Objective
from skrelu._core.penalty import Penalty
from skrelu._core.threads import Team
from skrelu._data.labels import Labels
from skrelu._laplace.curvature import Curvature
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.leave_one_out import choose_moderation, leave_one_out, leave_one_out_loss
from skrelu._laplace.moderation import Moderation
from tests import literal
from tests.problems import KINDS, make_datafit, make_problem


def load(name, n_rows):
    X, y = {"binary": load_breast_cancer, "multiclass": load_iris}[name](return_X_y=True)
    rows = np.random.RandomState(0).permutation(len(y))[:n_rows]
    return StandardScaler().fit_transform(X[rows])[:, :4], y[rows]


def approximate(X, y, alpha, n_terms, sample_weight=None, hidden=(), seed=0, unit=1.0):
    model = DeepLogisticClassifier(hidden, alpha=alpha, early_stopping=False, tol=1e-9, max_iter=5000, random_state=0)
    model.fit(X, y, sample_weight)
    labels = Labels.of(y, None)
    network = Network.of(model.coefs_)
    parameters = network.join(model.coefs_, model.intercepts_)
    penalty = Penalty.of(network, "shared", alpha)
    with Team(1) as team:
        datafit = Datafit(
            network,
            labels.loss,
            X,
            labels.encode(y),
            team=team,
            sample_weight=None if sample_weight is None else sample_weight / unit,
            weight_unit=unit,
        )
        measurement = Evidence(None, seed).measure(Objective(datafit, penalty), parameters, n_terms, n_corrections=10)
        approximation = leave_one_out_loss(datafit, parameters, measurement.curvature, seed)
        in_sample = datafit.value(parameters)
    return approximation, in_sample


def refit(X, y, alpha):
    """Return the mean loss of each row under a fit without it, the intercepts being held where all rows put them."""
    model = DeepLogisticClassifier((), alpha=alpha, tol=1e-9, max_iter=5000).fit(X, y)
    shape, intercepts = model.coefs_[0].shape, model.intercepts_

    def objective(w, X, y, alpha):
        loss, (gradient,), _ = loss_and_gradient([w.reshape(shape)], intercepts, X, y, alpha=alpha)
        return loss, gradient.ravel()

    losses = []
    for i in range(len(y)):
        rest = np.delete(np.arange(len(y)), i)
        start = model.coefs_[0].ravel()
        w = minimize(objective, start, (X[rest], y[rest], alpha), "L-BFGS-B", jac=True, options={"gtol": 1e-8}).x
        losses.append(objective(w, X[[i]], y[[i]], 0.0)[0])
    return np.mean(losses)


@pytest.mark.parametrize("alpha", [0.3, 3.0])
@pytest.mark.parametrize("name", ["binary", "multiclass"])
def test_without_a_hidden_layer(name, alpha):
    X, y = load(name, 80)
    exact = refit(X, y, alpha)
    approximation, in_sample = approximate(X, y, alpha, 10**6)
    assert in_sample < approximation
    assert abs(approximation - exact) < 0.1 * (exact - in_sample)


@pytest.mark.parametrize("name", ["binary", "multiclass"])
def test_a_sample_of_the_terms_tells_about_the_same(name):
    X, y = load(name, 150)
    complete, in_sample = approximate(X, y, 1.0, 10**6, hidden=(10,))
    sampled = [approximate(X, y, 1.0, len(y), hidden=(10,), seed=seed)[0] for seed in range(10)]
    assert abs(np.mean(sampled) - complete) < 0.25 * (complete - in_sample)


def test_the_unit_of_the_weights_changes_no_bit():
    X, y = load("multiclass", 80)
    weights = np.random.RandomState(0).uniform(0.5, 4, size=len(y))
    expected = approximate(X, y, 1.0, 10**6, sample_weight=weights)
    assert approximate(X, y, 1.0, 10**6, sample_weight=weights, unit=2.0**-20) == expected
    assert approximate(X, y, 1.0, 10**6, sample_weight=weights, unit=2.0**20) == expected


def at_a_point(problem, alpha, sample_weight=None, n_terms=10**6, seed=0, function=leave_one_out_loss):
    """Return the approximation at the weights of a problem, which need not be a minimum for the formula."""
    with Team(1) as team:
        datafit, parameters = make_datafit(problem, team, sample_weight=sample_weight)
        penalty = Penalty.of(datafit.network, "shared", alpha)
        terms = datafit.sample_terms(parameters, n_terms, seed)
        curvature = Curvature(datafit.network.layers(parameters), terms, penalty.per_layer, n_corrections=3)
        return function(datafit, parameters, curvature, seed), curvature


def by_hand(problem, alpha, s, G=None, drawn=None, scale=0.0):
    """Return the weighted mean of loss(f_i + V_i (I - t_i Lambda_i V_i)^-1 t_i r_i), by full matrices.

    t_i = min(s_i, 1) is what is left out: of a row that stands for several equal ones, one of these.

    `drawn` holds what the terms of each row weigh in G, for each output, relative to all of its curvature. The scores
    are moderated by `scale` times the variances V_i (I - t_i Lambda_i V_i)^-1.
    """
    return s @ losses_by_hand(problem, alpha, s, G, drawn, scale) / s.sum()


def losses_by_hand(problem, alpha, s, G=None, drawn=None, scale=0.0):
    """Return the loss of each row, see `by_hand`."""
    W, b = problem.W, problem.intercepts
    G = literal.curvature(W, b, problem.X, problem.is_multinomial, s) if G is None else G
    inverse = np.linalg.inv(G + alpha * np.eye(len(G)))
    losses = []
    for i, (x, target, weight) in enumerate(zip(problem.X, problem.targets, np.minimum(s, 1), strict=True)):
        f, J = literal.score(W, b, x), literal.jacobian(W, b, x)
        V = J @ inverse @ J.T
        if drawn is None:
            curvature = literal.second_derivative(f, problem.is_multinomial)
        elif problem.is_multinomial:
            p = np.diag(np.exp(f) / np.exp(f).sum())
            away = np.eye(len(f)) - np.diag(p)[:, np.newaxis]  # the columns e_k - p
            curvature = away @ (p * drawn[i]) @ away.T
        else:
            curvature = literal.second_derivative(f, False) * drawn[i]
        _, residual = literal.sample_loss_and_residual(f, target)
        covariance = V @ np.linalg.inv(np.eye(len(f)) - weight * curvature @ V)
        moved = f + covariance @ (weight * residual)
        if scale:
            D = np.eye(len(f)) - (1 / len(f) if problem.is_multinomial else 0)
            moved = D @ moved / np.sqrt(1 + np.pi / 8 * scale * np.diag(D @ covariance @ D.T))
        losses.append(literal.sample_loss_and_residual(moved, target)[0])
    return np.array(losses)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_formula_by_full_matrices(kind, hidden, scale):
    """With weights far from 1, so that one in another unit, anywhere, is another answer."""
    problem = make_problem(kind, hidden, scale=0.5)
    s = scale * np.random.RandomState(0).uniform(0.5, 4, len(problem.X))
    actual, curvature = at_a_point(problem, 0.7, s)
    assert curvature.terms.is_complete
    assert_allclose(actual, by_hand(problem, 0.7, s), rtol=1e-7)


@pytest.mark.parametrize("hidden", [(), (4,)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_formula_where_the_terms_are_a_sample(kind, hidden):
    """A row whose terms were not drawn is left out already; of others what was drawn is taken out."""
    problem = make_problem(kind, hidden, n_samples=40, scale=0.5)
    s = 5 * np.random.RandomState(0).uniform(0.5, 4, len(problem.X))
    actual, curvature = at_a_point(problem, 7.0, s, n_terms=20)
    assert_allclose(actual, by_hand(problem, 7.0, s, *drawn_terms(curvature, 40)), rtol=1e-7)


def drawn_terms(curvature, n_rows):
    """Return G of the terms that were drawn, and what they weigh in it."""
    terms, tangents = curvature.terms, curvature.tangents
    n_outputs = terms.slopes.shape[1]
    drawn = np.zeros(n_rows * n_outputs)
    drawn[terms.numbers] = 1 / (terms.inclusion * curvature.damping)
    assert np.count_nonzero(drawn) == len(terms.numbers) < len(drawn)
    G = 0.0
    for t, c in enumerate(curvature.damping):
        parts = zip(tangents.inputs, tangents.deltas, strict=True)
        g = np.concatenate([np.outer(z[t], delta[t]).ravel() for z, delta in parts])
        G = G + np.outer(g, g) / c
    return G, drawn.reshape(n_rows, n_outputs)


@pytest.mark.parametrize("n_terms", [10**6, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_count_against_alpha(kind, n_terms):
    """Both times a constant leave all as it was: V is that much smaller, s as much larger. One alone does not.

    With weights up to 1, which are left out whole.
    """
    problem = make_problem(kind, (4,), n_samples=40, scale=0.5)
    s = np.random.RandomState(0).uniform(0.5, 4, len(problem.X)) / 2**12
    alpha = 0.7 / 2**12
    plain, _ = at_a_point(problem, alpha, s, n_terms)
    both, _ = at_a_point(problem, alpha * 2**10, s * 2**10, n_terms)
    assert_allclose(both, plain, rtol=1e-10)
    heavier, _ = at_a_point(problem, alpha, s * 2**10, n_terms)
    weaker, _ = at_a_point(problem, alpha / 2**10, s, n_terms)
    assert_allclose(heavier, weaker, rtol=1e-7)
    assert abs(heavier - plain) > 0.1 * plain


def test_a_row_without_curvature_of_its_own_stays_where_it_is():
    """Its weight is next to nothing, so its score is that of the fit and its loss that of the formula of the loss."""
    problem = make_problem("binary", ())
    s = np.full(13, 1e-12)
    actual, _ = at_a_point(problem, 1.0, s)
    loss, *_ = literal.loss_and_gradient(problem.W, problem.intercepts, problem.X, problem.targets)
    assert_allclose(actual, loss / 13, rtol=1e-9)


@pytest.mark.parametrize("hidden", [(), (4,)])
@pytest.mark.parametrize("kind", KINDS)
def test_of_equal_rows_one_is_left_out(kind, hidden):
    """Whether they are one row of that weight or several rows."""
    problem, repeated = (make_problem(kind, hidden, n_samples=20, scale=0.5) for _ in range(2))
    times = np.random.RandomState(0).randint(1, 5, size=20)
    repeated.X, repeated.y = np.repeat(problem.X, times, axis=0), np.repeat(problem.y, times, axis=0)
    merged, _ = at_a_point(problem, 0.7, times.astype(float))
    assert_allclose(merged, at_a_point(repeated, 0.7)[0], rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_rows_some_are_drawn(kind, monkeypatch):
    """The difference to the loss of the fit is estimated, each row's divided by the probability of being drawn."""
    monkeypatch.setattr("skrelu._laplace.leave_one_out._MAX_VALUES", 1)  # the least number of rows, 100
    problem = make_problem(kind, (4,), n_samples=150, scale=0.5)
    s = np.random.RandomState(0).uniform(0.5, 4, 150)
    G = literal.curvature(problem.W, problem.intercepts, problem.X, problem.is_multinomial, s)
    with Team(1) as team:
        datafit, parameters = make_datafit(problem, team, sample_weight=s)
        numbers, inclusion, _ = datafit.sample_rows(parameters, 100, 3)
    left_out = losses_by_hand(problem, 0.7, s, G)
    fitted = losses_by_hand(problem, 1e12, s)  # with an alpha as large as that no score moves
    added = (s * (left_out - fitted))[numbers] / inclusion
    actual, _ = at_a_point(problem, 0.7, s, seed=3)
    assert_allclose(actual, (s @ fitted + added.sum()) / s.sum(), rtol=1e-7)


def test_a_sample_of_the_rows_tells_about_the_same(monkeypatch):
    problem = make_problem("binary", (4,), n_samples=300, scale=1.5)
    whole, _ = at_a_point(problem, 0.1)
    fitted, _ = at_a_point(problem, 1e12)
    monkeypatch.setattr("skrelu._laplace.leave_one_out._MAX_VALUES", 1)
    drawn = [at_a_point(problem, 0.1, seed=seed)[0] for seed in range(30)]
    assert 0 < np.std(drawn) < 0.2 * (whole - fitted)
    assert abs(np.mean(drawn) - whole) < 3 * np.std(drawn) / np.sqrt(30)


def test_of_many_rows_some_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr("skrelu._laplace.leave_one_out._MAX_VALUES", 1)  # the least number of rows, 100
    problem = make_problem("binary", (), n_samples=150)
    losses = [at_a_point(problem, 1.0, seed=seed)[0] for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    monkeypatch.undo()
    whole, _ = at_a_point(problem, 1.0)
    assert_allclose(whole, by_hand(problem, 1.0, np.ones(150)), rtol=1e-9)


SCALES = [10 ** (-k / 2) for k in range(17)]


def largest_of_nearly_lowest(losses):
    return max(scale for scale, loss in losses.items() if loss <= 1.002 * min(losses.values()))


def make_labelled_problem(kind, hidden, noise, n_samples=40):
    """Return a problem whose labels are those of its scores, but for some of them."""
    problem = make_problem(kind, hidden, n_samples=n_samples, scale=1.5)
    rng = np.random.RandomState(1)
    scores = np.array([literal.score(problem.W, problem.intercepts, x) for x in problem.X])
    y = scores.argmax(axis=1) if kind == "multiclass" else (scores > 0).astype(int)
    y = np.where(rng.uniform(size=y.shape) < noise, rng.randint(scores.shape[1] if kind == "multiclass" else 2), y)
    problem.y = y[:, 0] if kind == "binary" else y
    return problem


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_computed_in_blocks(kind, monkeypatch):
    problem = make_problem(kind, (4,), n_samples=40)
    whole, _ = at_a_point(problem, 1.0, function=leave_one_out)
    monkeypatch.setattr("skrelu._laplace.leave_one_out._MAX_BLOCK_ROWS", 7)
    blocks, _ = at_a_point(problem, 1.0, function=leave_one_out)
    for name in ("scores", "covariances", "prior_covariances", "targets", "weights"):
        assert_allclose(getattr(blocks, name), getattr(whole, name), rtol=1e-9, atol=1e-13)


def test_memory_is_that_of_a_block():
    def peak(n_samples):
        problem = make_problem("binary", (), n_samples=n_samples)
        with Team(1) as team:
            datafit, parameters = make_datafit(problem, team)
            terms = datafit.sample_terms(parameters, 500, 0)
            curvature = Curvature(datafit.network.layers(parameters), terms, [1.0])
            tracemalloc.start()
            leave_one_out(datafit, parameters, curvature, 0)
            bytes_ = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return bytes_

    assert peak(8000) < peak(1000) + 200 * 7000


class TestTheScaleOfTheVariances:
    @pytest.mark.parametrize("n_terms", [10**6, 20])
    @pytest.mark.parametrize("alpha", [0.02, 3.0])
    @pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_is_the_largest_of_nearly_the_lowest_loss_by_full_matrices(self, kind, noise, alpha, n_terms):
        problem = make_labelled_problem(kind, (4,), noise)
        s = np.random.RandomState(0).uniform(0.5, 4, len(problem.X))
        chosen, curvature = at_a_point(problem, alpha, s, n_terms, function=choose_moderation)
        sample = () if curvature.terms.is_complete else drawn_terms(curvature, 40)
        losses = {scale: by_hand(problem, alpha, s, *sample, scale=scale) for scale in SCALES}
        assert_allclose(chosen.scale, largest_of_nearly_lowest(losses), rtol=1e-12)
        assert type(chosen.scale) is float

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_labels_decide(self, kind):
        """The same model of the same rows: with its own labels little caution pays, with random ones all of it."""
        alike, unlike = (make_labelled_problem(kind, (4,), noise) for noise in (0.0, 1.0))
        scales = [at_a_point(problem, 10.0, function=choose_moderation)[0].scale for problem in (alike, unlike)]
        assert scales[0] < 0.1
        assert scales[1] == 1.0

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_reach_is_the_largest_prior_variance_of_a_row(self, kind):
        problem = make_problem(kind, (4,))
        chosen, _ = at_a_point(problem, 0.7, function=choose_moderation)
        expected = 0.0
        for x in problem.X:
            J = literal.jacobian(problem.W, problem.intercepts, x)
            J = J - J.mean(axis=0) if problem.is_multinomial else J
            expected = np.maximum(expected, np.diag(J @ J.T) / 0.7)
        assert_allclose(chosen.reach, expected, rtol=1e-10)

    @pytest.mark.parametrize("alpha", [0.1, 1.0, 3.0])
    def test_it_is_that_of_fits_without_the_row(self, alpha):
        """Logistic regression, with each row's score and variance from a fit without it; at most one step away."""
        X, y = load("binary", 80)
        model = DeepLogisticClassifier((), alpha=alpha, predictive="laplace", tol=1e-9, max_iter=5000).fit(X, y)
        scores, variances = np.array([without(X, y, alpha, model.intercepts_, i) for i in range(len(y))]).T
        margins = np.where(y == 1, scores, -scores)
        losses = {
            scale: np.log1p(np.exp(-margins / np.sqrt(1 + np.pi / 8 * scale * variances))).mean() for scale in SCALES
        }
        expected = largest_of_nearly_lowest(losses)
        assert abs(np.log10(model.laplace_scale_ / expected)) < 0.51
        assert expected < 1

    def test_the_same_seed_draws_the_same_rows(self, monkeypatch):
        monkeypatch.setattr("skrelu._laplace.leave_one_out._MAX_VALUES_OF_SCALE", 1)  # the least number of rows, 100
        problem = make_problem("binary", (), n_samples=150)
        chosen = [at_a_point(problem, 1.0, seed=seed, function=choose_moderation)[0] for seed in (0, 0, *range(1, 20))]
        assert chosen[0].reach == chosen[1].reach
        assert len({float(one.reach[0]) for one in chosen}) > 1

    def test_of_more_than_100_outputs_laplace_s_own_variances(self):
        problem = make_problem("multilabel", (2,), n_outputs=100)
        assert at_a_point(problem, 1.0, function=choose_moderation)[0].reach.max() < np.inf
        more = make_problem("multilabel", (2,), n_outputs=101)
        is_unscaled(at_a_point(more, 1.0, function=choose_moderation)[0], 101)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_where_something_is_not_finite_laplace_s_own_variances(self, monkeypatch, value):
        whole = Curvature.covariances
        for broken in range(2):  # the covariances, then those of the prior

            def covariances(self, tangents, broken=broken):
                parts = whole(self, tangents)
                parts[broken][0] = value
                return parts

            monkeypatch.setattr(Curvature, "covariances", covariances)
            with np.errstate(all="raise"):
                is_unscaled(at_a_point(make_problem("binary", (4,)), 1.0, function=choose_moderation)[0], 1)


def without(X, y, alpha, intercepts, i):
    """Return the score of a row and its variance j^T A^-1 j, under a fit of logistic regression without it."""
    rest = np.delete(np.arange(len(y)), i)

    def objective(w):
        loss, (gradient,), _ = loss_and_gradient([w[:, np.newaxis]], intercepts, X[rest], y[rest], alpha=alpha)
        return loss, gradient.ravel()

    w = minimize(objective, np.zeros(X.shape[1]), method="L-BFGS-B", jac=True, options={"gtol": 1e-8}).x
    p = 1 / (1 + np.exp(-(X[rest] @ w + intercepts[0])))
    A = X[rest].T @ (X[rest] * (p * (1 - p))[:, np.newaxis]) + alpha * np.eye(X.shape[1])
    return X[i] @ w + intercepts[0][0], X[i] @ np.linalg.solve(A, X[i])


def is_unscaled(moderation, n_outputs):
    assert isinstance(moderation, Moderation)
    assert moderation.scale == 1.0
    assert moderation.reach.tolist() == [np.inf] * n_outputs
