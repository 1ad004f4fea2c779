"""Fits of alpha='evidence': the alphas chosen, and what is promised of a fit that chooses them."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, log_expit
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skrelu import DeepLogisticClassifier
from tests.problems import load_table


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
        X, y = load_table("binary")
        model = DeepLogisticClassifier((), alpha_grouping="shared", n_curvature_terms=10**6, tol=1e-8, max_iter=1000)
        model.fit(X, y)
        gamma, squared_norm, log_evidence = self.by_hand(X, y, model.alpha_)
        assert_allclose(model.n_effective_parameters_, gamma, rtol=1e-4)
        assert_allclose(model.log_evidence_, log_evidence, rtol=1e-5)
        assert_allclose(model.alpha_, gamma / squared_norm, rtol=0.05)  # the rounds end when it moves by less than 10%

    def test_no_other_alpha_has_more_evidence(self):
        X, y = load_table("binary")
        model = DeepLogisticClassifier((), alpha_grouping="shared", n_curvature_terms=10**6, tol=1e-8, max_iter=1000)
        best = model.fit(X, y).log_evidence_
        # MacKay's update takes the curvature as given, so it ends near the maximum, not at it.
        for factor in (0.2, 5.0):
            assert self.by_hand(X, y, factor * model.alpha_)[2] < best

    def test_a_fixed_alpha_has_its_evidence_too(self):
        X, y = load_table("binary")
        model = DeepLogisticClassifier((), alpha=3.0, predictive="laplace", n_curvature_terms=10**6, tol=1e-8)
        model.set_params(max_iter=1000).fit(X, y)
        gamma, _, log_evidence = self.by_hand(X, y, 3.0)
        assert_allclose(model.n_effective_parameters_, gamma, rtol=1e-6)
        assert_allclose(model.log_evidence_, log_evidence, rtol=1e-8)
        assert model.alpha_ == 3.0
        assert model.evidence_curve_ is None


class TestGroupings:
    def test_shapes(self):
        X, y = load_table("multiclass")
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
        assert (model.feature_relevance_ > 0).all()
        assert model.feature_relevance_[:5].mean() > 1.3 * model.feature_relevance_[5:].mean()
        assert set(np.argsort(-model.feature_relevance_)[:2]) <= set(range(5))
        shared = DeepLogisticClassifier(alpha_grouping="shared", random_state=0).fit(X, y)
        assert log_loss(y_test, model.predict_proba(X_test)) < log_loss(y_test, shared.predict_proba(X_test))

    def test_a_constant_feature_does_no_harm(self):
        X, y = load_table("multiclass")
        model = DeepLogisticClassifier((5,), random_state=0).fit(np.column_stack([X, np.zeros(len(X))]), y)
        assert np.isfinite(model.alpha_).all()
        assert np.isfinite(model.predict_proba(np.column_stack([X, np.ones(len(X))]))).all()

    def test_a_fixed_alpha_for_each_layer(self):
        X, y = load_table("binary")
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
        X, y = load_table(name)
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
        X, y = load_table("multiclass")
        times = np.random.RandomState(0).randint(0, 4, size=len(y))
        model = DeepLogisticClassifier((5,), alpha_grouping=grouping, random_state=0)
        by_weight = clone(model).fit(X, y, sample_weight=times)
        by_rows = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
        assert_array_equal(by_weight.coefs_[0], by_rows.coefs_[0])
        assert_array_equal(by_weight.alpha_, by_rows.alpha_)
        assert by_weight.log_evidence_ == by_rows.log_evidence_

    def test_larger_counts_are_weighed_against_the_same_prior(self):
        """Every row a hundred times: the likelihood outweighs the prior."""
        X, y = (part[::10] for part in load_table("multiclass"))
        light, heavy = (
            DeepLogisticClassifier((), random_state=0, max_iter=2000).fit(X, y, np.full(len(y), weight))
            for weight in (1.0, 100.0)
        )
        assert light.n_effective_parameters_ < 0.9 * heavy.n_effective_parameters_
        assert log_loss(y, heavy.predict_proba(X)) < log_loss(y, light.predict_proba(X))

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    @pytest.mark.parametrize("hidden", [(), (5,)])
    def test_sparse_rows(self, name, hidden):
        X, y = load_table(name)
        X = np.maximum(X, 0)
        dense, csr = (
            # All terms, since dense and sparse rows come in other blocks, with random numbers of their own. Two rounds,
            # as the first digits that differ decide in the end which minimum is found.
            DeepLogisticClassifier(hidden, n_curvature_terms=10**6, max_iter=30, random_state=0)
            for _ in range(2)
        )
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            dense.fit(X, y)
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            csr.fit(sparse.csr_array(X), y)
        assert len(csr.evidence_curve_["n_iter"]) == 2
        for name, values in dense.evidence_curve_.items():
            assert_allclose(csr.evidence_curve_[name], values, rtol=1e-6)
        assert_allclose(csr.decision_function(X), dense.decision_function(X), rtol=1e-4, atol=1e-4)
        assert_allclose(csr.log_evidence_, dense.log_evidence_, rtol=1e-6)
        stds = [fit.decision_function(c(X), return_std=True)[1] for fit, c in ((csr, sparse.csr_array), (dense, list))]
        assert_allclose(*stds, rtol=1e-4)

    def test_float32(self):
        X, y = load_table("multiclass")
        single, double = (DeepLogisticClassifier((), random_state=0).fit(X.astype(t), y) for t in ("f4", "f8"))
        assert single.coefs_[0].dtype == np.float32
        assert_allclose(single.alpha_, double.alpha_, rtol=0.02)
        assert_allclose(single.log_evidence_, double.log_evidence_, rtol=1e-3)

    def test_validation_still_stops_early(self):
        X, y = load_table("binary")
        model = DeepLogisticClassifier((20,), early_stopping=True, n_iter_no_change=5, random_state=0).fit(X, y)
        assert len(model.validation_scores_) == model.n_iter_ == len(model.loss_curve_)
        assert model.best_validation_score_ == max(model.validation_scores_)
        best = int(np.argmax(model.validation_scores_))
        ends = [*model.evidence_curve_["n_iter"], model.n_iter_ + 1]
        leg = next(number for number, end in enumerate(ends) if best + 1 <= end)
        if leg < len(model.evidence_curve_["alpha"]):
            assert_array_equal(model.alpha_, model.evidence_curve_["alpha"][leg])

    def test_nothing_is_held_out_by_default(self):
        X, y = load_table("binary")
        assert DeepLogisticClassifier((5,), random_state=0).fit(X, y).validation_scores_ is None

    def test_verbose_numbers_the_iterates_through(self, capsys):
        X, y = load_table("multiclass")
        model = DeepLogisticClassifier((5,), random_state=0, verbose=1).fit(X, y)
        numbers = [int(line.split("iterate")[1].split()[0]) for line in capsys.readouterr().out.splitlines()]
        assert numbers == list(range(model.n_iter_ + 1))

    def test_callbacks_see_every_iterate_and_can_predict(self):
        X, y = load_table("multiclass")
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

    def test_rows_that_are_all_certain_carry_no_curvature(self):
        rng = np.random.RandomState(0)
        X = rng.randn(200, 6)
        y = (X[:, 0] > 0).astype(int)
        with pytest.warns(ConvergenceWarning, match="the curvature could not be measured"):
            # With standardised columns no score of the start is large.
            model = DeepLogisticClassifier((10,), standardize=False, random_state=0).fit(X * 1e12, y)
        assert np.isfinite(model.predict_proba(X * 1e12)).all()

    def test_units_of_the_features_are_those_of_alpha(self):
        """Where the fit does not standardise; otherwise no unit changes alpha."""
        X, y = load_table("binary")
        options = {"alpha_grouping": "shared", "n_curvature_terms": 569, "max_iter": 5000, "tol": 1e-9}
        for standardize, factor_of_alpha, rtol in ((False, 1e8, 0.2), (True, 1.0, 1e-6)):
            plain, scaled = (
                DeepLogisticClassifier((), standardize=standardize, **options).fit(X * factor, y)
                for factor in (1.0, 1e4)
            )
            assert_allclose(scaled.alpha_ / factor_of_alpha, plain.alpha_, rtol=rtol)

    @pytest.mark.parametrize("n_terms", [1, 5, 20])
    def test_very_few_terms_are_still_finite(self, n_terms):
        rng = np.random.RandomState(0)
        X = rng.randn(5000, 10)
        y = (X[:, 0] + rng.randn(5000) > 0).astype(int)
        model = DeepLogisticClassifier((30,), n_curvature_terms=n_terms, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", message=r".* terms drawn .* are used up|.* do not determine the network")
            model.fit(X, y)
        assert np.isfinite(model.log_evidence_)

    def test_a_warm_start_goes_on_from_its_alphas(self):
        X, y = load_table("binary")
        model = DeepLogisticClassifier((5,), warm_start=True, max_iter=2000, random_state=0).fit(X, y)
        n_iter, alpha = model.n_iter_, model.alpha_
        model.fit(X, y)
        assert model.n_iter_ < n_iter
        assert_array_equal(model.evidence_curve_["alpha"][0], alpha)

    def test_restarts_keep_the_highest_evidence(self):
        X, y = load_table("multiclass")
        single = [DeepLogisticClassifier((5,), random_state=0, n_init=n, max_iter=2000).fit(X, y) for n in (1, 4)]
        assert single[1].log_evidence_ >= single[0].log_evidence_

    def test_the_number_of_terms(self):
        X, y = load_table("binary")
        few, all_ = (
            DeepLogisticClassifier((5,), predictive="laplace", n_curvature_terms=n, random_state=0).fit(X, y)
            for n in (50, 569)
        )
        assert len(few._posterior.slopes) == 50
        assert len(all_._posterior.slopes) == 569
        assert_allclose(few.n_effective_parameters_, all_.n_effective_parameters_, rtol=0.2)


def test_more_rows_make_it_surer():
    X, y = load_digits(n_class=2, return_X_y=True)
    X = StandardScaler().fit_transform(X)
    stds = []
    for n_rows in (60, 120, 360):
        model = DeepLogisticClassifier((), alpha=1.0, predictive="laplace").fit(X[:n_rows], y[:n_rows])
        stds.append(np.median(model.decision_function(X, return_std=True)[1]))
    assert all(more < fewer for fewer, more in pairwise(stds))


def test_a_model_on_the_verge_of_overflow_ends_with_a_clear_answer():
    X, y = load_table("binary")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            model = DeepLogisticClassifier((5,), random_state=0).fit(1e150 * X, y)
        except ValueError as error:
            assert "X holds values up to" in str(error)  # noqa: PT017
            return
    assert np.isfinite(model.predict_proba(1e150 * X)).all()
