"""Predictions and how sure they are."""

import copy
import pickle
import re
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._laplace.posterior import NoPosterior
from skrelu._predictor import finite_scores
from tests import literal
from tests.problems import load_table


def reset(model, **attributes):
    """Return a copy of a fitted model with other attributes."""
    other = copy.copy(model)
    vars(other).update(attributes)
    return other


@pytest.fixture(scope="module")
def fitted():
    """Return models of every kind, with all terms of their curvature."""
    model = DeepLogisticClassifier((5,), n_curvature_terms=10**6, random_state=0)
    return {name: clone(model).fit(*load_table(name)) for name in ("binary", "multiclass", "multilabel")}


class TestReturnStd:
    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_it_is_that_of_the_full_matrix(self, name, fitted):
        """sqrt(j^T A^-1 j), with j from the literal equations; of classes, of each score less the mean over them."""
        X, _ = load_table(name)
        model = fitted[name]
        W, b = [coef.T for coef in model.coefs_], model.intercepts_
        G = literal.curvature(W, b, X, is_multinomial=name == "multiclass")
        inverse = np.linalg.inv(G + np.diag(model.alpha_[literal.group_of_each_weight(W, "feature")]))
        new = 2 * X[::40]
        scores, std = (part.reshape(len(new), -1) for part in model.decision_function(new, return_std=True))
        for x, f, deviation in zip(new, scores, std, strict=True):
            assert_allclose(f, literal.score(W, b, x), rtol=1e-9, atol=1e-12)
            J = literal.jacobian(W, b, x)
            J = J - J.mean(axis=0) if name == "multiclass" else J
            assert_allclose(deviation, np.sqrt(np.diag(J @ inverse @ J.T)), rtol=1e-6)

    @pytest.mark.parametrize(("name", "shape"), [("binary", (7,)), ("multiclass", (7, 3)), ("multilabel", (7, 2))])
    def test_shapes(self, name, shape, fitted):
        X, _ = load_table(name)
        scores, std = fitted[name].decision_function(X[:7], return_std=True)
        assert scores.shape == std.shape == shape
        assert fitted[name].decision_function(X[:7]).shape == shape
        assert (std > 0).all()

    def test_the_scores_beside_it_are_never_moderated(self, fitted):
        X, _ = load_table("binary")
        plain = fitted["binary"].decision_function(X)
        posterior = fitted["binary"]._posterior  # which a copy leaves out
        moderated = reset(fitted["binary"], predictive="laplace", _posterior=posterior)
        scores, std = moderated.decision_function(X, return_std=True)
        assert_array_equal(scores, plain)
        assert moderated.laplace_scale_ < 1
        expected = plain / np.sqrt(1 + np.pi / 8 * moderated.laplace_scale_ * std**2)
        assert_allclose(moderated.decision_function(X), expected, rtol=1e-12)


class TestWithoutPosterior:
    @pytest.mark.parametrize("reason", NoPosterior)
    def test_variances_are_refused_with_the_reason(self, reason, fitted):
        X, _ = load_table("binary")
        model = reset(fitted["binary"], _posterior=reason)
        with pytest.raises(ValueError, match=re.escape(reason.value)):
            model.decision_function(X, return_std=True)

    def test_while_a_fit_is_under_way_predictions_are_not_moderated(self, fitted):
        X, _ = load_table("binary")
        model = reset(fitted["binary"], _posterior=NoPosterior.PENDING, predictive="laplace")
        assert_array_equal(model.predict_proba(X), fitted["binary"].predict_proba(X))
        for reason in (NoPosterior.NOT_MEASURED, NoPosterior.NOT_SAVED):
            for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
                with pytest.raises(ValueError, match=re.escape(reason.value)):
                    getattr(reset(model, _posterior=reason), method)(X)


class TestOverflow:
    coefs: ClassVar = [np.array([[1e200], [0.0]]), np.array([[1e200]])]
    intercepts: ClassVar = [np.zeros(1), np.zeros(1)]

    def test_scores_that_overflow_are_an_error_that_names_the_largest_value(self):
        X = np.array([[1.0, -3e7], [0.0, 2.0]])
        with pytest.raises(ValueError, match=r"X holds values up to 3e\+07, for which scores in float64 overflow"):
            finite_scores(self.coefs, self.intercepts, X, None)
        assert_array_equal(finite_scores(self.coefs, self.intercepts, X[1:], None), [[0.0]])

    def test_the_dtype_of_the_scores_is_named(self):
        coefs, intercepts = ([part.astype("f4") for part in parts] for parts in ([np.ones((1, 1))], [np.zeros(1)]))
        rows = np.array([[3e38]], dtype="f4")
        assert finite_scores(coefs, intercepts, rows, None).tolist() == rows.tolist()
        with pytest.raises(ValueError, match="scores in float32 overflow"):
            finite_scores([2 * coefs[0]], intercepts, rows, None)

    @pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
    def test_every_method_refuses_such_rows(self, method, fitted):
        with pytest.raises(ValueError, match=r"X holds values up to 1e\+308, .*scale X as the training data"):
            getattr(fitted["multiclass"], method)(1e308 * np.sign(load_table("multiclass")[0]))


class TestProbabilities:
    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_they_are_sigmoid_or_softmax_of_the_literal_scores(self, name, fitted):
        X, _ = load_table(name)
        model = fitted[name]
        for x, p, log_p in zip(X[:5], model.predict_proba(X), model.predict_log_proba(X), strict=False):
            f = literal.score([coef.T for coef in model.coefs_], model.intercepts_, x)
            expected = {
                "binary": lambda f: [1 / (1 + np.exp(f[0])), 1 / (1 + np.exp(-f[0]))],
                "multiclass": lambda f: np.exp(f) / np.exp(f).sum(),
                "multilabel": lambda f: 1 / (1 + np.exp(-f)),
            }[name](f)
            assert_allclose(p, expected, rtol=1e-9)
            assert_allclose(log_p, np.log(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", [DeepLogisticClassifier(), DeepLogisticClassifierCV()])
def test_scikit_learn_is_told_what_is_taken(model):
    tags = get_tags(model)
    assert tags.input_tags.sparse
    assert tags.classifier_tags.multi_label
    assert tags.classifier_tags.multi_class
    assert tags.estimator_type == "classifier"
    assert not tags.input_tags.allow_nan


def test_before_fit_there_is_nothing_to_predict():
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(DeepLogisticClassifier(), method)(np.zeros((2, 3)))


class TestUncertainty:
    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_variance_grows_away_from_the_data(self, name):
        X, y = load_table(name)
        model = DeepLogisticClassifier((20,), random_state=0).fit(X, y)
        scores, near = model.decision_function(X, return_std=True)
        assert near.shape == scores.shape == model.decision_function(X).shape
        _, far = model.decision_function(10 * X, return_std=True)
        assert np.median(far / near) > 3

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_far_from_the_data_probabilities_do_not_saturate(self, name):
        X, y = load_table(name)
        model = DeepLogisticClassifier((20,), random_state=0).fit(X, y)
        rng = np.random.RandomState(0)
        far = rng.randn(500, X.shape[1])
        far *= 1e4 / np.linalg.norm(far, axis=1, keepdims=True)
        at_map = model.predict_proba(far)
        model.set_params(predictive="laplace")
        assert np.median(at_map.max(axis=1)) > 0.999
        limit = 1 / 3 if name == "multiclass" else 1 / 2
        assert_allclose(model.predict_proba(far), limit, atol=0.02)
        assert_allclose(model.predict_proba(1e3 * far), limit, atol=2e-5)

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("name", ["binary", "multilabel"])
    def test_moderation_changes_no_label(self, name, dtype):
        X, y = load_table(name)
        model = DeepLogisticClassifier((20,), random_state=0).fit(X.astype(dtype), y)
        for distance in (1, 1e4, 1e30 if dtype is np.float32 else 1e150):
            rows = (distance * X).astype(dtype)
            at_map = model.set_params(predictive="map").predict(rows)
            assert_array_equal(model.set_params(predictive="laplace").predict(rows), at_map)

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_the_formula_of_the_factor(self, name):
        """v r tau^(1/r), r = max(1, q / reach), the reach being the largest q of a training row, j^T j / alpha."""
        X, y = load_table(name)
        model = DeepLogisticClassifier((5,), predictive="laplace", random_state=0).fit(X, y)
        alphas = model.alpha_[literal.group_of_each_weight([coef.T for coef in model.coefs_], "feature")]
        rows = np.vstack([X[::10], 3 * X[::10], 20 * X[::10]])

        def prior_variances(x):
            J = literal.jacobian([coef.T for coef in model.coefs_], model.intercepts_, x)
            J = J - J.mean(axis=0) if name == "multiclass" else J
            return np.diag(J / alphas @ J.T)

        q = np.array([prior_variances(x) for x in rows])
        r = np.maximum(1, q / np.max([prior_variances(x) for x in X], axis=0))
        assert np.median(r[-len(X[::10]) :]) > 1
        scores, std = (part.reshape(len(rows), -1) for part in model.decision_function(rows, return_std=True))
        variances = std**2 * r * model.laplace_scale_ ** (1 / r)
        scores = scores - scores.mean(axis=1, keepdims=True) if name == "multiclass" else scores
        moderated = model.decision_function(rows).reshape(len(rows), -1)
        assert_allclose(moderated, scores / np.sqrt(1 + np.pi / 8 * variances), rtol=1e-8, atol=1e-12)

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_it_may_be_asked_for_after_the_fit(self, name):
        X, y = load_table(name)
        before, after = (DeepLogisticClassifier((5,), predictive=p, random_state=0) for p in ("laplace", "map"))
        before.fit(X, y)
        after.fit(X, y).set_params(predictive="laplace")
        assert before.laplace_scale_ == after.laplace_scale_ < 1
        for distance in (1, 10):
            assert_array_equal(before.predict_proba(distance * X), after.predict_proba(distance * X))

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_every_method_tells_the_same_moderated_story(self, name):
        X, y = load_table(name)
        model = DeepLogisticClassifier((20,), random_state=0).fit(X, y)
        scores, std = model.decision_function(X, return_std=True)
        at_map = model.predict_proba(X)
        model.set_params(predictive="laplace")
        moderated, probabilities = model.decision_function(X), model.predict_proba(X)
        kappa = 1 / np.sqrt(1 + np.pi / 8 * model.laplace_scale_ * std**2)
        if name == "multiclass":
            scores = scores - scores.mean(axis=1, keepdims=True)
            assert_allclose(probabilities, softmax(moderated, axis=1))
            assert_array_equal(model.predict(X), probabilities.argmax(axis=1))
        else:
            last = probabilities if name == "multilabel" else probabilities[:, 1]
            assert_allclose(last, expit(moderated))
            assert_array_equal(model.predict(X), last > 0.5)
        assert_allclose(moderated, kappa * scores, rtol=1e-6)
        assert np.mean(np.abs(probabilities - 0.5)) < np.mean(np.abs(at_map - 0.5))
        assert_allclose(np.exp(model.predict_log_proba(X)), probabilities, rtol=1e-9)
        assert_allclose(model.decision_function(X, return_std=True)[1], std)

    def test_a_pickle_leaves_the_posterior_out_unless_asked(self):
        X, y = load_table("binary")
        model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        std = model.decision_function(X, return_std=True)[1]
        small = pickle.dumps(model)
        for other in (pickle.loads(small), copy.deepcopy(model)):
            assert_array_equal(other.predict_proba(X), model.predict_proba(X))
            with pytest.raises(ValueError, match="leave out unless predictive='laplace'"):
                other.decision_function(X, return_std=True)
        model.set_params(predictive="laplace")
        large = pickle.dumps(model)
        assert_array_equal(pickle.loads(large).decision_function(X, return_std=True)[1], std)
        m = len(model._posterior.slopes)
        assert len(small) < 20_000 < len(large) < 8 * (m * (m + 1) / 2 + m * (X.shape[1] + 1)) + 30_000

    def test_without_curvature_variances_are_refused(self):
        X, y = load_table("binary")
        model = DeepLogisticClassifier((5,), alpha=1.0, random_state=0).fit(X, y)
        assert model.log_evidence_ is model.n_effective_parameters_ is model.laplace_scale_ is None
        with pytest.raises(ValueError, match="alpha='evidence' or predictive='laplace'"):
            model.decision_function(X, return_std=True)
        with pytest.raises(ValueError, match="need a fit of"):
            model.set_params(predictive="laplace").predict_proba(X)

    def test_rows_too_far_away_for_a_variance_are_refused(self):
        X, y = load_table("binary")
        model = DeepLogisticClassifier((4,), predictive="laplace", random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="for which variances overflow"):
            model.predict_proba(X[:2] * 1e155)
