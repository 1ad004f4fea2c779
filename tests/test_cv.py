"""The penalty chosen by cross-validation, against scikit-learn's searches and against the same done by hand."""

import pickle
from functools import cache

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_breast_cancer, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from threadpoolctl import threadpool_limits

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._core.objective import Objective

ALPHAS = [0.03, 0.3, 3.0, 30.0]
EXACT = {"tol": 1e-9, "max_iter": 10_000}


def load(name):
    """Return a standardised data set, its rows shuffled."""
    if name == "multilabel":
        X, y = make_multilabel_classification(n_samples=200, n_features=8, n_classes=4, random_state=0)
    else:
        X, y = {"binary": load_breast_cancer, "multiclass": load_iris}[name](return_X_y=True)
    order = np.random.RandomState(0).permutation(len(y))[:300]
    return scale(X)[order], y[order]


def small(**parameters):
    """Return an estimator of few units and alphas, whose fits converge."""
    return DeepLogisticClassifierCV(
        **{"hidden_layer_sizes": (4,), "alphas": [1.0, 10.0], "cv": 2, "max_iter": 2000} | parameters
    )


def weights_of(y):
    return np.random.RandomState(1).randint(0, 4, size=len(y)).astype(float)


@cache
def search_of_logistic_regression(name, class_weight):
    """Return a fitted grid search of scikit-learn over the same alphas and folds."""
    X, y = load(name)
    logistic = LogisticRegression(tol=1e-9, max_iter=10_000, class_weight=class_weight)
    cv = StratifiedKFold(4, shuffle=True, random_state=0)
    with threadpool_limits(1):  # its many small products would have the threads of BLAS wait for each other
        return GridSearchCV(logistic, {"C": [1 / alpha for alpha in ALPHAS]}, cv=cv, scoring="neg_log_loss").fit(X, y)


class TestAgainstGridSearch:
    """Without a hidden layer the fits are convex, and warm starts end where cold ones do."""

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
    @pytest.mark.parametrize("class_weight", [None, "balanced"])
    @pytest.mark.parametrize("name", ["binary", "multiclass"])
    def test_scores_and_alpha(self, name, class_weight, container):
        X, y = load(name)
        cv = StratifiedKFold(4, shuffle=True, random_state=0)
        search = search_of_logistic_regression(name, class_weight)
        scoring = class_weight and "neg_log_loss"  # that of the search is without the class weights
        model = DeepLogisticClassifierCV((), alphas=ALPHAS, cv=cv, scoring=scoring, class_weight=class_weight, **EXACT)
        model.fit(container(X), y)
        expected = np.array([search.cv_results_[f"split{fold}_test_score"] for fold in range(4)])
        assert_allclose(model.scores_, expected, atol=1e-5)
        assert model.alpha_ == 1 / search.best_params_["C"]
        assert_allclose(model.best_score_, search.best_score_, atol=1e-5)
        assert_allclose(model.predict_proba(X), search.predict_proba(X), atol=1e-5)

    @pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", make_scorer(accuracy_score)])
    def test_scorers(self, scoring):
        X, y = load("multiclass")
        search = GridSearchCV(DeepLogisticClassifier((), **EXACT), {"alpha": ALPHAS}, cv=5, scoring=scoring).fit(X, y)
        model = DeepLogisticClassifierCV((), alphas=ALPHAS, scoring=scoring, **EXACT).fit(X, y)
        expected = np.array([search.cv_results_[f"split{fold}_test_score"] for fold in range(5)])
        assert_allclose(model.scores_, expected, atol=1e-5)

    def test_the_default_folds_are_five_stratified_ones(self):
        X, y = load("binary")
        by_default, by_hand = (
            DeepLogisticClassifierCV((), alphas=ALPHAS, cv=cv).fit(X, y) for cv in (None, StratifiedKFold(5))
        )
        assert_array_equal(by_default.scores_, by_hand.scores_)
        assert by_default.scores_.shape == (5, 4)


class TestPath:
    @pytest.mark.parametrize("name", ["binary", "multiclass", "multilabel"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_each_fit_starts_from_the_one_of_the_weaker_alpha(self, name, weighted):
        X, y = load(name)
        weights = weights_of(y) if weighted else None
        cv = KFold(3)
        model = small(alphas=[3.0, 0.3, 30.0], cv=cv, random_state=3).fit(X, y, weights)
        assert_array_equal(model.alphas_, [0.3, 3.0, 30.0])
        expected = []
        for train, test in cv.split(X):
            step = DeepLogisticClassifier((4,), early_stopping=False, warm_start=True, max_iter=2000, random_state=3)
            row = []
            for alpha in model.alphas_:
                step.set_params(alpha=alpha)
                step.fit(X[train], y[train], None if weights is None else weights[train])
                p = step.predict_proba(X[test])
                w = None if weights is None else weights[test]
                if name == "multilabel":
                    losses = -np.log(np.where(y[test] == 1, p, 1 - p)).sum(axis=1)
                    row.append(-np.average(losses, weights=w))
                else:
                    row.append(-log_loss(y[test], p, sample_weight=w))
            expected.append(row)
        assert_allclose(model.scores_, expected, rtol=1e-10)
        means = np.mean(expected, axis=0)
        assert model.alpha_ == model.alphas_[means.argmax()]
        assert_allclose(model.best_score_, means.max(), rtol=1e-10)

    def test_the_refit_climbs_the_same_path_over_all_rows(self):
        X, y = load("binary")
        model = small(alphas=[0.01, 0.1, 3.0, 3e4], random_state=0).fit(X, y)
        assert 0.01 < model.alpha_ < 3e4
        step = DeepLogisticClassifier((4,), early_stopping=False, warm_start=True, max_iter=2000, random_state=0)
        for alpha in model.alphas_[model.alphas_ <= model.alpha_]:
            step.set_params(alpha=alpha).fit(X, y)
        for own, expected in zip(model.coefs_ + model.intercepts_, step.coefs_ + step.intercepts_, strict=True):
            assert_array_equal(own, expected)
        assert model.loss_curve_ == step.loss_curve_
        assert model.n_iter_ == step.n_iter_

    def test_one_alpha_is_the_fit_of_the_classifier(self):
        X, y = load("multiclass")
        model = small(alphas=[3.0], random_state=5).fit(X, y)
        plain = DeepLogisticClassifier((4,), alpha=3.0, early_stopping=False, max_iter=2000, random_state=5).fit(X, y)
        assert_array_equal(model.predict_proba(X), plain.predict_proba(X))

    def test_an_integer_asks_for_that_many_alphas(self):
        X, y = load("multiclass")
        model = DeepLogisticClassifierCV((), alphas=5, cv=2).fit(X, y)
        assert_allclose(model.alphas_, [0.01, 0.1, 1, 10, 100])
        assert model.scores_.shape == (2, 5)

    @pytest.mark.parametrize("scale", [0.01, 2.0**-900, 1e6 + 0.5])
    def test_an_integer_asks_for_alphas_in_the_unit_of_the_weights(self, scale):
        X, y = load("multiclass")
        plain, scaled = (
            DeepLogisticClassifierCV((), alphas=3, cv=2, tol=1e-8, max_iter=2000).fit(X, y, weights)
            for weights in (None, np.full(len(y), scale))
        )
        assert_allclose(scaled.alphas_, scale * plain.alphas_)
        assert_allclose(scaled.scores_, plain.scores_, rtol=1e-4)

    def test_given_alphas_and_those_for_counts_have_no_unit(self):
        X, y = load("multiclass")
        given = small(alphas=[1.0, 10.0], refit=False).fit(X, y, np.full(len(y), 0.5))
        counts = small(alphas=2, refit=False).fit(X, y, weights_of(y))
        assert given.alphas_.tolist() == [1.0, 10.0]
        assert counts.alphas_.tolist() == [0.01, 100.0]
        balanced = small(alphas=2, class_weight={0: 4.0, 1: 1.0, 2: 1.0}, refit=False).fit(X, y)
        assert_allclose(balanced.alphas_, [0.03, 300.0])  # (16 + 1 + 1) / (4 + 1 + 1), the classes are equally frequent

    def test_of_equal_scores_the_strongest_alpha_is_taken(self):
        def score_of(estimator, X, y):  # the same in total, in another order of the folds
            return (
                {1.0: 0.1, 2.0: 0.2, 3.0: 0.3}[X[0, 0]]
                if estimator.alpha < 5
                else {1.0: 0.3, 2.0: 0.1, 3.0: 0.2}[X[0, 0]]
            )

        X = np.column_stack([np.repeat([1.0, 2.0, 3.0], 10), np.random.RandomState(0).randn(30)])
        y = np.arange(30) % 2
        cv = [(np.flatnonzero(X[:, 0] != k), np.flatnonzero(X[:, 0] == k)) for k in (1.0, 2.0, 3.0)]
        model = small(alphas=[1.0, 2.0, 10.0, 20.0], cv=cv, scoring=score_of, refit=False).fit(X, y)
        assert model.alpha_ == 20.0
        assert_allclose(model.best_score_, 0.2)


class TestSameAnswer:
    @pytest.mark.parametrize("random_state", [0, "instance"])
    def test_any_n_jobs(self, random_state):
        X, y = load("binary")

        def fit(n_jobs):
            state = np.random.RandomState(7) if random_state == "instance" else random_state
            return small(cv=3, n_jobs=n_jobs, random_state=state).fit(X, y)

        one, two = fit(1), fit(2)
        assert_array_equal(one.scores_, two.scores_)
        assert_array_equal(one.coefs_[0], two.coefs_[0])

    def test_any_backend(self):
        import joblib

        X, y = load("multiclass")
        one = small(cv=3, random_state=0).fit(X, y)
        with joblib.parallel_config("threading", n_jobs=2):
            two = small(cv=3, random_state=0).fit(X, y)
        assert_array_equal(one.scores_, two.scores_)

    def test_rows_of_weight_zero_are_not_there(self):
        X, y = load("multiclass")
        weights = weights_of(y)
        kept = weights > 0
        model = small(cv=3, random_state=0).fit(X, y, weights)
        without = small(cv=3, random_state=0).fit(X[kept], y[kept], weights[kept])
        assert_array_equal(model.scores_, without.scores_)
        assert_array_equal(model.predict_proba(X), without.predict_proba(X))

    @pytest.mark.parametrize("factor", [2.0**-997, 2.0**996])  # by powers of two, which change no digit
    def test_weights_and_alphas_of_any_magnitude(self, factor):
        X, y = load("multiclass")
        plain = small(random_state=0).fit(X, y)
        scaled = small(alphas=[1.0 * factor, 10.0 * factor], random_state=0).fit(X, y, np.full(len(y), factor))
        assert_array_equal(scaled.scores_, plain.scores_)

    def test_a_row_drawn_twice_counts_twice(self):
        X, y = load("multiclass")
        train, test = np.arange(100), np.arange(100, 150)
        doubled = [(np.r_[train, train[:30]], test)]
        model = small(cv=doubled, random_state=0, refit=False).fit(X, y)
        weights = np.where(np.arange(150) < 30, 2.0, 1.0)
        weighted = small(cv=[(train, test)], random_state=0, refit=False).fit(X, y, weights)
        assert_array_equal(model.scores_, weighted.scores_)

    def test_data_are_left_as_they_were(self):
        X, y = load("binary")
        weights, alphas = weights_of(y), np.array([10.0, 1.0])
        before = X.copy(), y.copy(), weights.copy(), alphas.copy()
        small(alphas=alphas).fit(X, y, weights)
        for now, then in zip((X, y, weights, alphas), before, strict=True):
            assert_array_equal(now, then)


class TestLabelsAndWeights:
    def test_strings(self):
        X, y = load("multiclass")
        named = np.array(["c", "a", "b"])[y]
        model = small(random_state=0, cv=3).fit(X, named)
        assert model.classes_.tolist() == ["a", "b", "c"]
        assert model.score(X, named) > 0.9

    def test_sparse_indicators(self):
        X, y = load("multilabel")
        dense, from_sparse = (small(random_state=0).fit(X, targets) for targets in (y, sparse.csr_matrix(y)))
        assert_array_equal(dense.scores_, from_sparse.scores_)
        assert dense.predict(X).shape == y.shape

    @pytest.mark.parametrize("labels", [[0, 1], ["no", "yes"]])
    def test_scores_are_finite_for_labels_that_a_test_part_lacks(self, labels):
        X = np.random.RandomState(0).randn(30, 3)
        y = np.array(labels)[np.r_[np.zeros(10, int), np.arange(20) % 2]]
        model = small(cv=KFold(3)).fit(X, y)
        assert np.isfinite(model.scores_).all()

    @pytest.mark.parametrize("class_weight", ["balanced", {0: 1e-3, 2: 5.0}])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_default_score_has_the_class_weights_of_the_fit(self, weighted, class_weight):
        X, y = load("multiclass")
        X, y = X[(y > 0) | (X[:, 0] > -1)], y[(y > 0) | (X[:, 0] > -1)]  # fewer rows of class 0
        weights = weights_of(y) if weighted else np.ones(len(y))
        cv = StratifiedKFold(3, shuffle=True, random_state=0)
        model = small(alphas=[3.0], cv=cv, class_weight=class_weight, random_state=0, refit=False)
        model.fit(X, y, weights if weighted else None)
        expected = []
        for train, test in cv.split(X, y):
            fold = DeepLogisticClassifier((4,), alpha=3.0, early_stopping=False, max_iter=2000, random_state=0)
            fold.set_params(class_weight=class_weight).fit(X[train], y[train], weights[train] if weighted else None)
            if class_weight == "balanced":
                factors = 1 / np.bincount(y[train], weights[train])
            else:
                factors = np.array([1e-3, 1.0, 5.0])
            p = fold.predict_proba(X[test])
            expected.append([-log_loss(y[test], p, sample_weight=weights[test] * factors[y[test]])])
        assert_allclose(model.scores_, expected, rtol=1e-10)

    def test_weights_reach_scorers_that_take_them(self):
        X, y = load("multiclass")
        weights = weights_of(y)
        default = small(random_state=0).fit(X, y, weights)
        named = small(random_state=0, scoring="neg_log_loss").fit(X, y, weights)
        assert_allclose(named.scores_, default.scores_, rtol=1e-10)

        def plain(estimator, X, y):
            return estimator.score(X, y)

        with pytest.warns(UserWarning, match="takes no sample_weight") as caught:
            small(scoring=plain).fit(X, y, weights)
        assert caught[0].filename == __file__

    def test_metadata_routing(self):
        X, y = load("multiclass")
        groups, weights = np.arange(150) % 4, weights_of(y)
        with sklearn.config_context(enable_metadata_routing=True):
            model = small(random_state=0, cv=GroupKFold(4)).set_fit_request(sample_weight=True)
            model.fit(X, y, weights, groups=groups)
            assert model.scores_.shape == (4, 2)
            pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), clone(model))
            pipeline.fit(X, y, sample_weight=weights, groups=groups)
            assert_allclose(pipeline[-1].scores_, model.scores_, atol=0.02)

            from sklearn.metrics import get_scorer

            scorer = get_scorer("neg_log_loss")
            asked = small(random_state=0, scoring=scorer.set_score_request(sample_weight=True)).fit(X, y, weights)
            refused = small(random_state=0, scoring=scorer.set_score_request(sample_weight=False)).fit(X, y, weights)
        assert_allclose(asked.scores_, small(random_state=0).fit(X, y, weights).scores_, rtol=1e-10)
        assert np.abs(asked.scores_ - refused.scores_).min() > 1e-6
        with pytest.raises(ValueError, match=r"only supported if enable_metadata_routing=True.*'groups'"):
            small().fit(X, y, groups=groups)


class TestRefit:
    def test_without_one_the_scores_are_all_there_is(self):
        X, y = load("multiclass")
        model = small(random_state=0).fit(X, y)
        scores = model.scores_
        model.set_params(refit=False).fit(X, y)  # what the refit wrote is gone
        assert {name for name in vars(model) if name.endswith("_")} == {
            *("alphas_", "alpha_", "scores_", "best_score_", "classes_", "n_features_in_")
        }
        assert_array_equal(model.scores_, scores)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            with pytest.raises(NotFittedError, match="refit=False"):
                getattr(model, method)(X)

    def test_before_fit(self):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            small().predict(np.zeros((2, 3)))

    def test_only_the_last_fit_warns_and_points_to_the_line_that_called_fit(self):
        X, y = load("binary")
        with pytest.warns(ConvergenceWarning, match="Increase max_iter") as caught:
            small(max_iter=2).fit(X, y)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        small(max_iter=2, refit=False).fit(X, y)

    def test_verbose(self, capsys):
        X, y = load("multiclass")
        model = small(verbose=1, cv=3).fit(X, y)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("alpha 1 ")
        assert lines[1].startswith("alpha 10 ")
        assert len(lines) == 2 + model.n_iter_ + 1

    def test_callbacks_watch_the_last_fit(self):
        X, y = load("binary")
        monitor = ScoringMonitor(scoring="accuracy")
        plain = small(random_state=0).fit(X, y)
        model = small(random_state=0).set_callbacks(monitor).fit(X, y)
        assert_array_equal(model.coefs_[0], plain.coefs_[0])
        assert set(vars(model)) == set(vars(plain)) | {"_skl_callbacks"}
        log = monitor.get_logs()
        assert log.estimator_name == "DeepLogisticClassifierCV"
        assert sum(row["task_name"] == "iterate" for row in log.data) in (model.n_iter_, model.n_iter_ + 1)

    def test_callbacks_of_an_outer_search(self):
        X, y = load("binary")
        monitor = ScoringMonitor(scoring="accuracy")
        model = small(random_state=0).set_callbacks(monitor)
        GridSearchCV(model, {"hidden_layer_sizes": [(2,), (3,)]}, cv=2).fit(X, y)
        log = monitor.get_logs()
        assert log.estimator_name == "GridSearchCV"
        assert len({row["parent_task_id_path"] for row in log.data if row["task_name"] == "iterate"}) == 2 * 2 + 1

    def test_a_callback_may_end_the_last_fit(self):
        class Stop:
            def setup(self, estimator, context):
                self.names = []

            def teardown(self, estimator, context):
                self.names.append("teardown")

            def on_fit_task_begin(self, estimator, context):
                self.names.append(context.task_name)

            def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
                self.probabilities = fitted_estimator.predict_proba(X)
                return self.names.count("iterate") == 3

        X, y = load("binary")
        stop = Stop()
        model = small(random_state=0).set_callbacks(stop).fit(X, y)
        assert model.n_iter_ == 3
        assert model.optimize_result_.success
        assert stop.names == ["fit", "refit", "iterate", "iterate", "iterate", "teardown"]
        assert_array_equal(stop.probabilities, model.predict_proba(X))
        model.set_params(refit=False).set_callbacks().fit(X, y)

    @pytest.mark.parametrize("refit", [False, True])
    def test_progress_bar(self, refit, capsys):
        pytest.importorskip("rich")
        X, y = load("multiclass")
        small(random_state=0, refit=refit).set_callbacks(ProgressBar()).fit(X, y)
        assert "DeepLogisticClassifierCV - fit" in capsys.readouterr().out


class TestAsAnEstimator:
    def test_clone_and_pickle(self):
        X, y = load("binary")
        model = small(alphas=(1.0, 10.0), cv=3, random_state=0).fit(X, y)
        assert clone(model).get_params() == model.get_params()
        assert not hasattr(clone(model), "coefs_")
        loaded = pickle.loads(pickle.dumps(model))
        assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
        assert loaded.alpha_ == model.alpha_

    def test_in_a_pipeline_with_names(self):
        pd = pytest.importorskip("pandas")
        X, y = load_iris(return_X_y=True)
        frame = pd.DataFrame(X, columns=list("abcd"))
        scaler = StandardScaler().set_output(transform="pandas")
        pipeline = make_pipeline(scaler, small(random_state=0)).fit(frame, pd.Series(y))
        assert pipeline[-1].feature_names_in_.tolist() == list("abcd")
        assert pipeline.score(frame, y) > 0.9
        pipeline[-1].fit(X, y)  # names of an earlier fit go
        assert not hasattr(pipeline[-1], "feature_names_in_")

    def test_float32(self):
        X, y = load("binary")
        single, double = (small(random_state=0).fit(X.astype(dtype), y) for dtype in (np.float32, np.float64))
        assert single.coefs_[0].dtype == np.float32
        assert_allclose(single.scores_, double.scores_, atol=0.01)


class TestBadInput:
    X = np.random.RandomState(0).randn(40, 3)
    y = np.tile([0, 1], 20)

    @pytest.mark.parametrize(
        ("parameters", "error", "message"),
        [
            ({"alphas": 1}, ValueError, "alphas must be an integer >= 2"),
            ({"cv": 1}, ValueError, "cv does not divide the rows: .*n_splits=1"),
            ({"cv": [(np.arange(0, 30, 2), [31])]}, ValueError, r"Fold 0 of cv trains without .* classes \[1\]"),
            ({"scoring": "best"}, ValueError, "scoring is not valid: .*'best'"),
            ({"scoring": ["accuracy"]}, TypeError, "scoring must be None, the name of one scorer, or callable"),
            ({"scoring": accuracy_score}, ValueError, "scoring is not valid: .*metric"),
            ({"scoring": lambda estimator, X, y: "high"}, TypeError, "scoring must return a number, got 'high'"),
            ({"scoring": lambda estimator, X, y: np.nan}, ValueError, "scoring returned nan at alpha=1"),
            ({"refit": "yes"}, TypeError, "refit must be True or False, got 'yes'"),
            ({"hidden_layer_sizes": 0}, ValueError, "hidden_layer_sizes must hold"),
            ({"max_iter": 0}, ValueError, "max_iter must be"),
            ({"tol": -1}, ValueError, "tol must be"),
            ({"n_jobs": 0}, ValueError, "n_jobs must be"),
            ({"n_jobs": 1.5}, TypeError, "n_jobs must be"),
            ({"random_state": "seed"}, ValueError, "random_state must be"),
            ({"verbose": -1}, ValueError, "verbose must be"),
            ({"class_weight": {7: 1.0}}, ValueError, "class_weight names classes"),
        ],
    )
    def test_parameters(self, parameters, error, message):
        model = small(random_state=0).fit(self.X, self.y)
        before = dict(vars(model))
        model.set_params(**parameters)
        with pytest.raises(error, match=message):
            model.fit(self.X[:, :2], self.y)
        assert vars(model) == before | parameters

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            ({"X": np.full((40, 3), np.nan)}, "Input X contains NaN"),
            ({"y": np.zeros(40)}, "only one class"),
            ({"y": np.arange(39)}, "inconsistent"),
            ({"sample_weight": -np.ones(40)}, "sample_weight must not be negative"),
            ({"sample_weight": np.eye(40)[0]}, "only one class in rows of positive weight"),
        ],
    )
    def test_data(self, data, message):
        model = small(random_state=0).fit(self.X, self.y)
        before = dict(vars(model))
        with pytest.raises(ValueError, match=message):
            model.fit(**({"X": self.X, "y": self.y} | data))
        assert vars(model) == before

    def test_too_many_stratified_folds_warn_as_in_scikit_learn(self):
        y = np.r_[np.zeros(37, int), np.ones(3, int)]
        with pytest.warns(UserWarning, match="least populated class"):
            small(cv=4).fit(self.X, y)

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_an_error_in_a_fold_leaves_the_estimator_as_it_was(self, n_jobs):
        model = small(random_state=0, n_jobs=n_jobs).fit(self.X, self.y)
        before = dict(vars(model))
        with pytest.raises(ValueError, match="up to 1e\\+200"):
            model.fit(1e200 * np.sign(self.X[:, :2]), self.y)
        assert vars(model) == before

    def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was(self):
        X, y = load("binary")
        model = small(random_state=0).fit(X, y)
        before = dict(vars(model))
        model.max_iter = 2
        with pytest.raises(ConvergenceWarning):
            model.fit(X[:, :3], y)
        assert vars(model) == before | {"max_iter": 2}


class TestInterruption:
    def interrupt(self, monkeypatch, at):
        evaluate, count = Objective.value_and_gradient, [0]

        def interrupted(objective, parameters):
            count[0] += 1
            if count[0] == at:
                raise KeyboardInterrupt
            return evaluate(objective, parameters)

        monkeypatch.setattr(Objective, "value_and_gradient", interrupted)
        return count

    def count_evaluations(self, monkeypatch, model, X, y):
        count = self.interrupt(monkeypatch, None)
        model.fit(X, y)
        monkeypatch.undo()
        return count[0]

    def test_ctrl_c_before_the_last_fit_is_passed_on(self, monkeypatch):
        X, y = load("binary")
        model = small(alphas=[0.01, 3.0], random_state=0)
        n_folds_only = self.count_evaluations(monkeypatch, clone(model).set_params(refit=False), X, y)
        model.fit(X, y)
        assert model.alpha_ == 3.0
        before = dict(vars(model))
        for at in (1, 10, n_folds_only - 5, n_folds_only + 10):  # the last one in the refit at the weaker alpha
            self.interrupt(monkeypatch, at)
            with pytest.raises(KeyboardInterrupt):
                model.fit(X, y)
            monkeypatch.undo()
            assert vars(model) == before

    def test_ctrl_c_in_the_last_fit_keeps_the_best_iterate_and_warns(self, monkeypatch):
        X, y = load("binary")
        model = small(alphas=[0.01, 3.0], random_state=0)
        n_evaluations = self.count_evaluations(monkeypatch, clone(model), X, y)
        self.interrupt(monkeypatch, n_evaluations - 2)
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.fit(X, y)
        assert not model.optimize_result_.success
        assert model.score(X, y) > 0.95
