import itertools
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_validate, train_test_split
from sklearn.preprocessing import scale
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from skrelu import DeepLogisticClassifier, loss_and_gradient
from skrelu._fit.outcome import Outcome

EXACT = {"tol": 1e-10, "max_iter": 10_000}


def load(name):
    """Return a standardised built-in data set."""
    if name == "multilabel":
        X, y = make_multilabel_classification(n_samples=240, n_features=8, n_classes=4, random_state=0)
        return scale(X), y
    loaders = {"binary": load_breast_cancer, "multiclass": load_iris, "digits": load_digits}
    X, y = loaders[name](return_X_y=True)
    return scale(X), y


class TestAgainstLogisticRegression:
    """Without a hidden layer the model is logistic regression with C = 1 / alpha."""

    @pytest.mark.parametrize("alpha", [0.1, 10.0])
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
    @pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 1: 0.5}])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("name", ["binary", "multiclass"])
    def test_probabilities_agree(self, name, weighted, class_weight, container, alpha):
        X, y = load(name)
        X = container(np.where(np.abs(X) < 0.3, 0.0, X))
        weights = np.random.RandomState(0).rand(len(y)) if weighted else None
        ours = DeepLogisticClassifier((), alpha=alpha, class_weight=class_weight, **EXACT).fit(X, y, weights)
        # Its Newton solver: the default one is itself up to 2e-6 off the minimum of such data.
        theirs = LogisticRegression(C=1 / alpha, class_weight=class_weight, solver="newton-cholesky", tol=1e-12)
        theirs.fit(X, y, weights)
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
        assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)

    def test_multilabel_outputs_are_independent_regressions(self):
        X, y = load("multilabel")
        ours = DeepLogisticClassifier((), alpha=1.0, **EXACT).fit(X, y)
        theirs = [LogisticRegression(C=1.0, **EXACT).fit(X, column).predict_proba(X)[:, 1] for column in y.T]
        assert_allclose(ours.predict_proba(X), np.transpose(theirs), atol=1e-6)


class TestFittedAttributes:
    @pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
    @pytest.mark.parametrize(
        ("name", "n_outputs", "activation", "classes"),
        [
            ("binary", 1, "logistic", [0, 1]),
            ("multiclass", 3, "softmax", [0, 1, 2]),
            ("multilabel", 4, "logistic", [0, 1, 2, 3]),
        ],
    )
    def test_shapes_and_names_are_those_of_mlpclassifier(self, name, n_outputs, activation, classes, hidden):
        X, y = load(name)
        model = DeepLogisticClassifier(hidden, random_state=0).fit(X, y)
        sizes = (X.shape[1], *hidden, n_outputs)
        assert [coef.shape for coef in model.coefs_] == list(itertools.pairwise(sizes))
        assert [intercept.shape for intercept in model.intercepts_] == [(size,) for size in sizes[1:]]
        assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (len(sizes), n_outputs, activation)
        assert model.classes_.tolist() == classes
        assert model.n_features_in_ == X.shape[1]

    def test_the_record_without_validation(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), alpha=1.0, early_stopping=False, random_state=0).fit(X, y)
        assert len(model.loss_curve_) == model.n_iter_ == model.optimize_result_.nit
        assert np.all(np.diff(model.loss_curve_) <= 0)
        assert model.loss_ == model.best_loss_ == model.loss_curve_[-1] == model.optimize_result_.fun
        assert model.validation_scores_ is None
        assert model.best_validation_score_ is None

    def test_loss_is_the_objective_at_the_kept_weights_over_the_total_weight(self):
        X, y = load("binary")
        weights = np.random.RandomState(0).rand(len(y))
        model = DeepLogisticClassifier((5,), alpha=2.0, early_stopping=False, random_state=0).fit(X, y, weights)
        total, *_ = loss_and_gradient(model.coefs_, model.intercepts_, X, y, sample_weight=weights, alpha=2.0)
        assert_allclose(model.loss_, total / weights.sum(), rtol=1e-12)

    @pytest.mark.parametrize("sizes", [5, (5,), [5], np.array([5])])
    def test_an_int_is_one_hidden_layer(self, sizes):
        X, y = load("multiclass")
        model = DeepLogisticClassifier(sizes, random_state=0).fit(X, y)
        assert model.n_layers_ == 3
        assert model.hidden_layer_sizes is sizes

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_a_fitted_model_holds_little_more_than_its_weights(self):
        X, y = load("digits")
        model = DeepLogisticClassifier(max_iter=60, random_state=0).fit(X, y)
        weights = sum(part.nbytes for part in model.coefs_ + model.intercepts_)
        assert len(pickle.dumps(model)) < 1.2 * weights + 5000


class TestReproducibility:
    def test_the_same_bits_for_every_n_jobs_and_run_to_run(self):
        X = np.random.RandomState(0).randn(5000, 10)
        y = (X[:, 0] * X[:, 1] > 0).astype(int)
        models = [DeepLogisticClassifier((20,), n_jobs=n, max_iter=30, random_state=0) for n in (None, 1, 2, 3, -1)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            models = [model.fit(X, y) for model in [*models, clone(models[0])]]
        for model in models[1:]:
            for actual, expected in zip(model.coefs_, models[0].coefs_, strict=True):
                assert_array_equal(actual, expected)
            assert_array_equal(model.predict_proba(X), models[0].predict_proba(X))

    def test_random_state_decides(self):
        X, y = load("multiclass")
        first, same, other = (
            DeepLogisticClassifier((5,), random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1)
        )
        assert_array_equal(first, same)
        assert np.abs(first - other).max() > 1e-6

    @pytest.mark.parametrize("early_stopping", [False, True])
    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    def test_order_repeats_and_weights_of_a_small_table_change_no_bit(self, container, early_stopping):
        X, y = load("multiclass")
        weights = np.random.RandomState(0).randint(0, 4, size=len(y))
        repeats = np.repeat(np.arange(len(y)), weights)
        order = np.random.RandomState(1).permutation(len(repeats))
        model = DeepLogisticClassifier((6, 4), early_stopping=early_stopping, alpha=1.0, max_iter=500, random_state=0)
        weighted = clone(model).fit(container(X), y, weights).predict_proba(X)
        repeated = clone(model).fit(container(X[repeats]), y[repeats]).predict_proba(X)
        permuted = clone(model).fit(container(X[repeats][order]), y[repeats][order]).predict_proba(X)
        assert_array_equal(repeated, permuted)
        if not early_stopping:  # which divides repeated rows, but not the row of that weight
            assert_array_equal(weighted, repeated)

    def test_the_order_in_memory_changes_no_bit(self):
        """Frames hold their values by column, arrays mostly by row."""
        X = np.random.RandomState(0).randn(200, 64)
        y = (X[:, 0] > X[:, 1]).astype(int)
        model = DeepLogisticClassifier((10,), predictive="laplace", random_state=0)
        by_row, by_column = clone(model).fit(X, y), clone(model).fit(np.asfortranarray(X), y)
        assert_array_equal(by_column.coefs_[0], by_row.coefs_[0])
        for n_rows in (1, 7, 20, 200):
            rows = X[:n_rows]
            columns = np.asfortranarray(rows)
            assert_array_equal(by_column.predict_proba(columns), by_row.predict_proba(rows))
            for actual, expected in zip(
                by_row.decision_function(columns, return_std=True),
                by_row.decision_function(rows, return_std=True),
                strict=True,
            ):
                assert_array_equal(actual, expected)

    def test_the_last_bit_of_the_data_does_not_decide_what_is_held_out(self):
        X, y = load("binary")
        fits = [
            DeepLogisticClassifier((4,), random_state=0).fit(rows, y).predict_proba(X)
            for rows in (X, np.nextafter(X, np.inf), sparse.csr_array(X), sparse.csc_array(X))
        ]
        for fit in fits[1:]:
            assert_allclose(fit, fits[0], atol=1e-6)

    def test_few_distinct_rows_are_held_out_like_any(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((4,), alpha=1.0, random_state=0).fit((X[:, :1] > 0).astype(float), y)
        assert model.validation_scores_ is not None

    def test_a_thread_gives_the_same_bits(self):
        X = np.random.RandomState(0).randn(20_000, 20)
        y = (X[:, 0] + X[:, 1] ** 2 > 1).astype(int)
        model = DeepLogisticClassifier((30,), n_jobs=1, alpha=100.0, random_state=0)
        here = clone(model).fit(X, y).coefs_[0]
        with threadpool_limits(2), ThreadPoolExecutor(2) as pool:
            there = [future.result() for future in [pool.submit(clone(model).fit, X, y) for _ in range(2)]]
        for fitted in there:
            assert_array_equal(fitted.coefs_[0], here)

    @pytest.mark.parametrize("name", ["binary", "multilabel"])
    def test_weights_and_alpha_scaled_alike_give_the_same_model(self, name):
        X, y = load(name)
        weights = np.random.RandomState(0).rand(len(y))
        fits = [
            DeepLogisticClassifier((5,), alpha=2.0 * factor, random_state=0).fit(X, y, factor * weights)
            for factor in (1.0, 2.0**30)
        ]
        assert_array_equal(fits[0].predict_proba(X), fits[1].predict_proba(X))


class TestFloat32:
    @pytest.mark.parametrize("name", ["binary", "multiclass", "digits", "multilabel"])
    @pytest.mark.parametrize("hidden", [(), (20,)])
    def test_it_is_computed_in_float32_and_no_line_search_fails(self, name, hidden):
        X, y = load(name)
        options = {"tol": 0.0, "n_iter_no_change": np.inf, "early_stopping": False, "max_iter": 3000}
        model = DeepLogisticClassifier(hidden, random_state=0, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X.astype(np.float32), y)
        assert {part.dtype for part in model.coefs_ + model.intercepts_} == {np.dtype(np.float32)}
        assert model.predict_proba(X.astype(np.float32)).dtype == np.float32
        assert model.optimize_result_.message != Outcome.LINE_SEARCH.message
        assert model.loss_curve_[-1] < model.loss_curve_[0]

    def test_it_is_close_to_float64(self):
        X, y = load("binary")
        single, double = (
            DeepLogisticClassifier((), **EXACT).fit(X.astype(dtype), y) for dtype in (np.float32, np.float64)
        )
        assert double.coefs_[0].dtype == np.float64
        assert_allclose(single.predict_proba(X), double.predict_proba(X), atol=1e-3)


class TestPredictions:
    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_all_of_them_come_from_the_same_scores(self, name):
        X, y = load(name)
        model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        scores, probabilities = model.decision_function(X), model.predict_proba(X)
        assert_allclose(np.exp(model.predict_log_proba(X)), probabilities, rtol=1e-12)
        if name == "binary":
            assert scores.shape == (len(X),)
            assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-scores)), rtol=1e-12)
            assert_array_equal(model.predict(X), (scores > 0).astype(int))
        elif name == "multiclass":
            assert_allclose(probabilities, np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), rtol=1e-12)
            assert_array_equal(model.predict(X), scores.argmax(axis=1))
        else:
            assert_allclose(probabilities, 1 / (1 + np.exp(-scores)), rtol=1e-12)
            assert_array_equal(model.predict(X), (probabilities > 0.5).astype(int))
        if name != "multilabel":
            assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)

    @pytest.mark.parametrize("labels", [("no", "yes"), (-1, 1), (False, True), (2.0, 5.0)])
    def test_labels_of_any_kind_come_back(self, labels):
        X, y = load("binary")
        named = np.array(labels)[y]
        model = DeepLogisticClassifier((5,), random_state=0).fit(X, named)
        plain = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        assert_array_equal(model.classes_, np.unique(named))
        assert_array_equal(model.predict(X), np.array(labels)[plain.predict(X)])
        assert model.score(X, named) > 0.95

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_log_probabilities_stay_finite_where_probabilities_underflow(self, name):
        X, y = load(name)
        model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        far = 1e5 * X
        assert (model.predict_proba(far) == 0).any()
        assert np.isfinite(model.predict_log_proba(far)).all()
        assert model.predict_log_proba(far).min() < -1000

    @pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.lil_array])
    def test_sparse_rows_give_the_same_scores(self, container):
        X, y = load("digits")
        model = DeepLogisticClassifier((20,), alpha=10.0, random_state=0).fit(X, y)
        assert_allclose(model.decision_function(container(X)), model.decision_function(X), rtol=1e-10, atol=1e-10)

    def test_sparse_targets_are_indicators(self):
        X, y = load("multilabel")
        dense, from_sparse = (
            DeepLogisticClassifier((5,), random_state=0).fit(X, targets) for targets in (y, sparse.csr_matrix(y))
        )
        assert_array_equal(dense.predict_proba(X), from_sparse.predict_proba(X))
        assert isinstance(from_sparse.predict(X), np.ndarray)


class TestFeatureImportances:
    @staticmethod
    def product():
        """Return rows of six columns of very different units; the label is the sign of the product of two of them."""
        X = np.random.RandomState(0).randn(300, 6)
        return X * [1, 1e6, 1e-3, 1, 1e3, 1], (X[:, 1] * X[:, 4] > 0).astype(int)

    def test_they_are_the_relevances(self):
        X, y = self.product()
        model = DeepLogisticClassifier((8,), random_state=0).fit(X, y)
        assert_array_equal(model.feature_importances_, model.feature_relevance_)
        assert_allclose(model.feature_importances_.sum(), 1, rtol=1e-12)
        assert model.feature_importances_[[1, 4]].sum() > 0.7
        assert "feature_importances_" not in vars(model)
        assert_array_equal(pickle.loads(pickle.dumps(model)).feature_importances_, model.feature_importances_)

    def test_where_no_feature_matters_all_are_zero_as_in_the_trees_of_scikit_learn(self):
        X, y = np.zeros((40, 3)), np.arange(40) % 2
        with pytest.warns(UserWarning, match="do not determine the network"):
            model = DeepLogisticClassifier((3,), random_state=0).fit(X, y)
        assert_array_equal(model.feature_importances_, np.zeros(3))
        assert_array_equal(DecisionTreeClassifier().fit(X, y).feature_importances_, np.zeros(3))

    @pytest.mark.parametrize(
        "options", [{"alpha": 1.0}, {"alpha_grouping": "shared"}, {"alpha_grouping": "layer"}, {"alpha": [1.0, 2.0]}]
    )
    def test_without_an_alpha_for_each_feature_there_are_none(self, options):
        X, y = self.product()
        model = DeepLogisticClassifier((3,), random_state=0, early_stopping=False, **options).fit(X / X.std(axis=0), y)
        assert not hasattr(model, "feature_importances_")
        with pytest.raises(AttributeError, match=r"feature_importances_ .*alpha='evidence'.*alpha_grouping='feature'"):
            model.feature_importances_  # noqa: B018

    def test_weights_set_by_hand_have_none(self):
        model = DeepLogisticClassifier(())
        model.coefs_, model.intercepts_, model.classes_ = [np.ones((3, 1))], [np.zeros(1)], np.array([0, 1])
        assert not hasattr(model, "feature_importances_")
        with pytest.raises(AttributeError, match="alpha='evidence'"):
            model.feature_importances_  # noqa: B018

    def test_before_fit_there_are_none(self):
        assert not hasattr(DeepLogisticClassifier(), "feature_importances_")
        with pytest.raises(AttributeError, match="not fitted yet"):
            DeepLogisticClassifier().feature_importances_  # noqa: B018

    def test_selectors_take_them(self):
        X, y = self.product()
        model = DeepLogisticClassifier((8,), random_state=0)
        selectors = [RFE(model, n_features_to_select=2, step=2), SelectFromModel(model)]
        for selector in (*selectors, SelectFromModel(model.fit(X, y), prefit=True)):
            assert np.flatnonzero(selector.fit(X, y).get_support()).tolist() == [1, 4]

    def test_without_a_hidden_layer_they_do_not_depend_on_the_units_as_coef_does(self):
        X = np.random.RandomState(0).randn(300, 4)
        y = (X[:, 1] + X[:, 2] > 0).astype(int) ^ (np.arange(300) % 10 == 0)
        model = DeepLogisticClassifier(())
        X *= [1e-6, 1e6, 1, 1]
        by_relevance = RFE(model, n_features_to_select=2, importance_getter="feature_importances_").fit(X, y)
        assert np.flatnonzero(by_relevance.support_).tolist() == [1, 2]


class TestEarlyStopping:
    def noisy(self, n_rows=600):
        rng = np.random.RandomState(0)
        X = rng.randn(n_rows, 20)
        return X, (X[:, 0] + 2 * rng.randn(n_rows) > 0).astype(int)

    def test_the_best_iterate_is_kept_not_the_last(self):
        X, y = self.noisy()
        model = DeepLogisticClassifier(alpha=0.01, early_stopping=True, random_state=0).fit(X, y)
        assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_ < model.max_iter
        assert model.best_validation_score_ == max(model.validation_scores_)
        assert model.best_validation_score_ > model.validation_scores_[-1] + 0.01
        assert model.loss_ == model.loss_curve_[np.argmax(model.validation_scores_)]
        assert min(model.loss_curve_) < model.loss_
        assert model.best_loss_ is None  # as in MLPClassifier
        assert model.optimize_result_.success
        assert "validation" in model.optimize_result_.message

    def test_it_helps_on_noise(self):
        X, y = self.noisy(3000)
        X, X_test, y, y_test = train_test_split(X, y, random_state=0)
        losses = {}
        for early_stopping in (False, True):
            model = DeepLogisticClassifier(alpha=0.01, early_stopping=early_stopping, random_state=0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                losses[early_stopping] = log_loss(y_test, model.fit(X, y).predict_proba(X_test))
        assert losses[True] < 0.7 * losses[False]

    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_caller_may_bring_the_validation_data(self, weighted):
        X, y = self.noisy()
        X, X_val, y, y_val = train_test_split(X, np.array(["no", "yes"])[y], random_state=0)
        weights = np.random.RandomState(0).rand(len(y_val)) if weighted else None
        model = DeepLogisticClassifier(alpha=0.01, random_state=0)
        model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
        expected = -log_loss(y_val, model.predict_proba(X_val), sample_weight=weights)
        assert_allclose(model.best_validation_score_, expected, rtol=1e-12)
        assert model.best_validation_score_ == max(model.validation_scores_)

    @pytest.mark.parametrize(
        ("hidden", "n_rows", "expected"), [((5,), 199, False), ((5,), 200, True), ((), 600, False)]
    )
    def test_auto_holds_rows_out_of_tables_that_can_spare_them(self, hidden, n_rows, expected):
        X, y = self.noisy(n_rows)
        model = DeepLogisticClassifier(hidden, alpha=10.0, random_state=0).fit(X, y)
        assert (model.validation_scores_ is not None) == expected

    def test_a_class_of_one_row_is_trained_on(self):
        X, y = self.noisy()
        y[0] = 2
        model = DeepLogisticClassifier((5,), alpha=1.0, random_state=0).fit(X, y)
        assert model.validation_scores_ is not None
        assert model.classes_.tolist() == [0, 1, 2]

    def test_auto_holds_nothing_out_where_too_little_would_be_left(self):
        X, y = self.noisy()
        y[:300] = np.arange(300)
        assert (
            DeepLogisticClassifier((5,), alpha=10, max_iter=5000, random_state=0).fit(X, y).validation_scores_ is None
        )
        with pytest.warns(UserWarning, match="validation set is too small, .* 300 class.* holds out 60"):
            model = DeepLogisticClassifier((5,), alpha=10, early_stopping=True, random_state=0).fit(X, y)
        assert model.validation_scores_ is not None
        assert len(model.classes_) == 300

    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    def test_a_caller_who_asks_for_it_gets_it_on_few_rows_with_a_warning(self, name):
        """Nine rows are enough: one is held out, whatever its class, and the warning names the line of the caller."""
        X, y = load(name)
        rows = np.linspace(0, len(y) - 1, 9).astype(int)
        X, y = X[rows], y[rows]
        model = DeepLogisticClassifier((5,), alpha=1.0, early_stopping=True, random_state=0)
        if name == "multilabel":
            model.fit(X, y)
        else:
            with pytest.warns(UserWarning, match="too small, .*validation_fraction=0.1 of 9 rows") as caught:
                model.fit(X, y)
            assert caught[0].filename == __file__
        assert len(model.validation_scores_) == model.n_iter_
        assert model.classes_.tolist() == list(range({"binary": 2, "multiclass": 3, "multilabel": y.shape[-1]}[name]))

    def test_class_weights_count_in_validation_too(self):
        X, y = self.noisy()
        X, X_val, y, y_val = train_test_split(X, y, random_state=0)
        model = DeepLogisticClassifier((5,), class_weight={0: 3.0}, random_state=0).fit(X, y, X_val=X_val, y_val=y_val)
        weights = np.where(y_val == 0, 3.0, 1.0)
        expected = -log_loss(y_val, model.predict_proba(X_val), sample_weight=weights)
        assert_allclose(model.best_validation_score_, expected, rtol=1e-12)


class TestRestartsAndWarmStart:
    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_the_best_start_wins(self, early_stopping):
        X, y = load("digits")
        options = {"alpha": 1.0, "early_stopping": early_stopping, "random_state": 0, "max_iter": 1000}
        one = DeepLogisticClassifier((3,), **options).fit(X, y)
        five = DeepLogisticClassifier((3,), n_init=5, **options).fit(X, y)
        if early_stopping:
            assert five.best_validation_score_ > one.best_validation_score_
        else:
            assert five.loss_ < one.loss_

    def test_a_convex_fit_needs_one_start(self):
        X, y = load("binary")
        one, five = (DeepLogisticClassifier((), alpha=1.0, n_init=n).fit(X, y) for n in (1, 5))
        assert_array_equal(one.coefs_[0], five.coefs_[0])

    def test_a_warm_start_continues(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), early_stopping=False, warm_start=True, max_iter=5, random_state=0)
        losses = []
        for _ in range(3):
            with pytest.warns(ConvergenceWarning, match="max_iter"):
                losses += model.fit(X, y).loss_curve_
        assert len(losses) == 15
        assert np.all(np.diff(losses) <= 0)

    def test_a_cold_start_does_not(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), random_state=0)
        assert_array_equal(model.fit(X, y).coefs_[0].copy(), model.fit(X, y).coefs_[0])

    @pytest.mark.parametrize(
        ("parameters", "data", "message"),
        [
            ({"hidden_layer_sizes": (6,)}, {}, r"`hidden_layer_sizes` is the same.*\(5,\), now \(6,\)"),
            (
                {},
                {"y": [1, 2]},
                r"same classes as in the previous call to fit. Previously got \[0 1\], `y` has \[1 2\]",
            ),
            ({}, {"y": [0, 1, 2]}, "same classes as in the previous call"),
            ({}, {"n_features": 4}, "X has 4 features, but DeepLogisticClassifier is expecting 30"),
        ],
    )
    def test_a_warm_start_that_does_not_fit_is_an_error(self, parameters, data, message):
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), warm_start=True, random_state=0).fit(X, y)
        before = [coef.copy() for coef in model.coefs_]
        y = np.resize(data.get("y", [0, 1]), len(y))
        with pytest.raises(ValueError, match=message):
            model.set_params(**parameters).fit(X[:, : data.get("n_features", 30)], y)
        for coef, old in zip(model.coefs_, before, strict=True):
            assert_array_equal(coef, old)
        assert model.n_features_in_ == 30


class TestEndOfFit:
    @pytest.mark.parametrize("limit", ["max_iter", "max_fun"])
    def test_a_limit_warns_and_says_what_to_change(self, limit):
        X, y = load("binary")
        with pytest.warns(ConvergenceWarning, match=f"{limit}.*Increase .*{limit}"):
            model = DeepLogisticClassifier((5,), **{limit: 3}, early_stopping=False).fit(X, y)
        assert not model.optimize_result_.success

    def test_the_warning_points_to_the_line_that_called_fit(self):
        with pytest.warns(ConvergenceWarning) as caught:
            DeepLogisticClassifier((5,), max_iter=1).fit(*load("binary"))
        assert caught[0].filename == __file__

    def test_patience_ends_a_fit_at_a_kink_as_converged(self):
        X, y = load("multiclass")
        model = DeepLogisticClassifier((20,), alpha=3.0, early_stopping=False, random_state=0).fit(X, y)
        assert model.optimize_result_.success

    def test_verbose_prints_a_line_per_iterate(self, capsys):
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), early_stopping=True, verbose=True, random_state=0).fit(X, y)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == model.n_iter_ + 1
        assert all(word in lines[-1] for word in ("loss", "gradient", "validation", " s"))

    @pytest.mark.parametrize("n_init", [1, 3])
    def test_ctrl_c_keeps_the_best_iterate_and_warns(self, monkeypatch, n_init):
        from skrelu._core.objective import Objective

        X, y = load("binary")
        evaluate, count = Objective.value_and_gradient, [0]

        def interrupted(self, parameters):
            count[0] += 1
            if count[0] == 60:
                raise KeyboardInterrupt
            return evaluate(self, parameters)

        monkeypatch.setattr(Objective, "value_and_gradient", interrupted)
        model = DeepLogisticClassifier((5,), early_stopping=False, n_init=n_init, max_iter=50, random_state=0)
        model.set_params(max_iter=50 if n_init == 3 else 1000, tol=0.0)
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.fit(X, y)
        assert count[0] == 60
        assert model.score(X, y) > 0.95
        assert not model.optimize_result_.success

    def test_ctrl_c_before_anything_was_learned_is_passed_on(self, monkeypatch):
        from skrelu._core.objective import Objective

        def interrupted(self, parameters):
            raise KeyboardInterrupt

        X, y = load("binary")
        model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        before = model.predict_proba(X)
        monkeypatch.setattr(Objective, "value_and_gradient", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X[:, :7], y)
        monkeypatch.undo()
        assert_array_equal(model.predict_proba(X), before)

    def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
        before = dict(vars(model))
        model.max_iter = 2
        with pytest.raises(ConvergenceWarning):  # the tests turn warnings into errors
            model.fit(X[:, :3], y)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is value for name, value in before.items() if name != "max_iter")

    def test_a_fit_that_raises_leaves_the_estimator_as_it_was(self):
        X, y = load("binary")
        model = DeepLogisticClassifier((5,), standardize=False, random_state=0).fit(X, y)  # else 1e200 X is as X
        before = dict(vars(model))
        for bad_X, bad_y in [(X[:, :3], np.zeros(len(y))), (X[:, :3], y[:-1]), (1e200 * X[:, :3], y)]:
            with pytest.raises(ValueError, match=r"class|inconsistent|cannot begin"):
                model.fit(bad_X, bad_y)
            assert vars(model).keys() == before.keys()
            assert all(vars(model)[name] is value for name, value in before.items())


def test_inside_cross_validation():
    X, y = load("multiclass")
    result = cross_validate(DeepLogisticClassifier((10,), random_state=0), X, y, n_jobs=2, scoring="neg_log_loss")
    assert result["test_score"].min() > -0.4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_memory_map_is_fitted_without_a_copy(tmp_path):
    X, y = load("digits")
    X = np.vstack([X, X])  # past the tables that are put in order
    y = np.r_[y, y]
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = DeepLogisticClassifier((10,), n_curvature_terms=500, max_iter=50, random_state=0)
    fits = [clone(model).fit(rows, y) for rows in (X, mapped)]
    assert_array_equal(fits[0].coefs_[0], fits[1].coefs_[0])


def test_data_and_weights_are_left_as_they_were():
    X, y = load("binary")
    weights = np.random.RandomState(0).rand(len(y))
    before = X.copy(), y.copy(), weights.copy()
    DeepLogisticClassifier((5,), class_weight="balanced", random_state=0).fit(X, y, weights)
    for now, then in zip((X, y, weights), before, strict=True):
        assert_array_equal(now, then)
