"""The private names of scikit-learn do what skrelu takes them for."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, check_scoring, get_scorer, make_scorer

from skrelu._data.private_sklearn import _check_method_params, _check_sample_weight, scorer_takes_weights


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
