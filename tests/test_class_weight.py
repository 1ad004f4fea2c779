"""Class weights: of classes that a part of the rows lacks, and of several labels, against scikit-learn's rules."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_score, learning_curve
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_sample_weight

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV

MODEL = DeepLogisticClassifier((3,), alpha=1.0, early_stopping=False, max_iter=5000, random_state=0)
THREE = {0: 1.0, 1: 2.0, 2: 30.0}


def rare_third_class():
    """Return rows of three classes; the few of the third come last."""
    X, y = load_iris(return_X_y=True)
    order = np.r_[np.random.RandomState(0).permutation(100), 100:104]
    return scale(X)[order], y[order]


def several_labels(n_classes=3):
    X, y = make_multilabel_classification(n_samples=150, n_features=6, n_classes=n_classes, random_state=0)
    return scale(X), y


def assert_same_model(model, expected):
    for actual, wanted in zip(model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert_array_equal(actual, wanted)


class TestClassesThatARowSetLacks:
    @pytest.mark.parametrize("model", [MODEL, DeepLogisticClassifierCV((), alphas=[1.0], cv=2)])
    def test_a_fit_without_the_class_is_the_one_without_its_weight(self, model):
        X, y = rare_third_class()
        X, y = X[:100], y[:100]
        fitted = clone(model).set_params(class_weight=THREE).fit(X, y)
        assert_same_model(fitted, clone(model).set_params(class_weight={0: 1.0, 1: 2.0}).fit(X, y))

    @pytest.mark.parametrize("key", [int, float, np.int64, np.float64])
    def test_keys_that_equal_the_labels_are_their_names(self, key):
        X, y = rare_third_class()
        fitted = clone(MODEL).set_params(class_weight={key(name): weight for name, weight in THREE.items()}).fit(X, y)
        assert_same_model(fitted, clone(MODEL).set_params(class_weight=THREE).fit(X, y))
        is_first = clone(MODEL).set_params(class_weight={True: 3.0, False: 1.0, 2: 9.0}).fit(X, y == 1)
        assert_same_model(is_first, clone(MODEL).set_params(class_weight={0: 1.0, 1: 3.0}).fit(X, y == 1))

    def test_bagging(self):
        X, y = rare_third_class()
        bagging = BaggingClassifier(
            clone(MODEL).set_params(class_weight=THREE), n_estimators=8, max_samples=20, random_state=0
        )
        bagging.fit(X, y)
        assert {len(model.classes_) for model in bagging.estimators_} == {2, 3}  # so that a bootstrap lacked the class

    @pytest.mark.parametrize("cv", [TimeSeriesSplit(3), KFold(4)])
    def test_folds(self, cv):
        X, y = rare_third_class()
        y = np.where(np.arange(len(y)) < 30, np.minimum(y, 1), y)
        model = clone(MODEL).set_params(class_weight=THREE)
        assert np.isfinite(cross_val_score(model, X, y, cv=cv)).all()

    def test_a_learning_curve(self):
        X, y = rare_third_class()
        model = clone(MODEL).set_params(class_weight=THREE)
        _, *scores = learning_curve(model, X, y, train_sizes=[20, 50, 69], cv=3)
        assert np.isfinite(scores).all()

    @pytest.mark.parametrize("model", [MODEL, DeepLogisticClassifierCV((), alphas=[1.0], cv=2), LogisticRegression()])
    def test_a_slip_is_still_caught(self, model):
        X, y = load_iris(return_X_y=True)
        with pytest.raises(ValueError, match="class_weight"):
            clone(model).set_params(class_weight={0: 1.0, 1: 2.0, 20: 3.0}).fit(X, y)


class TestSeveralLabels:
    CLASS_WEIGHTS = ([{0: 0.7, 1: 5.3}, {1: 0.1}, {}], [{False: 2.5, True: 0.3}] * 3, "balanced")

    @pytest.mark.parametrize("class_weight", CLASS_WEIGHTS)
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_the_fit_is_the_one_with_the_weights_of_scikit_learn(self, container, class_weight):
        X, y = several_labels()
        expected = clone(MODEL).fit(X, y, compute_sample_weight(class_weight, y))
        fitted = clone(MODEL).set_params(class_weight=class_weight).fit(X, container(y))
        assert_same_model(fitted, expected)
        assert_allclose(fitted.loss_, expected.loss_)

    @pytest.mark.parametrize("class_weight", CLASS_WEIGHTS)
    def test_times_the_weights_of_rows(self, class_weight):
        X, y = several_labels()
        counts = np.random.RandomState(1).randint(0, 4, size=len(y))
        repeats = np.repeat(np.arange(len(y)), counts)
        weights = np.zeros(len(y))
        weights[repeats] = compute_sample_weight(class_weight, y[repeats])
        model = clone(MODEL).set_params(class_weight=class_weight)
        fitted = clone(model).fit(X, y, counts)
        assert_same_model(fitted, clone(MODEL).fit(X, y, counts * weights))
        assert_same_model(fitted, clone(model).fit(X[repeats], y[repeats]))
        order = np.random.RandomState(2).permutation(len(y))
        assert_same_model(fitted, clone(model).fit(X[order], y[order], counts[order]))

    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_evidence_counts_as_many_rows(self, weighted):
        X, y = several_labels()
        model = DeepLogisticClassifier((), alpha_grouping="shared", standardize=False, tol=1e-9, max_iter=5000)
        weights = np.random.RandomState(1).rand(len(y)) if weighted else np.ones(len(y))
        class_weight = [{0: 0.7, 1: 2.3}, {1: 0.6}, {}]
        expected = clone(model).fit(X, y, weights * compute_sample_weight(class_weight, y))
        fitted = clone(model).set_params(class_weight=class_weight).fit(X, y, weights if weighted else None)
        assert_allclose(fitted.alpha_, expected.alpha_, rtol=1e-4)
        assert_allclose(fitted.log_evidence_, expected.log_evidence_, rtol=1e-4)

    def test_the_evidence_takes_products_that_overflow(self):
        """Only the proportions of the weights count, for the columns as well."""
        X, y = several_labels()
        of_one, of_many = (
            DeepLogisticClassifier((), class_weight=[{0: factor, 1: 3 * factor}] * 3).fit(X, y)
            for factor in (1.0, 2.0**400)
        )
        assert_same_model(of_many, of_one)

    @pytest.mark.parametrize("class_weight", CLASS_WEIGHTS)
    def test_validation_rows_have_them_too(self, class_weight):
        X, y = several_labels()
        (X, X_val), (y, y_val) = np.split(X, 2), np.split(y, 2)
        model = DeepLogisticClassifier((3,), alpha=1.0, class_weight=class_weight, random_state=0)
        model.fit(X, y, X_val=X_val, y_val=y_val)
        if class_weight == "balanced":  # as the training rows are balanced
            means = y.mean(axis=0)
            class_weight = [{0: 0.5 / (1 - mean), 1: 0.5 / mean} for mean in means]
        weights, weights_val = (compute_sample_weight(class_weight, part) for part in (y, y_val))
        expected = clone(model).set_params(class_weight=None)
        expected.fit(X, y, weights, X_val=X_val, y_val=y_val, sample_weight_val=weights_val)
        assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-9)

    @pytest.mark.parametrize("class_weight", CLASS_WEIGHTS)
    def test_in_each_fold(self, class_weight):
        X, y = several_labels()
        cv = KFold(3)
        model = DeepLogisticClassifierCV((), alphas=[1.0], cv=cv, class_weight=class_weight, tol=1e-9, max_iter=5000)
        model.fit(X, y)
        expected = []
        for train, test in cv.split(X):
            if class_weight == "balanced":
                means = y[train].mean(axis=0)
                in_fold = [{0: 0.5 / (1 - mean), 1: 0.5 / mean} for mean in means]
            else:
                in_fold = class_weight
            weights, test_weights = (compute_sample_weight(in_fold, y[part]) for part in (train, test))
            fold = DeepLogisticClassifier((), alpha=1.0, tol=1e-9, max_iter=5000).fit(X[train], y[train], weights)
            p = fold.predict_proba(X[test])
            losses = -np.log(np.where(y[test] == 1, p, 1 - p)).sum(axis=1)
            expected.append([-np.average(losses, weights=test_weights)])
        assert_allclose(model.scores_, expected, rtol=1e-6)

    @pytest.mark.parametrize("cv", [False, True])
    @pytest.mark.parametrize(
        ("class_weight", "y", "error", "message"),
        [
            ([{0: 1, 1: 2}] * 2, None, ValueError, r"a list of 3 dicts with the keys 0 and 1.*, got 2 dict\(s\)"),
            ([{0: 1, 2: 2}] * 3, None, ValueError, r"keys 0 and 1.*, got the keys \[2\] for column 0"),
            ({0: 1, 1: 2}, None, TypeError, "for multilabel targets, got a single dict"),
            ([{0: 1, 1: 2}], 0, TypeError, "if y has one label per row, got a list"),
            ([1, 2, 3], None, TypeError, "class_weight must be None, 'balanced', a dict"),
            ([{0: 1, 1: -2}] * 3, None, ValueError, "class_weight must hold finite weights > 0, got -2 for class 1"),
        ],
    )
    def test_what_is_refused(self, cv, class_weight, y, error, message):
        X, labels = several_labels()
        model = DeepLogisticClassifierCV((), alphas=[1.0]) if cv else clone(MODEL)
        with pytest.raises(error, match=message):
            model.set_params(class_weight=class_weight).fit(X, labels if y is None else labels[:, y])


class TestTheLightestWeights:
    """Rows of a positive weight are there, however light they are."""

    WEIGHTS = np.where(np.arange(104) % 2, 1e-320, 1e5)

    @pytest.mark.filterwarnings("ignore:The training rows do not determine the network")
    @pytest.mark.parametrize("alpha", [1.0, "evidence"])
    @pytest.mark.parametrize("class_weight", [None, "balanced"])
    def test_a_class_of_such_rows_counts(self, alpha, class_weight):
        X, y = rare_third_class()
        y = np.arange(104) % 2
        X = X + 2 * y[:, np.newaxis]
        model = DeepLogisticClassifier((), alpha=alpha, class_weight=class_weight, max_iter=5000, random_state=0)
        model.fit(X, y, self.WEIGHTS)
        assert model.classes_.tolist() == [0, 1]
        assert np.isfinite(model.predict_proba(X)).all()
        if class_weight == "balanced" and alpha == 1.0:  # the lighter class counts as the other one
            expected = clone(model).set_params(class_weight=None).fit(X, y, np.full(104, 5e4))
            assert_allclose(model.decision_function(X), expected.decision_function(X), atol=1e-2, rtol=1e-2)

    def test_in_folds(self):
        X, _ = rare_third_class()
        y = np.arange(104) % 2
        model = DeepLogisticClassifierCV((), alphas=[1.0], cv=2, class_weight="balanced", max_iter=5000)
        model.fit(X, y, self.WEIGHTS)
        assert np.isfinite(model.scores_).all()
