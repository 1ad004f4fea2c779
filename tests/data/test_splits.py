from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrelu._data.labels import Labels
from skrelu._data.order import in_canonical_order
from skrelu._data.rows import WeightedRows
from skrelu._data.splits import hold_out, hold_out_problem
from tests.problems import make_rows


@pytest.mark.parametrize("counted", [False, True])
def test_rows_are_held_out_in_the_proportions_of_the_classes(counted):
    rows, y = make_rows(300)
    if counted:
        rows = replace(rows, selection=np.arange(0, 300, 2))
    labels = Labels.of(y, None)
    trained, held_out = hold_out(rows, labels, 0.2, np.random.RandomState(0))
    assert_array_equal(np.sort(np.r_[trained.selection, held_out.selection]), rows.numbers())
    assert held_out.n_rows == 0.2 * rows.n_rows
    whole = np.bincount(y[rows.numbers()]) / rows.n_rows
    assert_allclose(np.bincount(y[held_out.selection]) / held_out.n_rows, whole, atol=1 / held_out.n_rows)
    assert trained.X is held_out.X is rows.X


def test_the_parts_keep_the_order_of_the_rows():
    rows, y = make_rows()
    ordered = in_canonical_order(rows, merge=False)
    trained, held_out = hold_out(ordered, Labels.of(y, None), 0.3, np.random.RandomState(0))
    place = {number: place for place, number in enumerate(ordered.selection.tolist())}
    for part in (trained, held_out):
        places = [place[number] for number in part.selection.tolist()]
        assert places == sorted(places)


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("smallest", [1, 2, 3, 9])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_every_class_has_a_row_to_train_on_and_about_its_share_held_out(n_classes, smallest, fraction):
    y = np.r_[np.arange(500) % (n_classes - 1), np.full(smallest, n_classes - 1)]
    labels = Labels.of(y, None)
    rows = WeightedRows(np.zeros((len(y), 1)), labels.encode(y))
    trained, held_out = hold_out(rows, labels, fraction, np.random.RandomState(0))
    assert held_out.n_rows == np.ceil(fraction * len(y))
    assert len(np.unique(y[trained.selection])) == n_classes
    counts, held = np.bincount(y), np.bincount(y[held_out.selection], minlength=n_classes)
    assert np.all(np.abs(held - np.minimum(fraction * counts, counts - 1)) <= 2)


def test_who_is_held_out_is_decided_by_the_random_state():
    rows, y = make_rows(300)
    labels = Labels.of(y, None)
    draws = [hold_out(rows, labels, 0.2, np.random.RandomState(seed))[1].selection for seed in (0, 0, 1)]
    assert_array_equal(draws[0], draws[1])
    assert len(np.setdiff1d(draws[0], draws[2])) > 30


def test_multilabel_rows_are_held_out_too():
    y = np.random.RandomState(0).randint(2, size=(100, 3))
    labels = Labels.of(y, None)
    rows = WeightedRows(np.zeros((100, 1)), labels.encode(y))
    trained, held_out = hold_out(rows, labels, 0.25, np.random.RandomState(0))
    assert held_out.n_rows == 25
    assert_array_equal(np.sort(np.r_[trained.selection, held_out.selection]), np.arange(100))


@pytest.mark.parametrize(("y", "fraction"), [([0, 1, 2] * 5, 0.1), ([0, 1, 2] * 5, 0.95), ([0, 1] * 3, 0.01)])
def test_a_validation_set_that_is_too_small_or_too_large_is_refused(y, fraction):
    y = np.array(y)
    labels = Labels.of(y, None)
    rows = WeightedRows(np.zeros((len(y), 1)), labels.encode(y))
    assert hold_out_problem(rows, labels, fraction) is not None
    with pytest.raises(ValueError, match=f"too small, or leaves too little: validation_fraction={fraction}"):
        hold_out(rows, labels, fraction, np.random.RandomState(0))
