"""The approximation against fits that leave the row out."""

import numpy as np
import pytest
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
from skrelu._laplace.evidence import Evidence
from skrelu._laplace.leave_one_out import leave_one_out_loss


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


def test_a_weight_is_left_out_whole():
    X, y = load("binary", 80)
    weights = np.random.RandomState(0).randint(1, 4, size=len(y)).astype(float)
    once, in_sample_once = approximate(X, y, 1.0, 10**6)
    heavy, in_sample_heavy = approximate(X, y, 1.0, 10**6, sample_weight=weights)
    assert heavy - in_sample_heavy > 0.5 * (once - in_sample_once)


def test_the_unit_of_the_weights_changes_no_bit():
    X, y = load("multiclass", 80)
    weights = np.random.RandomState(0).uniform(0.5, 4, size=len(y))
    expected = approximate(X, y, 1.0, 10**6, sample_weight=weights)
    assert approximate(X, y, 1.0, 10**6, sample_weight=weights, unit=2.0**-20) == expected
    assert approximate(X, y, 1.0, 10**6, sample_weight=weights, unit=2.0**20) == expected
