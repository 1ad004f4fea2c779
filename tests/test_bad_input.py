"""Whatever cannot be right is named before work begins, and what was fitted stays."""

import warnings
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV, loss_and_gradient
from tests.problems import SMALL_X, SMALL_Y, weights_with, with_value

RNG = np.random.RandomState(1)
X, Y = SMALL_X, SMALL_Y
PREDICTIVE = ("map", "laplace")


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"hidden_layer_sizes": (5, 0)}, ValueError, r"hidden_layer_sizes must hold integers >= 1, got \(5, 0\)"),
        ({"hidden_layer_sizes": 2.5}, TypeError, "hidden_layer_sizes must be an int or a sequence of int, got 2.5"),
        ({"alpha": -1}, ValueError, r"alpha must be a number in \[0, inf\), .* got -1"),
        ({"alpha": [1.0]}, ValueError, r"alpha must be .* 2 number\(s\), one for each layer, got shape \(1,\)"),
        ({"tol": None}, TypeError, "tol must be"),
        ({"max_iter": 0}, ValueError, "max_iter must be an integer >= 1, got 0"),
        ({"class_weight": {0: 1, 7: 2}}, ValueError, r"class_weight names classes that y does not hold: \[7\]"),
    ],
)
def test_parameters(parameters, error, message):
    """One of each check; tests/data has the others."""
    with pytest.raises(error, match=message):
        DeepLogisticClassifier(**parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"X": with_value(np.nan)}, ValueError, "Input X contains NaN"),
        ({"X": X[:-1]}, ValueError, r"inconsistent numbers of samples: \[39, 40\]"),
        ({"y": np.ones(40)}, ValueError, r"y must hold at least two classes, .*only one class: \[1.0\]"),
        ({"y": X[:, 0]}, ValueError, "Unknown label type: continuous"),
        ({"y": RNG.randint(3, size=(40, 2))}, ValueError, "multiclass-multioutput"),
        ({"y": ["a", 1] * 20}, TypeError, "y must hold labels of one kind"),
        ({"y": np.column_stack([Y, 1 - Y]) + 1}, ValueError, r"y must be an indicator of 0 and 1 .*got \[1, 2\]"),
        ({"y": sparse.csr_array(-np.column_stack([Y, 1 - Y]))}, ValueError, "y must be an indicator of 0 and 1"),
        ({"y": None}, ValueError, "requires y to be passed"),
        ({"sample_weight": weights_with(-1)}, ValueError, "sample_weight must not be negative, got -1"),
        ({"sample_weight": 1.0 * Y}, ValueError, "only one class in rows of positive weight"),
        ({"X_val": X}, ValueError, r"X_val and y_val must be given together, got \['X_val'\] alone"),
        ({"y_val": Y}, ValueError, "X_val and y_val must be given together"),
        ({"sample_weight_val": np.ones(40)}, ValueError, "X_val and y_val must be given together"),
        ({"X_val": X[:, :2], "y_val": Y}, ValueError, "X_val, y_val .* is not valid: X has 2 features"),
        ({"X_val": X[:-1], "y_val": Y}, ValueError, "X_val, y_val .* inconsistent"),
        ({"X_val": with_value(np.nan), "y_val": Y}, ValueError, "X_val, y_val .* NaN"),
        ({"X_val": X[:0], "y_val": Y[:0]}, ValueError, "X_val, y_val .* 0 sample"),
        ({"X_val": X, "y_val": Y + 1}, ValueError, r"y_val holds labels that y does not: \[2\]"),
        ({"X_val": X, "y_val": np.column_stack([Y, Y])}, ValueError, "y_val must be like y"),
        ({"X_val": 1e308 * np.sign(X), "y_val": Y}, ValueError, "validation loss is not finite.* up to 1e.308"),
        ({"X_val": X, "y_val": Y, "sample_weight_val": np.zeros(40)}, ValueError, "sample_weight_val"),
        ({"X_val": X, "y_val": Y, "sample_weight_val": -np.ones(40)}, ValueError, "sample_weight_val"),
    ],
)
def test_data(data, error, message):
    model = DeepLogisticClassifier((4,), random_state=0).fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(error, match=message):
        model.fit(**({"X": X, "y": Y} | data))
    assert_array_equal(model.predict_proba(X), before)


def test_validation_data_without_early_stopping():
    with pytest.raises(ValueError, match="early_stopping=True"):
        DeepLogisticClassifier(early_stopping=False).fit(X, Y, X_val=X, y_val=Y)


def test_validation_sets_that_are_too_small():
    model = DeepLogisticClassifier((4,), alpha=1.0, early_stopping=True, random_state=0)
    with pytest.warns(UserWarning, match=r"too small, .*: validation_fraction=0\.1 of 40 rows in 5 .* holds out 4\."):
        model.fit(X, np.arange(40) % 5)
    assert len(model.validation_scores_) == model.n_iter_
    assert np.isfinite(model.best_validation_score_)
    with pytest.raises(ValueError, match=r"too small, .*: validation_fraction=0\.1 of 10 rows in 10 .* holds out 0\."):
        model.fit(X[:10], np.arange(10))
    assert model.classes_.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X[:, :2], "X has 2 features, but DeepLogisticClassifier is expecting 3"),
        (with_value(np.nan), "Input X contains NaN"),
        (X[:0], "0 sample"),
        (with_value("red", object), "X must hold numbers.*red"),
    ],
)
def test_rows_to_predict(method, rows, message):
    model = DeepLogisticClassifier((4,), random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(rows)


@pytest.mark.filterwarnings("ignore:The training rows do not determine the network")
def test_weights_that_let_many_rows_count_as_few():
    weights = np.where(np.arange(len(Y)) < 3, 1.0, 1e-3)
    model = DeepLogisticClassifier((4,), random_state=0)
    with pytest.warns(UserWarning, match=r"the 40 training rows count as 3.07 .* sample_weight or class_wei") as caught:
        model.fit(X, Y, weights)
    assert {warning.filename for warning in caught} == {__file__}
    with pytest.warns(UserWarning, match="the 36 training rows count as"):
        clone(model).set_params(early_stopping=True).fit(X, Y, weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(alpha=0.1, early_stopping=False, max_iter=5000).fit(X, Y, weights)
        fitted = model.coefs_
        with pytest.raises(UserWarning, match="count as"):
            model.set_params(alpha="evidence").fit(X, Y, weights)
    assert model.coefs_ is fitted


def test_few_rows_give_no_warning_of_weights():
    """Neither few rows with any weights, nor many whose total weight is small, nor equal rows, which are merged."""
    model = DeepLogisticClassifier((4,), alpha_grouping="shared", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that do not determine the network
        warnings.filterwarnings("error", message=".*count as")
        model.fit(X[:4], Y[:4], [1.0, 1e-3, 1e-3, 1e-3])
        model.fit(X, Y, np.full(len(Y), 1e-3))
        model.fit(X[np.r_[np.zeros(20, int), :5]], Y[np.r_[np.zeros(20, int), :5]], np.full(25, 0.01))


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e300, 1e307])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1e300, 1: 1e300}])
@pytest.mark.parametrize("alpha", [0.0, 1.0, "evidence"])
def test_weights_of_any_magnitude(scale, class_weight, alpha):
    rows, y = np.vstack([X, X]), np.r_[Y, Y]  # equal rows are merged
    model = DeepLogisticClassifier((4,), alpha=alpha, class_weight=class_weight, random_state=0)
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="L-BFGS ended before it found a minimum")
        try:
            model.fit(rows, y, np.full(80, scale))
        except ValueError as error:
            assert "Rescale sample_weight and alpha" in str(error)  # noqa: PT017
            assert scale < 1e-200
            assert alpha == 1.0
            return
        assert np.isfinite(model.predict_proba(rows)).all()


class TestScales:
    """Data of any magnitude give finite probabilities or a clear error, and no warning of numpy."""

    SCALES = [
        (np.float64, scale)
        for scale in (1e-308, 1e-300, 1e-150, 1e-20, 1e20, 1e100, 1e150, 1e155, 1e200, 1e300, 1.7e308)
    ] + [(np.float32, scale) for scale in (1e-40, 1e-30, 1e-10, 1e10, 1e18, 1e20, 1e30, 3.4e38)]

    @pytest.mark.parametrize("hidden", [(), (4,), (6, 4)])
    @pytest.mark.parametrize("classes", [2, 3, "multilabel"])
    @pytest.mark.parametrize(("dtype", "scale"), SCALES)
    @pytest.mark.parametrize("alpha", [0.0, 1.0, "evidence"])
    def test_fit(self, dtype, scale, hidden, classes, alpha):
        rows = np.clip(X, -1, 1).astype(dtype) * dtype(scale)
        y = np.column_stack([Y, X[:, 0] > 0]).astype(int) if classes == "multilabel" else np.arange(40) % classes
        model = DeepLogisticClassifier(hidden, alpha=alpha, random_state=0)
        with np.errstate(all="warn"), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message="L-BFGS ended before it found a minimum")
            warnings.filterwarnings("ignore", message="The training rows do not determine the network")
            try:
                model.fit(rows, y)
            except ValueError as error:
                assert "X holds values up to" in str(error)  # noqa: PT017 - either outcome is right
                assert scale > 1
                return
            assert all(np.isfinite(part).all() for part in model.coefs_ + model.intercepts_)
            probabilities = model.predict_proba(rows)
        assert np.isfinite(probabilities).all()
        assert ((probabilities >= 0) & (probabilities <= 1)).all()

    @staticmethod
    @cache
    def fitted(dtype, hidden, classes):
        return DeepLogisticClassifier(hidden, alpha=0.1, random_state=0).fit(X.astype(dtype), np.arange(40) % classes)

    @pytest.mark.parametrize("hidden", [(), (4,), (6, 4)])
    @pytest.mark.parametrize("classes", [2, 3])
    @pytest.mark.parametrize(("dtype", "scale"), SCALES)
    def test_predict(self, dtype, scale, hidden, classes):
        model = self.fitted(dtype, hidden, classes)
        rows = np.clip(X, -1, 1).astype(dtype) * dtype(scale)
        with np.errstate(all="warn"), warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                probabilities = model.predict_proba(rows)
            except ValueError as error:
                assert "X holds values up to" in str(error)  # noqa: PT017
                assert scale > 1e30
                return
        assert np.isfinite(probabilities).all()

    def test_float32_model_and_larger_float64_rows(self):
        model = DeepLogisticClassifier((4,), random_state=0).fit(X.astype(np.float32), Y)
        assert np.isfinite(model.predict_log_proba(X * 1e100)).all()


class TestWithoutTheCheckOfScikitLearn:
    """Under `assume_finite=True` scikit-learn lets NaN and infinity pass."""

    @pytest.fixture(autouse=True)
    def _assume_finite(self):
        with config_context(assume_finite=True), warnings.catch_warnings():
            warnings.simplefilter("error")
            yield

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
    @pytest.mark.parametrize(
        "model",
        [
            DeepLogisticClassifier((4,)),
            DeepLogisticClassifier(()),
            DeepLogisticClassifier((4,), alpha=1.0, standardize=False),
            DeepLogisticClassifier((4,), alpha=1.0, standardize=True),
            DeepLogisticClassifierCV((4,), alphas=[1.0], cv=2, standardize=False),
            DeepLogisticClassifierCV((4,), alphas=[1.0], cv=2, standardize=True),
        ],
    )
    def test_fit(self, model, value, name, dtype, container):
        with pytest.raises(ValueError, match=f"X holds {name}. Every value must be a finite number"):
            clone(model).fit(container(with_value(value).astype(dtype)), Y)

    @pytest.mark.parametrize("standardize", [False, True])
    @pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
    def test_a_column_of_a_single_value(self, value, name, standardize):
        rows = X.copy()
        rows[:, 1] = value
        with pytest.raises(ValueError, match=f"X holds {name}. Every value"):
            DeepLogisticClassifier((4,), alpha=1.0, standardize=standardize).fit(rows, Y)

    @pytest.mark.parametrize("alpha", ["evidence", 1.0])
    @pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity")])
    def test_validation_data(self, value, name, alpha):
        with pytest.raises(ValueError, match=rf"X holds values up to \d\.\d+, the validation data hold {name}. Every"):
            DeepLogisticClassifier((4,), alpha=alpha).fit(X, Y, X_val=np.full_like(X, value), y_val=Y)

    @pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
    @pytest.mark.parametrize("argument", ["sample_weight", "sample_weight_val"])
    def test_sample_weight(self, argument, value, name):
        data = {"X_val": X, "y_val": Y} if argument == "sample_weight_val" else {}
        with pytest.raises(ValueError, match=f"{argument} must hold finite numbers, but it holds {name}"):
            DeepLogisticClassifier((4,)).fit(X, Y, **data, **{argument: weights_with(value)})

    @pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
    @pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
    def test_prediction(self, method, container):
        with config_context(assume_finite=False):
            models = [DeepLogisticClassifier((4,), predictive=predictive, random_state=0) for predictive in PREDICTIVE]
            models = [model.fit(X, Y) for model in models]
        for model in models:
            with pytest.raises(ValueError, match=r"X holds NaN\. Every value must be a finite number"):
                getattr(model, method)(container(with_value(np.nan)))
        with pytest.raises(ValueError, match="X holds NaN"):
            models[1].decision_function(container(with_value(np.nan)), return_std=True)


class OtherArray(np.ndarray):
    """Stands for an array of torch or CuPy, which need not be installed."""


class TestArraysOfOtherLibraries:
    """What scikit-learn does not convert to NumPy is named before work begins."""

    @pytest.fixture(autouse=True)
    def _dispatch(self, monkeypatch):
        monkeypatch.setenv("SCIPY_ARRAY_API", "1")
        monkeypatch.setattr("skrelu._data.validation.is_foreign_array", lambda array: isinstance(array, OtherArray))

    @staticmethod
    def message(name):
        return rf"{name} must be an array of NumPy, got tests\.test_bad_input\.OtherArray\. .*np\.asarray\({name}\.cpu"

    @pytest.mark.parametrize("name", ["X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val"])
    def test_fit(self, name):
        data = {"X": X, "y": Y, "sample_weight": np.ones(40)}
        data |= {f"{key}_val": value for key, value in data.items()} if "val" in name else {}
        data[name] = data[name].view(OtherArray)
        model = DeepLogisticClassifier((4,), random_state=0).fit(X, Y)
        before = model.predict_proba(X)
        with pytest.raises(TypeError, match=self.message(name)):
            model.fit(**data)
        assert_array_equal(model.predict_proba(X), before)

    @pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
    def test_cross_validation_and_function(self, name):
        data = {"X": X, "y": Y, "sample_weight": np.ones(40)}
        data[name] = data[name].view(OtherArray)
        with pytest.raises(TypeError, match=self.message(name)):
            DeepLogisticClassifierCV((4,), alphas=[1.0], cv=2).fit(**data)
        with pytest.raises(TypeError, match=self.message(name)):
            loss_and_gradient([np.zeros((3, 1))], [np.zeros(1)], **data)

    def test_prediction_and_score(self):
        model = DeepLogisticClassifier((4,), alpha=1.0, random_state=0).fit(X, Y)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            with pytest.raises(TypeError, match=self.message("X")):
                getattr(model, method)(X.view(OtherArray))
        with pytest.raises(TypeError, match=self.message("y")):
            model.score(X, Y.view(OtherArray))

    def test_arrays_of_numpy_under_dispatch(self):
        with config_context(array_api_dispatch=True):
            model = DeepLogisticClassifier((4,), alpha=1.0, random_state=0).fit(X, Y)
            assert model.predict(X).shape == (40,)
