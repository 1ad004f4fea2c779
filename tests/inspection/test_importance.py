"""local_feature_importance: the definition, written out."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from skrelu import DeepLogisticClassifier
from skrelu.inspection import local_feature_importance, local_linear_models


def fit(X, y, hidden=(8,)):
    return DeepLogisticClassifier(hidden, alpha=1.0, standardize=True, random_state=0).fit(X, y)


@pytest.mark.parametrize("weighted", [False, True])
def test_squared_coefficients_times_the_variance(weighted):
    X, y = load_breast_cancer(return_X_y=True)
    classifier = fit(X, y)
    weights = np.random.RandomState(0).rand(len(X)) if weighted else None
    result = local_feature_importance(classifier, X, sample_weight=weights)
    mean = np.average(X, axis=0, weights=weights)
    variance = np.average((X - mean) ** 2, axis=0, weights=weights)
    expected = local_linear_models(classifier, X).coef ** 2 * variance
    assert_allclose(result.importances, expected, rtol=1e-9)
    assert_allclose(result.importances_mean, np.average(expected, axis=0, weights=weights), rtol=1e-9)
    spread = np.average((expected - result.importances_mean) ** 2, axis=0, weights=weights)
    assert_allclose(result.importances_std, np.sqrt(spread), rtol=1e-9)


def test_units_do_not_count():
    X, y = load_breast_cancer(return_X_y=True)
    units = np.geomspace(1e-6, 1e6, X.shape[1])
    one, other = (local_feature_importance(fit(table, y), table) for table in (X, X * units))
    assert_allclose(one.importances_mean, other.importances_mean, rtol=1e-4)


def test_several_classes_are_centred_and_averaged():
    X, y = load_iris(return_X_y=True)
    classifier = fit(X, y)
    coef = local_linear_models(classifier, X).coef
    coef = coef - coef.mean(axis=1, keepdims=True)
    expected = (coef**2 * X.var(axis=0)).mean(axis=1)
    assert_allclose(local_feature_importance(classifier, X).importances, expected, rtol=1e-9)
    labels = np.column_stack([y == 0, y == 2]).astype(int)
    several = fit(X, labels)
    expected = (local_linear_models(several, X).coef ** 2 * X.var(axis=0)).mean(axis=1)
    assert_allclose(local_feature_importance(several, X).importances, expected, rtol=1e-9)


@pytest.fixture(scope="module")
def mixed():
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"age": rng.randint(18, 80, 200), "job": rng.choice(list("abc"), 200), "pay": rng.rand(200)})
    y = (X["age"] / 20 + 2 * (X["job"] == "a") + rng.randn(200) > 3).astype(int)
    columns = make_column_transformer((StandardScaler(), ["age", "pay"]), (OneHotEncoder(), ["job"]))
    return make_pipeline(columns, fit(columns.fit_transform(X), y)), X, y


def test_an_encoded_column_has_the_variance_of_the_sum_of_its_parts(mixed):
    pipeline, X, _ = mixed
    Z = pipeline[:-1].transform(X)
    coef = local_linear_models(pipeline[-1], Z).coef
    result = local_feature_importance(pipeline, X)
    assert list(result.feature_names) == ["age", "job", "pay"]
    assert result.columns == "original"
    parts = coef[:, np.newaxis, 2:] @ Z[:, 2:].T  # of each row's model, for all rows
    assert_allclose(result.importances[:, 1], parts[:, 0].var(axis=1), rtol=1e-9)
    assert_allclose(result.importances[:, 0], (coef[:, 0] * 1.0) ** 2, rtol=1e-9)
    assert result.importances_mean.argmin() == 2


def test_transformed_features_by_their_names(mixed):
    pipeline, X, _ = mixed
    result = local_feature_importance(pipeline, X, columns="transformed")
    assert list(result.feature_names) == list(pipeline[:-1].get_feature_names_out())
    assert result.columns == "transformed"
    Z = pipeline[:-1].transform(X)
    assert_allclose(result.importances, local_linear_models(pipeline[-1], Z).coef ** 2 * Z.var(axis=0), rtol=1e-9)


def test_a_step_that_mixes_columns_leaves_the_features():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(
        PolynomialFeatures(include_bias=False), fit(PolynomialFeatures(include_bias=False).fit_transform(X), y)
    )
    pipeline[:-1].fit(X)
    assert local_feature_importance(pipeline, X).importances.shape == (150, 14)
    with pytest.raises(ValueError, match="columns must be 'auto' or 'transformed'"):
        local_feature_importance(pipeline, X, columns="original")


def test_sparse_rows_and_other_networks():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    X[np.abs(X) < 1] = 0
    network = MLPClassifier((8,), max_iter=500, random_state=0).fit(X, y)
    dense, as_sparse = (local_feature_importance(network, table).importances for table in (X, sparse.csr_array(X)))
    assert_allclose(as_sparse, dense, rtol=1e-9)


def test_an_unused_and_a_constant_column_have_none():
    X, y = load_breast_cancer(return_X_y=True)
    X[:, 3] = 7.0
    result = local_feature_importance(fit(X, y), X)
    assert (result.importances[:, 3] == 0).all()
    assert (result.importances_mean[:3] > 0).all()


def test_bad_input():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="X must hold at least two rows"):
        local_feature_importance(fit(X, y), X[:1])
    with pytest.raises(NotFittedError):
        local_feature_importance(DeepLogisticClassifier(), X)
    with pytest.raises(
        ValueError, match="sample_weight is not valid: Sample weights must contain at least one non-zero"
    ):
        local_feature_importance(fit(X, y), X, sample_weight=np.zeros(150))
    with pytest.raises(ValueError, match="columns must be 'auto', 'original' or 'transformed', got 'all'"):
        local_feature_importance(fit(X, y), X, columns="all")
