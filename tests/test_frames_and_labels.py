"""Data frames and their columns: the same bits as from NumPy, names kept and checked, labels of every dtype."""

from decimal import Decimal
from functools import cache, partial

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler, scale

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV

NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
CLASSES = np.array(["setosa", "versicolor", "virginica"])
MODELS = {
    "fixed alpha": DeepLogisticClassifier((5,), alpha=1.0, random_state=0),
    "evidence": DeepLogisticClassifier((5,), predictive="laplace", random_state=0),
    "cross-validation": DeepLogisticClassifierCV((3,), alphas=[1.0, 10.0], cv=2, random_state=0),
}


def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), y


@cache
def fitted_to_an_array(name):
    return clone(MODELS[name]).fit(*iris())


def pandas_frame(X, names=NAMES, dtype="float64"):
    pd = pytest.importorskip("pandas")
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    return pd.DataFrame(X, columns=names).astype(dtype)


def polars_frame(X, names=NAMES):
    pl = pytest.importorskip("polars")
    return pl.DataFrame(X, schema=names)


def arrow_table(X, names=NAMES):
    pa = pytest.importorskip("pyarrow")
    return pa.table(dict(zip(names, X.T, strict=True)))


FRAMES = {
    "pandas": pandas_frame,
    "pandas nullable": partial(pandas_frame, dtype="Float64"),
    "pandas over pyarrow": partial(pandas_frame, dtype="double[pyarrow]"),
    "polars": polars_frame,
    "pyarrow": arrow_table,
}


def column(values, dtype):
    """Return a column of a frame: a pandas dtype, or one of polars after 'polars'."""
    if dtype.startswith("polars"):
        pl = pytest.importorskip("polars")
        kind = dtype.removeprefix("polars ")
        return pl.Series(values).cast(pl.Enum(np.unique(values)) if kind == "Enum" else getattr(pl, kind))
    pd = pytest.importorskip("pandas")
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    if dtype == "ordered categories":
        return pd.Series(pd.Categorical(values, categories=[*np.unique(values)[::-1], "unused"], ordered=True))
    return pd.Series(values).astype(dtype)


def assert_same_model(model, expected):
    for actual, wanted in zip(model.coefs_ + model.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert_array_equal(actual, wanted)


class TestFrames:
    @pytest.mark.parametrize("model", MODELS)
    @pytest.mark.parametrize("frame_of", FRAMES.values(), ids=FRAMES)
    def test_the_same_bits_as_from_an_array(self, frame_of, model):
        X, y = iris()
        expected = fitted_to_an_array(model)
        model = clone(MODELS[model]).fit(frame_of(X), y)
        assert_same_model(model, expected)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            assert_array_equal(getattr(model, method)(frame_of(X)), getattr(expected, method)(X))
        assert model.score(frame_of(X), y) > 0.95

    @pytest.mark.parametrize("frame_of", FRAMES.values(), ids=FRAMES)
    def test_validation_data_and_weights(self, frame_of):
        X, y = iris()
        weights = np.random.RandomState(0).rand(len(y))
        even, odd = np.arange(0, len(y), 2), np.arange(1, len(y), 2)
        expected = clone(MODELS["fixed alpha"]).fit(
            X[even], y[even], weights[even], X_val=X[odd], y_val=y[odd], sample_weight_val=weights[odd]
        )
        columns = [frame_of(np.tile(weights[part, np.newaxis], 4))[NAMES[0]] for part in (even, odd)]
        model = clone(MODELS["fixed alpha"]).fit(
            frame_of(X[even]), y[even], columns[0], X_val=frame_of(X[odd]), y_val=y[odd], sample_weight_val=columns[1]
        )
        assert_same_model(model, expected)
        assert model.validation_scores_ == expected.validation_scores_
        unweighted = clone(MODELS["fixed alpha"]).fit(X[even], y[even], X_val=X[odd], y_val=y[odd])
        assert model.validation_scores_ != unweighted.validation_scores_

    @pytest.mark.parametrize("frame_of", FRAMES.values(), ids=FRAMES)
    def test_names_are_kept_and_checked(self, frame_of):
        X, y = iris()
        model = clone(MODELS["fixed alpha"]).fit(frame_of(X), y)
        assert model.feature_names_in_.tolist() == NAMES
        assert model.feature_names_in_.dtype == object
        reordered = frame_of(X[:, ::-1], NAMES[::-1])
        renamed = frame_of(X, ["sepal", *NAMES[1:]])
        fewer = frame_of(X[:, 1:], NAMES[1:])
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            with pytest.raises(ValueError, match=r"feature names should match.*\n.*must be in the same order"):
                getattr(model, method)(reordered)
            with pytest.raises(ValueError, match=r"names unseen at fit time:\n- sepal\n.*seen at fit time, yet now mi"):
                getattr(model, method)(renamed)
            with pytest.raises(ValueError, match=r"seen at fit time, yet now missing:\n- sepal length"):
                getattr(model, method)(fewer)
            with pytest.warns(UserWarning, match="X does not have valid feature names, but DeepLogisticClassifier was"):
                getattr(model, method)(X)
        with pytest.raises(ValueError, match=r"X_val, y_val .* feature names should match"):
            model.fit(frame_of(X), y, X_val=renamed, y_val=y)
        assert model.feature_names_in_.tolist() == NAMES  # of the fit that was kept

    def test_columns_of_several_dtypes(self):
        pd = pytest.importorskip("pandas")
        X, y = iris()
        X[:, 0], X[:, 1] = np.round(X[:, 0]), X[:, 1] > 0
        frame = pd.DataFrame(X, columns=NAMES).astype({NAMES[0]: "Int8", NAMES[1]: "boolean", NAMES[2]: "Float64"})
        model = clone(MODELS["fixed alpha"])
        assert_same_model(clone(model).fit(frame, y), clone(model).fit(X, y))
        half = frame.astype({NAMES[2]: "float32", NAMES[3]: "float32"})  # beside Int8, these are wide enough
        assert clone(model).fit(half[NAMES[2:]], y).coefs_[0].dtype == np.float32

    @pytest.mark.parametrize("name", ["pandas nullable", "pandas over pyarrow", "polars"])
    def test_missing_values_are_refused(self, name):
        X, y = iris()
        frame = FRAMES[name](np.where(X > 2, np.nan, X))
        if name == "polars":
            frame = frame.fill_nan(None)  # pandas has made them NA
        with pytest.raises(ValueError, match="Input X contains NaN"):
            clone(MODELS["fixed alpha"]).fit(frame, y)
        with pytest.raises(ValueError, match="Input X contains NaN"):
            clone(MODELS["fixed alpha"]).fit(FRAMES[name](X), y).predict(frame)

    def test_columns_that_are_not_numbers_are_refused(self):
        pd = pytest.importorskip("pandas")
        X, y = iris()
        frame = pandas_frame(X)
        for values in ("red", pd.Categorical(np.where(y, "red", "blue"))):
            with pytest.raises((ValueError, TypeError), match=r"X must hold numbers: .*Encode other columns"):
                DeepLogisticClassifier().fit(frame.assign(color=values), y)
        with pytest.raises(TypeError, match=r"X must hold numbers, .*\['day'\]"):
            DeepLogisticClassifier().fit(frame.assign(day=pd.Timestamp("2000-01-01")), y)


class TestFramesUpstream:
    @pytest.mark.parametrize("output", ["pandas", "polars"])
    def test_transform_output(self, output):
        pytest.importorskip(output)
        X, y = iris()
        columns = ColumnTransformer([("first", MinMaxScaler(), [1, 0]), ("rest", StandardScaler(), [2, 3])])
        pipeline = make_pipeline(columns, clone(MODELS["fixed alpha"]))
        expected = clone(pipeline).fit(X, y)
        before = sklearn.get_config()["transform_output"]
        sklearn.set_config(transform_output=output)
        try:
            pipeline.fit(pandas_frame(X) if output == "pandas" else polars_frame(X), y)
            probabilities = pipeline.predict_proba(pandas_frame(X) if output == "pandas" else polars_frame(X))
        finally:
            sklearn.set_config(transform_output=before)
        names = [f"first__{NAMES[1]}", f"first__{NAMES[0]}", f"rest__{NAMES[2]}", f"rest__{NAMES[3]}"]
        assert pipeline[-1].feature_names_in_.tolist() == names
        assert not hasattr(expected[-1], "feature_names_in_")
        assert_same_model(pipeline[-1], expected[-1])
        assert_array_equal(probabilities, expected.predict_proba(X))


# What the labels come back as: those of LogisticRegression, whose nullable numbers come back as floats, too.
LABELS = {
    "Int64": float,
    "Int8": float,
    "boolean": float,
    "Float64": float,
    "int64[pyarrow]": float,
    "bool[pyarrow]": float,
    "category": int,
    "polars Int8": np.int8,
    "polars Boolean": bool,
}
NAMED_LABELS = ["object", "string", "string[pyarrow]", "category", "ordered categories"]
NAMED_LABELS += ["polars String", "polars Categorical", "polars Enum"]


class TestLabels:
    @pytest.mark.parametrize(("dtype", "kind"), LABELS.items())
    def test_numbers(self, dtype, kind):
        X, y = iris()
        y = np.minimum(y, 1)
        self.check(X, y, column(y, dtype), np.dtype(kind))

    @pytest.mark.parametrize("dtype", NAMED_LABELS)
    def test_names(self, dtype):
        X, y = iris()
        self.check(X, CLASSES[y], column(CLASSES[y], dtype), None)

    def check(self, X, plain, labels, dtype):
        reference = LogisticRegression().fit(X, labels)
        for name in ("fixed alpha", "cross-validation"):
            expected = clone(MODELS[name]).fit(X, plain)
            model = clone(MODELS[name]).fit(X, labels)
            assert_same_model(model, expected)
            assert model.classes_.tolist() == expected.classes_.tolist()  # sorted, not in the order of categories
            assert model.classes_.dtype == reference.classes_.dtype
            if dtype is not None:
                assert model.classes_.dtype == dtype
            predicted = model.predict(X)
            assert predicted.dtype == reference.predict(X).dtype
            assert_array_equal(predicted, expected.predict(X))
            assert model.score(X, labels) == expected.score(X, plain) > 0.95

    @pytest.mark.parametrize("dtype", ["Int64", "category", "polars Int8"])
    def test_class_weight_names_them_as_they_are(self, dtype):
        X, y = iris()
        y = np.minimum(y, 1)
        model = clone(MODELS["fixed alpha"]).set_params(class_weight={0: 3, 1: 1})
        weighted = clone(model).fit(X, column(y, dtype))
        assert_same_model(weighted, clone(model).fit(X, y))
        unweighted = clone(MODELS["fixed alpha"]).fit(X, y)
        assert np.abs(weighted.coefs_[0] - unweighted.coefs_[0]).max() > 1e-3

    @pytest.mark.parametrize("dtype", ["Int64", "boolean", "int64[pyarrow]", "bool"])
    def test_indicators(self, dtype):
        pd = pytest.importorskip("pandas")
        if "pyarrow" in dtype:
            pytest.importorskip("pyarrow")
        X, y = iris()
        y = np.column_stack([y == 1, y > 0]).astype(int)
        model = clone(MODELS["fixed alpha"]).fit(X, pd.DataFrame(y, columns=["one", "more"]).astype(dtype))
        assert_same_model(model, clone(MODELS["fixed alpha"]).fit(X, y))

    @pytest.mark.parametrize("dtype", ["Int64", "boolean", "string", "category", "object"])
    @pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
    def test_missing_ones_are_refused(self, dtype, model):
        X, y = iris()
        values = np.minimum(y, 1) if dtype in ("Int64", "boolean") else CLASSES[y]
        labels = column(values, dtype)
        labels[7] = None
        with pytest.raises(ValueError, match=r"Input y contains NaN|y must hold a label in .* row 7 has none"):
            clone(model).fit(X, labels)

    @pytest.mark.parametrize("dtype", ["Int8", "String", "Categorical"])
    def test_missing_ones_of_polars_are_refused(self, dtype):
        pl = pytest.importorskip("polars")
        X, y = iris()
        values = [None, *(CLASSES[y] if dtype != "Int8" else y).tolist()[1:]]
        with pytest.raises(ValueError, match=r"Input y contains NaN|y must hold a label in .* row 0 has none"):
            clone(MODELS["fixed alpha"]).fit(X, pl.Series(values).cast(getattr(pl, dtype)))

    @pytest.mark.parametrize("dtype", ["string", "category", "Int64"])
    def test_in_a_search_over_frames(self, dtype):
        X, y = iris()
        labels = CLASSES[y] if dtype == "string" else y
        search = GridSearchCV(clone(MODELS["fixed alpha"]), {"alpha": [0.3, 3.0]}, cv=2)
        expected = clone(search).fit(X, labels)
        search.fit(pandas_frame(X, dtype="Float64"), column(labels, dtype))
        assert_array_equal(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
        assert_same_model(search.best_estimator_, expected.best_estimator_)
        assert search.feature_names_in_.tolist() == NAMES


# Labels of dtype object, as in the last column of `frame.to_numpy()`.
PLAIN_LABELS = {
    "integers": int,
    "whole floats": float,
    "booleans": bool,
    "integers of NumPy": np.int64,
}


def as_objects(y, kind):
    labels = np.empty(y.shape, dtype=object)
    labels.flat = [kind(label) for label in y.ravel().tolist()]
    return labels


class TestLabelsOfDtypeObject:
    @pytest.mark.parametrize("kind", PLAIN_LABELS.values(), ids=PLAIN_LABELS)
    @pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
    def test_numbers_and_booleans(self, model, kind):
        X, y = iris()
        plain = np.minimum(y, 1).astype(kind)
        labels = as_objects(plain, kind)
        expected, fitted = clone(model).fit(X, plain), clone(model).fit(X, labels)
        assert_same_model(fitted, expected)
        assert fitted.classes_.dtype == fitted.predict(X).dtype == np.dtype(kind)
        assert fitted.score(X, labels) == fitted.score(X, plain) == expected.score(X, plain)
        weights = np.arange(len(y)) + 1.0
        assert fitted.score(X, labels, sample_weight=weights) == expected.score(X, plain, sample_weight=weights)

    def test_the_last_column_of_a_frame(self):
        pd = pytest.importorskip("pandas")
        X, y = iris()
        values = pd.DataFrame(X, columns=NAMES).assign(name="flower", label=y).to_numpy()
        assert values.dtype == object
        model = clone(MODELS["fixed alpha"]).fit(values[:, :4], values[:, -1])
        assert_same_model(model, clone(MODELS["fixed alpha"]).fit(X, y))
        assert model.classes_.dtype == int

    @pytest.mark.parametrize("container", [np.asarray, pandas_frame], ids=["array", "frame"])
    @pytest.mark.parametrize("kind", [int, bool, float])
    def test_indicators(self, kind, container):
        X, y = iris()
        plain = np.column_stack([y == 1, y > 0, y < 2, y == 2]).astype(int)
        labels = as_objects(plain, kind)
        labels = labels if container is np.asarray else container(labels, dtype="object")
        expected, model = (clone(MODELS["fixed alpha"]).fit(X, Y) for Y in (plain, labels))
        assert_same_model(model, expected)
        assert model.score(X, labels) == expected.score(X, plain)

    def test_of_validation(self):
        X, y = iris()
        expected = clone(MODELS["fixed alpha"]).fit(X, y, X_val=X[::2], y_val=y[::2])
        model = clone(MODELS["fixed alpha"]).fit(X, y, X_val=X[::2], y_val=as_objects(y[::2], int))
        assert_same_model(model, expected)

    def test_in_a_search(self):
        X, y = iris()
        search = GridSearchCV(clone(MODELS["fixed alpha"]), {"alpha": [0.3, 3.0]}, cv=KFold(2, shuffle=True))
        search.fit(X, as_objects(y, int))
        assert search.best_score_ > 0.8

    @pytest.mark.parametrize("name", ["fixed alpha", "cross-validation"])
    def test_objects_of_other_kinds(self, name):
        X, y = iris()
        model = clone(MODELS[name])
        with pytest.raises(TypeError, match=r"y must hold .* got Decimal .* y\.astype\(int\)"):
            model.fit(X, as_objects(y, Decimal))
        fitted = fitted_to_an_array(name)
        with pytest.raises(TypeError, match=r"y must hold .* got Decimal"):
            fitted.score(X, as_objects(y, Decimal))
        with pytest.raises(ValueError, match="y must hold a label in every row, but row 1 has none"):
            fitted.score(X[:2], np.array([1, None]))
