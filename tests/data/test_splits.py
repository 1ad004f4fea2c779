import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from skrelu._data.labels import Labels
from skrelu._data.order import in_canonical_order
from skrelu._data.rows import WeightedRows
from skrelu._data.splits import hold_out, hold_out_problem, split_folds
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


@pytest.mark.parametrize(
    ("y", "fraction", "n_held_out"),
    [
        ([0, 1, 2] * 5, 0.1, 2),
        ([0, 1, 2] * 5, 0.95, 12),
        ([0, 1] * 3, 0.01, 1),
        ([0] * 8 + [1], 0.1, 1),
        ([0, 0, 1, 2, 3], 0.5, 1),
    ],
)
def test_of_few_rows_are_held_out_those_that_can_be(y, fraction, n_held_out):
    """Training keeps a row of each class; validation need not have one."""
    y = np.array(y)
    labels = Labels.of(y, None)
    rows = WeightedRows(np.zeros((len(y), 1)), labels.encode(y))
    problem = hold_out_problem(rows.n_rows, labels, fraction)
    message = (
        f"too small, or leaves too little: validation_fraction={fraction} of {len(y)} rows .* holds out {n_held_out}"
    )
    assert re.search(message, problem)
    trained, held_out = hold_out(rows, labels, fraction, np.random.RandomState(0))
    assert held_out.n_rows == n_held_out
    assert_array_equal(np.sort(np.r_[trained.selection, held_out.selection]), np.arange(len(y)))
    assert_array_equal(np.unique(y[trained.selection]), np.unique(y))


@pytest.mark.parametrize("y", [[0, 1], [2, 0, 1], [[1, 0]]])
def test_the_only_row_of_each_class_is_not_held_out(y):
    y = np.array(y)
    labels = Labels.of(y, None)
    rows = WeightedRows(np.zeros((len(y), 1)), labels.encode(y))
    with pytest.raises(ValueError, match=r"too small, or leaves too little: .* holds out 0\. .*early_stopping=False"):
        hold_out(rows, labels, 0.1, np.random.RandomState(0))


@pytest.mark.parametrize(("fraction", "expected"), [(0.13, False), (0.2, True), (0.8, True), (0.81, False)])
def test_both_parts_need_as_many_rows_as_there_are_classes(fraction, expected):
    """Of 15 rows of 3 classes at least 3 must be held out, and at least 3 left."""
    y = np.array([0, 1, 2] * 5)
    labels = Labels.of(y, None)
    problem = hold_out_problem(15, labels, fraction)
    assert (problem is None) is expected


class TestFolds:
    X = np.random.RandomState(0).randn(40, 3)
    y = np.tile([0, 1], 20)

    def split(self, cv, y=None, weights=None, **params):
        y = self.y if y is None else y
        is_counted = None if weights is None else np.asarray(weights) > 0
        labels = Labels.of(y, is_counted)
        return split_folds(cv, self.X[: len(y)], y, labels, is_counted=is_counted, split_params=params)

    @pytest.mark.parametrize(
        ("cv", "error", "message"),
        [
            (0, ValueError, "cv does not divide the rows"),
            (True, TypeError, "cv must be an integer >= 2"),
            (2.5, ValueError, "cv does not divide the rows: .*2.5"),
            ("5", ValueError, "cv does not divide the rows"),
            (21, ValueError, "cv does not divide the rows: .*n_splits=21"),
            ([], ValueError, "cv must yield at least one fold"),
            ([1, 2], ValueError, "cv does not divide the rows"),
            ([(np.arange(30), [40])], ValueError, "cv does not divide the rows: .*out of bounds"),
            ([(np.arange(30), [])], ValueError, r"Fold 0 of cv has 30 row.* and 0 to test"),
            (-1, ValueError, "cv does not divide the rows: .*n_splits=-1"),
            ([(np.arange(30), [35]), ([], [35])], ValueError, "Fold 1 of cv has 0 row.* to train on and 1 to test"),
        ],
    )
    def test_what_does_not_divide_the_rows_is_refused(self, cv, error, message):
        with pytest.raises(error, match=message):
            self.split(cv)

    def test_a_weight_of_zero_may_take_a_class_from_a_fold(self):
        cv = [(np.arange(20, 40), np.arange(20))]
        with pytest.raises(ValueError, match=r"trains without a row of the classes \[1\]"):
            self.split(cv, weights=np.where((np.arange(40) > 20) & (np.arange(40) % 2 == 1), 0, 1))
        with pytest.raises(ValueError, match=r"and 0 to test"):
            self.split(cv, weights=np.arange(40) >= 20)

    @pytest.mark.parametrize("cv", [2, 5, np.int64(3)])
    def test_an_integer_is_that_many_stratified_folds(self, cv):
        folds = self.split(cv)
        expected = list(StratifiedKFold(int(cv)).split(self.X, self.y))
        assert len(folds) == len(expected) == cv
        for fold, pair in zip(folds, expected, strict=True):
            assert_array_equal(fold[0], pair[0])
            assert_array_equal(fold[1], pair[1])

    @pytest.mark.parametrize("cv", [None, 3, KFold(3), StratifiedKFold(3)])
    def test_rows_of_weight_zero_are_in_no_part(self, cv):
        weights = np.random.RandomState(1).randint(0, 2, size=40)
        folds = self.split(cv, weights=weights)
        assert len(folds) == (5 if cv is None else 3)
        for train, test in folds:
            assert_array_equal(np.sort(np.r_[train, test]), np.flatnonzero(weights))
        assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.flatnonzero(weights))

    def test_none_and_integers_split_the_rows_as_if_those_of_weight_zero_were_not_there(self):
        weights = np.random.RandomState(1).randint(0, 2, size=40)
        numbers = np.flatnonzero(weights)
        expected = StratifiedKFold(4).split(numbers, self.y[numbers])
        for fold, pair in zip(self.split(4, weights=weights), expected, strict=True):
            assert_array_equal(fold[0], numbers[pair[0]])
            assert_array_equal(fold[1], numbers[pair[1]])

    @pytest.mark.parametrize(("smallest", "expected"), [(2, 2), (4, 4), (5, 5), (6, 5), (20, 5)])
    def test_the_smallest_class_limits_the_default_number(self, smallest, expected):
        y = np.r_[np.zeros(40 - smallest, int), np.ones(smallest, int)]
        assert len(self.split(None, y)) == expected

    def test_a_class_of_one_row_has_no_default(self):
        y = np.r_[np.zeros(39, int), 1]
        with pytest.raises(ValueError, match=r"each class needs two rows .* a single one of \[1\]"):
            self.split(None, y)
        with pytest.raises(ValueError, match=r"a single one of \[1\]"):
            self.split(None, np.r_[y[:-2], 1, 1], weights=np.r_[np.ones(39), 0])

    @pytest.mark.parametrize(("n_rows", "expected"), [(3, 3), (5, 5), (12, 5)])
    def test_the_default_number_of_multilabel_rows(self, n_rows, expected):
        y = np.random.RandomState(0).randint(2, size=(n_rows, 2))
        folds = self.split(None, y)
        assert len(folds) == expected
        assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(n_rows))

    def test_metadata_reach_the_splitter(self):
        groups = np.arange(40) % 4
        for _, test in self.split(GroupKFold(4), groups=groups):
            assert len(set(groups[test])) == 1

    def test_row_numbers_may_come_twice_or_as_masks(self):
        mask = np.arange(40) < 30
        ((train, test),) = self.split([(np.r_[0, 0, 1, 5], [7, 9])])
        assert (train.tolist(), test.tolist()) == ([0, 0, 1, 5], [7, 9])
        ((train, test),) = self.split([(mask, ~mask)])
        assert_array_equal(train, np.arange(30))
        assert_array_equal(test, np.arange(30, 40))
