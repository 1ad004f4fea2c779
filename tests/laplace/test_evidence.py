"""The alphas chosen, and what is promised of a fit that chooses them."""

import copy
import pickle
import warnings
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, log_expit, softmax
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skrelu import DeepLogisticClassifier


def load(name):
    if name == "multilabel":
        X, y = load_breast_cancer(return_X_y=True)
        return StandardScaler().fit_transform(X), np.column_stack([y, X[:, 1] > 20]).astype(int)
    X, y = {"binary": load_breast_cancer, "multiclass": load_iris}[name](return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def noisy():
    """A small table of which a flexible model makes confident nonsense: 5 features of 30 matter, a fifth is wrong."""
    X, y = make_classification(600, 30, n_informative=5, n_redundant=0, flip_y=0.2, shuffle=False, random_state=0)
    return train_test_split(X, y, test_size=0.5, random_state=0)


class TestLogisticRegression:
    """Without a hidden layer, against MacKay's formulas by hand: dense matrices and a solver of scikit-learn's."""

    @staticmethod
    def by_hand(X, y, alpha):
        """Return gamma and the log evidence at the minimum for this alpha."""
        model = LogisticRegression(C=1 / alpha, solver="newton-cholesky", tol=1e-10, max_iter=500).fit(X, y)
        f = model.decision_function(X)
        H = (X.T * (expit(f) * expit(-f))) @ X
        w = model.coef_[0]
        gamma = np.sum(np.linalg.eigvalsh(H) / (alpha + np.linalg.eigvalsh(H)))
        A = H + alpha * np.eye(len(w))
        F = -log_expit((2 * y - 1) * f).sum() + 0.5 * alpha * w @ w
        log_evidence = -F + 0.5 * len(w) * np.log(alpha) - 0.5 * np.linalg.slogdet(A)[1]
        return gamma, w @ w, log_evidence

    def test_the_fixed_point(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((), alpha_grouping="shared", n_curvature_terms=10**6, tol=1e-8, max_iter=1000)
        model.fit(X, y)
        gamma, squared_norm, log_evidence = self.by_hand(X, y, model.alpha_)
        assert_allclose(model.n_effective_parameters_, gamma, rtol=1e-4)
        assert_allclose(model.log_evidence_, log_evidence, rtol=1e-5)
        assert_allclose(model.alpha_, gamma / squared_norm, rtol=0.05)  # the rounds end when it moves by less than 10%

    def test_no_other_alpha_has_more_evidence(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((), alpha_grouping="shared", n_curvature_terms=10**6, tol=1e-8, max_iter=1000)
        best = model.fit(X, y).log_evidence_
        # MacKay's update takes the curvature as given, so it ends near the maximum, not at it.
        for factor in (0.2, 5.0):
            assert self.by_hand(X, y, factor * model.alpha_)[2] < best

    def test_a_fixed_alpha_has_its_evidence_too(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((), alpha=3.0, predictive="laplace", n_curvature_terms=10**6, tol=1e-8)
        model.set_params(max_iter=1000).fit(X, y)
        gamma, _, log_evidence = self.by_hand(X, y, 3.0)
        assert_allclose(model.n_effective_parameters_, gamma, rtol=1e-6)
        assert_allclose(model.log_evidence_, log_evidence, rtol=1e-8)
        assert model.alpha_ == 3.0
        assert model.evidence_curve_ is None


class TestGroupings:
    def test_shapes(self):
        X, y = load("multiclass")
        shapes = {"shared": (), "layer": (3,), "feature": (5,)}
        for grouping, shape in shapes.items():
            model = DeepLogisticClassifier((6, 4), alpha_grouping=grouping, max_iter=2000, random_state=0).fit(X, y)
            assert np.shape(model.alpha_) == shape
            curve = model.evidence_curve_
            assert curve["alpha"].shape == (len(curve["n_iter"]), *shape)
            assert len(curve["log_evidence"]) == len(curve["n_effective_parameters"]) == len(curve["n_iter"])
            assert np.all(np.diff(curve["n_iter"]) > 0)
            assert 0 < model.n_effective_parameters_ < sum(coef.size for coef in model.coefs_)
            assert (model.feature_relevance_ is None) == (grouping != "feature")

    def test_features_that_matter_are_relevant(self, noisy):
        X, X_test, y, y_test = noisy
        model = DeepLogisticClassifier(random_state=0).fit(X, y)
        assert_allclose(model.feature_relevance_.sum(), 1)
        assert_allclose(model.feature_relevance_ * model.alpha_[:-1], model.feature_relevance_[0] * model.alpha_[0])
        assert model.feature_relevance_[:5].mean() > 1.3 * model.feature_relevance_[5:].mean()
        assert set(np.argsort(-model.feature_relevance_)[:2]) <= set(range(5))
        shared = DeepLogisticClassifier(alpha_grouping="shared", random_state=0).fit(X, y)
        assert log_loss(y_test, model.predict_proba(X_test)) < log_loss(y_test, shared.predict_proba(X_test))

    def test_a_constant_feature_does_no_harm(self):
        X, y = load("multiclass")
        model = DeepLogisticClassifier((5,), random_state=0).fit(np.column_stack([X, np.zeros(len(X))]), y)
        assert np.isfinite(model.alpha_).all()
        assert np.isfinite(model.predict_proba(np.column_stack([X, np.ones(len(X))]))).all()

    def test_a_fixed_alpha_for_each_layer(self):
        X, y = load("binary")
        one, two = (DeepLogisticClassifier((5,), alpha=a, random_state=0).fit(X, y) for a in (2.0, [2.0, 2.0]))
        assert_array_equal(one.coefs_[0], two.coefs_[0])
        assert two.alpha_.tolist() == [2.0, 2.0]
        strong = DeepLogisticClassifier((5,), alpha=(50.0, 2.0), random_state=0).fit(X, y)
        assert np.linalg.norm(strong.coefs_[0]) < np.linalg.norm(one.coefs_[0])


def test_overfitting_disappears(noisy):
    X, X_test, y, y_test = noisy
    losses = {}
    for alpha in (1e-4, 1.0, "evidence"):
        model = DeepLogisticClassifier(alpha=alpha, early_stopping=False, max_iter=1000, random_state=0).fit(X, y)
        losses[alpha] = log_loss(y_test, model.predict_proba(X_test))
    assert losses["evidence"] < 0.65  # always saying 1/2 costs 0.69
    assert losses[1.0] > 1.2 * losses["evidence"]
    assert losses[1e-4] > 3 * losses["evidence"]


def test_pure_noise_is_not_learned():
    rng = np.random.RandomState(0)
    X, y = rng.randn(400, 10), rng.randint(2, size=400)
    model = DeepLogisticClassifier(random_state=0).fit(X, y)
    assert np.abs(model.predict_proba(rng.randn(100, 10))[:, 1] - y.mean()).max() < 0.2


class TestPromises:
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_the_same_bits_for_every_n_jobs_and_blas_limit(self, name):
        X, y = load(name)
        X, y = np.vstack([X] * 8), np.concatenate([y] * 8)  # several blocks
        fits = []
        for n_jobs, limit in ((1, 1), (2, 2), (3, 1)):
            with threadpool_limits(limit):
                model = DeepLogisticClassifier((30,), max_iter=60, n_jobs=n_jobs, random_state=0)
                fits.append(model.fit(X, y))
        for other in fits[1:]:
            assert_array_equal(fits[0].coefs_[0], other.coefs_[0])
            assert fits[0].log_evidence_ == other.log_evidence_
            with threadpool_limits(1):
                stds = [fit.decision_function(X[:2000], return_std=True)[1] for fit in (fits[0], other)]
            assert_array_equal(*stds)

    @pytest.mark.parametrize("grouping", ["shared", "feature"])
    def test_repeated_rows_are_weights(self, grouping):
        X, y = load("multiclass")
        times = np.random.RandomState(0).randint(0, 4, size=len(y))
        model = DeepLogisticClassifier((5,), alpha_grouping=grouping, random_state=0)
        by_weight = clone(model).fit(X, y, sample_weight=times)
        by_rows = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
        assert_array_equal(by_weight.coefs_[0], by_rows.coefs_[0])
        assert_array_equal(by_weight.alpha_, by_rows.alpha_)
        assert by_weight.log_evidence_ == by_rows.log_evidence_

    def test_larger_weights_are_weighed_against_the_same_prior(self):
        """Every row a hundred times: the likelihood outweighs the prior, unlike for weights that are scaled away."""
        X, y = load("multiclass")
        light, heavy = (
            DeepLogisticClassifier((), random_state=0, max_iter=2000).fit(X, y, np.full(len(y), weight))
            for weight in (0.1, 100.0)
        )
        assert light.n_effective_parameters_ < 0.75 * heavy.n_effective_parameters_
        assert log_loss(y, heavy.predict_proba(X)) < log_loss(y, light.predict_proba(X))

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    @pytest.mark.parametrize("hidden", [(), (5,)])
    def test_sparse_rows(self, name, hidden):
        X, y = load(name)
        X = np.maximum(X, 0)
        dense, csr = (
            # all terms, since dense and sparse rows come in other blocks, with random numbers of their own
            DeepLogisticClassifier(hidden, n_curvature_terms=10**6, tol=1e-4, random_state=0).fit(c(X), y)
            for c in (np.asarray, sparse.csr_array)
        )
        assert_allclose(csr.decision_function(X), dense.decision_function(X), atol=0.05)
        assert_allclose(csr.log_evidence_, dense.log_evidence_, rtol=1e-3)
        stds = [fit.decision_function(c(X), return_std=True)[1] for fit, c in ((csr, sparse.csr_array), (dense, list))]
        assert_allclose(*stds, rtol=0.05)

    def test_float32(self):
        X, y = load("multiclass")
        single, double = (DeepLogisticClassifier((), random_state=0).fit(X.astype(t), y) for t in ("f4", "f8"))
        assert single.coefs_[0].dtype == np.float32
        assert_allclose(single.alpha_, double.alpha_, rtol=0.02)
        assert_allclose(single.log_evidence_, double.log_evidence_, rtol=1e-3)

    def test_validation_still_stops_early(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((20,), early_stopping=True, n_iter_no_change=5, random_state=0).fit(X, y)
        assert len(model.validation_scores_) == model.n_iter_ == len(model.loss_curve_)
        assert model.best_validation_score_ == max(model.validation_scores_)
        best = int(np.argmax(model.validation_scores_))
        ends = [*model.evidence_curve_["n_iter"], model.n_iter_ + 1]
        leg = next(number for number, end in enumerate(ends) if best + 1 <= end)
        if leg < len(model.evidence_curve_["alpha"]):
            assert_array_equal(model.alpha_, model.evidence_curve_["alpha"][leg])

    def test_nothing_is_held_out_by_default(self):
        X, y = load("binary")
        assert DeepLogisticClassifier((5,), random_state=0).fit(X, y).validation_scores_ is None

    def test_the_iterates_of_all_rounds_count(self):
        X, y = load("binary")
        with pytest.warns(ConvergenceWarning, match="n_iter_=25"):
            model = DeepLogisticClassifier((5,), max_iter=25, random_state=0).fit(X, y)
        assert len(model.loss_curve_) == model.n_iter_ == 25
        with pytest.warns(ConvergenceWarning, match="max_fun"):
            model = DeepLogisticClassifier((5,), max_fun=12, random_state=0).fit(X, y)
        assert 12 <= model.optimize_result_.nfev < 20

    def test_verbose_numbers_the_iterates_through(self, capsys):
        X, y = load("multiclass")
        model = DeepLogisticClassifier((5,), random_state=0, verbose=1).fit(X, y)
        numbers = [int(line.split("iterate")[1].split()[0]) for line in capsys.readouterr().out.splitlines()]
        assert numbers == list(range(model.n_iter_ + 1))

    def test_callbacks_see_every_iterate_and_can_predict(self):
        X, y = load("multiclass")
        seen = []

        class Watch(ProgressBar):
            def setup(self, estimator, context): ...
            def teardown(self, estimator, context): ...
            def on_fit_task_begin(self, estimator, context, **_): ...
            def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator=None, **_):
                if context.task_name == "iterate":
                    seen.append(fitted_estimator.predict_proba(X).shape)

        model = DeepLogisticClassifier((5,), predictive="laplace", random_state=0).set_callbacks(Watch())
        model.fit(X, y)
        assert seen == [(150, 3)] * model.n_iter_

    def test_ctrl_c_keeps_what_was_reached(self, monkeypatch):
        from skrelu._core.datafit import Datafit

        X, y = load("binary")
        for n_calls, name in ((3, "sample_terms"), (45, "value_and_gradient")):
            calls = []
            original = getattr(Datafit, name)

            def interrupt(self, *args, original=original, calls=calls, n_calls=n_calls, **options):
                calls.append(1)
                if len(calls) == n_calls:
                    raise KeyboardInterrupt
                return original(self, *args, **options)

            with monkeypatch.context() as patch:
                patch.setattr(Datafit, name, interrupt)
                with pytest.warns(UserWarning, match="interrupted by user"):
                    model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
            assert model.n_iter_ > 5
            assert np.isfinite(model.predict_proba(X)).all()
            assert model.alpha_.shape == (31,)

    def test_ctrl_c_while_the_final_curvature_is_measured(self, monkeypatch):
        from skrelu._laplace import evidence

        def interrupt(*args):
            raise KeyboardInterrupt

        X, y = load("multiclass")
        expected = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        monkeypatch.setattr(evidence.Evidence, "measure_well", interrupt)
        with pytest.warns(UserWarning, match="interrupted by user"):
            model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        assert_array_equal(model.coefs_[0], expected.coefs_[0])
        assert model.log_evidence_ is model.n_effective_parameters_ is None

    def test_a_curvature_that_is_not_finite_is_none(self, monkeypatch):
        from skrelu._laplace import evidence

        X, y = load("multiclass")
        monkeypatch.setattr(evidence.Curvature, "log_determinant", np.nan)
        with pytest.warns(ConvergenceWarning, match="the curvature could not be measured, so alpha stayed"):
            model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        assert model.log_evidence_ is None
        assert not model.optimize_result_.success
        assert_array_equal(model.alpha_, np.ones(5))
        with pytest.raises(ValueError, match="curvature could be measured"):
            model.decision_function(X, return_std=True)

    def test_rows_that_are_all_certain_carry_no_curvature(self):
        rng = np.random.RandomState(0)
        X = rng.randn(200, 6)
        y = (X[:, 0] > 0).astype(int)
        with pytest.warns(ConvergenceWarning, match="the curvature could not be measured"):
            model = DeepLogisticClassifier((10,), random_state=0).fit(X * 1e12, y)
        assert np.isfinite(model.predict_proba(X * 1e12)).all()

    def test_limits_that_come_before_alpha_has_settled_are_named(self):
        X, y = load("binary")
        for options, message in (
            ({"max_iter": 14}, "max_iter"),
            ({"max_iter": 10}, "max_iter iterations were done"),
            ({"max_fun": 9}, "max_fun evaluations"),
            ({"max_fun": 11}, "max_fun evaluations"),
        ):
            model = DeepLogisticClassifier((), alpha_grouping="shared", **options)
            with pytest.warns(ConvergenceWarning, match=f"minimum: .*{message}"):
                model.fit(X, y)
            assert model.optimize_result_.status == 1

    def test_units_of_the_features_are_those_of_alpha(self):
        X, y = load("binary")
        options = {"alpha_grouping": "shared", "n_curvature_terms": 569, "max_iter": 5000, "tol": 1e-9}
        plain, scaled = (DeepLogisticClassifier((), **options).fit(X * factor, y) for factor in (1.0, 1e4))
        assert_allclose(scaled.alpha_ / 1e8, plain.alpha_, rtol=0.2)

    @pytest.mark.parametrize("n_terms", [1, 5, 20])
    def test_very_few_terms_are_still_finite(self, n_terms):
        rng = np.random.RandomState(0)
        X = rng.randn(5000, 10)
        y = (X[:, 0] + rng.randn(5000) > 0).astype(int)
        model = DeepLogisticClassifier((30,), n_curvature_terms=n_terms, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        assert np.isfinite(model.log_evidence_)

    def test_rows_too_far_away_for_a_variance_are_refused(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((4,), predictive="laplace", random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="for which variances overflow"):
            model.predict_proba(X[:2] * 1e155)

    def test_a_warm_start_goes_on_from_its_alphas(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), warm_start=True, max_iter=2000, random_state=0).fit(X, y)
        n_iter, alpha = model.n_iter_, model.alpha_
        model.fit(X, y)
        assert model.n_iter_ < n_iter
        assert_allclose(np.log(model.alpha_), np.log(alpha), atol=0.5)

    def test_restarts_keep_the_highest_evidence(self):
        X, y = load("multiclass")
        single = [DeepLogisticClassifier((5,), random_state=0, n_init=n, max_iter=2000).fit(X, y) for n in (1, 4)]
        assert single[1].log_evidence_ >= single[0].log_evidence_

    def test_the_number_of_terms(self):
        X, y = load("binary")
        few, all_ = (
            DeepLogisticClassifier((5,), predictive="laplace", n_curvature_terms=n, random_state=0).fit(X, y)
            for n in (50, 569)
        )
        assert len(few._posterior.slopes) == 50
        assert len(all_._posterior.slopes) == 569
        assert_allclose(few.n_effective_parameters_, all_.n_effective_parameters_, rtol=0.2)


@pytest.fixture(scope="module")
def clean():
    """A table with little noise, where the penalty of the evidence outweighs the loss."""
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return train_test_split(X, y, train_size=300, stratify=y, random_state=0)


class TestWeakening:
    """On a clean table the penalty outweighs the loss, and a quarter of the alphas is tried."""

    @staticmethod
    def fit(X, y, **options):
        return DeepLogisticClassifier((20,), random_state=0, **options).fit(X, y)

    def test_it_lowers_the_test_loss(self, clean, monkeypatch):
        from skrelu._fit import rounds

        X, X_test, y, y_test = clean
        with_it = self.fit(X, y)
        monkeypatch.setattr(rounds, "_penalty_outweighs_loss", lambda *_: False)
        without = self.fit(X, y)
        assert np.mean(with_it.alpha_) < np.mean(without.alpha_) / 3
        assert with_it.log_evidence_ > without.log_evidence_
        losses = [log_loss(y_test, model.predict_proba(X_test)) for model in (with_it, without)]
        assert losses[0] < losses[1]

    @pytest.mark.parametrize("is_kept", [True, False])
    def test_what_is_kept_belongs_together(self, clean, is_kept, monkeypatch):
        from skrelu._fit import rounds

        X, _, y, _ = clean
        verdicts = iter([True, False] if is_kept else [False])
        monkeypatch.setattr(rounds._Judgement, "is_better_than", lambda *_: next(verdicts))
        model = self.fit(X, y)
        weights = [model.alpha_[:-1, np.newaxis], model.alpha_[-1]]
        penalty = sum((alpha * coef**2).sum() for alpha, coef in zip(weights, model.coefs_, strict=True)) / 2
        log_p = model.predict_log_proba(X)[np.arange(len(y)), y]
        assert_allclose(model.loss_, (penalty - log_p.sum()) / len(y), rtol=1e-9)
        assert len(model.loss_curve_) == model.n_iter_
        assert model.loss_ in model.loss_curve_
        assert model.optimize_result_.success

    @pytest.mark.parametrize("by", ["callback", "interrupt"])
    def test_a_stop_during_the_trial_keeps_what_was_there(self, clean, by, monkeypatch):
        from skrelu._fit import rounds

        X, _, y, _ = clean
        judged = []
        original = rounds.leave_one_out_loss
        monkeypatch.setattr(rounds, "leave_one_out_loss", lambda *a: judged.append(1) or original(*a))
        monkeypatch.setattr(rounds._Judgement, "is_better_than", lambda *_: False)
        expected = self.fit(X, y)
        judged.clear()

        class Stop(ProgressBar):
            stopped: ClassVar = []

            def setup(self, estimator, context): ...
            def teardown(self, estimator, context): ...
            def on_fit_task_begin(self, estimator, context, **_): ...
            def on_fit_task_end(self, estimator, context, **_):
                if not judged or len(self.stopped) or context.task_name != "iterate":
                    return False
                self.stopped.append(True)
                if by == "interrupt":
                    raise KeyboardInterrupt
                return True

        model = DeepLogisticClassifier((20,), random_state=0).set_callbacks(Stop())
        if by == "callback":
            model.fit(X, y)
            assert "callback" in model.optimize_result_.message
        else:
            with pytest.warns(UserWarning, match="interrupted by user"):
                model.fit(X, y)
        assert model.n_iter_ < expected.n_iter_
        assert_array_equal(model.coefs_[0], expected.coefs_[0])
        assert_array_equal(model.alpha_, expected.alpha_)

    def test_held_out_rows_judge_instead(self, clean, monkeypatch):
        from skrelu._fit import rounds

        X, _, y, _ = clean
        monkeypatch.setattr(rounds, "leave_one_out_loss", lambda *_: pytest.fail("called"))
        self.fit(X, y, early_stopping=True)


class TestUncertainty:
    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_variance_grows_away_from_the_data(self, name):
        X, y = load(name)
        model = DeepLogisticClassifier((20,), random_state=0).fit(X, y)
        scores, near = model.decision_function(X, return_std=True)
        assert near.shape == scores.shape == model.decision_function(X).shape
        _, far = model.decision_function(10 * X, return_std=True)
        assert np.median(far / near) > 3

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_far_from_the_data_probabilities_do_not_saturate(self, name):
        X, y = load(name)
        model = DeepLogisticClassifier((20,), random_state=0).fit(X, y)
        rng = np.random.RandomState(0)
        far = rng.randn(500, X.shape[1])
        far *= 1e4 / np.linalg.norm(far, axis=1, keepdims=True)
        at_map = model.predict_proba(far).max(axis=1)
        laplace = model.set_params(predictive="laplace").predict_proba(far).max(axis=1)
        assert np.median(at_map) > 0.999
        assert np.median(laplace) < 0.9
        assert laplace.max() < 0.999

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_every_method_tells_the_same_moderated_story(self, name):
        X, y = load(name)
        model = DeepLogisticClassifier((20,), random_state=0).fit(X, y)
        scores, std = model.decision_function(X, return_std=True)
        at_map = model.predict_proba(X)
        model.set_params(predictive="laplace")
        moderated, probabilities = model.decision_function(X), model.predict_proba(X)
        kappa = 1 / np.sqrt(1 + np.pi / 8 * std**2)
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
        X, y = load("binary")
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
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), alpha=1.0, random_state=0).fit(X, y)
        assert model.log_evidence_ is model.n_effective_parameters_ is None
        with pytest.raises(ValueError, match="alpha='evidence' or predictive='laplace'"):
            model.decision_function(X, return_std=True)
        with pytest.raises(ValueError, match="need a fit of"):
            model.set_params(predictive="laplace").predict_proba(X)


def test_more_rows_make_it_surer():
    X, y = load_digits(n_class=2, return_X_y=True)
    X = StandardScaler().fit_transform(X)
    stds = []
    for n_rows in (60, 120, 360):
        model = DeepLogisticClassifier((), alpha=1.0, predictive="laplace").fit(X[:n_rows], y[:n_rows])
        stds.append(np.median(model.decision_function(X, return_std=True)[1]))
    assert all(more < fewer for fewer, more in pairwise(stds))


def test_a_model_on_the_verge_of_overflow_ends_with_a_clear_answer():
    X, y = load("binary")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model = DeepLogisticClassifier((5,), random_state=0).fit(1e150 * X, y)
        except ValueError as error:
            assert "X holds values up to" in str(error)  # noqa: PT017
            return
    assert np.isfinite(model.predict_proba(1e150 * X)).all()
