"""Saved models: what they hold, that they say the same elsewhere and later, and what is refused."""

import copy
import pickle
import subprocess
import sys

import cloudpickle
import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import OptimizeResult
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import skrelu
from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV, _persistence
from skrelu._core.arrays import CentredRows
from skrelu._laplace.posterior import NoPosterior, Posterior
from tests.save_models import SAVED, fitted_models

X, y = load_breast_cancer(return_X_y=True)
X = scale(X)
RELEASES = sorted(path.name for path in SAVED.iterdir())


def by_pickle(model, path):
    return pickle.loads(pickle.dumps(model))


def by_cloudpickle(model, path):
    return cloudpickle.loads(cloudpickle.dumps(model))


def by_joblib(model, path):
    joblib.dump(model, path / "model.joblib")
    return joblib.load(path / "model.joblib")


def by_memory_map(model, path):
    joblib.dump(model, path / "model.joblib")
    loaded = joblib.load(path / "model.joblib", mmap_mode="r")
    assert all(isinstance(coef, np.memmap) for coef in loaded.coefs_)
    return loaded


def by_skops(model, path):
    io = pytest.importorskip("skops.io")
    io.dump(model, path / "model.skops")
    types = io.get_untrusted_types(file=path / "model.skops")
    assert types
    assert all(name.startswith("skrelu.") for name in types)
    return io.load(path / "model.skops", trusted=types)


WAYS = [by_pickle, by_cloudpickle, by_joblib, by_memory_map, by_skops]


def attributes(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_")}


@pytest.fixture(scope="module")
def models():
    return {name: (model, rows) for name, model, rows in fitted_models()}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "kind",
    [
        "binary",
        "logistic",
        "multinomial",
        "multilabel_laplace",
        "early_stopping_float32",
        "cv",
        "raw_laplace",
        "raw_sparse_laplace",
    ],
)
def test_the_same_comes_back(models, kind, way, tmp_path):
    model, rows = models[kind]
    loaded = way(model, tmp_path)
    assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))
    assert_array_equal(loaded.predict(rows), model.predict(rows))
    assert loaded.get_params() == model.get_params()
    before, after = attributes(model), attributes(loaded)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_equal(after[name], before[name], err_msg=name)
    assert type(loaded.optimize_result_) is OptimizeResult
    assert type(loaded.loss_curve_) is list
    assert type(loaded.validation_scores_) is type(model.validation_scores_)
    assert isinstance(loaded._posterior, Posterior) == (model.predictive == "laplace")  # it holds rows of the data
    assert not hasattr(loaded, "_saved_by")


def test_a_memory_mapped_model_is_fitted_on(models, tmp_path):
    model, rows = models["multinomial"]
    labels = model.predict(rows)
    loaded = by_memory_map(model, tmp_path).set_params(warm_start=True, max_iter=5000).fit(rows, labels)
    again = copy.deepcopy(model).set_params(warm_start=True, max_iter=5000).fit(rows, labels)
    assert_array_equal(loaded.predict_proba(rows), again.predict_proba(rows))


def test_the_same_bits_in_another_process(models, tmp_path):
    model, rows = models["multinomial"]
    joblib.dump((model, rows), tmp_path / "model.joblib")
    code = (
        "import joblib, sys; model, X = joblib.load(sys.argv[1]); "
        "sys.stdout.write(model.predict_proba(X).tobytes().hex())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.joblib"], check=True, capture_output=True, text=True, timeout=120
    )
    assert out.stdout == model.predict_proba(rows).tobytes().hex()


@pytest.mark.parametrize("hidden", [(), (100,), (64, 64)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_pickle_is_little_more_than_the_weights(hidden, dtype):
    model = DeepLogisticClassifier(hidden, alpha=1.0, early_stopping=False, n_jobs=2, random_state=0)
    model.set_callbacks(ScoringMonitor(scoring="neg_log_loss"), ProgressBar()).fit(X.astype(dtype), y)
    weights = sum(part.nbytes for part in model.coefs_ + model.intercepts_)
    # 8 bytes an iterate for the loss curve, and names.
    assert len(pickle.dumps(model)) < weights + 8 * model.n_iter_ + 2500


class Unsaveable:
    """A hook of an open file or a lock; nothing pickles it. It saves the model of each iterate, as far as that can."""

    def __init__(self):
        self.saved, self.n_teardowns = [], 0

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context):
        self.n_teardowns += 1

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.saved.append(pickle.dumps(fitted_estimator))

    def __reduce__(self):
        raise TypeError("cannot pickle an open file")


def test_callbacks_stay_with_unfitted_estimators_only():
    model = DeepLogisticClassifier((3,), alpha=1.0, random_state=0).set_callbacks(Unsaveable())
    with pytest.raises(TypeError, match="open file"):
        pickle.dumps(model)
    model.fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert not hasattr(loaded, "_skl_callbacks")
    assert clone(model)._skl_callbacks  # the fitted estimator itself still has them


def test_a_cross_validation_without_refit_is_saved_without_callbacks():
    model = DeepLogisticClassifierCV((3,), alphas=2, cv=2, refit=False, random_state=0).set_callbacks(Unsaveable())
    loaded = pickle.loads(pickle.dumps(model.fit(X, y)))
    assert loaded.best_score_ == model.best_score_
    assert not hasattr(loaded, "_skl_callbacks")


@pytest.mark.parametrize(
    "model",
    [
        DeepLogisticClassifier((3,), alpha=1.0, random_state=0),
        DeepLogisticClassifierCV((3,), alphas=2, cv=2, random_state=0),
    ],
)
def test_a_callback_can_save_the_model_of_an_iterate(model):
    callback = Unsaveable()
    model = clone(model).set_callbacks(callback).fit(X, y)
    loaded = pickle.loads(callback.saved[-1])
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert len(callback.saved[-1]) < len(pickle.dumps(model)) + 500
    assert not [name for name in vars(loaded) if "callback" in name]
    with pytest.raises(ValueError, match="inconsistent"):
        loaded.fit(X, y[1:])
    assert callback.n_teardowns == 1  # by its own fit


def test_an_unfitted_estimator_comes_back():
    model = DeepLogisticClassifier((3,), alpha=[1.0, 2.0], random_state=np.random.RandomState(0))
    loaded = pickle.loads(pickle.dumps(model))
    assert (loaded.hidden_layer_sizes, loaded.alpha) == ((3,), [1.0, 2.0])
    assert not attributes(loaded)


def test_a_pipeline_needs_trust_in_skrelu_only(tmp_path):
    io = pytest.importorskip("skops.io")
    model = make_pipeline(StandardScaler(), DeepLogisticClassifier((3,), predictive="laplace", random_state=0)).fit(
        X, y
    )
    io.dump(model, tmp_path / "model.skops")
    types = io.get_untrusted_types(file=tmp_path / "model.skops")
    assert types == ["skrelu.DeepLogisticClassifier"]
    assert_array_equal(io.load(tmp_path / "model.skops", trusted=types).predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix])
def test_the_posterior_of_sparse_rows_comes_back(kind, way, tmp_path):
    """The rows of the posterior have standardised columns: sparse, and a center."""
    rows = kind(np.where(X > 1, X, 0))
    model = DeepLogisticClassifier((3,), predictive="laplace", random_state=0).fit(rows, y)
    loaded = way(model, tmp_path)
    assert isinstance(loaded._posterior.rows, CentredRows)
    for some in (rows, rows.toarray()):
        assert_array_equal(loaded.predict_proba(some), model.predict_proba(some))


@pytest.mark.parametrize("release", RELEASES)
def test_models_of_every_release_still_load(release):
    said = np.load(SAVED / release / "said.npz")
    names = sorted(path.stem for path in (SAVED / release).glob("*.joblib"))
    assert names
    for name in names:
        model = joblib.load(SAVED / release / f"{name}.joblib")
        probabilities = model.predict_proba(said[f"{name}_X"])
        tolerance = 1e-5 if probabilities.dtype == np.float32 else 1e-10
        assert_allclose(probabilities, said[f"{name}_probabilities"], rtol=0, atol=tolerance, err_msg=name)
        assert_array_equal(model.predict(said[f"{name}_X"]), said[f"{name}_labels"], err_msg=name)
        assert set(model.get_params()) <= set(type(model)().get_params())


@pytest.mark.parametrize("release", ["0.1.0", "0.1.0-format2"])
def test_before_format_3_the_variances_were_laplace_s_own(release):
    names = sorted(path.stem for path in (SAVED / release).glob("*.joblib"))
    models = {name: joblib.load(SAVED / release / f"{name}.joblib") for name in names}
    posterior = models["multilabel_laplace"]._posterior
    assert posterior.moderation.scale == 1.0
    assert posterior.moderation.reach.tolist() == [np.inf, np.inf]
    for model in models.values():
        assert model.laplace_scale_ == (None if model.log_evidence_ is None else 1.0)
    assert models["multinomial"].laplace_scale_ == 1.0
    assert models["cv"].laplace_scale_ is None


@pytest.mark.parametrize("release", ["0.1.0", "0.1.0-format2", "0.1.0-format3"])
def test_before_format_4_columns_had_the_units_of_the_data(release):
    """A warm start goes on in those units, as the release did that saved the model."""
    for path in (SAVED / release).glob("*.joblib"):
        model = joblib.load(path)
        assert model.standardize is False
        assert model.feature_mean_ is model.feature_scale_ is None
        if isinstance(model._posterior, Posterior):
            assert model._posterior.standardization is None
    unfitted = DeepLogisticClassifier()
    state = {name: value for name, value in unfitted.get_params().items() if name != "standardize"}
    unfitted.__setstate__(state | {"_saved_by": {"skrelu": "0.1.0", "format": 3}})
    assert unfitted.standardize is False
    assert not attributes(unfitted)


def test_a_sparse_posterior_of_format_3_has_no_center():
    rows = sparse.csr_array(np.where(X > 1, X, 0))
    model = DeepLogisticClassifier((3,), predictive="laplace", standardize=False, random_state=0).fit(rows, y)
    state = model.__getstate__()
    state["_saved_by"] = {"skrelu": "0.1.0", "format": 3}
    del state["standardize"], state["feature_mean_"], state["feature_scale_"]
    del state["_posterior"]["standardization"], state["_posterior"]["rows"]["center"]
    loaded = DeepLogisticClassifier()
    loaded.__setstate__(state)
    assert sparse.issparse(loaded._posterior.rows)
    assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))


@pytest.mark.parametrize(("name", "is_sparse"), [("raw_laplace", False), ("raw_sparse_laplace", True)])
def test_models_of_format_4_know_the_columns_of_their_fit(name, is_sparse):
    said = np.load(SAVED / "0.1.0-format4" / "said.npz")
    model = joblib.load(SAVED / "0.1.0-format4" / f"{name}.joblib")
    assert model.standardize == "auto"
    raw = said[f"{name}_X"]
    assert_allclose(model.feature_mean_, raw.mean(axis=0), rtol=1e-13)
    assert_allclose(model.feature_scale_, raw.std(axis=0), rtol=1e-13)
    posterior = model._posterior
    assert isinstance(posterior.rows, CentredRows) is is_sparse
    assert_array_equal(posterior.standardization.center, model.feature_mean_)
    assert_array_equal(posterior.standardization.scale, model.feature_scale_)


def test_a_skops_file_of_the_first_format_loads():
    io = pytest.importorskip("skops.io")
    path, said = SAVED / "0.1.0" / "sparse_laplace.skops", np.load(SAVED / "0.1.0" / "said.npz")
    types = io.get_untrusted_types(file=path)
    assert types == ["skrelu._classifier.DeepLogisticClassifier", "skrelu._posterior.Posterior"]
    model = io.load(path, trusted=types)
    assert isinstance(model._posterior, Posterior)
    actual, expected = model.predict_proba(said["sparse_laplace_X"]), said["sparse_laplace_probabilities"]
    assert_allclose(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("fitted", "expected"),
    [
        ({"log_evidence_": -3.0}, NoPosterior.NOT_SAVED),
        ({"log_evidence_": None, "_posterior": None}, NoPosterior.NOT_MEASURED),
        ({"log_evidence_": None}, NoPosterior.NOT_MEASURED),
    ],
)
def test_the_first_format_leaves_the_posterior_out_or_holds_none(fitted, expected):
    mark = {"_saved_by": {"skrelu": "0.1.0", "format": 1}}
    model = DeepLogisticClassifier()
    model.__setstate__(model.get_params() | {"coefs_": []} | fitted | mark)
    assert model._posterior is expected


def test_there_are_saved_models_of_this_release_and_of_every_format():
    assert any(release.startswith(skrelu.__version__) for release in RELEASES)
    later = [f"-format{number}" for number in range(2, _persistence.FORMAT + 1)]
    assert all(any(release.endswith(suffix) for release in RELEASES) for suffix in later)


@pytest.mark.parametrize("written_in", [_persistence.FORMAT + 1, 0, None, "2"])
def test_another_format_is_refused(models, written_in):
    state = models["binary"][0].__getstate__()
    state["_saved_by"] = {"skrelu": "9.1.0", "format": written_in}
    with pytest.raises(
        ValueError, match=rf"saved by skrelu 9\.1\.0 in format {written_in}, but skrelu {skrelu.__version__}"
    ):
        DeepLogisticClassifier().__setstate__(state)


def test_a_newer_file_is_refused_when_it_is_loaded(models, tmp_path, monkeypatch):
    monkeypatch.setattr(_persistence, "FORMAT", 7)
    joblib.dump(models["binary"][0], tmp_path / "newer.joblib")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"in format 7.* reads formats 1 to 4"):
        joblib.load(tmp_path / "newer.joblib")


def test_a_state_without_a_mark_is_refused(models):
    state = models["binary"][0].__getstate__()
    del state["_saved_by"]
    with pytest.raises(ValueError, match="saved by skrelu an unknown version in format None"):
        DeepLogisticClassifier().__setstate__(state)
