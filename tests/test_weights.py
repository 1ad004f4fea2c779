"""Weights where the evidence chooses alpha: whole sample weights are counts, of all others only the ratios matter."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import AdaBoostClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from tests.problems import load_table

MODEL = DeepLogisticClassifier((5,), max_iter=2000, random_state=0)


def load(name):
    """Return rows to fit, their labels, and as many rows to test."""
    if name == "noisy":
        X, y = make_classification(600, 10, n_informative=4, flip_y=0.1, weights=[0.8], random_state=0)
        X = StandardScaler().fit_transform(X)
    else:
        X, y = load_table("binary")
    return X[::2], y[::2], X[1::2], y[1::2]


def fit_auc(name, weights_of=None, **parameters):
    X, y, X_test, y_test = load(name)
    model = clone(MODEL).set_params(**parameters).fit(X, y, None if weights_of is None else weights_of(y))
    return roc_auc_score(y_test, model.decision_function(X_test))


def assert_same_model(model, expected):
    for actual, wanted in zip(model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert_array_equal(actual, wanted)
    assert model.log_evidence_ == expected.log_evidence_


SAMPLE_WEIGHTS = {
    "1/n": lambda y: np.full(len(y), 1 / len(y)),
    "0.01": lambda y: np.full(len(y), 0.01),
    "1e-6": lambda y: np.full(len(y), 1e-6),
    "1e6+0.5": lambda y: np.full(len(y), 1e6 + 0.5),
    "inverse class frequency": lambda y: 1 / np.bincount(y)[y],
}


class TestAreaUnderTheCurve:
    """It is that of the fit without weights, to 0.01."""

    @pytest.mark.parametrize("key", SAMPLE_WEIGHTS)
    def test_sample_weights(self, key):
        assert abs(fit_auc("noisy", SAMPLE_WEIGHTS[key]) - fit_auc("noisy")) < 0.01

    @pytest.mark.parametrize("key", ["1/n", "inverse class frequency"])
    def test_sample_weights_on_a_clean_table(self, key):
        assert abs(fit_auc("binary", SAMPLE_WEIGHTS[key]) - fit_auc("binary")) < 0.01

    @pytest.mark.parametrize(
        ("name", "class_weight"),
        [("noisy", {0: 1e-3, 1: 2e-3}), ("noisy", {0: 300.0, 1: 700.0}), ("binary", {0: 1e-3, 1: 2e-3})],
    )
    def test_class_weights(self, name, class_weight):
        assert abs(fit_auc(name, class_weight=class_weight) - fit_auc(name)) < 0.01


class TestScale:
    @pytest.mark.parametrize("exponent", [-40, 40])
    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_a_power_of_two_changes_no_bit(self, early_stopping, exponent):
        X, y, *_ = load("binary")
        weights = np.random.RandomState(0).rand(len(y))
        model = clone(MODEL).set_params(early_stopping=early_stopping).fit(X, y, weights)
        assert_same_model(clone(model).fit(X, y, np.ldexp(weights, exponent)), model)
        order = np.random.RandomState(1).permutation(len(y))
        if not early_stopping:
            assert_same_model(clone(model).fit(X[order], y[order], np.ldexp(weights, exponent)[order]), model)

    @pytest.mark.parametrize("factor", [1e-9, 0.3, 7e5])
    def test_another_factor_changes_the_rounding_only(self, factor):
        X, y, X_test, _ = load("noisy")
        weights = np.random.RandomState(0).rand(len(y))
        models = [
            DeepLogisticClassifier((), class_weight={1: 4.0}, tol=1e-8, max_iter=2000).fit(X, y, weights * scale)
            for scale in (1.0, factor)
        ]
        assert_allclose(*(model.predict_proba(X_test) for model in models), atol=1e-6)
        assert_allclose(*(model.alpha_ for model in models), rtol=1e-4)


def test_counts_of_repeated_rows_have_class_weights_too():
    X, y, *_ = load("binary")
    counts = np.random.RandomState(0).randint(0, 4, size=len(y))
    model = clone(MODEL).set_params(class_weight={0: 2.0**-10, 1: 2.0**-9})
    by_rows = clone(model).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    assert_same_model(clone(model).fit(X, y, counts), by_rows)
    assert by_rows.n_effective_parameters_ > 1  # many rows determine many weights


def test_boosting_begins_with_all_rows():
    X, y, X_test, y_test = load("noisy")
    boosted = AdaBoostClassifier(MODEL, n_estimators=2, random_state=0).fit(X, y)
    first = boosted.estimators_[0]
    alone = clone(first).fit(X, y)
    aucs = [roc_auc_score(y_test, model.decision_function(X_test)) for model in (first, alone)]
    assert abs(aucs[0] - aucs[1]) < 0.01
    assert len(boosted.estimators_) == 2


@pytest.mark.parametrize("model", [MODEL, DeepLogisticClassifierCV((5,), alphas=5, cv=3, random_state=0)])
def test_a_rare_class_is_found_with_balanced_weights(model):
    X, y = make_classification(30_000, random_state=0)
    rare, frequent = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    train, test = np.r_[rare[:50], frequent[:4950]], np.r_[rare[50:5050], frequent[4950:9950]]
    X = StandardScaler().fit(X[train]).transform(X)
    models = LogisticRegression(class_weight="balanced"), clone(model).set_params(class_weight="balanced")
    expected, recall = (recall_score(y[test], model.fit(X[train], y[train]).predict(X[test])) for model in models)
    assert recall > expected - 0.05
