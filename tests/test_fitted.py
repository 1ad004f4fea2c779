"""The network that an estimator's attributes describe, also where a user has set them."""

import copy
import pickle
import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._fitted import read_network
from tests.problems import load_table

NAMES = ("binary", "multiclass", "multilabel")
CLASSES = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "multilabel": [0, 1]}
ATTRIBUTES = ("coefs_", "intercepts_", "classes_")
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def labelled(name):
    X, y = load_table(name)
    return X, y if name == "multilabel" else np.array(CLASSES[name])[y]


@pytest.fixture(scope="module")
def fitted():
    """Return a fitted model of each kind, without and with hidden layers."""
    model = DeepLogisticClassifier(alpha=1.0, early_stopping=False, random_state=0)
    return {
        (name, hidden): clone(model).set_params(hidden_layer_sizes=hidden).fit(*labelled(name))
        for name in NAMES
        for hidden in ((), (4, 3))
    }


def by_hand(estimator, model, **others):
    """Return an estimator with the weights and classes of a fitted model."""
    for name in ATTRIBUTES:
        setattr(estimator, name, getattr(model, name))
    for name, value in others.items():
        setattr(estimator, name, value)
    return estimator


def weights(*sizes, seed=0):
    rng = np.random.RandomState(seed)
    return {
        "coefs_": [rng.randn(n, m) for n, m in pairwise(sizes)],
        "intercepts_": [rng.randn(m) for m in sizes[1:]],
    }


def hand_made(**attributes):
    estimator = DeepLogisticClassifier()
    vars(estimator).update(attributes)
    return estimator


class TestCoef:
    @pytest.mark.parametrize(("name", "n_rows"), [("binary", 1), ("multiclass", 3), ("multilabel", 2)])
    def test_scores_are_linear_in_the_columns(self, name, n_rows, fitted):
        X, _ = load_table(name)
        model = fitted[name, ()]
        assert model.coef_.shape == (n_rows, X.shape[1])
        assert model.intercept_.shape == (n_rows,)
        scores = X @ model.coef_.T + model.intercept_
        assert_allclose(scores[:, 0] if name == "binary" else scores, model.decision_function(X), rtol=1e-12)

    @pytest.mark.parametrize("name", ["binary", "multiclass"])
    def test_they_are_those_of_logistic_regression(self, name):
        X, y = labelled(name)
        linear = LogisticRegression(tol=1e-8, max_iter=1000).fit(X, y)
        model = DeepLogisticClassifier((), alpha=1.0, tol=1e-8).fit(X, y)
        assert model.coef_.shape == linear.coef_.shape
        assert model.intercept_.shape == linear.intercept_.shape
        assert_allclose(model.coef_, linear.coef_, atol=1e-5)
        expected = linear.intercept_ - (linear.intercept_.mean() - model.intercept_.mean())  # the same for all classes
        assert_allclose(model.intercept_, expected, atol=1e-4)

    def test_each_label_has_the_row_of_its_own_logistic_regression(self):
        X, y = labelled("multilabel")
        linear = MultiOutputClassifier(LogisticRegression(tol=1e-8, max_iter=1000)).fit(X, y)
        model = DeepLogisticClassifier((), alpha=1.0, tol=1e-8).fit(X, y)
        for row, one in zip(model.coef_, linear.estimators_, strict=True):
            assert_allclose(row, one.coef_[0], atol=1e-4)

    def test_the_classifier_with_cross_validation_has_them_too(self):
        X, y = labelled("binary")
        model = DeepLogisticClassifierCV((), alphas=[1.0, 10.0], cv=3).fit(X, y)
        assert model.coef_.shape == (1, X.shape[1])
        assert_allclose((X @ model.coef_.T + model.intercept_)[:, 0], model.decision_function(X), rtol=1e-12)
        assert not hasattr(model.set_params(refit=False).fit(X, y), "coef_")

    @pytest.mark.parametrize("attribute", ["coef_", "intercept_"])
    def test_a_network_with_hidden_layers_has_none(self, attribute, fitted):
        assert not hasattr(fitted["binary", (4, 3)], attribute)
        with pytest.raises(AttributeError, match=rf"{attribute} .*hidden_layer_sizes=\(\)\).* has 2 of them.*coefs_"):
            getattr(fitted["binary", (4, 3)], attribute)

    @pytest.mark.parametrize("estimator", [DeepLogisticClassifier(()), DeepLogisticClassifierCV(())])
    @pytest.mark.parametrize("attribute", ["coef_", "intercept_"])
    def test_before_fit_there_are_none(self, estimator, attribute):
        assert not hasattr(estimator, attribute)
        with pytest.raises(AttributeError, match="not fitted yet"):
            getattr(estimator, attribute)

    def test_they_are_no_state(self, fitted):
        model = fitted["binary", ()]
        assert not {"coef_", "intercept_"} & set(vars(model))
        assert_array_equal(pickle.loads(pickle.dumps(model)).coef_, model.coef_)
        changed = copy.deepcopy(model)
        changed.coefs_ = [2 * model.coefs_[0]]
        assert_array_equal(changed.coef_, 2 * model.coef_)

    @pytest.mark.parametrize("name", ["binary", "multiclass"])
    def test_selectors_take_them(self, name, fitted):
        X, y = labelled(name)
        n_kept = X.shape[1] // 2
        model = DeepLogisticClassifier((), alpha=1.0)
        rfe = RFE(model, n_features_to_select=n_kept, step=X.shape[1] - n_kept).fit(X, y)
        sizes = (fitted[name, ()].coef_ ** 2).sum(axis=0)
        assert set(np.flatnonzero(rfe.support_)) == set(np.argsort(-sizes)[:n_kept])
        chosen = SelectFromModel(model, threshold=-np.inf, max_features=n_kept).fit(X, y)
        assert chosen.get_support().sum() == n_kept


class TestWeightsSetByHand:
    @pytest.mark.parametrize("hidden", [(), (4, 3)])
    @pytest.mark.parametrize("name", NAMES)
    def test_nothing_else_is_needed(self, name, hidden, fitted):
        X, y = labelled(name)
        model = fitted[name, hidden]
        others = {"out_activation_": "logistic"} if name == "multilabel" else {}
        estimator = by_hand(DeepLogisticClassifier(), model, **others)
        for method in METHODS:
            assert_array_equal(getattr(estimator, method)(X), getattr(model, method)(X))
        assert estimator.score(X, y) == model.score(X, y)
        assert set(vars(estimator)) == set(DeepLogisticClassifier().get_params()) | set(ATTRIBUTES) | set(others)

    @pytest.mark.parametrize("before", NAMES)
    @pytest.mark.parametrize("name", ["binary", "multiclass"])
    def test_attributes_of_an_earlier_fit_do_not_count_where_the_weights_say_otherwise(self, name, before, fitted):
        X, _ = load_table(name)
        model = fitted[name, (4, 3)]
        estimator = by_hand(copy.deepcopy(fitted[before, ()]), model)
        if name == before:
            estimator.n_outputs_ = 7
        for method in METHODS:
            assert_array_equal(getattr(estimator, method)(X), getattr(model, method)(X))

    def test_the_average_of_two_fits(self, fitted):
        """Federated averaging, on an estimator that was never fitted."""
        X, y = labelled("multiclass")
        parts = [DeepLogisticClassifier((), alpha=1.0).fit(X[start::2], y[start::2]) for start in (0, 1)]
        mean = DeepLogisticClassifier(())
        mean.coefs_ = [np.mean([part.coefs_[0] for part in parts], axis=0)]
        mean.intercepts_ = [np.mean([part.intercepts_[0] for part in parts], axis=0)]
        mean.classes_ = parts[0].classes_
        expected = np.mean([part.decision_function(X) for part in parts], axis=0)
        assert_allclose(mean.decision_function(X), expected, atol=1e-12)
        assert mean.score(X, y) > 0.9

    def test_the_weights_of_an_mlp(self):
        X, y = labelled("multiclass")
        mlp = MLPClassifier((4,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0).fit(X, y)
        assert_allclose(by_hand(DeepLogisticClassifier(), mlp).predict_proba(X), mlp.predict_proba(X), rtol=1e-9)

    def test_labels_of_several_kinds_are_told_by_the_activation(self):
        X = np.eye(3)
        numbers = {**weights(3, 2), "classes_": np.arange(2)}
        multiclass, multilabel = hand_made(**numbers), hand_made(**numbers, out_activation_="logistic")
        assert multiclass.predict(X).shape == (3,)
        assert_allclose(multiclass.predict_proba(X).sum(axis=1), 1)
        assert multilabel.predict(X).shape == (3, 2)
        assert_array_equal(multilabel.predict(X), multilabel.decision_function(X) > 0)

    @pytest.mark.parametrize("container", [list, tuple, np.float16, np.float32, np.int64, np.longdouble, bool])
    def test_weights_of_other_types(self, container, fitted):
        X, _ = load_table("binary")
        numbers = {name: [np.rint(array) for array in arrays] for name, arrays in weights(X.shape[1], 2, 1).items()}
        expected = hand_made(**numbers, classes_=np.array([0, 1]))
        if container in (list, tuple):
            numbers = {name: container(array.tolist() for array in arrays) for name, arrays in numbers.items()}
        else:
            numbers = {name: [array.astype(container) for array in arrays] for name, arrays in numbers.items()}
            expected = hand_made(
                **{name: [array.astype(np.float64) for array in arrays] for name, arrays in numbers.items()},
                classes_=np.array([0, 1]),
            )
        estimator = hand_made(**numbers, classes_=[0, 1])
        assert_allclose(estimator.decision_function(X), expected.decision_function(X), rtol=1e-5, atol=1e-5)
        assert_array_equal(estimator.predict(X), expected.predict(X))

    @pytest.mark.parametrize("missing", ATTRIBUTES)
    @pytest.mark.parametrize("method", METHODS)
    def test_what_is_missing_is_named(self, missing, method):
        estimator = hand_made(**weights(3, 2, 1), classes_=np.array([0, 1]))
        delattr(estimator, missing)
        with pytest.raises(NotFittedError, match=rf"has no {missing}: .*coefs_, intercepts_ and classes_"):
            getattr(estimator, method)(np.zeros((1, 3)))

    @pytest.mark.parametrize(
        ("attributes", "message"),
        [
            ({"coefs_": np.ones((3, 1))}, r"coefs_\[0\] must be a 2-d array of numbers, got shape \(1,\)"),
            ({"coefs_": 3.0}, "coefs_ must be a list of arrays, one for each layer"),
            ({"coefs_": []}, r"coefs_ and intercepts_ .* one array for each layer, got 0 and 2"),
            ({"coefs_": weights(3, 2)["coefs_"]}, "coefs_ and intercepts_ .* one array for each layer, got 1 and 2"),
            ({"coefs_": [np.ones((3, 2)), np.ones((4, 1))]}, r"coefs_\[1\] must have 2 rows, .* got shape \(4, 1\)"),
            ({"coefs_": [[[1.0, 2.0], [3.0]], np.ones((2, 1))]}, r"coefs_\[0\] must be a 2-d array of numbers"),
            ({"coefs_": [np.full((3, 2), "a"), np.ones((2, 1))]}, r"coefs_\[0\] must be a 2-d .*dtype <U1"),
            ({"coefs_": [np.full((3, 2), 1j), np.ones((2, 1))]}, r"coefs_\[0\] must be a 2-d .*dtype complex128"),
            ({"coefs_": [sparse.csr_array((3, 2)), np.ones((2, 1))]}, r"coefs_\[0\] must be a 2-d"),
            ({"intercepts_": [np.ones(2), 1.0]}, r"intercepts_\[1\] must be a 1-d array of numbers, got shape \(\)"),
            ({"intercepts_": [np.ones(3), np.ones(1)]}, r"intercepts_\[0\] must have shape \(2,\), got \(3,\)"),
            ({"intercepts_": [np.ones(2), np.ones((1, 1))]}, r"intercepts_\[1\] must be a 1-d"),
            (
                {"classes_": np.arange(3)},
                r"classes_ must hold 2 labels for the 1 column\(s\) of coefs_\[-1\]",
            ),
            ({"classes_": "ab"}, r"classes_ must hold 2 labels"),
            ({"classes_": [[0], [1]]}, r"classes_ must hold 2 labels .*\(2, 1\)"),
            ({**weights(3, 4, 3), "classes_": [0, 1]}, r"classes_ must hold 3 labels for the 3 column"),
            ({**weights(3, 4, 0), "classes_": []}, r"coefs_\[1\] must have at least one column"),
            (
                {**weights(3, 4, 2), "out_activation_": "sigmoid"},
                "out_activation_ must be 'softmax' .* or 'logistic' .* got 'sigmoid'",
            ),
        ],
    )
    def test_what_does_not_fit_is_named(self, attributes, message):
        estimator = hand_made(**{**weights(3, 2, 1), "classes_": np.array([0, 1]), **attributes})
        for method in METHODS:
            with pytest.raises(ValueError, match=message):
                getattr(estimator, method)(np.zeros((1, 3)))

    @pytest.mark.parametrize("stale", [{}, {"n_features_in_": 5}, {"n_features_in_": 4}])
    def test_rows_of_another_width_get_the_usual_message(self, stale):
        estimator = hand_made(**weights(4, 2, 1), classes_=np.array([0, 1]), **stale)
        assert estimator.predict(np.zeros((2, 4))).shape == (2,)
        for width in (3, 5):
            message = f"X has {width} features, but DeepLogisticClassifier is expecting 4 features as input"
            with pytest.raises(ValueError, match=message):
                estimator.predict(np.zeros((2, width)))
        assert getattr(estimator, "n_features_in_", None) == stale.get("n_features_in_")

    def test_names_of_an_earlier_fit_go_with_its_columns(self):
        pandas = pytest.importorskip("pandas")
        X, y = labelled("binary")
        frame = pandas.DataFrame(X).rename(columns="c{}".format)
        estimator = DeepLogisticClassifier((), alpha=1.0).fit(frame, y)
        estimator.coefs_ = [estimator.coefs_[0][:3]]
        narrow = frame.iloc[:, 5:8]
        predicted = estimator.predict(narrow.to_numpy())
        with pytest.warns(UserWarning, match="X has feature names, but .* was fitted without"):
            assert_array_equal(estimator.predict(narrow), predicted)
        estimator.feature_names_in_ = narrow.columns.to_numpy()
        assert_array_equal(estimator.predict(narrow), predicted)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_weights_that_are_not_finite_are_named(self, value):
        estimator = hand_made(**weights(3, 2, 1), classes_=np.array([0, 1]))
        estimator.coefs_[1][0] = value
        estimator.intercepts_[1][0] = np.nan
        with pytest.raises(ValueError, match=r"coefs_\[1\] holds numbers that are not finite"):
            estimator.predict(np.ones((1, 3)))

    def test_deviations_of_another_fit_are_refused(self):
        X, y = labelled("binary")
        estimator = DeepLogisticClassifier((3,), random_state=0).fit(X, y)
        vars(estimator).update(weights(X.shape[1], 3, 3), classes_=np.arange(3))
        with pytest.raises(ValueError, match="Variances need the weights of the fit"):
            estimator.decision_function(X, return_std=True)
        never = hand_made(**weights(3, 2, 1), classes_=np.array([0, 1])).set_params(predictive="laplace")
        with pytest.raises(ValueError, match="Variances need a fit"):
            never.predict_proba(np.ones((1, 3)))

    def test_the_classifier_with_cross_validation_takes_them_too(self, fitted):
        X, _ = load_table("multiclass")
        model = fitted["multiclass", (4, 3)]
        assert_array_equal(by_hand(DeepLogisticClassifierCV(), model).predict_proba(X), model.predict_proba(X))


class TestWarmStartByHand:
    def continued(self, model, X, y, **others):
        """Return a fit from the weights of a model."""
        parameters = {"alpha": 0.5, "early_stopping": False, "warm_start": True}
        estimator = by_hand(DeepLogisticClassifier((4, 3), **parameters), model)
        vars(estimator).update(others)
        return estimator.fit(X, y)

    @pytest.mark.parametrize("stale", [{}, {"n_features_in_": 99, "n_outputs_": 7, "out_activation_": "logistic"}])
    @pytest.mark.parametrize("name", ["binary", "multiclass"])
    def test_it_is_the_warm_start_of_a_fit(self, name, stale, fitted):
        X, y = labelled(name)
        start = fitted[name, (4, 3)]
        expected = copy.deepcopy(start).set_params(warm_start=True, alpha=0.5).fit(X, y)
        model = self.continued(start, X, y, **stale)
        assert model.loss_curve_ == expected.loss_curve_
        for coef, other in zip(model.coefs_, expected.coefs_, strict=True):
            assert_array_equal(coef, other)
        assert model.n_features_in_ == X.shape[1]
        assert (model.n_outputs_, model.out_activation_) == (start.n_outputs_, start.out_activation_)

    def test_lists_will_do(self, fitted):
        X, y = labelled("binary")
        start = fitted["binary", (4, 3)]
        lists = {name: [part.tolist() for part in getattr(start, name)] for name in ("coefs_", "intercepts_")}
        model = self.continued(start, X, y, **lists, classes_=["no", "yes"])
        assert model.loss_curve_ == self.continued(start, X, y).loss_curve_

    @pytest.mark.parametrize("others", [{}, {"alpha_": 2.0}, {"alpha_": np.ones(4)}])
    @pytest.mark.parametrize("grouping", ["shared", "layer", "feature"])
    def test_alphas_may_be_missing(self, others, grouping):
        X, y = (part[::3] for part in labelled("binary"))
        X = X[:, :3]
        estimator = DeepLogisticClassifier((2,), alpha_grouping=grouping, warm_start=True, random_state=0)
        vars(estimator).update(weights(3, 2, 1), classes_=np.array(["no", "yes"]), **others)
        assert estimator.fit(X, y).n_effective_parameters_ > 1

    def test_rows_of_another_width_get_the_usual_message(self, fitted):
        X, y = labelled("binary")
        message = "X has 4 features, but DeepLogisticClassifier is expecting 30 features as input"
        for stale in ({}, {"n_features_in_": 4}, {"n_features_in_": 30}):
            with pytest.raises(ValueError, match=message):
                self.continued(fitted["binary", (4, 3)], X[:, :4], y, **stale)

    def test_what_is_missing_is_named(self, fitted):
        X, y = labelled("binary")
        estimator = DeepLogisticClassifier((4, 3), warm_start=True)
        estimator.coefs_ = fitted["binary", (4, 3)].coefs_
        with pytest.raises(NotFittedError, match="has no intercepts_ and classes_"):
            estimator.fit(X, y)


def test_a_fit_is_read_without_a_copy(fitted):
    for model in fitted.values():
        network = read_network(model)
        for read, kept in zip(network.coefs + network.intercepts, model.coefs_ + model.intercepts_, strict=True):
            assert read is kept
        assert network.labels.classes is model.classes_
        assert network.labels.n_outputs == model.n_outputs_
        assert network.labels.loss.out_activation == model.out_activation_


def test_any_object_with_the_attributes_can_be_read():
    network = read_network(SimpleNamespace(**weights(3, 1), classes_=["b", "a"]))
    assert network.labels.classes.tolist() == ["b", "a"]
    with pytest.raises(NotFittedError, match=re.escape("This SimpleNamespace has no coefs_, intercepts_ and classes_")):
        read_network(SimpleNamespace())
