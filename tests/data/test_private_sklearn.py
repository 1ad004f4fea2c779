"""The private names of scikit-learn do what skrelu takes them for."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, check_scoring, f1_score, get_scorer, make_scorer

from skrelu._data.private_sklearn import (
    _check_method_params,
    _check_sample_weight,
    _raise_for_params,
    is_foreign_array,
    scorer_takes_weights,
    scorer_with_labels,
)


def unweighted_metric(y_true, y_pred):
    return float(np.mean(y_true == y_pred))


def plain(estimator, X, y):
    return 0.0


def weighted(estimator, X, y, sample_weight=None):
    return 0.0


@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        (get_scorer("neg_log_loss"), True),
        (make_scorer(accuracy_score), True),
        (make_scorer(unweighted_metric), False),
        (check_scoring(LogisticRegression()), True),  # the `score` of the estimator
        (plain, False),
        (weighted, True),
    ],
)
def test_a_scorer_that_takes_weights_is_known(scorer, expected):
    """What is said is what happens where the scorer is called with weights."""
    assert scorer_takes_weights(scorer) is expected
    X, y = np.array([[-1.0], [0.5], [2.0], [-3.0]]), np.array([0, 1, 1, 0])
    model = LogisticRegression().fit(X, y)
    if expected:
        assert np.isfinite(scorer(model, X, y, sample_weight=np.ones(4)))
    else:
        with pytest.raises(TypeError, match="sample_weight"):
            scorer(model, X, y, sample_weight=np.ones(4))


def test_parameters_of_a_method_are_indexed_if_they_have_a_value_for_each_row():
    X = np.zeros((4, 2))
    params = _check_method_params(X, {"sample_weight": np.arange(4.0), "other": "macro"}, indices=np.array([2, 0]))
    assert_array_equal(params["sample_weight"], [2.0, 0.0])
    assert params["other"] == "macro"


def test_weights_become_one_number_for_each_row():
    weights = _check_sample_weight([1, 2], np.zeros((2, 1)), dtype=np.float64)
    assert weights.dtype == np.float64
    assert weights.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(3,\)"):
        _check_sample_weight(np.ones(3), np.zeros((2, 1)), dtype=np.float64)


def with_labels(y_true, y_pred, labels=None, pos_label=1):
    return 0.0


@pytest.mark.parametrize(
    ("scorer", "classes", "expected"),
    [
        (get_scorer("neg_log_loss"), [3, 4, 5], {"labels": [3, 4, 5]}),
        (get_scorer("neg_brier_score"), ["a", "b"], {"labels": ["a", "b"], "pos_label": "b"}),
        (get_scorer("neg_brier_score"), ["a", "b", "c"], {"labels": ["a", "b", "c"]}),
        (get_scorer("f1_macro"), [0, 1], {"labels": [0, 1], "pos_label": None, "average": "macro"}),
        (make_scorer(f1_score, average="micro"), [0, 1], {"labels": [0, 1], "pos_label": None, "average": "micro"}),
        (make_scorer(with_labels, labels=[7]), [0, 1], {"labels": [7], "pos_label": 1}),
        (get_scorer("accuracy"), [0, 1], {}),
    ],
)
def test_a_scorer_gets_the_labels_that_its_metric_takes(scorer, classes, expected):
    before = dict(scorer._kwargs)
    told = scorer_with_labels(scorer, np.array(classes))
    assert {name: np.asarray(value).tolist() for name, value in told._kwargs.items()} == expected
    assert scorer._kwargs == before
    assert type(told) is type(scorer)


@pytest.mark.parametrize("scorer", [plain, check_scoring(LogisticRegression())])
def test_another_scorer_is_left_as_it_is(scorer):
    assert scorer_with_labels(scorer, np.array([0, 1])) is scorer


def test_metadata_without_routing():
    _raise_for_params({}, LogisticRegression(), "fit")
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        _raise_for_params({"groups": [1]}, LogisticRegression(), "fit")


class Foreign:
    """An array of another library, by the standard for arrays of Python."""

    def __array_namespace__(self, api_version=None):
        return SimpleNamespace(__name__="other")


class TestForeignArrays:
    def test_only_under_dispatch(self, monkeypatch):
        monkeypatch.setenv("SCIPY_ARRAY_API", "1")
        assert not is_foreign_array(Foreign())
        with config_context(array_api_dispatch=True):
            assert is_foreign_array(Foreign())

    @pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2), "f4"), [1, 2], ["a"], None, "a", 3, object()])
    def test_what_is_none(self, array, monkeypatch):
        monkeypatch.setenv("SCIPY_ARRAY_API", "1")
        with config_context(array_api_dispatch=True):
            assert not is_foreign_array(array)

    def test_neither_sparse_matrices_nor_tables(self, monkeypatch):
        monkeypatch.setenv("SCIPY_ARRAY_API", "1")
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({"a": [1.0, 2.0]})
        with config_context(array_api_dispatch=True):
            for table in (frame, frame["a"], frame["a"].array, sparse.csr_array((2, 2)), sparse.csr_matrix((2, 2))):
                assert not is_foreign_array(table)

    @pytest.mark.parametrize("name", ["torch", "cupy", "dask.array", "array_api_strict"])
    def test_libraries(self, name, monkeypatch):
        monkeypatch.setenv("SCIPY_ARRAY_API", "1")
        library = pytest.importorskip(name)
        with config_context(array_api_dispatch=True):
            assert is_foreign_array(library.ones(3))
