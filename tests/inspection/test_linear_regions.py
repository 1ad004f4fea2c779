"""linear_regions: every column against a plain computation of it, row by row."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrelu import DeepLogisticClassifier
from skrelu.inspection import linear_regions, local_linear_models
from skrelu.inspection._linear_regions import area_under_curve


def load(kind):
    if kind == "multilabel":
        return make_multilabel_classification(n_samples=150, n_classes=3, n_features=6, random_state=0)
    X, y = load_breast_cancer(return_X_y=True) if kind == "binary" else load_iris(return_X_y=True)
    return X, np.array(["no", "yes", "perhaps"])[y]


@pytest.fixture(scope="module", params=["binary", "multiclass", "multilabel"])
def case(request):
    X, y = load(request.param)
    classifier = DeepLogisticClassifier((6, 4), alpha=1.0, standardize=True, random_state=0).fit(X, y)
    return classifier, X, y


def by_hand(classifier, X, y, weights):
    """Yield the row of each region, from its rows by themselves."""
    models = local_linear_models(classifier, X)
    coef = models.coef.reshape(len(X), -1, X.shape[1])
    intercept = models.intercept.reshape(len(X), -1)
    if y.ndim == 2:
        is_of = y > 0
    else:
        is_of = y[:, None] == (classifier.classes_ if len(classifier.classes_) > 2 else classifier.classes_[1:])
    for region in range(models.region.max() + 1):
        rows = np.flatnonzero(models.region == region)
        first = rows[0]

        def area(where, first=first):
            areas = []
            for k in range(is_of.shape[1]):
                kinds = is_of[where, k]
                if 0 < kinds.sum() < len(kinds):
                    scores = X[where] @ coef[first, k] + intercept[first, k]
                    areas.append(roc_auc_score(kinds, scores, sample_weight=weights[where]))
            return np.mean(areas) if areas else np.nan

        share, w = weights[rows].sum() / weights.sum(), weights[rows]
        mean = np.average(is_of[rows], axis=0, weights=w)
        std = np.sqrt(np.average((is_of[rows] - mean) ** 2, axis=0, weights=w))
        p = classifier.predict_proba(X[rows])
        if y.ndim == 2:
            loss = sum(log_loss(y[rows, k], p[:, k], sample_weight=w, labels=[0, 1]) for k in range(y.shape[1]))
        else:
            loss = log_loss(y[rows], p, sample_weight=w, labels=classifier.classes_)
        accuracy = accuracy_score(y[rows], classifier.predict(X[rows]), sample_weight=w)
        yield len(rows), share, mean, std, loss, accuracy, area(rows), area(np.arange(len(X)))


@pytest.mark.parametrize("weighted", [False, True])
def test_every_column(case, weighted):
    classifier, X, y = case
    weights = np.random.RandomState(0).rand(len(X)) + 0.1 if weighted else np.ones(len(X))
    table = linear_regions(classifier, X, y, weights if weighted else None)
    counts, shares, means, stds, losses, accuracies, own, everywhere = (
        np.array(column) for column in zip(*by_hand(classifier, X, y, weights), strict=True)
    )
    assert len(table) > 3
    assert_array_equal(table["region"], np.arange(len(counts)))
    assert_array_equal(table["count"], counts)
    assert (np.diff(counts) <= 0).all()
    assert_allclose(table["share"], shares, rtol=1e-12)
    suffixes = [""] if means.shape[1] == 1 else [f"_{label}" for label in classifier.classes_]
    for k, suffix in enumerate(suffixes):
        assert_allclose(table[f"response_mean{suffix}"], means[:, k], atol=1e-12)
        assert_allclose(table[f"response_std{suffix}"], stds[:, k], atol=1e-7)
    assert_allclose(table["log_loss"], losses, rtol=1e-9, atol=1e-12)
    assert_allclose(table["accuracy"], accuracies, rtol=1e-12)
    assert_allclose(table["auc"], own, rtol=1e-12)
    assert_allclose(table["auc_all"], everywhere, rtol=1e-12)


def test_patterns_find_regions_and_neighbours(case):
    classifier, X, _ = case
    table, models = linear_regions(classifier, X), local_linear_models(classifier, X)
    assert list(table.columns) == ["region", "count", "share", "pattern"]
    assert table["share"].sum() == pytest.approx(1)
    place = {pattern: region for region, pattern in zip(table["region"], table["pattern"], strict=True)}
    assert len(place) == len(table)
    for region, pattern in enumerate(models.pattern):
        assert place[pattern.tobytes()] == region
    bits = np.array([np.unpackbits(np.frombuffer(pattern, np.uint8)) for pattern in table["pattern"]])
    assert (np.abs(bits[:, None].astype(int) - bits).sum(axis=2) == 1).any()  # neighbours


def test_the_most_populated_regions_alone(case):
    classifier, X, y = case
    pd.testing.assert_frame_equal(
        linear_regions(classifier, X, y, n_regions=3), linear_regions(classifier, X, y).head(3)
    )
    assert len(linear_regions(classifier, X, n_regions=10**6)) == len(linear_regions(classifier, X))


def test_without_pandas_it_is_a_structured_array(case, monkeypatch):
    classifier, X, y = case
    expected = linear_regions(classifier, X, y)
    monkeypatch.setitem(sys.modules, "pandas", None)
    table = linear_regions(classifier, X, y)
    assert table.dtype.names == tuple(expected.columns)
    assert_array_equal(table["log_loss"], expected["log_loss"])


def test_pipelines_sparse_rows_and_other_networks():
    X, y = load_breast_cancer(return_X_y=True)
    scaler = StandardScaler().fit(X)
    network = MLPClassifier((8,), max_iter=500, random_state=0).fit(scaler.transform(X), y)
    pipeline = make_pipeline(scaler, network)
    pd.testing.assert_frame_equal(linear_regions(pipeline, X, y), linear_regions(network, scaler.transform(X), y))
    Z = np.where(np.abs(scaler.transform(X)) > 1, scaler.transform(X), 0)
    pd.testing.assert_frame_equal(linear_regions(network, sparse.csr_array(Z), y), linear_regions(network, Z, y))


def test_labels_of_any_form_are_the_same():
    X, y = load_iris(return_X_y=True)
    classifier = DeepLogisticClassifier((4,), alpha=1.0, standardize=True, random_state=0).fit(X, y)
    expected = linear_regions(classifier, X, y)
    for labels in (y.tolist(), pd.Series(y), y.astype(object)):
        pd.testing.assert_frame_equal(linear_regions(classifier, X, labels), expected)


def test_a_label_that_the_rows_lack():
    X, y = load_iris(return_X_y=True)
    classifier = DeepLogisticClassifier((4,), alpha=1.0, standardize=True, random_state=0).fit(X, y)
    table = linear_regions(classifier, X[:100], y[:100])
    assert (table["response_mean_2"] == 0).all()
    assert np.isfinite(table["log_loss"]).all()


def test_a_region_of_weight_zero_has_no_means():
    X, y = load_iris(return_X_y=True)
    classifier = DeepLogisticClassifier((4,), alpha=1.0, standardize=True, random_state=0).fit(X, y)
    weights = (local_linear_models(classifier, X).region != 1).astype(float)
    table = linear_regions(classifier, X, y, weights)
    assert table.loc[1, "share"] == 0
    assert table.loc[1, ["response_mean_0", "log_loss", "accuracy", "auc"]].isna().all()
    assert table["log_loss"].notna().sum() == len(table) - 1


def test_no_hidden_layer_is_one_region():
    X, y = load_breast_cancer(return_X_y=True)
    classifier = DeepLogisticClassifier((), alpha=1.0, standardize=True).fit(X, y)
    table = linear_regions(classifier, X, y)
    assert len(table) == 1
    assert table.loc[0, "pattern"] == b""
    assert table.loc[0, "auc"] == table.loc[0, "auc_all"]
    assert table.loc[0, "auc"] == pytest.approx(roc_auc_score(y, classifier.decision_function(X)))


@pytest.mark.parametrize("n_distinct", [3, 1000])
def test_the_area_is_that_of_scikit_learn(n_distinct):
    rng = np.random.RandomState(0)
    scores, kinds, weights = rng.randint(n_distinct, size=200), rng.rand(200) > 0.7, rng.rand(200)
    assert area_under_curve(kinds, scores, weights) == pytest.approx(
        roc_auc_score(kinds, scores, sample_weight=weights)
    )
    assert np.isnan(area_under_curve(np.ones(200, dtype=bool), scores, weights))


@pytest.mark.parametrize("n_regions", [0, -1, 2.5, True, "all"])
def test_n_regions_is_checked(case, n_regions):
    classifier, X, _ = case
    with pytest.raises(ValueError, match=r"n_regions must be a positive integer or None, got"):
        linear_regions(classifier, X, n_regions=n_regions)


def test_bad_labels_and_weights_are_named():
    X, y = load_iris(return_X_y=True)
    classifier = DeepLogisticClassifier((4,), alpha=1.0, standardize=True, random_state=0)
    with pytest.raises(NotFittedError):
        linear_regions(classifier, X)
    classifier.fit(X, y)
    with pytest.raises(ValueError, match=r"y holds labels that classifier\.classes_ does not: \[7\]"):
        linear_regions(classifier, X, np.where(y == 2, 7, y))
    with pytest.raises(ValueError, match=r"y must be like classifier\.classes_, got shape"):
        linear_regions(classifier, X, np.eye(3)[y])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        linear_regions(classifier, X, y[:-1])
    with pytest.raises(ValueError, match="y must hold a label in every row"):
        linear_regions(classifier, X, [None, *y[1:].tolist()])
    with pytest.raises(ValueError, match="sample_weight must not be negative"):
        linear_regions(classifier, X, y, np.full(len(y), -1.0))
