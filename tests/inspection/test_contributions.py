"""The parts of a score against the literal sums."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

from skrelu import DeepLogisticClassifier
from skrelu._core.scores import compute_scores
from skrelu.inspection._contributions import contributions_of, sum_by_source
from skrelu.inspection._explained import Explained
from tests import literal
from tests.problems import KINDS, load_table, make_problem


def make_classifier(**parameters):
    return DeepLogisticClassifier((5, 4), max_iter=60, tol=1e-1, random_state=0, **{"alpha": 1.0, **parameters})


def make_frame(n_rows=150, seed=0):
    rng = np.random.RandomState(seed)
    frame = pd.DataFrame(
        {
            "town": rng.choice(["Basel", "Bern", "Zug"], n_rows),
            "income": rng.lognormal(10, 1, n_rows),
            "age": rng.randint(18, 90, n_rows).astype(float),
            "unused": rng.randn(n_rows),
        }
    )
    return frame, (frame["age"] + 20 * (frame["town"] == "Zug") > 60).to_numpy().astype(int)


def scores_of(model, X, n_outputs):
    return model.decision_function(X).reshape(-1, n_outputs)


def check_sums(model, X, reference=None, columns="auto"):
    """Return the parts, which must add up to the scores of the model."""
    explained = Explained.of(model, columns)
    parts, base, scores = contributions_of(explained, X, reference)
    n_rows = X.shape[0]
    assert parts.shape == (n_rows, explained.n_outputs, len(explained.names))
    assert base.shape == scores.shape == (n_rows, explained.n_outputs)
    assert_array_equal(base + parts.sum(axis=-1), scores)
    expected = scores_of(model, X, explained.n_outputs)
    assert_allclose(scores, expected, rtol=1e-9, atol=1e-10 * max(np.abs(expected).max(), np.abs(parts).max()))
    return explained, parts, base


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [(), (5,), (4, 6)])
def test_parts_are_the_literal_products(kind, hidden):
    problem = make_problem(kind, hidden, n_samples=30)
    classifier = DeepLogisticClassifier()
    classifier.coefs_, classifier.intercepts_ = problem.coefs, problem.intercepts
    classifier.classes_ = np.arange(2 if kind == "binary" else 3)
    if kind == "multilabel":
        classifier.out_activation_ = "logistic"
    reference = problem.X[3:9]
    _, parts, base = check_sums(classifier, problem.X, reference)
    center = reference.mean(axis=0)
    for x, part, at_reference in zip(problem.X, parts, base, strict=True):
        z = literal.layer_inputs(problem.W, problem.intercepts, x)
        coef = literal.P(problem.W, z, 1) @ problem.W[0]
        assert_allclose(part, coef * (x - center), rtol=1e-11, atol=1e-12)
        expected = literal.score(problem.W, problem.intercepts, x) + coef @ (center - x)
        assert_allclose(at_reference, expected, rtol=1e-10, atol=1e-11)


def test_the_reference_has_no_contributions():
    X, y = load_table("multiclass")
    model = make_classifier().fit(X, y)
    _, parts, base = check_sums(model, X[:1], X[:1])
    assert not parts.any()
    assert_allclose(base, model.decision_function(X[:1]), rtol=1e-12)


def test_without_a_reference_it_is_the_mean_of_the_training_rows():
    X, y = load_iris(return_X_y=True)
    model = make_classifier(alpha="evidence").fit(X, y)
    assert_allclose(model.feature_mean_, X.mean(axis=0))
    _, parts, base = check_sums(model, X[:9])
    explained, expected, at_mean = check_sums(model, X[:9], X)
    assert_allclose(parts, expected, rtol=1e-9, atol=1e-12)
    assert_allclose(base, at_mean, rtol=1e-9)
    assert explained.base is None


@pytest.mark.parametrize("make", [make_classifier, lambda: MLPClassifier((5,), random_state=0)])
def test_without_means_it_is_the_row_of_zeros(make):
    X, y = load_iris(return_X_y=True)
    model = make()
    model = model.fit(X, y) if isinstance(model, DeepLogisticClassifier) else model.partial_fit(X, y, classes=[0, 1, 2])
    assert getattr(model, "feature_mean_", None) is None
    explained = Explained.of(model)
    parts, base, _ = contributions_of(explained, X)
    expected, at_zero, _ = contributions_of(explained, X, np.zeros((1, 4)))
    assert_array_equal(parts, expected)
    assert_array_equal(base, at_zero)


def test_means_of_another_fit_do_not_count():
    X, y = load_iris(return_X_y=True)
    model = make_classifier(alpha="evidence").fit(X, y)
    other = make_classifier(alpha="evidence").fit(X[:, :2], y)
    model.coefs_, model.intercepts_ = other.coefs_, other.intercepts_
    _, parts, _ = check_sums(model, X[:5, :2])
    assert_array_equal(parts, contributions_of(Explained.of(model), X[:5, :2], np.zeros((1, 2)))[0])


@pytest.mark.parametrize("alpha", [1.0, "evidence"])
@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler()],
        [StandardScaler(), MinMaxScaler()],
        [RobustScaler(), StandardScaler()],
        [StandardScaler(), PCA()],
        [StandardScaler(), PCA(whiten=True)],
    ],
    ids=str,
)
@pytest.mark.parametrize("units", [[1, 1, 1, 1], [1e-9, 1, 1e9, 1e4]], ids=["one unit", "many units"])
def test_the_mean_behind_steps_that_can_be_inverted(steps, alpha, units):
    X, y = load_iris(return_X_y=True)
    X = X * units
    model = make_pipeline(*steps, make_classifier(alpha=alpha)).fit(X, y)
    explained, parts, base = check_sums(model, X[:9])
    features = np.zeros(4) if alpha == 1.0 else model[-1].feature_mean_
    row = features.reshape(1, 4)
    for step in steps[::-1]:
        row = step.inverse_transform(row)
    expected, at_row, _ = contributions_of(explained, X[:9], row)
    assert_allclose(parts, expected, rtol=1e-7, atol=1e-9 * np.abs(parts).max())
    assert_allclose(base, at_row, rtol=1e-7, atol=1e-9 * np.abs(parts).max())


def test_the_reference_behind_few_components_has_their_means():
    X, y = load_table("multiclass")
    model = make_pipeline(StandardScaler(), PCA(2), make_classifier(alpha="evidence")).fit(X, y)
    _, _, base = check_sums(model, X)
    transformed = contributions_of(Explained.of(model, "transformed"), X)
    assert_allclose(base, transformed[1], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("alpha", [1.0, "evidence"])
def test_columns_that_the_network_does_not_see(alpha):
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(ColumnTransformer([("a", StandardScaler(), [2, 0])]), make_classifier(alpha=alpha)).fit(X, y)
    _, parts, _ = check_sums(model, X)
    assert not parts[:, :, [1, 3]].any()
    assert parts[:, :, 0].any()


def encoded_model(**options):
    frame, y = make_frame()
    first = ColumnTransformer(
        [
            ("words", OneHotEncoder(), ["town"]),
            ("age", StandardScaler(), ["age"]),
            ("curves", SplineTransformer(4), ["age", "income"]),
        ],
        sparse_threshold=options.pop("sparse_threshold", 0.3),
    )
    return frame, make_pipeline(first, StandardScaler(with_mean=False), make_classifier(**options)).fit(frame, y)


@pytest.mark.parametrize("threshold", [0.0, 1.0], ids=["dense", "sparse"])
@pytest.mark.parametrize("alpha", [1.0, "evidence"])
@pytest.mark.parametrize("n_reference", [0, 1, 20])
def test_features_are_summed_by_their_column(threshold, alpha, n_reference):
    frame, model = encoded_model(sparse_threshold=threshold, alpha=alpha)
    reference = frame[:n_reference] if n_reference else None
    explained, parts, base = check_sums(model, frame[30:60], reference)
    assert list(explained.names) == ["town", "income", "age", "unused"]
    of_features, at_reference, _ = contributions_of(Explained.of(model, "transformed"), frame[30:60], reference)
    names = [name.split("__")[1].split("_")[0] for name in model[0].get_feature_names_out()]
    for number, column in enumerate(explained.names):
        expected = sum(of_features[:, :, k] for k, name in enumerate(names) if name == column)
        assert_allclose(parts[:, :, number], expected, rtol=1e-8, atol=1e-9)
    assert_allclose(base, at_reference, rtol=1e-8, atol=1e-9)


def test_steps_that_cannot_be_followed():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), PolynomialFeatures(2), make_classifier()).fit(X, y)
    explained, parts, _ = check_sums(model, X, X)
    assert explained.base is None
    Z = model[:-1].transform(X)
    expected, _, _ = contributions_of(Explained.of(model[-1]), Z, Z)
    assert_allclose(parts, expected, rtol=1e-12, atol=1e-13)


def test_sparse_rows_and_references():
    X, y = load_iris(return_X_y=True)
    X = X * (X > 1.5)
    model = make_pipeline(StandardScaler(with_mean=False), make_classifier()).fit(X, y)
    for columns in ("original", "transformed"):
        _, parts, base = check_sums(model, sparse.csr_array(X), sparse.csc_array(X), columns)
        _, expected, at_mean = check_sums(model, X, X, columns)
        assert_allclose(parts, expected, rtol=1e-10, atol=1e-12)
        assert_allclose(base, at_mean, rtol=1e-10, atol=1e-12)


def test_the_mean_of_many_rows_in_float32_is_taken_in_float64():
    rng = np.random.RandomState(0)
    X = (rng.rand(100_000, 3) + 1000).astype("f4")
    classifier = DeepLogisticClassifier()
    classifier.coefs_, classifier.intercepts_, classifier.classes_ = [np.ones((3, 1))], [np.zeros(1)], [0, 1]
    for form in (np.asarray, sparse.csr_array):
        parts, _, _ = contributions_of(Explained.of(classifier), X[:2], form(X))
        assert_allclose(parts[:, 0], X[:2] - X.mean(axis=0, dtype="f8"), rtol=1e-9)


def test_columns_in_very_different_units():
    X, y = load_iris(return_X_y=True)
    X = X * [1e-6, 1, 1e6, 1] + [0, 1e9, 0, -1e9]
    model = make_pipeline(StandardScaler(), make_classifier()).fit(X, y)
    explained = Explained.of(model)
    parts, _, scores = contributions_of(explained, X, X)
    # Each part is a difference first, so the large means do not cost digits; the base holds what they cost.
    coef = contributions_of(Explained.of(model, "transformed"), X, X)[0]
    assert_allclose(parts, coef, rtol=1e-6, atol=1e-6)
    assert_allclose(scores, model.decision_function(X), atol=1e-5)


def test_bad_references():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), make_classifier()).fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features"):
        contributions_of(Explained.of(model), X, X[:, :3])
    with pytest.raises(ValueError, match="Expected 2D array"):
        contributions_of(Explained.of(model), X, X[0])


def test_sums_by_source():
    frame, model = encoded_model()
    explained = Explained.of(model)
    parts = np.random.RandomState(0).randn(6, 2, len(explained.source))
    sums = sum_by_source(explained, parts)
    assert sums.shape == (6, 2, 4)
    for number in range(4):
        assert_allclose(sums[..., number], parts[..., explained.source == number].sum(axis=-1), atol=1e-13)
    one_row = sum_by_source(explained, parts[0, 0])
    assert_allclose(one_row, sums[0, 0], atol=1e-13)
    alone = Explained.of(model, "transformed")
    assert sum_by_source(alone, parts) is parts
    assert frame.shape[1] == 4


def test_the_base_is_the_score_of_the_reference_in_a_linear_model():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(FunctionTransformer(), DeepLogisticClassifier((), alpha=1.0, random_state=0)).fit(X, y)
    _, _, base = check_sums(model, X, X[10:20])
    coefs, intercepts = model[-1].coefs_, model[-1].intercepts_
    expected = compute_scores(coefs, intercepts, X[10:20].mean(axis=0, keepdims=True), 1)
    assert_allclose(base, np.broadcast_to(expected, base.shape), rtol=1e-9)
