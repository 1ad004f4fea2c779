"""Classifiers behind steps: the network as a function of the columns of X, their names, and what is refused."""

import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    SplineTransformer,
    StandardScaler,
)

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu._core.scores import compute_scores
from skrelu.inspection import LinearRegionsDisplay, LocalCoefficientsDisplay, local_linear_models
from skrelu.inspection._explained import Explained


def make_classifier(**parameters):
    return DeepLogisticClassifier((5, 4), alpha=1.0, max_iter=60, tol=1e-1, random_state=0, **parameters)


def make_frame(n_rows=120, seed=0):
    rng = np.random.RandomState(seed)
    frame = pd.DataFrame(
        {
            "age": rng.randint(18, 90, n_rows),
            "income": rng.lognormal(10, 1, n_rows),
            "town": rng.choice(["Basel", "Bern", "Zug"], n_rows),
            "debt": rng.randn(n_rows) * 1e4,
            "owner": rng.rand(n_rows) < 0.3,
        }
    )
    return frame, (frame["age"] + 40 * frame["owner"] + 20 * (frame["town"] == "Zug") > 60).to_numpy().astype(int)


def encoder(**options):
    """Return a usual first step of a table."""
    return ColumnTransformer(
        [
            ("words", OneHotEncoder(drop="if_binary"), ["town", "owner"]),
            ("numbers", StandardScaler(), ["age", "income", "debt"]),
        ],
        **options,
    )


def check_base(model, X, columns="auto", **options):
    """Compare the scores of the network on the columns of the base with those of the pipeline."""
    explained = Explained.of(model, columns, **options)
    Z = explained.rows(X)
    rows = explained.base_rows(X, Z)
    coefs, intercepts, _ = explained.inputs
    assert rows.shape == (len(X), coefs[0].shape[0]) if not sparse.issparse(X) else True
    assert len(explained.source) == rows.shape[1]
    scores = compute_scores(coefs, intercepts, rows, 1)
    expected = model.decision_function(X).reshape(scores.shape)
    assert_allclose(scores, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    if explained.base is not None:
        again = rows @ explained.base.slopes + explained.base.offsets
        Z = Z.toarray() if sparse.issparse(Z) else Z
        assert_allclose(again, Z, rtol=1e-9, atol=1e-9 * np.abs(Z).max())
    return explained


def check_models(model, X, columns="auto"):
    models = local_linear_models(model, X, columns=columns)
    rows = X
    if isinstance(model, Pipeline) and Explained.of(model, columns, linear=True).base is None:
        for _, step in model.steps[:-1]:
            rows = rows if step in ("passthrough", None) else step.transform(rows)
    rows = rows.toarray() if sparse.issparse(rows) else np.asarray(rows, dtype=float)
    scores = np.einsum("i...j,ij->i...", models.coef, rows) + models.intercept
    expected = model.decision_function(X)
    scale = max(np.abs(expected).max(), np.abs(models.intercept).max())
    assert_allclose(scores, expected, rtol=1e-10, atol=1e-10 * scale)
    assert len(models.feature_names) == models.coef.shape[-1]
    return models


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler()],
        ["passthrough", StandardScaler()],
        [None],
        [StandardScaler(), "passthrough"],
        [StandardScaler(), PCA(3, whiten=True)],
        [MinMaxScaler(), SelectKBest(k=2)],
        [TruncatedSVD(2, random_state=0)],
        [ColumnTransformer([("a", StandardScaler(), [2, 0]), ("b", "passthrough", slice(1, 2))])],
        [ColumnTransformer([("a", StandardScaler(), [True, False, False, True])], remainder=MinMaxScaler())],
        [FeatureUnion([("a", StandardScaler()), ("b", PCA(1))], transformer_weights={"a": 3})],
        [make_pipeline(StandardScaler(), make_pipeline(VarianceThreshold(), PCA(2)))],
        [FunctionTransformer()],
    ],
    ids=str,
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_linear_steps_lead_back_to_the_columns_of_X(steps, n_classes):
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(*steps, make_classifier()).fit(X, np.minimum(y, n_classes - 1))
    for columns in ("auto", "original"):
        explained = check_base(model, X, columns, linear=True)
        assert explained.is_linear
        assert list(explained.names) == ["x0", "x1", "x2", "x3"]
        assert check_models(model, X, columns).coef.shape[-1] == 4
    transformed = check_models(model, X, "transformed")
    assert transformed.coef.shape[-1] == model[-1].n_features_in_
    assert_array_equal(transformed.region, check_models(model, X).region)


def test_a_column_that_is_left_out_has_no_slope():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(ColumnTransformer([("a", StandardScaler(), [3, 0])]), make_classifier()).fit(X, y)
    models = check_models(model, X)
    assert not models.coef[:, :, [1, 2]].any()
    assert models.coef[:, :, [0, 3]].any()


@pytest.mark.parametrize("make", [pd.DataFrame, np.asarray, "polars"], ids=["pandas", "array", "polars"])
@pytest.mark.parametrize("remainder", ["drop", MinMaxScaler()], ids=str)
def test_columns_that_are_left_out_may_hold_anything(make, remainder):
    frame, y = make_frame()
    make = pytest.importorskip("polars").from_pandas if make == "polars" else make
    frame["hole"] = [np.nan, 3.0] * 60
    X = make(frame)
    numbers = ["age", "debt"] if hasattr(X, "columns") else [0, 3]
    odd = ["town", "hole"] if hasattr(X, "columns") else [2, 5]
    first = ColumnTransformer([("a", StandardScaler(), numbers), ("b", "drop", odd)], remainder=remainder)
    model = make_pipeline(first, make_classifier()).fit(X, y)
    for linear in (False, True):
        explained = check_base(model, X, linear=linear)
        assert explained.is_linear
        numbers = [0, 1, 2, 3, 4, 5] if linear else [0, 3] if remainder == "drop" else [0, 1, 3, 4]
        assert_array_equal(explained.base.numbers, numbers)
    models = local_linear_models(model, X)
    assert models.coef.shape == (120, 6)
    assert not models.coef[:, [2, 5]].any()
    rows = explained.base_rows(X, explained.rows(X))
    assert not rows[:, 2].any()
    assert_array_equal(rows[:, 5], [0, 3] * 60)
    assert_allclose((models.coef * rows).sum(axis=1) + models.intercept, model.decision_function(X), rtol=1e-9)
    if hasattr(X, "columns"):
        fewer = X.drop(columns=odd) if make is pd.DataFrame else X.drop(odd)
        assert_array_equal(local_linear_models(model, fewer).coef, models.coef)
        assert_array_equal(explained.base_rows(fewer, explained.rows(fewer))[:, :2], rows[:, :2])


def test_a_column_that_is_needed_must_hold_numbers():
    frame, y = make_frame()
    model = make_pipeline(ColumnTransformer([("a", StandardScaler(), ["age"])]), make_classifier()).fit(frame, y)
    explained = Explained.of(model)
    with pytest.raises(ValueError, match="could not convert string to float"):
        explained.base_rows(frame.assign(age="young"), explained.rows(frame))


def test_sparse_steps():
    X, y = load_iris(return_X_y=True)
    X = sparse.csr_array(X * (X > 1.5))
    model = make_pipeline(StandardScaler(with_mean=False), make_classifier()).fit(X, y)
    check_models(model, X)
    check_models(model, X.tocsc())
    assert sparse.issparse(Explained.of(model).base_rows(X, Explained.of(model).rows(X)))
    dense = local_linear_models(model, X.toarray())
    assert_allclose(local_linear_models(model, X).coef, dense.coef, rtol=1e-12)


@pytest.mark.parametrize("threshold", [0.0, 1.0], ids=["dense", "sparse"])
@pytest.mark.parametrize("output", ["default", "pandas"])
def test_encoded_columns_are_parts_of_the_base(threshold, output):
    frame, y = make_frame()
    first = encoder(sparse_threshold=threshold)
    if output == "pandas":
        first.set_params(words__sparse_output=False).set_output(transform="pandas")
    model = make_pipeline(first, make_classifier()).fit(frame, y)
    explained = check_base(model, frame)
    assert not explained.is_linear
    assert list(explained.names) == list(frame.columns)
    assert_array_equal(explained.source, [0, 1, 3, 2, 2, 2, 4])
    assert_array_equal(explained.base.numbers, [0, 1, 3])
    check_base(model, frame, "original")
    # Coefficients need linear steps.
    models = check_models(model, frame)
    assert list(models.feature_names) == list(model[:-1].get_feature_names_out())
    assert models.feature_names[0] == "words__town_Basel"


def test_a_column_that_enters_twice():
    frame, y = make_frame()
    first = ColumnTransformer(
        [
            ("scaled", StandardScaler(), ["age", "debt"]),
            ("bins", KBinsDiscretizer(3, strategy="uniform"), ["age"]),
            ("splines", SplineTransformer(), ["income"]),
        ]
    )
    explained = check_base(make_pipeline(first, make_classifier()).fit(frame, y), frame)
    assert_array_equal(explained.base.numbers, [0, 3])
    assert_array_equal(explained.source, [0, 3, 0, 0, 0, *[1] * 7])


@pytest.mark.parametrize(
    "make",
    [lambda frame: frame, lambda frame: pytest.importorskip("polars").from_pandas(frame)],
    ids=["pandas", "polars"],
)
def test_frames_whose_columns_are_in_another_order(make):
    frame, y = make_frame()
    model = make_pipeline(encoder(), StandardScaler(with_mean=False), make_classifier()).fit(make(frame), y)
    expected = check_base(model, make(frame))
    other = make(frame.assign(other=1)[["owner", "debt", "other", "town", "income", "age"]])
    rows = expected.base_rows(other, expected.rows(other))
    again = expected.base_rows(make(frame), expected.rows(make(frame)))
    assert_array_equal(
        rows.toarray() if sparse.issparse(rows) else rows, again.toarray() if sparse.issparse(again) else again
    )


def test_frames_whose_columns_are_numbers():
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X, columns=[7, 3, 0, 1])
    model = make_pipeline(StandardScaler(), make_classifier()).fit(frame, y)
    assert_array_equal(check_base(model, frame).names, ["x0", "x1", "x2", "x3"])
    encoded = make_pipeline(
        ColumnTransformer([("a", StandardScaler(), [0, 3])], remainder=KBinsDiscretizer(3, strategy="uniform")),
        make_classifier(),
    ).fit(frame, y)
    assert_array_equal(check_base(encoded, frame).base.numbers, [0, 3])


def test_frames_after_a_fit_without_names():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), make_classifier()).fit(X, y)
    frame = pd.DataFrame(X, columns=["x3", "x2", "x1", "x0"])
    with pytest.warns(UserWarning, match="fitted without feature names"):
        check_base(model, frame)


def test_dtypes_of_a_frame():
    frame, y = make_frame()
    frame = frame.astype({"age": "Int64", "owner": "boolean", "debt": "Float32"})
    model = make_pipeline(
        ColumnTransformer([("a", StandardScaler(), ["age", "debt", "owner"]), ("b", OneHotEncoder(), ["town"])]),
        make_classifier(),
    ).fit(frame, y)
    check_base(model, frame)


def test_a_scaler_that_writes_into_its_input():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(copy=False), make_classifier()).fit(X.copy(), y)
    expected = model.decision_function(X.copy())
    given = X.copy()
    explained = Explained.of(model)
    Z = explained.rows(given)
    assert_array_equal(given, X)
    assert_array_equal(explained.base_rows(given, Z), X)
    models = local_linear_models(model, given)
    assert_allclose((models.coef @ X[:, :, np.newaxis])[:, :, 0] + models.intercept, expected, rtol=1e-9, atol=1e-9)


def test_lists_of_rows():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), make_classifier()).fit(X, y)
    explained = Explained.of(model)
    assert_array_equal(explained.base_rows(X.tolist(), explained.rows(X.tolist())), X)


def test_the_classifier_may_stand_in_a_pipeline_of_one_step():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(make_classifier()).fit(X, y)
    for columns in ("auto", "original", "transformed"):
        assert Explained.of(model, columns).base is None
    models = check_models(model, X)
    assert_array_equal(models.coef, local_linear_models(model[-1], X).coef)


def test_the_classifier_may_stand_in_a_pipeline_of_the_pipeline():
    frame, y = make_frame()
    inner = make_pipeline(StandardScaler(with_mean=False), make_classifier())
    model = make_pipeline(encoder(), make_pipeline(SelectKBest(k=6), inner)).fit(frame, y)
    explained = Explained.of(model)
    flat = make_pipeline(model[0], model[1][0], *(step for _, step in model[1][1].steps))
    rows = explained.base_rows(frame, explained.rows(frame))
    coefs, intercepts, _ = explained.inputs
    assert_allclose(compute_scores(coefs, intercepts, rows, 1)[:, 0], model.decision_function(frame), rtol=1e-9)
    assert_array_equal(explained.names, Explained.of(flat).names)
    assert len(model) == 2


class Nameless(TransformerMixin, BaseEstimator):
    """A step of a user, who has not written more than is needed."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return 2 * np.asarray(X)[:, :3]


UNKNOWN = [
    PolynomialFeatures(2),
    KNNImputer(),
    Normalizer(),
    FunctionTransformer(lambda X: np.asarray(X)[:, :2]),
    Nameless(),
]


@pytest.mark.parametrize("step", UNKNOWN, ids=lambda step: type(step).__name__)
@pytest.mark.parametrize("place", [0, 1])
def test_steps_that_cannot_be_followed(step, place):
    X, y = load_iris(return_X_y=True)
    steps = [("scale", StandardScaler())]
    steps.insert(place, ("odd", step))
    model = Pipeline([*steps, ("net", make_classifier())]).fit(X, y)
    explained = Explained.of(model)
    assert explained.base is None
    assert explained.is_linear
    assert len(explained.names) == model[-1].n_features_in_
    check_models(model, X)
    for linear in (False, True):
        with pytest.raises(ValueError, match=rf"'auto' or 'transformed' .* the step 'odd' \({type(step).__name__}\)"):
            Explained.of(model, "original", linear=linear)


def test_steps_that_are_not_linear_are_named():
    frame, y = make_frame()
    model = Pipeline([("encode", encoder()), ("select", SelectKBest(k=5)), ("net", make_classifier())]).fit(frame, y)
    assert Explained.of(model, "original").base is not None
    with pytest.raises(ValueError, match=r"after the step 'encode' \(ColumnTransformer\) some features are not linear"):
        local_linear_models(model, frame, columns="original")
    first = ColumnTransformer([("a", PolynomialFeatures(), ["age", "debt"]), ("b", StandardScaler(), ["income"])])
    model = Pipeline([("first", first), ("net", make_classifier())]).fit(frame, y)
    with pytest.raises(
        ValueError, match=r"after the step 'first' \(ColumnTransformer\) some features depend on several"
    ):
        Explained.of(model, "original")
    assert list(Explained.of(model).names)[-1] == "b__income"


def test_words_of_a_text():
    texts = np.array(["a good day", "a bad day", "good and good", "bad and bad"] * 10)
    model = make_pipeline(CountVectorizer(), make_classifier()).fit(texts, np.tile([1, 0], 20))
    models = local_linear_models(model, texts)
    assert list(models.feature_names) == ["and", "bad", "day", "good"]
    scores = (model[0].transform(texts).toarray() * models.coef).sum(axis=1) + models.intercept
    assert_allclose(scores, model.decision_function(texts), rtol=1e-10)


def test_missing_values_behind_an_imputer():
    X, y = load_iris(return_X_y=True)
    X[::5, 1] = np.nan
    model = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), make_classifier()).fit(X, y)
    explained = check_base(model, X)
    assert_array_equal(explained.source, [0, 1, 2, 3, 1])
    assert check_models(model, X).coef.shape == (150, 3, 5)


def test_names_of_the_features_of_the_last_step():
    frame, y = load_iris(as_frame=True, return_X_y=True)
    frame.columns = ["a", "b", "c", "d"]
    for output in ("default", "pandas"):
        model = make_pipeline(StandardScaler(), PCA(2), make_classifier()).set_output(transform=output).fit(frame, y)
        assert list(Explained.of(model).names) == ["a", "b", "c", "d"]
        assert list(Explained.of(model, "transformed").names) == ["pca0", "pca1"]
    model = make_pipeline(FunctionTransformer(lambda X: X * 2), make_classifier()).fit(frame, y)
    assert list(Explained.of(model).names) == ["a", "b", "c", "d"]  # of the frame that the classifier got
    model = make_pipeline("passthrough", make_classifier()).fit(frame, y)
    for columns in ("auto", "transformed"):
        assert list(Explained.of(model, columns).names) == ["a", "b", "c", "d"]


def test_a_frame_for_the_steps_and_an_array_for_the_classifier():
    frame, y = load_iris(as_frame=True, return_X_y=True)
    model = make_pipeline(StandardScaler(), MinMaxScaler(), make_classifier()).fit(frame, y)
    assert not hasattr(model[-1], "feature_names_in_")
    check_models(model, frame)
    model.set_output(transform="pandas").fit(frame, y)
    assert hasattr(model[-1], "feature_names_in_")
    check_models(model, frame)
    with pytest.raises(ValueError, match="feature names should match"):
        local_linear_models(model, frame[frame.columns[::-1]])


def test_other_estimators_are_refused():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(make_classifier(), {"max_iter": [50]}, cv=2).fit(X, y)
    calibrated = CalibratedClassifierCV(make_classifier(), cv=2).fit(X, y)
    for other in (
        search,
        calibrated,
        LogisticRegression(),
        MLPRegressor(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), "passthrough"),
        make_pipeline(StandardScaler(), search),
        DeepLogisticClassifier,
        None,
    ):
        last = other[-1] if isinstance(other, Pipeline) else other
        kind = f"the class {last.__name__}" if isinstance(last, type) else type(last).__name__
        with pytest.raises(TypeError, match=rf"classifier must be .*, got {kind}\. .* best_estimator_"):
            Explained.of(other)
    check_models(search.best_estimator_, X)


@pytest.mark.parametrize("activation", ["tanh", "logistic", "identity"])
def test_other_activations_are_refused(activation):
    X, y = load_iris(return_X_y=True)
    classifier = MLPClassifier((3,), activation=activation, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=f"activation must be 'relu', got '{activation}'"):
        Explained.of(classifier)
    with pytest.raises(ValueError, match="must be 'relu'"):
        Explained.of(make_pipeline(StandardScaler().fit(X), classifier))
    without = MLPClassifier((), activation=activation, random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    assert Explained.of(without).n_outputs == 3


@pytest.mark.parametrize("kind", [DeepLogisticClassifier, DeepLogisticClassifierCV, MLPClassifier])
def test_unfitted_classifiers(kind):
    for model in (kind(), make_pipeline(StandardScaler(), kind())):
        with pytest.raises(NotFittedError):
            Explained.of(model)


@pytest.mark.parametrize("columns", ["all", None, 3, ["auto"]])
def test_columns_must_be_a_known_word(columns):
    with pytest.raises(ValueError, match=re.escape(f"'original' or 'transformed', got {columns!r}")):
        Explained.of(make_classifier(), columns)


def test_weights_set_by_hand():
    classifier = DeepLogisticClassifier()
    classifier.coefs_, classifier.intercepts_ = [[[1.0], [2.0]]], [[0.5]]
    with pytest.raises(NotFittedError, match="classes_"):
        Explained.of(classifier)
    classifier.classes_ = ["no", "yes"]
    explained = Explained.of(classifier)
    assert list(explained.names) == ["x0", "x1"]
    assert_array_equal(explained.network.coefs[0], [[1], [2]])
    with pytest.raises(ValueError, match="X has 3 features"):
        explained.rows(np.ones((1, 3)))
    classifier.coefs_ = [np.array([[1.0], [np.nan]])]
    with pytest.raises(ValueError, match=r"coefs_\[0\] holds numbers that are not finite"):
        Explained.of(classifier)


def test_steps_of_another_fit():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler().fit(X), make_classifier().fit(X[:, :2], y))
    with pytest.raises(ValueError, match="its steps have been fitted on other columns than its last step"):
        Explained.of(model, "original")
    with pytest.raises(ValueError, match="X has 4 features"):
        local_linear_models(model, X)


def test_pictures_tell_a_transformed_feature_from_the_column_of_its_name():
    X, y = load_iris(return_X_y=True, as_frame=True)
    X.columns = list("abcd")
    changed = make_pipeline(PowerTransformer(), make_classifier()).fit(X, y)
    explained = Explained.of(changed, linear=True)
    assert explained.drawn_names.tolist() == [f"{name} (transformed)" for name in "abcd"]
    scaled = make_pipeline(StandardScaler(), make_classifier()).fit(X, y)
    assert Explained.of(scaled).drawn_names.tolist() == list("abcd")
    reduced = Explained.of(make_pipeline(PowerTransformer(), PCA(2), make_classifier()).fit(X, y), linear=True)
    assert reduced.drawn_names.tolist() == ["pca0", "pca1"]
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    regions = LinearRegionsDisplay.from_estimator(changed, X, features=("a", "d"))
    assert regions.ax_.get_xlabel() == "a (transformed)"
    profile = LocalCoefficientsDisplay.from_estimator(changed, X, kind="profile", feature="b")
    assert profile.ax_.get_xlabel() == "b (transformed)"
    plt.close("all")
