"""A stall is not success: where nothing lower is found while the gradient is far above tol, the fit warns."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV, loss_and_gradient

N_ROWS = 500
STALL = "no longer improves, although the gradient is far above tol"


def labelled(X, seed=0):
    """Return X and labels whose log-odds are linear in all standardised columns."""
    rng = np.random.default_rng(seed)
    log_odds = StandardScaler().fit_transform(X).sum(axis=1)
    return X, (log_odds + rng.logistic(size=len(X)) > 0).astype(int)


def raw_columns(name):
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((N_ROWS, 3))
    return {
        "unix time": np.column_stack([1.6e9 + 1e5 * noise[:, 0], noise[:, 1]]),
        "salary beside ratios": np.column_stack([5e4 + 2e4 * noise[:, 0], 0.1 * noise[:, 1], 0.3 * noise[:, 2]]),
        "1e9 beside 1e-6": np.column_stack([1e9 * noise[:, 0], 1e-6 * noise[:, 1]]),
        "row number": np.column_stack([np.arange(N_ROWS), noise[:, 1]]),
    }[name]


def fit(X, y, hidden, **parameters):
    """Return a fitted model and the warnings of the fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = DeepLogisticClassifier(hidden, random_state=0, **parameters).fit(X, y)
    return model, [str(warning.message) for warning in caught]


def largest_gradient(model, X, y, alpha):
    """Return the largest component of the gradient, over the number of rows."""
    _, coef_grads, intercept_grads = loss_and_gradient(model.coefs_, model.intercepts_, X, y, alpha=alpha)
    return max(np.abs(part).max() for part in coef_grads + intercept_grads) / len(X)


@pytest.mark.parametrize("hidden", [(), (20,)], ids=str)
@pytest.mark.parametrize("name", ["unix time", "salary beside ratios", "1e9 beside 1e-6"])
class TestRawColumns:
    def test_a_fixed_alpha_in_the_units_given_warns(self, name, hidden):
        X, y = labelled(raw_columns(name))
        model, messages = fit(X, y, hidden, alpha=1.0, early_stopping=False)
        if model.optimize_result_.message == "the gradient is within tol":  # a minimum, in spite of the units
            assert not hidden
            assert messages == []
            return
        assert len(messages) == 1
        assert "If the columns of X have different units, set standardize=True" in messages[0]
        assert not model.optimize_result_.success
        assert largest_gradient(model, X, y, 1.0) > 10 * model.tol
        assert not hidden or model.score(X, y) < fit(X, y, hidden)[0].score(X, y) - 0.02

    def test_standardising_inside_is_what_the_message_says(self, name, hidden):
        X, y = labelled(raw_columns(name))
        model, messages = fit(X, y, hidden, alpha=1.0, early_stopping=False, standardize=True)
        assert messages == []
        assert model.optimize_result_.success
        assert model.score(X, y) > 0.65


def test_a_linear_fit_that_stops_at_a_gradient_of_one_is_no_success():
    # The case of the smallest table: the value no longer falls within the precision, and max|g|/n is 0.1 to 1.
    X, y = labelled(raw_columns("unix time"))
    model, messages = fit(X, y, (), alpha=1.0)
    assert largest_gradient(model, X, y, 1.0) > 0.1
    assert STALL in messages[0]
    assert STALL in model.optimize_result_.message
    assert model.optimize_result_.status == 2


def test_early_stopping_in_the_midst_of_nowhere_is_no_success():
    X, y = labelled(raw_columns("unix time"))
    model, messages = fit(X, y, (20,), alpha=1.0)
    assert model.best_validation_score_ is not None
    assert len(messages) == 1
    assert STALL in messages[0]
    assert not model.optimize_result_.success


def test_so_is_the_last_fit_of_a_cross_validation():
    X, y = labelled(raw_columns("unix time"))
    with pytest.warns(ConvergenceWarning, match=STALL):
        DeepLogisticClassifierCV((), alphas=[1.0], cv=2).fit(X, y)


@pytest.mark.parametrize("parameters", [{}, {"alpha": 1.0}, {"alpha": 1.0, "early_stopping": False}], ids=str)
@pytest.mark.parametrize("hidden", [(), (20,), (10, 10)], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_fit_on_standardised_columns_is_no_stall(parameters, hidden, dtype):
    X, y = labelled(StandardScaler().fit_transform(raw_columns("salary beside ratios")).astype(dtype))
    model, messages = fit(X, y, hidden, **parameters)
    assert messages == []
    assert model.optimize_result_.success


def test_with_tol_zero_a_fit_may_end_at_the_precision():
    X, y = labelled(StandardScaler().fit_transform(raw_columns("salary beside ratios")))
    model, messages = fit(X, y, (), alpha=1.0, tol=0.0)
    assert messages == []
    assert model.optimize_result_.success


def test_a_standardised_fit_is_not_told_to_standardise():
    X, y = labelled(raw_columns("salary beside ratios"))
    _, messages = fit(X, y, (20,), alpha=1.0, early_stopping=False, standardize=True, max_iter=3)
    assert len(messages) == 1
    assert "standardize" not in messages[0]
