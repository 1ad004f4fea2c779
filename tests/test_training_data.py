from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._labels import Labels
from skrelu._training_data import (
    WeightedRows,
    apply_factors,
    class_factors,
    counted_rows,
    hold_out,
    hold_out_problem,
    in_canonical_order,
)


def make_rows(n_rows=200, n_distinct=50, *, weighted=False, as_sparse=False, seed=0):
    rng = np.random.RandomState(seed)
    distinct = rng.randn(n_distinct, 3) * (rng.rand(n_distinct, 3) > 0.4)
    X = distinct[np.r_[np.arange(n_distinct), rng.randint(n_distinct, size=n_rows - n_distinct)]]
    y = rng.randint(3, size=n_rows)
    weights = rng.randint(1, 4, size=n_rows).astype(float) if weighted else None
    return WeightedRows(sparse.csr_array(X) if as_sparse else X, y, weights), y


def content(rows):
    """Return what a fit sees: rows, targets and weights in order."""
    numbers = rows.numbers()
    X = rows.X.toarray() if sparse.issparse(rows.X) else rows.X
    weights = np.ones(len(X)) if rows.sample_weight is None else rows.sample_weight
    return np.column_stack([X[numbers], rows.targets[numbers], weights[numbers]])


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_order_and_repetition_leave_no_trace(weighted, as_sparse):
    rows, _ = make_rows(weighted=weighted, as_sparse=as_sparse)
    order = np.random.RandomState(1).permutation(200)
    weights = None if rows.sample_weight is None else rows.sample_weight[order]
    permuted = WeightedRows(rows.X[order], rows.targets[order], weights)
    for merge in (False, True):
        ordered = content(in_canonical_order(rows, merge=merge))
        assert_array_equal(content(in_canonical_order(permuted, merge=merge)), ordered)
        assert len(ordered) == (len(np.unique(ordered[:, :-1], axis=0)) if merge else 200)
    if weighted:
        repeats = np.repeat(np.arange(200), rows.sample_weight.astype(int))
        repeated = WeightedRows(rows.X[repeats], rows.targets[repeats], None)
        assert_array_equal(content(in_canonical_order(repeated, merge=True)), ordered)


def test_the_order_is_one_of_values_not_of_bits():
    rows, _ = make_rows(50, 50)
    nudged = replace(rows, X=np.nextafter(rows.X, np.inf))
    as_sparse = replace(rows, X=sparse.csr_array(rows.X[:, ::-1])[:, ::-1])  # entries not in order
    assert_array_equal(in_canonical_order(nudged, merge=True).selection, in_canonical_order(rows, merge=True).selection)
    assert_array_equal(
        in_canonical_order(as_sparse, merge=True).selection,
        in_canonical_order(replace(rows, X=sparse.csr_array(rows.X)), merge=True).selection,
    )


def test_distinct_rows_without_weights_stay_without_weights():
    ordered = in_canonical_order(make_rows(50, 50)[0], merge=True)
    assert ordered.sample_weight is None
    assert_array_equal(np.sort(ordered.selection), np.arange(50))


@pytest.mark.parametrize("shape", [(2049, 3), (300, 3500)])
def test_large_tables_keep_their_order(shape):
    rows = WeightedRows(np.zeros(shape), np.zeros(shape[0], dtype=int), None)
    assert in_canonical_order(rows, merge=True) is rows


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
    rows = WeightedRows(np.zeros((len(y), 1)), labels.encode(y), None)
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
    rows = WeightedRows(np.zeros((100, 1)), labels.encode(y), None)
    trained, held_out = hold_out(rows, labels, 0.25, np.random.RandomState(0))
    assert held_out.n_rows == 25
    assert_array_equal(np.sort(np.r_[trained.selection, held_out.selection]), np.arange(100))


@pytest.mark.parametrize(("y", "fraction"), [([0, 1, 2] * 5, 0.1), ([0, 1, 2] * 5, 0.95), ([0, 1] * 3, 0.01)])
def test_a_validation_set_that_is_too_small_or_too_large_is_refused(y, fraction):
    y = np.array(y)
    labels = Labels.of(y, None)
    rows = WeightedRows(np.zeros((len(y), 1)), labels.encode(y), None)
    assert hold_out_problem(rows, labels, fraction) is not None
    with pytest.raises(ValueError, match=f"too small, or leaves too little: validation_fraction={fraction}"):
        hold_out(rows, labels, fraction, np.random.RandomState(0))


def test_class_weights_become_factors_of_rows():
    y = np.array(["a", "a", "a", "b"])
    labels = Labels.of(y, None)
    targets = labels.encode(y)
    assert class_factors(labels, None, targets, None) is None
    assert_array_equal(
        apply_factors(labels, class_factors(labels, {"a": 2}, targets, None), targets, None), [2, 2, 2, 1]
    )
    assert_allclose(class_factors(labels, "balanced", targets, None), [4 / 6, 4 / 2])
    weights = np.array([0.0, 1.0, 1.0, 4.0])
    assert_allclose(class_factors(labels, "balanced", targets, weights), [6 / (2 * 2), 6 / (2 * 4)])
    assert_array_equal(apply_factors(labels, np.array([3.0, 0.5]), targets, weights), [0, 3, 3, 2])


def test_rows_of_weight_zero_do_not_count():
    assert counted_rows(None) is None
    assert counted_rows(np.array([1.0, 2.0])) is None
    assert_array_equal(counted_rows(np.array([1.0, 0.0, 2.0])), [0, 2])
