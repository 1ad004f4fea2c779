"""Columns in their own units: the fits are those of columns that a StandardScaler has scaled."""

import pickle
import tracemalloc
import warnings
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV, _classifier
from skrelu._core.objective import Objective
from skrelu._fit.search import Search
from tests.problems import KINDS, load_table

SCALE = np.array([1e-3, 1.0, 50.0, 2e4, 2.0])
MEAN = np.array([0.02, 0.0, -300.0, 1e5, 7.0])
HIDDEN = [(), (4,)]


def make_table(kind="binary", n_rows=240, seed=0):
    """Return columns in several units, a fifth of the entries of one is zero, and noisy labels."""
    rng = np.random.RandomState(seed)
    Z = rng.randn(n_rows, 5)
    X = MEAN + SCALE * Z
    X[:, 4] *= rng.rand(n_rows) > 0.2
    scores = np.stack([Z[:, 0] + Z[:, 1] * Z[:, 2], Z[:, 3] - Z[:, 0], Z[:, 1]], axis=1) + rng.logistic(
        size=(n_rows, 3)
    )
    y = {"binary": scores[:, 0] > 0, "multiclass": scores.argmax(axis=1), "multilabel": scores[:, :2] > 0}[kind]
    return X, y.astype(int)


def make_model(hidden=(), **options):
    """Return a classifier whose fit ends before rounding errors have grown.

    L-BFGS magnifies them at the kinks of the ReLU, so two fits of a network that differ by rounding agree for some tens
    of iterations, in which the evidence sets alpha twice. Without a hidden layer they agree to the end.
    """
    options = {"random_state": 0, "n_jobs": 1, "max_iter": 40 if hidden else 2000} | options
    return DeepLogisticClassifier(hidden, **options)


def fit(model, X, y, *args, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        return model.fit(X, y, *args, **options)


def assert_agree(scores, expected, rtol=1e-6):
    assert np.abs(scores - expected).max() <= rtol * np.abs(expected).max()


def assert_same_model(model, other):
    for part, expected in zip(model.coefs_ + model.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_array_equal(part, expected)
    assert model.loss_curve_ == other.loss_curve_


def as_memory_map(X, path):
    np.save(path / "X.npy", X)
    return np.load(path / "X.npy", mmap_mode="r")


def as_frame(X, path):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(X, columns=list("abcde"))


CONTAINERS = {
    "dense": lambda X, path: X,
    "by_column": lambda X, path: np.asfortranarray(X),
    "csr_array": lambda X, path: sparse.csr_array(X),
    "csr_matrix": lambda X, path: sparse.csr_matrix(X),
    "memory_map": as_memory_map,
    "frame": as_frame,
}


class TestAgainstAScaler:
    """A fit of raw columns against one of scaled columns that does not standardise."""

    @pytest.mark.parametrize("container", CONTAINERS)
    @pytest.mark.parametrize("hidden", HIDDEN)
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_container(self, kind, hidden, container, tmp_path):
        X, y = make_table(kind)
        scaler = StandardScaler().fit(X)
        Z = scaler.transform(X)
        expected = fit(make_model(hidden, standardize=False), Z, y)
        rows = CONTAINERS[container](X, tmp_path)
        model = fit(make_model(hidden), rows, y)
        assert_agree(model.decision_function(rows), expected.decision_function(Z))
        assert_allclose(model.alpha_, expected.alpha_, rtol=1e-5)
        assert_allclose(model.log_evidence_, expected.log_evidence_, rtol=1e-6)
        assert_allclose(model.feature_relevance_, expected.feature_relevance_, rtol=1e-4, atol=1e-8)
        assert_allclose(model.coefs_[0], expected.coefs_[0] / scaler.scale_[:, np.newaxis], rtol=1e-4)
        assert_allclose(model.feature_mean_, scaler.mean_, rtol=1e-12, atol=1e-14)
        assert_allclose(model.feature_scale_, scaler.scale_, rtol=1e-12)
        assert expected.feature_mean_ is expected.feature_scale_ is None

    @pytest.mark.parametrize("class_weight", [None, "balanced", {0: 5.0}])
    @pytest.mark.parametrize("weights", ["none", "counts", "other"])
    @pytest.mark.parametrize("hidden", HIDDEN)
    def test_sample_weights_count_for_the_moments_and_class_weights_do_not(self, hidden, weights, class_weight):
        X, y = make_table()
        rng = np.random.RandomState(1)
        weights = {"none": None, "counts": rng.randint(0, 4, 240).astype(float), "other": rng.uniform(0.1, 3, 240)}[
            weights
        ]
        scaler = StandardScaler().fit(X, sample_weight=weights)
        Z = scaler.transform(X)
        expected = fit(make_model(hidden, standardize=False, class_weight=class_weight), Z, y, weights)
        for container in (np.asarray, sparse.csr_array):
            model = fit(make_model(hidden, class_weight=class_weight), container(X), y, weights)
            assert_allclose(model.feature_mean_, scaler.mean_, rtol=1e-12, atol=1e-14)
            assert_allclose(model.feature_scale_, scaler.scale_, rtol=1e-12)
            assert_agree(model.decision_function(X), expected.decision_function(Z))

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("hidden", HIDDEN)
    def test_validation_rows_have_the_units_of_the_training_rows(self, hidden, container):
        X, y = make_table("multiclass")
        X_val, y_val = X[160:] + SCALE, y[160:]  # moved by a deviation
        X, y = X[:160], y[:160]
        scaler = StandardScaler().fit(X)
        options = {"early_stopping": True, "max_iter": 40}
        expected = fit(
            make_model(hidden, standardize=False, **options),
            scaler.transform(X),
            y,
            X_val=scaler.transform(X_val),
            y_val=y_val,
        )
        model = fit(make_model(hidden, **options), container(X), y, X_val=container(X_val), y_val=y_val)
        assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-6)
        assert_agree(model.decision_function(X), expected.decision_function(scaler.transform(X)))
        assert_allclose(model.feature_mean_, scaler.mean_, rtol=1e-12, atol=1e-14)

    def test_rows_that_are_held_out_do_not_count_for_the_moments(self, monkeypatch):
        X, y = make_table()
        parts, original = [], _classifier.hold_out
        monkeypatch.setattr(_classifier, "hold_out", lambda *args: parts.append(original(*args)) or parts[-1])
        model = fit(make_model((4,), early_stopping=True), X, y)
        ((training, _),) = parts
        assert training.n_rows == 216
        rows = X[training.numbers()]
        assert_allclose(model.feature_mean_, rows.mean(axis=0), rtol=1e-12, atol=1e-14)
        assert_allclose(model.feature_scale_, rows.std(axis=0), rtol=1e-12)

    @pytest.mark.parametrize("options", [{}, {"alpha": 0.3, "standardize": True}])
    @pytest.mark.parametrize("hidden", HIDDEN)
    def test_warm_starts(self, hidden, options):
        """Each goes on in the units of its own rows."""
        X, y = make_table()
        options = {"max_iter": 15, "warm_start": True, "early_stopping": False} | options
        model, other = make_model(hidden, **options), make_model(hidden, **options | {"standardize": False})
        scaler = StandardScaler().fit(X)
        for _ in range(3):
            fit(model, X, y)
            fit(other, scaler.transform(X), y)
            assert_agree(model.decision_function(X), other.decision_function(scaler.transform(X)))
            assert_allclose(model.alpha_, other.alpha_, rtol=1e-5)

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("options", [{}, {"alpha": 1.0, "standardize": True, "early_stopping": False}])
    @pytest.mark.parametrize("kind", KINDS)
    def test_laplace(self, kind, options, container):
        X, y = make_table(kind)
        scaler = StandardScaler().fit(X)
        Z = scaler.transform(X)
        options = {"predictive": "laplace"} | options
        expected = fit(make_model((4,), **options | {"standardize": False}), Z, y)
        model = fit(make_model((4,), **options), container(X), y)
        new = MEAN + 3 * SCALE * np.random.RandomState(2).randn(20, 5)
        assert_allclose(model.laplace_scale_, expected.laplace_scale_, rtol=1e-4)
        expected_std = expected.decision_function(scaler.transform(new), return_std=True)[1]
        for rows in (new, sparse.csr_array(new)):
            assert_allclose(model.predict_proba(rows), expected.predict_proba(scaler.transform(new)), atol=1e-5)
            assert_allclose(model.decision_function(rows, return_std=True)[1], expected_std, rtol=1e-4)

    def test_several_starts(self):
        X, y = make_table()
        Z = StandardScaler().fit_transform(X)
        expected = fit(make_model((4,), n_init=3, standardize=False), Z, y)
        model = fit(make_model((4,), n_init=3), X, y)
        assert_agree(model.decision_function(X), expected.decision_function(Z))

    def test_terms_that_are_drawn(self):
        X, y = make_table(n_rows=900)
        Z = StandardScaler().fit_transform(X)
        for container in (np.asarray, sparse.csr_array):
            options = {"n_curvature_terms": 100}
            expected = fit(make_model((4,), standardize=False, **options), Z, y)
            model = fit(make_model((4,), **options), container(X), y)
            assert_agree(model.decision_function(X), expected.decision_function(Z), rtol=1e-5)

    @pytest.mark.parametrize("grouping", ["shared", "layer", "feature"])
    def test_every_grouping_of_alpha(self, grouping):
        X, y = make_table()
        Z = StandardScaler().fit_transform(X)
        expected = fit(make_model((4,), alpha_grouping=grouping, standardize=False), Z, y)
        model = fit(make_model((4,), alpha_grouping=grouping), X, y)
        assert_allclose(model.alpha_, expected.alpha_, rtol=1e-5)
        assert_agree(model.decision_function(X), expected.decision_function(Z))


class TestColumnsThatAreStandardAlready:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("hidden", HIDDEN)
    @pytest.mark.parametrize("kind", KINDS)
    def test_no_bit_changes(self, kind, hidden, dtype):
        X, y = load_table(kind)
        X = StandardScaler().fit_transform(X.astype(dtype))
        model, expected = (fit(make_model(hidden, standardize=s), X, y) for s in ("auto", False))
        assert_same_model(model, expected)
        assert_array_equal(model.alpha_, expected.alpha_)
        assert model.log_evidence_ == expected.log_evidence_
        assert not model.feature_mean_.any()
        assert (model.feature_scale_ == 1).all()

    def test_no_bit_of_weighted_rows_changes(self):
        X, y = make_table()
        weights = np.random.RandomState(1).uniform(0.1, 3, 240)
        Z = StandardScaler().fit_transform(X, sample_weight=weights)
        model, expected = (fit(make_model((4,), standardize=s), Z, y, weights) for s in ("auto", False))
        assert_same_model(model, expected)


class TestAuto:
    @pytest.mark.parametrize("alpha", [1.0, [1.0, 2.0]])
    def test_a_given_alpha_has_the_units_of_the_columns(self, alpha):
        X, y = make_table()
        X = X / [1e-3, 1, 50, 2e4, 1]
        options = {"alpha": alpha, "early_stopping": False}
        auto, off, on = (fit(make_model((4,), standardize=s, **options), X, y) for s in ("auto", False, True))
        assert_same_model(auto, off)
        assert auto.feature_mean_ is None
        Z = StandardScaler().fit_transform(X)
        scaled = fit(make_model((4,), standardize=False, **options), Z, y)
        assert_agree(on.decision_function(X), scaled.decision_function(Z))
        assert np.abs(on.decision_function(X) - off.decision_function(X)).max() > 1e-3

    def test_without_a_hidden_layer_it_is_logistic_regression(self):
        X, y = make_table()
        X = X / [1e-3, 1, 50, 2e4, 1]
        Z = StandardScaler().fit_transform(X)
        for standardize, rows in (("auto", X), (True, Z)):
            model = make_model((), alpha=2.0, standardize=standardize, tol=1e-9, max_iter=10_000).fit(X, y)
            linear = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000).fit(rows, y)
            assert_agree(model.decision_function(X), linear.decision_function(rows), rtol=1e-4)

    def test_a_chosen_alpha_has_those_of_standardised_columns(self):
        X, y = make_table()
        auto, on = (fit(make_model((4,), standardize=s), X, y) for s in ("auto", True))
        assert_same_model(auto, on)
        assert auto.feature_mean_ is not None

    @pytest.mark.parametrize("value", [np.True_, np.False_])
    def test_a_bool_of_numpy_will_do(self, value):
        X, y = make_table()
        model = fit(make_model((), standardize=value), X, y)
        assert (model.feature_mean_ is not None) is bool(value)

    @pytest.mark.parametrize("estimator", [DeepLogisticClassifier(), DeepLogisticClassifierCV()])
    @pytest.mark.parametrize(
        ("value", "error"), [("yes", ValueError), (None, TypeError), (1, TypeError), (0.0, TypeError)]
    )
    def test_other_values_are_refused(self, estimator, value, error):
        with pytest.raises(error, match=rf"standardize must be True, False or 'auto', got {value!r}"):
            clone(estimator).set_params(standardize=value).fit(*make_table())


class TestConstantColumns:
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("value", [0.0, 0.1, -1e9])
    @pytest.mark.parametrize("hidden", HIDDEN)
    def test_the_weight_is_zero_and_the_others_do_not_see_it(self, hidden, value, container):
        """Without a hidden layer the start is the same with and without the column; otherwise it must be given."""
        X, y = make_table()
        with_it = np.column_stack([X, np.full(240, value)])
        start = fit(make_model(hidden, max_iter=1, alpha=1.0, early_stopping=False), X, y)
        model, expected = (fit(make_model(hidden, warm_start=True, max_iter=1), part, y) for part in (with_it, X))
        for estimator in (model, expected):
            coef = np.zeros((estimator.n_features_in_, start.coefs_[0].shape[1]))
            coef[:5] = start.coefs_[0]
            estimator.coefs_ = [coef, *start.coefs_[1:]]
            estimator.intercepts_ = start.intercepts_
            del estimator.alpha_
            estimator.set_params(max_iter=40 if hidden else 2000)
        fit(model, container(with_it), y), fit(expected, container(X), y)
        assert not model.coefs_[0][5].any()
        assert (model.feature_mean_[5], model.feature_scale_[5]) == (value, 1)
        assert model.feature_relevance_[5] == 0
        assert_agree(model.decision_function(with_it), expected.decision_function(X))
        other = with_it.copy()
        other[:, 5] = 12345.0  # a value that it never had
        assert_array_equal(model.decision_function(other), model.decision_function(with_it))

    def test_a_network_has_no_weight_for_it_from_the_start(self):
        X, y = make_table()
        X[:, 2] = 0.3
        X[::2, 2] = 0.1 + 0.2
        for options in ({}, {"alpha": 1.0, "standardize": True}):
            model = fit(make_model((4,), **options), X, y)
            assert not model.coefs_[0][2].any()
            assert model.coefs_[0][:2].all()


def column_of(kind, n_rows, rng):
    """Return columns that tables have beside their numbers."""
    if kind == "unix time":
        return 1.6e9 + 1e5 * rng.randn(n_rows, 1)
    if kind == "large beside small":
        return np.column_stack([1e9 * rng.randn(n_rows), 1e-6 * rng.randn(n_rows)])
    return 10_000_000.0 + np.arange(n_rows)[:, np.newaxis]  # a row id


class TestColumnsThatBrokeFits:
    @pytest.mark.parametrize("hidden", [(), (10,)])
    @pytest.mark.parametrize("kind", ["unix time", "large beside small", "row id"])
    def test_the_model_is_as_good_as_with_a_scaler(self, kind, hidden):
        """They gave an AUC of 0.41 to 0.72."""
        X, y = load_breast_cancer(return_X_y=True)
        X = np.column_stack([X[:, :10], column_of(kind, len(X), np.random.RandomState(0))])
        is_train = np.random.RandomState(1).rand(len(y)) < 0.6
        scaler = StandardScaler().fit(X[is_train])
        model = DeepLogisticClassifier(hidden, random_state=0).fit(X[is_train], y[is_train])
        expected = clone(model).set_params(standardize=False).fit(scaler.transform(X[is_train]), y[is_train])
        probabilities = model.predict_proba(X[~is_train])
        losses = [
            log_loss(y[~is_train], p) for p in (probabilities, expected.predict_proba(scaler.transform(X[~is_train])))
        ]
        assert losses[0] < 1.05 * losses[1]
        assert roc_auc_score(y[~is_train], probabilities[:, 1]) > 0.97

    @pytest.mark.parametrize("hidden", [(), (10,)])
    def test_float32_of_a_mean_far_from_zero(self, hidden):
        """float32 tells 1.6e9 from 1.6e9 + 128; its own weights could not."""
        rng = np.random.RandomState(0)
        Z = rng.randn(3000, 3)
        X = (Z * [1e5, 1.0, 2.0] + [1.6e9, 0.0, 1.0]).astype(np.float32)
        y = Z @ [2.0, 1.0, 0.0] + rng.logistic(size=3000) > 0
        model = DeepLogisticClassifier(hidden, random_state=0, max_iter=2000).fit(X, y)
        assert {part.dtype for part in model.coefs_ + model.intercepts_} == {np.dtype(np.float64)}
        double = DeepLogisticClassifier(hidden, random_state=0, max_iter=2000).fit(X.astype(float), y)
        bayes = 1 / (1 + np.exp(-Z @ [2.0, 1.0, 0.0]))
        for estimator in (model, double):
            for rows in (X, X.astype(float)):
                assert np.abs(estimator.predict_proba(rows)[:, 1] - bayes).mean() < 0.03
        assert_allclose(model.predict_proba(X), double.predict_proba(X.astype(float)), atol=0.05)

    def test_float32_stays_float32_where_it_can(self):
        X, y = make_table()
        model = fit(make_model((4,)), X.astype(np.float32), y)
        assert {part.dtype for part in model.coefs_ + model.intercepts_} == {np.dtype(np.float32)}
        assert model.feature_mean_.dtype == model.feature_scale_.dtype == np.float64
        expected = fit(make_model((4,)), X, y)
        assert np.abs(model.predict_proba(X) - expected.predict_proba(X)).max() < 0.02


class TestSameBits:
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("far", [False, True])
    @pytest.mark.parametrize("hidden", [(), (16,)])
    def test_the_number_of_threads_changes_none(self, hidden, far, container):
        X, y = make_table(n_rows=60_000)
        X[:, 0] += 1e4 * far  # blocks are centred
        models = [fit(make_model(hidden, max_iter=12, n_jobs=n_jobs), container(X), y) for n_jobs in (1, 2)]
        assert_same_model(*models)
        assert_array_equal(models[0].alpha_, models[1].alpha_)
        assert_array_equal(models[0].feature_mean_, models[1].feature_mean_)

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("hidden", HIDDEN)
    def test_neither_does_the_order_of_the_rows_of_a_small_table(self, hidden, container):
        X, y = make_table()
        order = np.random.RandomState(3).permutation(240)
        for weights in (None, np.random.RandomState(1).uniform(0.1, 3, 240)):
            model = fit(make_model(hidden), container(X), y, weights)
            other = fit(make_model(hidden), container(X[order]), y[order], None if weights is None else weights[order])
            assert_same_model(model, other)
            assert_array_equal(model.feature_mean_, other.feature_mean_)

    @pytest.mark.parametrize("class_weight", [None, {1: 4.0}])
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("hidden", HIDDEN)
    def test_integer_weights_are_repeated_rows(self, hidden, container, class_weight):
        X, y = make_table()
        counts = np.random.RandomState(1).randint(0, 4, 240)
        model = fit(make_model(hidden, class_weight=class_weight), container(X), y, counts)
        repeated = container(np.repeat(X, counts, axis=0)), np.repeat(y, counts)
        other = fit(make_model(hidden, class_weight=class_weight), *repeated)
        assert_same_model(model, other)
        assert_array_equal(model.feature_scale_, other.feature_scale_)


class TestX:
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csr_matrix])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_it_is_unchanged(self, dtype, container):
        X, y = make_table()
        X = X.astype(dtype)
        rows = container(X)
        dense = rows.toarray if sparse.issparse(rows) else lambda: rows
        model = fit(make_model((4,), predictive="laplace"), rows, y)
        assert_array_equal(dense(), X)
        model.predict_proba(rows), model.decision_function(rows, return_std=True)
        assert_array_equal(dense(), X)

    @staticmethod
    def peak_of(work):
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("far", [False, True])
    @pytest.mark.parametrize("hidden", [(), (16,)])
    def test_a_memory_map_is_not_copied(self, hidden, far, tmp_path):
        n_rows = 200_000
        X = np.random.RandomState(0).standard_normal((n_rows, 32)).astype(np.float32) + np.float32(1000.0 * far)
        X = as_memory_map(X, tmp_path)
        y = (X[:, 0] > X[:, 1]).astype(np.int8)
        model = make_model(hidden, max_iter=12, n_curvature_terms=200)
        without = self.peak_of(lambda: fit(clone(model).set_params(standardize=False), X, y))
        with_it = self.peak_of(lambda: fit(clone(model), X, y))
        # The weights of the rows, in the pass for the moments, and some blocks.
        assert with_it < without + 8 * n_rows + 8 * 2**20 < X.nbytes + without

    def test_sparse_rows_are_never_made_dense(self):
        rng = np.random.default_rng(0)
        X = sparse.random_array((20_000, 5000), density=2e-3, format="csr", rng=rng)
        y = rng.integers(2, size=20_000)
        for options in ({"alpha": 1.0, "early_stopping": False, "standardize": True}, {"n_curvature_terms": 200}):
            peak = self.peak_of(lambda options=options: fit(make_model((4,), max_iter=12, **options), X, y))
            assert peak < 96 * 2**20 < X.shape[0] * X.shape[1] * 8 / 7


class TestWarmStartInOtherUnits:
    """Weights and alphas are converted where `standardize` changes between two fits."""

    @pytest.mark.parametrize("hidden", HIDDEN)
    @pytest.mark.parametrize(("first", "second"), [(True, False), (False, True)])
    def test_the_objective_begins_as_it_was(self, first, second, hidden, monkeypatch):
        values, original = [], Search.run

        def run(search, starts, n_init):
            starts = list(starts)
            values.append(Objective(search.datafits[0], search.strategy.penalty).value_and_gradient(starts[0])[0])
            return original(search, starts, n_init)

        monkeypatch.setattr(Search, "run", run)
        X, y = make_table()
        X = X / [5e-4, 1, 50, 1e4, 2]  # not far from standard, so that both fits have an end
        model = make_model(hidden, standardize=first, warm_start=True).set_params(max_iter=40)
        fit(model, X, y)
        loss, alphas, coef = model.loss_, model.alpha_, model.coefs_[0]
        if first:
            scale = model.feature_scale_
        fit(model.set_params(standardize=second, max_iter=11), X, y)
        if second:
            scale = model.feature_scale_
        begun_with = model.evidence_curve_["alpha"][0]
        squares = np.square(scale)
        assert_allclose(begun_with[:-1], alphas[:-1] * (squares if first else 1 / squares), rtol=1e-12)
        assert begun_with[-1] == alphas[-1]
        sizes = [np.square(coef * (scale[:, np.newaxis] if is_on else 1)).sum(axis=1) for is_on in (first, second)]
        assert_allclose(alphas[:-1] @ sizes[0], begun_with[:-1] @ sizes[1], rtol=1e-9)
        assert_allclose(values[-1], loss, rtol=1e-9)  # of the objective at the start

    @pytest.mark.parametrize("grouping", ["shared", "layer"])
    def test_one_alpha_for_all_features_has_no_units_to_convert(self, grouping):
        X, y = make_table()
        model = fit(make_model((4,), alpha_grouping=grouping, warm_start=True), X, y)
        alphas = model.alpha_
        fit(model.set_params(max_iter=11), X, y)
        assert_array_equal(model.evidence_curve_["alpha"][0], alphas)

    def test_other_rows_have_other_units(self):
        """The alphas of the same weights in the units of the new rows."""
        X, y = make_table()
        model = fit(make_model((4,), warm_start=True), X, y)
        alphas, scale = model.alpha_, model.feature_scale_
        fit(model.set_params(max_iter=11), X * [1, 2, 1, 1, 3], y)
        ratios = np.array([1, 2, 1, 1, 3])
        assert_allclose(model.feature_scale_ / scale, ratios, rtol=1e-12)
        assert_allclose(model.evidence_curve_["alpha"][0][:-1], alphas[:-1] / ratios**2, rtol=1e-10)

    def test_a_pickle_of_before_goes_on_in_the_units_of_its_columns(self):
        """format 3 had no `standardize`: such a model continues as it was fitted."""
        X, y = make_table()
        X = X / [1e-3, 1, 50, 2e4, 2]
        model = fit(make_model((4,), standardize=False, warm_start=True), X, y)
        state = model.__getstate__()
        state["_saved_by"] = {"skrelu": "0.1.0", "format": 3}
        for name in ("standardize", "feature_mean_", "feature_scale_"):
            del state[name]
        old = DeepLogisticClassifier()
        old.__setstate__(state)
        assert old.standardize is False
        assert_same_model(fit(old, X, y), fit(model, X, y))

    def test_a_pickle_of_now_goes_on_as_the_model(self):
        X, y = make_table()
        model = fit(make_model((4,), warm_start=True), X, y)
        loaded = pickle.loads(pickle.dumps(model))
        assert_array_equal(loaded.feature_scale_, model.feature_scale_)
        assert_same_model(fit(loaded, X, y), fit(model, X, y))


class TestCrossValidation:
    options: ClassVar = {"cv": StratifiedKFold(3), "tol": 1e-8, "max_iter": 5000, "random_state": 0}

    @staticmethod
    def scores_by_hand(X, y, alphas, weights=None, container=np.asarray):
        """Minus the log loss of LogisticRegression on columns that the training rows of each fold have scaled."""
        scores = []
        for train, test in StratifiedKFold(3).split(X, y):
            scaler = StandardScaler().fit(X[train], sample_weight=None if weights is None else weights[train])
            row = []
            for alpha in alphas:
                model = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=10_000)
                model.fit(scaler.transform(X[train]), y[train], None if weights is None else weights[train])
                probabilities = model.predict_proba(scaler.transform(X[test]))
                row.append(-log_loss(y[test], probabilities, sample_weight=None if weights is None else weights[test]))
            scores.append(row)
        return np.array(scores)

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("kind", ["binary", "multiclass"])
    def test_folds_are_standardised_by_their_own_training_rows(self, kind, weighted, container):
        X, y = make_table(kind, n_rows=90)
        weights = np.random.RandomState(1).randint(1, 4, 90).astype(float) if weighted else None
        alphas = [0.5, 5.0, 50.0]
        model = DeepLogisticClassifierCV((), alphas=alphas, standardize=True, **self.options)
        model.fit(container(X), y, weights)
        expected = self.scores_by_hand(X, y, model.alphas_, weights)
        assert_allclose(model.scores_, expected, rtol=1e-4)
        assert_allclose(model.feature_mean_, np.average(X, axis=0, weights=weights), rtol=1e-12, atol=1e-14)

    def test_a_network(self):
        X, y = make_table(n_rows=120)
        model = DeepLogisticClassifierCV((3,), alphas=[3.0], standardize=True, **self.options | {"tol": 1e-4})
        model.fit(X, y)
        for (train, test), (score,) in zip(StratifiedKFold(3).split(X, y), model.scores_, strict=True):
            scaler = StandardScaler().fit(X[train])
            single = DeepLogisticClassifier((3,), alpha=3.0, early_stopping=False, tol=1e-4, random_state=0)
            single.fit(scaler.transform(X[train]), y[train])
            assert_allclose(score, -log_loss(y[test], single.predict_proba(scaler.transform(X[test]))), rtol=1e-4)

    def test_auto_is_on_for_a_number_of_alphas(self):
        X, y = make_table(n_rows=90)
        auto, on, off = (
            DeepLogisticClassifierCV((), alphas=3, standardize=s, **self.options).fit(X, y)
            for s in ("auto", True, False)
        )
        assert_array_equal(auto.scores_, on.scores_)
        assert_same_model(auto, on)
        assert auto.feature_mean_ is not None
        assert off.feature_mean_ is None
        assert np.abs(auto.scores_ - off.scores_).max() > 1e-3

    def test_auto_is_off_for_given_alphas(self):
        X, y = make_table(n_rows=90)
        X = X / [1e-3, 1, 50, 2e4, 1]
        alphas = [0.5, 5.0]
        auto, off = (
            DeepLogisticClassifierCV((), alphas=alphas, standardize=s, **self.options).fit(X, y)
            for s in ("auto", False)
        )
        assert_array_equal(auto.scores_, off.scores_)
        assert_same_model(auto, off)
        assert auto.feature_mean_ is None

    def test_scorers_predict_in_the_units_of_the_data(self):
        X, y = make_table(n_rows=90)
        own, named = (
            DeepLogisticClassifierCV((), alphas=3, scoring=scoring, **self.options).fit(X, y)
            for scoring in (None, "neg_log_loss")
        )
        assert_allclose(own.scores_, named.scores_, rtol=1e-9)
