"""scikit-learn's callback protocol: alone, in a Pipeline, in GridSearchCV."""

import threading
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier


@pytest.fixture
def data():
    return load_breast_cancer(return_X_y=True)


class Recorder:
    """Records every hook, checks the tree, and asks to stop after `stop_after` iterates."""

    def __init__(self, stop_after=None):
        self.events, self.stop_after = [], stop_after
        self.scores = []

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.events.append(("begin", context.task_name))
        if context.task_name == "iterate":
            assert len(X) == len(y)
            assert fitted_estimator.predict_proba(X).shape == (len(X), 2)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.events.append(("end", context.task_name))
        if context.task_name == "iterate":
            assert not hasattr(estimator, "coefs_")  # nothing lives on the estimator while it is fitted
            self.scores.append(fitted_estimator.score(X, y))
            self.metadata = metadata
        return context.task_name == "iterate" and len(self.scores) == self.stop_after

    def count(self, event, task):
        return self.events.count((event, task))


def scaled(data):
    return StandardScaler().fit_transform(data[0]), data[1]


def test_one_task_per_iterate_and_a_model_that_predicts_at_each(data):
    X, y = scaled(data)
    recorder = Recorder()
    model = DeepLogisticClassifier((5,), early_stopping=False, random_state=0).set_callbacks(recorder).fit(X, y)
    assert len(recorder.scores) in (model.n_iter_, model.n_iter_ + 1)  # one more if the last search found nothing
    assert recorder.count("begin", "iterate") == recorder.count("end", "iterate") == len(recorder.scores)
    assert recorder.events[:3] == [("setup", "fit"), ("begin", "fit"), ("begin", "iterate")]
    assert recorder.events[-2:] == [("end", "fit"), ("teardown", "fit")]
    assert model.score(X, y) > 0.95
    assert model.score(X, y) in recorder.scores[-100:]  # the last iterates may be of a candidate that was not kept
    assert recorder.scores[0] < recorder.scores[-1]
    assert recorder.metadata is None


def test_callbacks_change_nothing_about_the_fit(data):
    X, y = scaled(data)
    model = DeepLogisticClassifier((5,), random_state=0)
    without = model.fit(X, y).predict_proba(X)
    names = set(vars(model))
    watched = DeepLogisticClassifier((5,), random_state=0).set_callbacks(Recorder()).fit(X, y)
    assert_array_equal(watched.predict_proba(X), without)
    assert set(vars(watched)) == names | {"_skl_callbacks"}


@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_max_iter_tasks_are_never_exceeded(data, max_iter):
    X, y = scaled(data)
    recorder = Recorder()
    model = DeepLogisticClassifier((5,), max_iter=max_iter, random_state=0).set_callbacks(recorder)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        model.fit(X, y)
    assert len(recorder.scores) == max_iter == model.n_iter_


@pytest.mark.parametrize("n_init", [1, 3])
def test_a_callback_that_returns_true_ends_the_fit_without_a_warning(data, n_init):
    X, y = scaled(data)
    recorder = Recorder(stop_after=4)
    model = DeepLogisticClassifier((5,), n_init=n_init, random_state=0).set_callbacks(recorder).fit(X, y)
    assert model.n_iter_ == len(recorder.scores) == 4
    assert model.optimize_result_.success
    assert model.optimize_result_.status == 99
    assert "callback" in model.optimize_result_.message


def test_each_start_is_a_task_whose_subtasks_are_iterates(data):
    X, y = scaled(data)
    recorder = Recorder()
    DeepLogisticClassifier((5,), n_init=3, random_state=0).set_callbacks(recorder).fit(X, y)
    assert recorder.count("begin", "start") == recorder.count("end", "start") == 3
    assert recorder.count("begin", "iterate") > 3


def test_weights_reach_the_callbacks(data):
    X, y = scaled(data)
    weights = np.random.RandomState(0).rand(len(y))
    recorder = Recorder()
    DeepLogisticClassifier((5,), random_state=0).set_callbacks(recorder).fit(X, y, weights)
    assert_array_equal(recorder.metadata["sample_weight"], weights)


def test_an_error_in_a_callback_leaves_the_estimator_as_it_was(data):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise RuntimeError("callback")

    X, y = scaled(data)
    model = DeepLogisticClassifier((5,), random_state=0).fit(X, y)
    before = dict(vars(model))
    failing = Failing()
    with pytest.raises(RuntimeError, match="callback"):
        model.set_callbacks(failing).fit(X[:, :4], y)
    assert failing.events[-1] == ("teardown", "fit")
    model.set_callbacks()
    assert vars(model) == before


def test_scoring_monitor_alone(data):
    X, y = scaled(data)
    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = DeepLogisticClassifier((5,), early_stopping=False, random_state=0).set_callbacks(monitor).fit(X, y)
    log = [row for row in monitor.get_logs().data if row["task_name"] == "iterate"]
    assert len(log) in (model.n_iter_, model.n_iter_ + 1)
    scores = [row["neg_log_loss"] for row in log]
    assert scores[-1] > scores[0]


def test_scoring_monitor_in_a_pipeline(data):
    X, y = data
    monitor = ScoringMonitor(scoring="accuracy")
    model = DeepLogisticClassifier((5,), random_state=0).set_callbacks(monitor)
    pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    log = monitor.get_logs()
    assert log.estimator_name == "Pipeline"
    assert log.data[-1]["accuracy"] > 0.95
    assert pipeline.score(X, y) > 0.95


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_in_a_grid_search(data, n_jobs):
    X, y = scaled(data)
    monitor = ScoringMonitor(scoring="accuracy")
    model = DeepLogisticClassifier((5,), random_state=0).set_callbacks(monitor)
    search = GridSearchCV(model, {"alpha": [1.0, 10.0]}, cv=2, n_jobs=n_jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X, y)
    log = monitor.get_logs()
    assert log.estimator_name == "GridSearchCV"
    parents = {row["parent_task_id_path"] for row in log.data if row["task_name"] == "iterate"}
    assert len(parents) == 2 * 2 + 1  # every candidate and split, and the refit


@pytest.mark.parametrize("where", ["alone", "pipeline", "search"])
def test_progress_bar_runs_to_the_end(data, where, capsys):
    pytest.importorskip("rich")
    X, y = scaled(data)
    model = DeepLogisticClassifier((5,), random_state=0)
    outer = {
        "alone": model,
        "pipeline": make_pipeline(StandardScaler(), model),
        "search": GridSearchCV(model, {"alpha": [10.0]}, cv=2),
    }[where]
    outer.set_callbacks(ProgressBar()).fit(X, y)
    assert "DeepLogisticClassifier - fit" in capsys.readouterr().out
    assert not [thread for thread in threading.enumerate() if "skrelu" in thread.name]


def test_the_description_at_each_iterate_is_what_a_shorter_fit_gives(data):
    X, y = scaled(data)

    class Keeper(Recorder):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "iterate":
                self.scores.append(fitted_estimator)

    keeper = Keeper()
    options = {"early_stopping": False, "random_state": 0}
    DeepLogisticClassifier((5,), **options).set_callbacks(keeper).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        short = DeepLogisticClassifier((5,), max_iter=3, **options).fit(X, y)
    assert_allclose(keeper.scores[2].predict_proba(X), short.predict_proba(X), rtol=1e-12)
