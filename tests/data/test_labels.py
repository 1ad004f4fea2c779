import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skrelu._core.losses import BinaryLoss, MultinomialLoss
from skrelu._data.labels import Labels


@pytest.mark.parametrize("labels", [[0, 1], [-1, 1], ["no", "yes"], [False, True], [3.0, 7.0]])
def test_two_labels_of_any_kind_are_signs_inside(labels):
    y = np.array([labels[1], labels[0], labels[1]])
    found = Labels.of(y, None)
    assert (found.n_outputs, type(found.loss), found.is_multilabel) == (1, BinaryLoss, False)
    assert_array_equal(found.encode(y), [[1], [-1], [1]])
    assert_array_equal(found.decode(np.array([[2.0], [-1.0], [0.0]])), [labels[1], labels[0], labels[0]])


def test_more_labels_are_class_indices_inside():
    y = np.array(["b", "c", "a", "b"])
    found = Labels.of(y, None)
    assert (found.n_outputs, type(found.loss), found.is_multilabel) == (3, MultinomialLoss, False)
    assert_array_equal(found.encode(y), [1, 2, 0, 1])
    assert_array_equal(found.decode(np.array([[0, 2, 1], [3, 2, 1]])), ["b", "a"])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_indicators_are_signs_inside(container):
    y = np.array([[1, 0], [0, 0], [1, 1]])
    found = Labels.of(container(y), None)
    assert (found.n_outputs, type(found.loss), found.is_multilabel) == (2, BinaryLoss, True)
    assert_array_equal(found.encode(container(y)), 2 * y - 1)
    assert_array_equal(found.decode(np.array([[0.5, -0.5], [0.0, 3.0]])), [[1, 0], [0, 1]])


@pytest.mark.parametrize("y", [["a", "b"], ["a", "b", "c"], np.array([[1, 0], [0, 1], [1, 1]])])
def test_labels_come_back_from_fitted_attributes(y):
    found = Labels.of(np.asarray(y), None)
    again = Labels.fitted(found.classes, found.n_outputs, found.loss.out_activation)
    assert (again.n_outputs, type(again.loss)) == (found.n_outputs, type(found.loss))
    assert again.is_multilabel == found.is_multilabel


def test_rows_of_weight_zero_hold_no_class():
    y = np.array([0, 1, 2, 2])
    assert Labels.of(y, np.array([True, True, False, False])).classes.tolist() == [0, 1]
    with pytest.raises(ValueError, match="only one class in rows of positive weight"):
        Labels.of(y, np.array([False, False, True, True]))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([0.5, 1.5, 2.25]), "Unknown label type: continuous"),
        (np.array([[1, 2], [3, 1], [0, 1]]), "Unknown label type: multiclass-multioutput"),
        (np.array([[0.5, 2], [3, 1], [0, 1]]), "Unknown label type: continuous-multioutput"),
        (np.array([1, 1, 1]), "only one class"),
    ],
)
def test_what_is_not_classes_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        Labels.of(y, None)
