"""Parameters of a fit on a cluster: each has the effect that it has in a local fit."""

import pickle
import threading

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skrelu import DeepLogisticClassifier
from tests.dask.conftest import (
    N_ROWS,
    OPTIONS,
    SIZES,
    as_array,
    assert_same_fit,
    cut,
    data_of,
    fit,
    fit_locally,
    fit_on_cluster,
)

pytest.importorskip("distributed")

from skrelu.dask import DaskDeepLogisticClassifier

pytestmark = pytest.mark.usefixtures("client")
EVIDENCE = {"alpha": "evidence", "hidden_layer_sizes": (3,), "max_iter": 40}


def both(kind="binary", sample_weight=None, **options):
    """Return a fit on the cluster and a local one."""
    X, y = data_of(kind)
    given = None if sample_weight is None else as_array(sample_weight)
    return fit_on_cluster(as_array(X), as_array(y), given, **options), fit_locally(X, y, sample_weight, **options)


class TestEvidence:
    @pytest.mark.parametrize("grouping", ["shared", "layer", "feature"])
    def test_alpha_and_evidence(self, grouping):
        model, expected = both(alpha_grouping=grouping, n_curvature_terms=700, **EVIDENCE)
        assert_allclose(model.alpha_, expected.alpha_, rtol=1e-3)
        assert_allclose(model.log_evidence_, expected.log_evidence_, rtol=1e-5)
        assert_allclose(model.loss_, expected.loss_, rtol=1e-4)
        assert len(model.evidence_curve_["log_evidence"]) == len(expected.evidence_curve_["log_evidence"])
        if grouping == "feature":
            assert_allclose(model.feature_importances_, expected.feature_importances_, atol=1e-3)

    @pytest.mark.parametrize("weights", ["counts", "floats"])
    @pytest.mark.parametrize("class_weight", [None, "balanced"])
    def test_the_number_of_rows_that_weights_stand_for(self, weights, class_weight):
        rng = np.random.RandomState(0)
        weights = rng.randint(0, 3, size=N_ROWS).astype(float) if weights == "counts" else 1e200 * rng.rand(N_ROWS)
        model, expected = both("binary", weights, class_weight=class_weight, **EVIDENCE)
        assert_allclose(model.alpha_, expected.alpha_, rtol=1e-3)
        assert_allclose(model.log_evidence_, expected.log_evidence_, rtol=1e-5)

    def test_weights_that_differ_much_give_the_same_warning(self):
        with pytest.warns(UserWarning, match="weights differ so much that the 150 training rows count as") as caught:
            both("binary", np.where(np.arange(N_ROWS) < 3, 1e6, 0.5), **EVIDENCE)
        ours, theirs = (str(warning.message) for warning in caught)
        assert ours == theirs

    @pytest.mark.parametrize("alpha", [0.1, "evidence"])
    def test_moderated_probabilities(self, alpha):
        X, _ = data_of("binary")
        model, expected = both(hidden_layer_sizes=(3,), alpha=alpha, predictive="laplace")
        assert_allclose(model.predict_proba(as_array(X)).compute(), expected.predict_proba(X), rtol=1e-5)
        for ours, theirs in zip(
            model.decision_function(as_array(X), return_std=True),
            expected.decision_function(X, return_std=True),
            strict=True,
        ):
            assert_allclose(ours.compute(), theirs, rtol=1e-4, atol=1e-5)

    def test_a_sample_of_the_terms(self):
        model, expected = both(n_curvature_terms=60, **EVIDENCE)
        assert_allclose(model.log_evidence_, expected.log_evidence_, rtol=0.1)  # other terms are drawn
        assert model.log_evidence_ != both(n_curvature_terms=700, **EVIDENCE)[0].log_evidence_


class TestStarts:
    def test_several_starts(self):
        options = {"hidden_layer_sizes": (3,), "n_init": 3, "random_state": 2}
        model, expected = both(**options)
        assert_same_fit(model, expected)
        single, _ = both(**options | {"n_init": 1})
        assert model.loss_ < single.loss_

    def test_the_seed_is_that_of_the_weights(self):
        assert_same_fit(*both(hidden_layer_sizes=(3,), random_state=1))
        model, _ = both(hidden_layer_sizes=(3,), random_state=np.random.RandomState(1))
        assert_same_fit(model, both(hidden_layer_sizes=(3,), random_state=1)[1])

    @pytest.mark.parametrize("standardize", [False, True])
    def test_warm_start(self, standardize):
        X, y = data_of("multiclass")
        options = OPTIONS | {"hidden_layer_sizes": (3,), "warm_start": True, "standardize": standardize}
        model, expected = DaskDeepLogisticClassifier(**options), DeepLogisticClassifier(**options)
        for _ in range(2):
            fit(model, as_array(X), as_array(y))
            fit(expected, X, y)
            assert_same_fit(model, expected)
        fit(expected, X, y)
        assert_same_fit(fit(model.to_local(), X, y), expected)
        fit(model, as_array(X), as_array(y))
        assert_same_fit(model, expected)

    def test_warm_start_with_the_evidence(self):
        X, y = data_of("binary")
        options = OPTIONS | EVIDENCE | {"max_iter": 5, "warm_start": True}
        model, expected = DaskDeepLogisticClassifier(**options), DeepLogisticClassifier(**options)
        for _ in range(2):
            fit(model, as_array(X), as_array(y))
            fit(expected, X, y)
        assert_allclose(model.alpha_, expected.alpha_, rtol=1e-4)

    def test_warm_start_needs_the_same_classes_and_columns(self, nothing_is_left):
        X, y = data_of("multiclass")
        model = fit_on_cluster(as_array(X), as_array(y), warm_start=True)
        before = dict(vars(model))
        with pytest.raises(ValueError, match="same classes"):
            fit(model, as_array(X), as_array(np.minimum(y, 1)))
        with pytest.raises(ValueError, match="X has 3 features"):
            fit(model, as_array(X[:, :3]), as_array(y))
        assert vars(model) == before


class TestLimits:
    def test_iterations_and_evaluations(self):
        for options in ({"max_iter": 2}, {"max_fun": 3}, {"tol": 0.2, "max_iter": 100}):
            model, expected = both(hidden_layer_sizes=(3,), **options)
            assert_same_fit(model, expected)
            assert model.optimize_result_.nfev == expected.optimize_result_.nfev
            assert model.optimize_result_.message == expected.optimize_result_.message

    def test_iterations_without_progress(self):
        options = {"hidden_layer_sizes": (2,), "max_iter": 100, "tol": 1e-3, "n_iter_no_change": 1}
        model, expected = both(**options)
        assert model.n_iter_ == expected.n_iter_
        assert model.n_iter_ < both(**options | {"n_iter_no_change": 5})[0].n_iter_

    def test_a_list_of_alphas(self):
        model, expected = both(hidden_layer_sizes=(3,), alpha=[1.0, 0.01])
        assert_same_fit(model, expected)

    def test_threads_change_no_bit(self):
        models = [both(hidden_layer_sizes=(3,), n_jobs=n_jobs)[0] for n_jobs in (None, 2)]
        assert_array_equal(models[0].coefs_[0], models[1].coefs_[0])

    def test_verbose(self, capsys):
        both(hidden_layer_sizes=(3,), verbose=0)
        assert capsys.readouterr().out == ""
        X, y = data_of("binary")
        fit_on_cluster(as_array(X), as_array(y), hidden_layer_sizes=(3,), verbose=1)
        ours = self.without_seconds(capsys.readouterr().out)
        fit_locally(X, y, hidden_layer_sizes=(3,), verbose=1)
        assert ours == self.without_seconds(capsys.readouterr().out)
        assert len(ours) == 1 + OPTIONS["max_iter"]

    @staticmethod
    def without_seconds(lines):
        return [" ".join(line.split()[:-2]) for line in lines.splitlines()]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("alpha", -1.0),
            ("alpha_grouping", "none"),
            ("n_curvature_terms", 0),
            ("predictive", "mean"),
            ("standardize", "yes"),
            ("class_weight", "even"),
            ("class_weight", {5: 1.0}),
            ("max_iter", 0),
            ("max_fun", 0),
            ("tol", -1.0),
            ("early_stopping", "no"),
            ("validation_fraction", 1.5),
            ("n_iter_no_change", 0),
            ("n_init", 0),
            ("n_jobs", 0),
            ("random_state", "x"),
            ("hidden_layer_sizes", (0,)),
        ],
    )
    def test_wrong_values_are_refused_as_in_a_local_fit(self, name, value, nothing_is_left):
        X, y = data_of("binary")
        with pytest.raises((ValueError, TypeError)) as ours:
            fit_on_cluster(as_array(X), as_array(y), **{name: value})
        with pytest.raises((ValueError, TypeError)) as theirs:
            fit_locally(X, y, **{name: value})
        assert type(ours.value) is type(theirs.value)
        assert str(ours.value) == str(theirs.value).replace("DeepLogistic", "DaskDeepLogistic")


def test_scores_that_overflow_are_an_error_as_in_a_local_fit(nothing_is_left):
    X, y = data_of("binary")
    X = 1e300 * X
    options = {"hidden_layer_sizes": (3,), "early_stopping": True, "standardize": False}
    with pytest.raises(ValueError, match="A fit cannot begin") as ours:
        fit_on_cluster(as_array(X), as_array(y), **options)
    with pytest.raises(ValueError, match="A fit cannot begin") as theirs:
        fit_locally(X, y, **options)
    # Other rows are held out; the largest values are those of all rows.
    assert str(ours.value) == str(theirs.value)


class Recorder:
    """Keep what a callback is shown, and stop after some iterates."""

    def __init__(self, stop_after=None):
        self.stop_after, self.events, self.models = stop_after, [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.events.append(f"end {context.task_name}")
        if context.task_name == "iterate":
            assert not hasattr(estimator, "coefs_")
            self.X, self.y, self.metadata = X, y, metadata
            self.models.append(fitted_estimator)
        return context.task_name == "iterate" and len(self.models) == self.stop_after


class TestCallbacks:
    def test_they_see_each_iterate_of_the_local_fit(self, nothing_is_left):
        X, y = data_of("binary")
        rows, labels, weights = as_array(X), as_array(y), as_array(np.ones(N_ROWS))
        ours, theirs = Recorder(), Recorder()
        options = OPTIONS | {"hidden_layer_sizes": (3,)}
        model = fit(DaskDeepLogisticClassifier(**options).set_callbacks(ours), rows, labels, weights)
        fit(DeepLogisticClassifier(**options).set_callbacks(theirs), X, y, np.ones(N_ROWS))
        assert ours.events == theirs.events
        assert (ours.X, ours.y, ours.metadata["sample_weight"]) == (rows, labels, weights)
        for mine, other in zip(ours.models, theirs.models, strict=True):
            assert_allclose(mine.predict_proba(X), other.predict_proba(X), rtol=1e-6)
            assert_array_equal(mine.predict_proba(rows).compute()[: SIZES[0]], mine.predict_proba(cut(X)[0]))
        without = fit_on_cluster(rows, labels, weights, hidden_layer_sizes=(3,))
        assert_array_equal(model.coefs_[0], without.coefs_[0])

    def test_they_can_end_the_fit(self):
        X, y = data_of("binary")
        recorder = Recorder(stop_after=2)
        model = DaskDeepLogisticClassifier(**OPTIONS | {"hidden_layer_sizes": (3,)}).set_callbacks(recorder)
        assert model.fit(as_array(X), as_array(y)).n_iter_ == 2
        assert "callback" in model.optimize_result_.message

    def test_an_error_leaves_the_estimator_and_the_cluster_as_they_were(self, nothing_is_left):
        class Failing(Recorder):
            def on_fit_task_end(self, estimator, context):
                raise RuntimeError("of the callback")

        X, y = data_of("binary")
        model = fit_on_cluster(as_array(X), as_array(y))
        before, failing = dict(vars(model)), Failing()
        with pytest.raises(RuntimeError, match="of the callback"):
            fit(model.set_callbacks(failing), as_array(X[:, :2]), as_array(y))
        assert failing.events[-1] == "teardown"
        model.set_callbacks()
        assert vars(model) == before


class TestCopies:
    def test_parameters(self, client):
        local = DeepLogisticClassifier().get_params()
        assert DaskDeepLogisticClassifier().get_params() == local | {"client": None}
        model = DaskDeepLogisticClassifier(alpha=2.0, client=client)
        assert clone(model).client is client
        assert clone(model).get_params() == model.get_params()
        assert model.set_params(client=None, alpha=3.0).get_params() == local | {"client": None, "alpha": 3.0}

    def test_saved_models_have_no_client(self, client, tmp_path):
        X, y = data_of("binary")
        model = fit_on_cluster(as_array(X), as_array(y), client=client)
        joblib.dump(model, tmp_path / "model")
        for loaded in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):
            assert loaded.client is None
            assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
        assert model.client is client

    def test_the_local_copy_has_the_same_bits(self, client):
        X, y = data_of("multilabel")
        model = fit_on_cluster(as_array(X), as_array(y), client=client, hidden_layer_sizes=(3,), standardize=True)
        local = model.to_local()
        assert type(local) is DeepLogisticClassifier
        assert local.get_params() | {"client": client} == model.get_params()
        assert vars(local).keys() == vars(model).keys() - {"client"}
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            expected = np.concatenate([getattr(local, method)(part) for part in cut(X) if len(part)])
            assert_array_equal(getattr(model, method)(as_array(X)).compute(), expected)
        local.coefs_[0][:] = 0
        assert model.coefs_[0].any()

    def test_the_local_copy_has_no_callbacks(self):
        """They may hold what cannot be copied, such as an open file."""
        X, y = data_of("binary")
        recorder = Recorder()
        recorder.lock = threading.Lock()
        model = fit(DaskDeepLogisticClassifier(**OPTIONS).set_callbacks(recorder), as_array(X), as_array(y))
        before = dict(vars(model))
        assert_array_equal(model.to_local().predict(X), model.predict(X))
        assert vars(model) == before
