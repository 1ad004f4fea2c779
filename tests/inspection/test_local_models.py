"""Local models against the literal product, and against the scores of every kind of classifier and of X."""

import dataclasses
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skrelu import DeepLogisticClassifier, DeepLogisticClassifierCV
from skrelu.inspection import LocalLinearModels, local_linear_models
from tests import literal
from tests.problems import KINDS, load_table, make_problem

DEPTHS = [(), (5,), (9, 4), (3, 8, 5)]


def by_hand(problem, **parameters):
    """Return a classifier with the weights of a problem."""
    classifier = DeepLogisticClassifier(**parameters)
    classifier.coefs_, classifier.intercepts_ = problem.coefs, problem.intercepts
    classifier.classes_ = np.arange(2 if problem.kind == "binary" else problem.coefs[-1].shape[1])
    if problem.kind == "multilabel":
        classifier.out_activation_ = "logistic"
    return classifier


def apply(models, X):
    """Return the scores that the linear models give to their own rows."""
    X = X.toarray() if sparse.issparse(X) else np.asarray(X, dtype=float)
    return np.einsum("i...j,ij->i...", models.coef, X) + models.intercept


def check_scores(models, X, scores, rtol=1e-10):
    assert models.intercept.shape == scores.shape
    assert_allclose(apply(models, X), scores, rtol=rtol, atol=rtol * np.abs(scores).max())


def assert_same(models, others):
    for field in dataclasses.fields(LocalLinearModels):
        assert_array_equal(getattr(models, field.name), getattr(others, field.name))


@pytest.mark.parametrize("hidden", DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_models_are_the_literal_product(kind, hidden):
    problem = make_problem(kind, hidden, n_samples=60)
    classifier = by_hand(problem)
    models = local_linear_models(classifier, problem.X)
    outputs = () if kind == "binary" else (3,)
    assert models.coef.shape == (60, *outputs, 3)
    assert models.intercept.shape == (60, *outputs)
    for x, coef in zip(problem.X, models.coef, strict=True):
        expected = literal.P(problem.W, literal.layer_inputs(problem.W, problem.intercepts, x), 1) @ problem.W[0]
        assert_allclose(coef.reshape(-1, 3), expected, rtol=1e-12, atol=1e-13)
    check_scores(models, problem.X, classifier.decision_function(problem.X))
    assert list(models.feature_names) == ["x0", "x1", "x2"]


@pytest.mark.parametrize("hidden", DEPTHS)
def test_regions_are_a_count_of_distinct_patterns(hidden):
    problem = make_problem("multiclass", hidden, n_samples=700, n_features=2)
    explicit = np.array(
        [
            np.concatenate([[], *map(literal.pos, literal.layer_inputs(problem.W, problem.intercepts, x)[1:])])
            for x in problem.X
        ]
    )
    models = local_linear_models(by_hand(problem), problem.X)
    distinct, first, number, count = np.unique(
        explicit, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    if not hidden:  # NumPy finds no distinct rows among rows without columns
        distinct, first, number, count = np.empty((1, 0)), np.zeros(1, int), np.zeros(700, int), np.array([700])
    order = np.lexsort((first, -count))
    assert_array_equal(models.region, np.argsort(order)[number.ravel()])
    unpacked = np.unpackbits(models.pattern, axis=1, count=sum(hidden))
    assert_array_equal(unpacked, distinct[order])
    assert_array_equal(unpacked[models.region], explicit)
    if hidden:
        assert 1 < len(models.pattern) < 700


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"alpha": 1.0}, {"alpha": 1.0, "standardize": True}], ids=str)
def test_fitted_classifiers(kind, options):
    X, y = load_table(kind)
    classifier = DeepLogisticClassifier((6, 4), max_iter=300, random_state=0, **options).fit(X, y)
    check_scores(local_linear_models(classifier, X), X, classifier.decision_function(X))


def test_in_the_units_of_the_user():
    X, y = load_breast_cancer(return_X_y=True)
    X = X.copy()
    X[:, 0] += 1e9
    X[:, 1] *= 1e-6
    X[:, 2] *= 1e6
    classifier = DeepLogisticClassifier((10,), random_state=0).fit(X, y)
    models = local_linear_models(classifier, X)
    terms = np.abs(models.coef * X).max()
    assert_allclose(apply(models, X), classifier.decision_function(X), rtol=1e-10, atol=1e-13 * terms)
    plain = make_pipeline(StandardScaler(), classifier).fit(X, y)
    of_columns = local_linear_models(plain, X)
    assert of_columns.coef.shape == X.shape
    terms = np.abs(of_columns.coef * X).max()
    assert_allclose(apply(of_columns, X), plain.decision_function(X), rtol=1e-10, atol=1e-13 * terms)
    of_features = local_linear_models(plain, X, columns="transformed")
    assert_allclose(of_columns.coef, of_features.coef / plain[0].scale_, rtol=1e-12)


def test_cross_validated_classifier():
    X, y = load_table("multiclass")
    classifier = DeepLogisticClassifierCV((4,), alphas=[0.1, 1.0], cv=2, max_iter=1000, random_state=0).fit(X, y)
    check_scores(local_linear_models(classifier, X), X, classifier.decision_function(X))


def test_moderated_scores_are_not_those_of_the_models():
    X, y = load_table("binary")
    classifier = DeepLogisticClassifier((5,), predictive="laplace", random_state=0).fit(X, y)
    models = local_linear_models(classifier, X)
    check_scores(models, X, clone(classifier).set_params(predictive="map").fit(X, y).decision_function(X))
    check_scores(models, X, classifier.decision_function(X, return_std=True)[0])
    assert np.abs(apply(models, X) - classifier.decision_function(X)).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [(), (7,), (6, 5)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mlp_classifier(kind, hidden, dtype):
    X, y = load_table(kind)
    X = X.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier = MLPClassifier(hidden, max_iter=10, random_state=0, solver="lbfgs").fit(X, y)
    models = local_linear_models(classifier, X)
    assert models.coef.dtype == models.intercept.dtype == np.float64
    scores = apply(models, X)
    if kind == "multiclass":
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = scores / scores.sum(axis=1, keepdims=True)
    else:
        with np.errstate(over="ignore"):
            probabilities = 1 / (1 + np.exp(-scores))
        probabilities = np.column_stack([1 - probabilities, probabilities]) if kind == "binary" else probabilities
    assert_allclose(probabilities, classifier.predict_proba(X), rtol=1e-9, atol=1e-12 if dtype == "f8" else 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_rows_and_weights(kind):
    problem = make_problem(kind, (30, 20), n_samples=300)
    problem.coefs = [coef.astype("f4") for coef in problem.coefs]
    problem.intercepts = [intercept.astype("f4") for intercept in problem.intercepts]
    X = problem.X.astype("f4")
    models = local_linear_models(by_hand(problem), X)
    assert models.coef.dtype == models.intercept.dtype == np.float64
    wide = by_hand(problem)
    wide.coefs_ = [coef.astype("f8") for coef in problem.coefs]
    wide.intercepts_ = [intercept.astype("f8") for intercept in problem.intercepts]
    check_scores(models, X, wide.decision_function(X.astype("f8")))
    assert_same(models, local_linear_models(wide, X.astype("f8")))


FORMS = [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.csc_matrix, sparse.coo_array, sparse.coo_matrix]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_rows_are_as_dense_ones(form, dtype):
    problem = make_problem("multiclass", (8, 5), n_samples=2000, n_features=20)
    X = (problem.X * (np.random.RandomState(1).rand(2000, 20) < 0.2)).astype(dtype)
    models, dense = (local_linear_models(by_hand(problem), rows) for rows in (form(X), X))
    assert_same(models, dense)
    check_scores(models, X, by_hand(problem).decision_function(X))


def test_every_form_of_dense_rows(tmp_path):
    problem = make_problem("multiclass", (8, 5), n_samples=3000, n_features=20)
    X = problem.X
    np.save(tmp_path / "X.npy", X)
    names = [f"c{j}" for j in range(20)]
    classifier = by_hand(problem)
    expected = local_linear_models(classifier, X)
    forms = [np.load(tmp_path / "X.npy", mmap_mode="r"), np.asfortranarray(X), X[::-1][::-1], X.tolist()]
    for rows in forms:
        assert_same(local_linear_models(classifier, rows), expected)
    wide = np.zeros((3000, 40))
    wide[:, ::2] = X
    assert_same(local_linear_models(classifier, wide[:, ::2]), expected)
    X.setflags(write=False)
    assert_same(local_linear_models(classifier, X), expected)
    for frame in (pd.DataFrame(X, columns=names), pytest.importorskip("polars").DataFrame(X, schema=names)):
        with pytest.warns(UserWarning, match="fitted without feature names"):  # as `decision_function` warns
            assert_same(local_linear_models(classifier, frame), expected)
        named = by_hand(problem)
        named.feature_names_in_ = np.array(names, dtype=object)
        models = local_linear_models(named, frame)
        assert list(models.feature_names) == names
        assert_array_equal(models.coef, expected.coef)


def test_names_of_a_frame():
    frame, y = load_iris(as_frame=True, return_X_y=True)
    classifier = DeepLogisticClassifier((4,), max_iter=1000, random_state=0).fit(frame, y)
    models = local_linear_models(classifier, frame)
    assert list(models.feature_names) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        local_linear_models(classifier, frame.rename(columns={frame.columns[0]: "other"}))


@pytest.mark.parametrize("hidden", DEPTHS)
def test_one_row(hidden):
    problem = make_problem("multiclass", hidden, n_samples=50)
    models = local_linear_models(by_hand(problem), problem.X[17:18])
    assert models.coef.shape == (1, 3, 3)
    assert_array_equal(models.region, [0])
    assert models.pattern.shape == (1, -(-sum(hidden) // 8))
    check_scores(models, problem.X[17:18], by_hand(problem).decision_function(problem.X[17:18]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_for_every_number_of_threads(kind):
    problem = make_problem(kind, (60, 30), n_samples=9000, n_features=20)
    assert_same(*(local_linear_models(by_hand(problem, n_jobs=n_jobs), problem.X) for n_jobs in (1, 2)))
    few = make_problem(kind, (4,), n_samples=50_000, n_features=3)
    models = local_linear_models(by_hand(few, n_jobs=2), few.X)
    assert_same(models, local_linear_models(by_hand(few, n_jobs=1), few.X))
    assert len(models.pattern) <= 15
    check_scores(models, few.X, by_hand(few).decision_function(few.X))


def test_zeros_of_relu():
    classifier = DeepLogisticClassifier()
    classifier.coefs_, classifier.intercepts_ = [np.array([[1.0, -1.0]]), np.ones((2, 1))], [np.zeros(2), np.ones(1)]
    classifier.classes_ = ["no", "yes"]
    models = local_linear_models(classifier, [[0.0], [3.0], [-3.0], [0.0]])
    assert_array_equal(models.coef.ravel(), [0, 1, -1, 0])
    assert_array_equal(models.intercept, np.ones(4))
    assert_array_equal(models.region, [0, 1, 2, 0])


def test_the_input_is_not_changed_and_the_result_cannot_be_replaced():
    problem = make_problem("binary", (6,))
    before = problem.X.copy(), [coef.copy() for coef in problem.coefs]
    models = local_linear_models(by_hand(problem), problem.X)
    models.coef[:] = 0
    models.intercept[:] = 0
    assert_array_equal(problem.X, before[0])
    for coef, expected in zip(problem.coefs, before[1], strict=True):
        assert_array_equal(coef, expected)
    with pytest.raises(dataclasses.FrozenInstanceError):
        models.coef = None


@pytest.mark.parametrize("n_features", [1, 3])
def test_results_do_not_share_memory_with_the_weights(n_features):
    problem = make_problem("multiclass", (), n_features=n_features)
    before = problem.coefs[0].copy()
    local_linear_models(by_hand(problem), problem.X[:1]).coef[:] = 5
    assert_array_equal(problem.coefs[0], before)


PEAK_OF_BLOCKS = 25e6


def peak_of(call):
    call()  # imports and caches
    tracemalloc.start()
    result = call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak


@pytest.mark.parametrize(("kind", "hidden"), [("binary", (3,)), ("multiclass", (3,)), ("binary", (100,))])
def test_memory_is_bounded_by_the_result(kind, hidden):
    problem = make_problem(kind, hidden, n_samples=60_000, n_features=40)
    models, peak = peak_of(lambda: local_linear_models(by_hand(problem, n_jobs=2), problem.X))
    assert len(models.pattern) <= 8 if hidden == (3,) else len(models.pattern) > 59_000
    assert peak < 3 * models.coef.nbytes + PEAK_OF_BLOCKS


def test_memory_behind_a_scaler():
    problem = make_problem("binary", (100,), n_samples=60_000, n_features=40)
    X = problem.X.astype("f4")
    pipeline = make_pipeline(StandardScaler(copy=True).fit(X), by_hand(problem))
    models, peak = peak_of(lambda: local_linear_models(pipeline, X))
    assert models.coef.shape == (60_000, 40)
    assert peak < 3 * models.coef.nbytes + PEAK_OF_BLOCKS


# Bad input


def test_bad_rows():
    X, y = load_table("multiclass")
    classifier = DeepLogisticClassifier((3,), max_iter=1000, random_state=0).fit(X, y)
    mlp = MLPClassifier((3,), max_iter=1000, random_state=0, solver="lbfgs").fit(X, y)
    bad = X.copy()
    bad[3, 1] = np.nan
    for model in (classifier, mlp, make_pipeline(StandardScaler(), classifier).fit(X, y)):
        with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 4 features"):
            local_linear_models(model, X[:, :3])
        with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
            local_linear_models(model, X[0])
        with pytest.raises(ValueError, match="0 sample"):
            local_linear_models(model, X[:0])
    for model in (classifier, mlp):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            local_linear_models(model, bad)
        with pytest.raises(ValueError, match="Input X contains infinity"):
            local_linear_models(model, np.where(np.isnan(bad), np.inf, bad))
        with config_context(assume_finite=True), pytest.raises(ValueError, match="X holds NaN"):
            local_linear_models(model, bad)
    with pytest.raises(ValueError, match="X must hold numbers"):
        local_linear_models(classifier, [["a", "b", "c", "d"]])


@pytest.mark.parametrize("after_a_step", [False, True])
def test_scores_that_overflow(after_a_step):
    """The pattern of a row is not known if sums in the first layer overflow, though its model would be finite."""
    problem = make_problem("binary", (6, 5), n_samples=20, scale=1e3)
    model = by_hand(problem)
    X = problem.X.copy()
    X[4] = 1e307
    if after_a_step:
        model = make_pipeline(FunctionTransformer().fit(X), model)
    with pytest.raises(ValueError, match=r"X holds values up to 1e.307, for which the scores .* overflow"):
        local_linear_models(model, X)


def test_coefficients_that_overflow():
    classifier = DeepLogisticClassifier()
    classifier.coefs_, classifier.classes_ = [np.full((1, 1), 1e200), np.full((1, 1), 1e200)], [0, 1]
    classifier.intercepts_ = [np.zeros(1), np.zeros(1)]
    with pytest.raises(ValueError, match="overflow"):
        local_linear_models(classifier, [[1e-300]])


def test_an_unfitted_classifier():
    for model in (DeepLogisticClassifier(), MLPClassifier(), make_pipeline(StandardScaler(), MLPClassifier())):
        with pytest.raises(NotFittedError):
            local_linear_models(model, [[1.0]])


def test_missing_values_and_whose_columns_they_are():
    X, y = load_iris(return_X_y=True)
    X[::5, 1] = np.nan
    imputer = SimpleImputer()
    model = make_pipeline(imputer, StandardScaler(), DeepLogisticClassifier((5,), alpha=1.0, random_state=0)).fit(X, y)
    models = local_linear_models(model, X)
    assert models.columns == "original"
    scores = np.einsum("nkp,np->nk", models.coef, imputer.transform(X)) + models.intercept
    assert_allclose(scores, model.decision_function(X), rtol=1e-9, atol=1e-9)
    assert local_linear_models(model, X, columns="transformed").columns == "transformed"
    assert local_linear_models(model[-1], model[:-1].transform(X)).columns == "original"
    frozen = local_linear_models(FrozenEstimator(model), X)
    assert_array_equal(frozen.coef, models.coef)
