"""Scores of folds that lack a class, against LogisticRegressionCV and against the same done by hand."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import brier_score_loss, f1_score, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import GroupKFold, KFold

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._data.labels import Labels
from skrelu._data.splits import describe_lack

EXACT = {"tol": 1e-9, "max_iter": 10_000}
X = np.random.RandomState(0).randn(60, 3)
Y = np.r_[np.zeros(15, int), np.ones(15, int), np.arange(30) % 3]
# The first test part lacks the third class.
FOLDS = [(np.setdiff1d(np.arange(60), test), test) for test in (np.arange(10, 25), np.arange(40, 60))]
NAMES = np.array(["a", "b", "c"])


def fit(y, scoring, cv=FOLDS, **options):
    return DeepLogisticClassifierCV((), alphas=[1.0], cv=cv, scoring=scoring, **EXACT, **options).fit(X, y)


def fit_logistic_regression(y, scoring, cv=FOLDS):
    model = LogisticRegressionCV(
        Cs=[1.0],
        cv=cv,
        scoring=scoring,
        l1_ratios=(0,),
        use_legacy_attributes=False,
        solver="newton-cholesky",
        tol=1e-9,
    )
    return model.fit(X, y)


class TestAgainstLogisticRegressionCV:
    """In both a metric that takes labels is given all of them."""

    @pytest.mark.parametrize("names", [np.arange(3), NAMES])
    @pytest.mark.parametrize(
        "scoring",
        [
            *("neg_log_loss", "neg_brier_score", "roc_auc_ovo", "d2_brier_score", "d2_log_loss_score"),
            "top_k_accuracy",
            make_scorer(log_loss, greater_is_better=False, response_method="predict_proba"),
        ],
    )
    def test_more_than_two_classes(self, scoring, names):
        y = names[Y]
        assert_allclose(fit(y, scoring).scores_[:, 0], fit_logistic_regression(y, scoring).scores_[:, 0, 0], atol=1e-5)

    @pytest.mark.parametrize("names", [np.arange(2), np.array(["no", "yes"]), np.array([1, 2])])
    @pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score", "d2_log_loss_score", "f1", "precision"])
    def test_two_classes(self, scoring, names):
        y = names[np.minimum(Y, 1)]
        cv = [(np.setdiff1d(np.arange(60), test), test) for test in (np.arange(10), np.arange(40, 60))]
        # The first test part holds the first class only.
        expected = fit_logistic_regression(y, scoring, cv).scores_[:, 0, 0]
        assert_allclose(fit(y, scoring, cv).scores_[:, 0], expected, atol=1e-5)

    def test_with_weights(self):
        weights = np.random.RandomState(1).rand(60)
        model = DeepLogisticClassifierCV((), alphas=[1.0], cv=FOLDS, scoring="neg_log_loss", **EXACT)
        default = DeepLogisticClassifierCV((), alphas=[1.0], cv=FOLDS, **EXACT).fit(X, Y, weights)
        assert_allclose(model.fit(X, Y, weights).scores_, default.scores_)


class TestByHand:
    @pytest.mark.parametrize("name", ["f1_macro", make_scorer(f1_score, average="macro", zero_division=0.0)])
    def test_averages_over_two_classes(self, name):
        """LogisticRegressionCV 1.9.1 fails here, or warns that `pos_label` has no use."""
        y = np.array(["no", "yes"])[np.minimum(Y, 1)]
        expected = []
        for train, test in FOLDS:
            model = DeepLogisticClassifier((), alpha=1.0, **EXACT).fit(X[train], y[train])
            expected.append([f1_score(y[test], model.predict(X[test]), average="macro", zero_division=0.0)])
        assert_allclose(fit(y, name).scores_, expected)

    def test_what_the_scorer_has_set_stays(self):
        y = np.minimum(Y, 1)
        scorer = make_scorer(
            brier_score_loss, greater_is_better=False, response_method="predict_proba", pos_label=0, labels=[0, 1]
        )
        assert_allclose(fit(y, scorer).scores_, fit(y, "neg_brier_score").scores_)
        assert scorer._kwargs["pos_label"] == 0

    def test_several_labels(self):
        y = np.column_stack([Y == 1, X[:, 0] > 0]).astype(int)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = fit(y, "roc_auc")
        expected = []
        for train, test in FOLDS:
            probabilities = (
                DeepLogisticClassifier((), alpha=1.0, **EXACT).fit(X[train], y[train]).predict_proba(X[test])
            )
            expected.append([roc_auc_score(y[test], probabilities)])
        assert_allclose(model.scores_, expected)


class TestScoresThatAreNotDefined:
    """scikit-learn warns and returns nan; then no alpha would be the best."""

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
    @pytest.mark.parametrize(
        ("y", "scoring", "message"),
        [
            (
                Y,
                "roc_auc_ovr",
                r"nan at alpha=1 in fold 0 of cv, for 15 test rows, which hold no row of the classes \[2\]",
            ),
            (NAMES[Y], "roc_auc_ovr", r"in fold 0 of cv, .* hold no row of the classes \['c'\]"),
            (Y // 2, "roc_auc", r"in fold 0 of cv, .* hold no row of the classes \[1\]"),
            (
                np.column_stack([Y > 0, Y > 1]).astype(int),
                "roc_auc",
                r"fold 0 .* one of 0 and 1 in the columns \[1\] of y",
            ),
        ],
    )
    def test_fold_and_classes_are_named(self, y, scoring, message):
        with pytest.raises(ValueError, match=message):
            fit(y, scoring)

    def test_scikit_learn_has_no_score_there_either(self):
        y = np.column_stack([Y > 0, Y > 1]).astype(int)
        train, test = FOLDS[0]
        model = DeepLogisticClassifier((), alpha=1.0).fit(X[train], y[train])
        with pytest.warns(UndefinedMetricWarning, match="Only one class is present"):
            assert np.isnan(roc_auc_score(y[test], model.predict_proba(X[test])))

    def test_the_default_score_is_defined(self):
        assert np.isfinite(fit(np.column_stack([Y > 0, Y > 1]).astype(int), None).scores_).all()


def test_what_test_rows_lack():
    labels = Labels.of(NAMES[Y], None)
    assert describe_lack(labels, labels.encode(NAMES)) == ""
    assert describe_lack(labels, labels.encode(NAMES[[1]])) == ", which hold no row of the classes ['a', 'c']"
    labels = Labels.of(Y > 0, None)
    assert describe_lack(labels, labels.encode(np.array([True, True]))) == ", which hold no row of the classes [False]"
    y = np.array([[0, 1, 1], [1, 1, 0]])
    labels = Labels.of(y, None)
    assert describe_lack(labels, labels.encode(y)) == ", which hold only one of 0 and 1 in the columns [1] of y"
    assert describe_lack(labels, labels.encode(np.array([[0, 1, 1], [1, 0, 0]]))) == ""


def test_training_rows_that_lack_a_class():
    with pytest.raises(ValueError, match=r"Fold 2 of cv trains without a row of the classes \[2\]"):
        fit(np.sort(Y), "neg_log_loss", KFold(3))


def test_groups_without_metadata_routing_are_refused_as_in_logistic_regression():
    groups = np.arange(60) % 4
    models = DeepLogisticClassifierCV(cv=GroupKFold(4)), LogisticRegressionCV(cv=GroupKFold(4))
    for model in models:
        with pytest.raises(ValueError, match=r"CV.fit is only supported if enable_metadata_routing=True.*'groups'"):
            model.fit(X, Y, groups=groups)
