"""Pipelines and searches: scores are those of fits by hand, in processes, threads and a Dask cluster; routed metadata.

`tests/test_cv.py` has the same for DeepLogisticClassifierCV, `tests/test_callbacks.py` has searches with callbacks.
"""

from contextlib import contextmanager

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import accuracy_score, get_scorer, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    ParameterGrid,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale

from skrelu import DeepLogisticClassifier

GRID = {"deeplogisticclassifier__alpha": [0.1, 1.0, 30.0], "deeplogisticclassifier__hidden_layer_sizes": [(), (5,)]}


@pytest.fixture(scope="module")
def data():
    X, y = load_breast_cancer(return_X_y=True)
    return X[:240], y[:240]


def pipeline(**parameters):
    return make_pipeline(StandardScaler(), DeepLogisticClassifier((5,), random_state=0, **parameters))


@contextmanager
def backend_of(name):
    """Let joblib run two jobs at a time by this backend."""
    if name != "dask":
        with joblib.parallel_config(name, n_jobs=2):
            yield
        return
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask", n_jobs=2),
    ):
        yield


def score(model, X, y):
    """Minus the log-loss, bit for bit as scikit-learn's scorer has it: of the probabilities of the second class."""
    return -log_loss(y, model.predict_proba(X)[:, 1])


def assert_same_model(model, expected):
    for actual, wanted in zip(model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert_array_equal(actual, wanted)


@pytest.fixture(scope="module")
def by_hand(data):
    """The scores of every candidate of GRID in every fold, by a loop."""
    X, y = data
    folds = list(StratifiedKFold(3).split(X, y))
    return np.array(
        [
            [
                score(pipeline().set_params(**parameters).fit(X[train], y[train]), X[test], y[test])
                for train, test in folds
            ]
            for parameters in ParameterGrid(GRID)
        ]
    )


class TestPipeline:
    def test_it_is_the_steps_one_after_the_other(self, data):
        X, y = data
        scaler = StandardScaler().fit(X)
        expected = DeepLogisticClassifier((5,), random_state=0).fit(scaler.transform(X), y)
        fitted = pipeline().fit(X, y)
        assert_same_model(fitted[-1], expected)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            assert_array_equal(getattr(fitted, method)(X), getattr(expected, method)(scaler.transform(X)))
        assert fitted.score(X, y) > 0.95
        assert_array_equal(fitted.classes_, [0, 1])

    @pytest.mark.parametrize("sparse_threshold", [0.0, 1.0])
    def test_columns_of_numbers_and_of_names(self, sparse_threshold):
        pd = pytest.importorskip("pandas")
        X, y = load_iris(return_X_y=True)
        frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
        frame["size"] = pd.Series(np.array(["small", "medium", "large"])[np.digitize(X[:, 3], [0.8, 1.7])], dtype="str")
        columns = make_column_transformer(
            (StandardScaler(), ["c", "a"]),
            (OneHotEncoder(handle_unknown="ignore"), ["size"]),
            sparse_threshold=sparse_threshold,
        )
        model = DeepLogisticClassifier((5,), alpha=1.0, random_state=0)
        fitted = make_pipeline(columns, clone(model)).fit(frame, y)
        names = np.array(["large", "medium", "small"])
        by_hand = np.column_stack([scale(X[:, [2, 0]]), frame["size"].to_numpy()[:, np.newaxis] == names])
        by_hand = sparse.csr_array(by_hand) if sparse_threshold else by_hand
        expected = clone(model).fit(by_hand, y)
        assert_same_model(fitted[-1], expected)
        assert_array_equal(fitted.predict_proba(frame), expected.predict_proba(by_hand))
        assert fitted.score(frame, y) > 0.9
        unknown = frame.assign(size="huge")
        by_hand = np.column_stack([scale(X[:, [2, 0]]), np.zeros((len(X), 3))])
        by_hand = sparse.csr_array(by_hand) if sparse_threshold else by_hand
        assert_array_equal(fitted.predict_proba(unknown), expected.predict_proba(by_hand))


class TestSearches:
    @pytest.mark.parametrize("backend", ["sequential", "loky", "threading", "dask"])
    def test_every_backend_gives_the_scores_of_a_loop(self, data, by_hand, backend):
        X, y = data
        search = GridSearchCV(pipeline(), GRID, scoring="neg_log_loss", cv=3)
        with backend_of(backend):
            search.fit(X, y)
        scores = np.transpose([search.cv_results_[f"split{fold}_test_score"] for fold in range(3)])
        assert_array_equal(scores, by_hand)
        best = list(ParameterGrid(GRID))[by_hand.mean(axis=1).argmax()]
        assert search.best_params_ == best
        assert_same_model(search.best_estimator_[-1], pipeline().set_params(**best).fit(X, y)[-1])
        assert -search.best_score_ < 0.2
        assert np.ptp(search.cv_results_["mean_test_score"]) > 0.05  # so it mattered what was tried

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("backend", ["loky", "threading", "dask"])
    def test_halving_by_iterations(self, data, backend):
        """Candidates are given 10 iterations, the better half 20, and so on: as many as `max_iter` says."""
        X, y = data
        X = scale(X)
        model = DeepLogisticClassifier((5,), early_stopping=False, random_state=0)
        grid = {"alpha": [0.01, 1.0, 10.0, 100.0]}
        search = HalvingGridSearchCV(
            model, grid, factor=2, resource="max_iter", min_resources=10, max_resources=40, cv=3, scoring="neg_log_loss"
        )
        with backend_of(backend):
            search.fit(X, y)
        results = search.cv_results_
        assert search.n_resources_ == [10, 20, 40]
        assert search.n_candidates_ == [4, 2, 1]
        folds = list(StratifiedKFold(3).split(X, y))
        survivors = grid["alpha"]
        for iteration, max_iter in enumerate(search.n_resources_):
            rows = results["iter"] == iteration
            tried = results["param_alpha"][rows]
            assert set(tried) == set(survivors)
            fits = {
                (alpha, fold): clone(model).set_params(alpha=alpha, max_iter=max_iter).fit(X[train], y[train])
                for alpha in tried
                for fold, (train, _) in enumerate(folds)
            }
            scores = [
                [score(fits[alpha, fold], X[test], y[test]) for fold, (_, test) in enumerate(folds)] for alpha in tried
            ]
            assert_array_equal(np.transpose([results[f"split{fold}_test_score"][rows] for fold in range(3)]), scores)
            survivors = tried[np.argsort(np.mean(scores, axis=1))][-max(len(tried) // 2, 1) :]
        assert [search.best_params_["alpha"]] == list(survivors)


class TestMetadataRouting:
    @pytest.fixture(autouse=True)
    def routing(self):
        with sklearn.config_context(enable_metadata_routing=True):
            yield

    @pytest.fixture
    def weights(self, data):
        return np.random.RandomState(0).rand(len(data[1]))

    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_cross_validate(self, data, weights, n_jobs):
        X, y = data
        X, groups = scale(X), np.arange(len(y)) % 7
        model = DeepLogisticClassifier((5,), alpha=1.0, random_state=0)
        result = cross_validate(
            clone(model).set_fit_request(sample_weight=True),
            X,
            y,
            params={"sample_weight": weights, "groups": groups},
            cv=GroupKFold(3),
            scoring={
                "weighted": get_scorer("accuracy").set_score_request(sample_weight=True),
                "plain": get_scorer("accuracy").set_score_request(sample_weight=False),
            },
            return_estimator=True,
            n_jobs=n_jobs,
        )
        for fold, (train, test) in enumerate(GroupKFold(3).split(X, y, groups)):
            fitted = clone(model).fit(X[train], y[train], weights[train])
            assert_same_model(result["estimator"][fold], fitted)
            unweighted = clone(model).fit(X[train], y[train])
            assert np.abs(fitted.coefs_[0] - unweighted.coefs_[0]).max() > 0.01
            predicted = fitted.predict(X[test])
            assert result["test_weighted"][fold] == accuracy_score(y[test], predicted, sample_weight=weights[test])
            assert result["test_plain"][fold] == accuracy_score(y[test], predicted) > 0.9

    @pytest.mark.parametrize("requested", [True, False])
    def test_a_pipeline_in_a_search(self, data, weights, requested):
        X, y = data
        model = DeepLogisticClassifier((5,), random_state=0)
        steps = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), clone(model).set_fit_request(sample_weight=requested)
        )
        scorer = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        search = GridSearchCV(steps, {"deeplogisticclassifier__alpha": [1.0, 30.0]}, cv=2, scoring=scorer)
        search.fit(X, y, sample_weight=weights)
        model.set_params(alpha=search.best_params_["deeplogisticclassifier__alpha"])
        weighted, unweighted = (clone(model).fit(scale(X), y, each) for each in (weights, None))
        assert_same_model(search.best_estimator_[-1], weighted if requested else unweighted)
        assert np.abs(weighted.coefs_[0] - unweighted.coefs_[0]).max() > 0.01

    def test_what_nobody_requested_is_an_error(self, data, weights):
        X, y = data
        model = DeepLogisticClassifier((5,), random_state=0)
        with pytest.raises(
            UnsetMetadataPassedError, match=r"are not explicitly set as requested or not .* DeepLogisticClassifier\.fit"
        ):
            cross_validate(model, X, y, params={"sample_weight": weights})

    def test_validation_data_pass_through_the_steps_before(self, data):
        X, y = data
        model = DeepLogisticClassifier((5,), alpha=1.0, random_state=0).set_fit_request(X_val=True, y_val=True)
        steps = Pipeline([("scale", StandardScaler()), ("model", clone(model))], transform_input=["X_val"])
        steps.fit(X[:160], y[:160], X_val=X[160:], y_val=y[160:])
        scaler = StandardScaler().fit(X[:160])
        expected = clone(model).fit(scaler.transform(X[:160]), y[:160], X_val=scaler.transform(X[160:]), y_val=y[160:])
        assert_same_model(steps[-1], expected)
        assert steps[-1].validation_scores_ == expected.validation_scores_
        assert expected.best_validation_score_ > -0.2
