"""Inside scikit-learn's meta-estimators: the same as composing the fits by hand, bit for bit where that can be."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris, make_multilabel_classification
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from sklearn.model_selection import StratifiedKFold, TunedThresholdClassifierCV, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.preprocessing import scale
from sklearn.semi_supervised import SelfTrainingClassifier

from skrelu import DeepLogisticClassifier

MODEL = DeepLogisticClassifier((5,), alpha=1.0, early_stopping=False, random_state=0)


def load(name):
    """Return standardised rows to fit, their targets, and as many rows to test."""
    if name == "multilabel":
        X, y = make_multilabel_classification(n_samples=300, n_features=8, n_classes=3, random_state=0)
    else:
        X, y = {"binary": load_breast_cancer, "multiclass": load_iris}[name](return_X_y=True)
        X, y = X[:400], y[:400]
    X = scale(X)
    return X[::2], y[::2], X[1::2], y[1::2]


def fit(X, y, *weights):
    return clone(MODEL).fit(X, y, *weights)


def assert_same_model(model, expected):
    for actual, wanted in zip(model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert_array_equal(actual, wanted)


class TestCalibration:
    @pytest.mark.parametrize("name", ["binary", "multiclass"])
    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_isotonic_regression_in_each_fold(self, name, n_jobs):
        X, y, X_test, y_test = load(name)
        calibrated = CalibratedClassifierCV(MODEL, method="isotonic", cv=3, n_jobs=n_jobs).fit(X, y)
        expected = []
        for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
            model = fit(X[train], y[train])
            assert_same_model(calibrated.calibrated_classifiers_[fold].estimator, model)
            scores, new_scores = (model.decision_function(rows).reshape(len(rows), -1) for rows in (X[test], X_test))
            members = y[test][:, np.newaxis] == (model.classes_ if name == "multiclass" else model.classes_[1:])
            columns = [
                IsotonicRegression(out_of_bounds="clip").fit(*training).predict(new)
                for *training, new in zip(scores.T, members.T, new_scores.T, strict=True)
            ]
            columns = [1 - columns[0], *columns] if name == "binary" else columns
            expected.append(np.transpose(columns) / np.sum(columns, axis=0)[:, np.newaxis])
        assert_allclose(calibrated.predict_proba(X_test), np.mean(expected, axis=0), rtol=1e-12)
        assert calibrated.score(X_test, y_test) > 0.9

    def test_a_temperature_for_the_scores_of_all_folds(self):
        X, y, X_test, _ = load("multiclass")
        calibrated = CalibratedClassifierCV(MODEL, method="temperature", cv=3, ensemble=False).fit(X, y)
        scores = cross_val_predict(clone(MODEL), X, y, cv=3, method="decision_function")
        found = minimize_scalar(
            lambda log_beta: log_loss(y, softmax(np.exp(log_beta) * scores, axis=1)), bounds=(-5, 5)
        )
        expected = softmax(np.exp(found.x) * fit(X, y).decision_function(X_test), axis=1)
        assert_allclose(calibrated.predict_proba(X_test), expected, atol=1e-4)
        assert abs(found.x) > 0.1  # so that it mattered

    def test_a_threshold_tuned_in_folds(self):
        X, y, X_test, y_test = load("binary")
        rare = np.r_[np.flatnonzero(y == 1), np.flatnonzero(y == 0)[:15]]
        X, y = X[rare], y[rare]
        tuned = TunedThresholdClassifierCV(
            MODEL, scoring="balanced_accuracy", thresholds=25, cv=3, n_jobs=2, store_cv_results=True
        ).fit(X, y)
        curves = []
        for train, test in StratifiedKFold(3).split(X, y):
            probabilities = fit(X[train], y[train]).predict_proba(X[test])[:, 1]
            thresholds = np.linspace(probabilities.min(), probabilities.max(), 25)
            scores = [balanced_accuracy_score(y[test], probabilities >= threshold) for threshold in thresholds]
            curves.append((thresholds, scores))
        ends = [limit(limit(thresholds) for thresholds, _ in curves) for limit in (min, max)]
        tried = np.linspace(*ends, 25)
        expected = np.mean([np.interp(tried, *curve) for curve in curves], axis=0)
        assert_array_equal(tuned.cv_results_["thresholds"], tried)
        assert_allclose(tuned.cv_results_["scores"], expected, rtol=1e-12)
        assert tuned.best_threshold_ == tried[expected.argmax()]
        model = fit(X, y)
        assert_same_model(tuned.estimator_, model)
        assert_array_equal(tuned.predict(X_test), model.predict_proba(X_test)[:, 1] >= tuned.best_threshold_)
        by_default, by_tuning = (balanced_accuracy_score(y_test, each.predict(X_test)) for each in (model, tuned))
        assert by_tuning > max(by_default, 0.9)


class TestEnsembles:
    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_bagging_is_fits_to_the_rows_drawn(self, n_jobs):
        X, y, X_test, y_test = load("multiclass")
        bag = BaggingClassifier(MODEL, 4, max_features=3, random_state=0, n_jobs=n_jobs).fit(X, y)
        probabilities = []
        for fitted, rows, columns in zip(
            bag.estimators_, bag.estimators_samples_, bag.estimators_features_, strict=True
        ):
            # It weighs rows by how often they were drawn, which is as good as repeating them.
            model = clone(fitted).fit(X[rows][:, columns], y[rows])
            assert_same_model(fitted, model)
            probabilities.append(model.predict_proba(X_test[:, columns]))
        assert_allclose(bag.predict_proba(X_test), np.mean(probabilities, axis=0), rtol=1e-12)
        assert len({model.random_state for model in bag.estimators_}) == 4
        assert bag.score(X_test, y_test) > 0.9

    def test_boosting_weighs_what_was_misclassified(self):
        """The weights it gives have a sum of 1, so alpha is in proportion."""
        X, y, X_test, y_test = load("multiclass")
        boosted = AdaBoostClassifier(clone(MODEL).set_params(alpha=0.1), n_estimators=5, random_state=0).fit(X, y)
        weights = np.full(len(y), 1 / len(y))
        votes = np.zeros((len(X_test), 3))
        for fitted, votes_of_it in zip(boosted.estimators_, boosted.estimator_weights_, strict=True):
            model = clone(fitted).fit(X, y, weights)
            assert_same_model(fitted, model)
            wrong = model.predict(X) != y
            error = weights[wrong].sum()
            assert_allclose(votes_of_it, np.log((1 - error) / error) + np.log(2), rtol=1e-12)
            votes += votes_of_it * (model.predict(X_test)[:, np.newaxis] == boosted.classes_)
            weights = np.exp(np.log(weights) + votes_of_it * wrong)
            weights /= weights.sum()
        assert len(boosted.estimators_) == 5
        assert weights.max() > 3 * weights.min()
        assert_array_equal(boosted.predict(X_test), votes.argmax(axis=1))
        assert boosted.score(X_test, y_test) > 0.9

    @pytest.mark.parametrize("n_jobs", [None, 2])
    @pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
    def test_stacking(self, n_jobs, method):
        X, y, X_test, y_test = load("multiclass")
        deep, shallow = clone(MODEL), clone(MODEL).set_params(hidden_layer_sizes=())
        stack = StackingClassifier(
            [("deep", deep), ("shallow", shallow)],
            final_estimator=clone(MODEL),
            stack_method=method,
            cv=3,
            n_jobs=n_jobs,
        ).fit(X, y)
        features = [cross_val_predict(clone(base), X, y, cv=3, method=method) for base in (deep, shallow)]
        final = fit(np.hstack(features), y)
        assert_same_model(stack.final_estimator_, final)
        new = [getattr(clone(base).fit(X, y), method)(X_test) for base in (deep, shallow)]
        assert_array_equal(stack.predict_proba(X_test), final.predict_proba(np.hstack(new)))
        assert stack.score(X_test, y_test) > 0.9

    @pytest.mark.parametrize("voting", ["soft", "hard"])
    def test_voting_with_others(self, voting):
        X, y, X_test, y_test = load("multiclass")
        names = np.array(["setosa", "versicolor", "virginica"])
        shallow, other = clone(MODEL).set_params(hidden_layer_sizes=()), LogisticRegression(C=0.1)
        bases = {"deep": clone(MODEL), "shallow": shallow, "other": other}
        weights = np.random.RandomState(0).rand(len(y))
        votes = VotingClassifier(list(bases.items()), voting=voting, weights=[3, 1, 2], n_jobs=2)
        votes.fit(X, names[y], sample_weight=weights)
        fits = [clone(base).fit(X, names[y], weights) for base in bases.values()]
        if voting == "soft":
            expected = np.average([each.predict_proba(X_test) for each in fits], axis=0, weights=[3, 1, 2])
            assert_allclose(votes.predict_proba(X_test), expected, rtol=1e-12)
        else:
            ballots = [each.predict(X_test)[:, np.newaxis] == names for each in fits]
            expected = np.average(ballots, axis=0, weights=[3, 1, 2])
        assert_array_equal(votes.predict(X_test), names[expected.argmax(axis=1)])
        assert votes.score(X_test, names[y_test]) > 0.85


class TestSeveralOutputs:
    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_one_against_the_rest(self, n_jobs):
        X, y, X_test, y_test = load("multiclass")
        model = OneVsRestClassifier(MODEL, n_jobs=n_jobs).fit(X, y)
        columns = [fit(X, (y == label).astype(int)).predict_proba(X_test)[:, 1] for label in range(3)]
        expected = np.transpose(columns)
        assert_allclose(model.predict_proba(X_test), expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)
        assert model.score(X_test, y_test) > 0.9

    @pytest.mark.parametrize("meta", [OneVsRestClassifier, MultiOutputClassifier])
    def test_each_label_on_its_own(self, meta):
        X, y, X_test, y_test = load("multilabel")
        model = meta(MODEL, n_jobs=2).fit(X, y)
        fits = [fit(X, column) for column in y.T]
        for fitted, expected in zip(model.estimators_, fits, strict=True):
            assert_same_model(fitted, expected)
        assert_array_equal(model.predict(X_test), np.column_stack([each.predict(X_test) for each in fits]))
        assert accuracy_score(y_test.ravel(), model.predict(X_test).ravel()) > 0.75

    def test_outputs_of_several_classes_with_weights(self):
        X, y, X_test, y_test = load("multiclass")
        targets, weights = np.column_stack([y, y == 1]), np.random.RandomState(0).rand(len(y))
        model = MultiOutputClassifier(MODEL).fit(X, targets, sample_weight=weights)
        for column, fitted in enumerate(model.estimators_):
            expected = fit(X, targets[:, column], weights)
            assert_same_model(fitted, expected)
            assert_array_equal(model.predict_proba(X_test)[column], expected.predict_proba(X_test))
        assert model.score(X_test, np.column_stack([y_test, y_test == 1])) > 0.85

    @pytest.mark.parametrize("cv", [None, 3])
    def test_a_chain(self, cv):
        X, y, X_test, y_test = load("multilabel")
        order = [2, 0, 1]
        chain = ClassifierChain(MODEL, order=order, cv=cv, chain_method="predict_proba").fit(X, y)
        seen, new = X, X_test
        expected = np.empty((len(X_test), 3))
        for fitted, label in zip(chain.estimators_, order, strict=True):
            model = fit(seen, y[:, label])
            assert_same_model(fitted, model)
            expected[:, label] = model.predict_proba(new)[:, 1]
            known = y[:, label]
            if cv is not None:
                known = cross_val_predict(clone(MODEL), seen, known, cv=cv, method="predict_proba")[:, 1]
            seen, new = np.column_stack([seen, known]), np.column_stack([new, expected[:, label]])
        assert_array_equal(chain.predict_proba(X_test), expected)
        assert accuracy_score(y_test.ravel(), chain.predict(X_test).ravel()) > 0.75


def test_self_training():
    X, y, X_test, y_test = load("binary")
    labels = np.where(np.random.RandomState(0).rand(len(y)) < 0.1, y, -1)
    model = SelfTrainingClassifier(MODEL, threshold=0.95).fit(X, labels)
    known = labels.copy()
    while True:
        teacher = fit(X[known != -1], known[known != -1])
        probabilities = teacher.predict_proba(X)
        sure = (known == -1) & (probabilities.max(axis=1) > 0.95)
        if not sure.any():
            break
        known[sure] = probabilities[sure].argmax(axis=1)
    assert_array_equal(model.transduction_, known)
    assert_same_model(model.estimator_, teacher)
    assert model.n_iter_ > 2
    assert (known != -1).mean() > 0.5
    assert model.score(X_test, y_test) > 0.85
