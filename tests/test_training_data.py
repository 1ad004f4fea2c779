import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skrelu._labels import Labels
from skrelu._training_data import (
    WeightedRows,
    apply_factors,
    counted_rows,
    hold_out,
    hold_out_problem,
    in_canonical_order,
    weigh_by_class,
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
    ordered = content(in_canonical_order(rows))
    assert len(np.unique(ordered[:, :-1], axis=0)) == len(ordered) < 200
    order = np.random.RandomState(1).permutation(200)
    weights = None if rows.sample_weight is None else rows.sample_weight[order]
    permuted = WeightedRows(rows.X[order], rows.targets[order], weights)
    assert_array_equal(content(in_canonical_order(permuted)), ordered)
    if weighted:
        repeats = np.repeat(np.arange(200), rows.sample_weight.astype(int))
        repeated = WeightedRows(rows.X[repeats], rows.targets[repeats], None)
        assert_array_equal(content(in_canonical_order(repeated)), ordered)


def test_distinct_rows_without_weights_stay_without_weights():
    ordered = in_canonical_order(make_rows(50, 50)[0])
    assert ordered.sample_weight is None
    assert_array_equal(np.sort(ordered.selection), np.arange(50))


def test_large_tables_keep_their_order():
    rows, _ = make_rows(5000)
    assert in_canonical_order(rows) is rows


@pytest.mark.parametrize("counted", [False, True])
def test_rows_are_held_out_in_the_proportions_of_the_classes(counted):
    rows, y = make_rows(300)
    if counted:
        rows = WeightedRows(rows.X, rows.targets, None, np.arange(0, 300, 2))
    labels = Labels.of(y, None)
    trained, held_out = hold_out(rows, labels, y, 0.2, np.random.RandomState(0))
    assert_array_equal(np.sort(np.r_[trained.selection, held_out.selection]), rows.numbers())
    assert held_out.n_rows == 0.2 * rows.n_rows
    whole = np.bincount(y[rows.numbers()]) / rows.n_rows
    assert_allclose(np.bincount(y[held_out.selection]) / held_out.n_rows, whole, atol=1 / held_out.n_rows)
    assert trained.X is held_out.X is rows.X


def test_the_parts_keep_the_order_of_the_rows():
    rows, y = make_rows()
    ordered = in_canonical_order(rows)
    trained, held_out = hold_out(ordered, Labels.of(y, None), y, 0.3, np.random.RandomState(0))
    place = {number: place for place, number in enumerate(ordered.selection.tolist())}
    for part in (trained, held_out):
        places = [place[number] for number in part.selection.tolist()]
        assert places == sorted(places)


@pytest.mark.parametrize(("y", "fraction"), [([0, 1] * 4 + [2], 0.4), ([0, 1, 2] * 5, 0.1), ([0, 1, 2] * 5, 0.95)])
def test_a_validation_set_without_every_class_is_refused(y, fraction):
    y = np.array(y)
    rows, labels = WeightedRows(np.zeros((len(y), 1)), y, None), Labels.of(y, None)
    assert hold_out_problem(rows, labels, y, fraction) is not None
    with pytest.raises(ValueError, match=f"too small: validation_fraction={fraction}"):
        hold_out(rows, labels, y, fraction, np.random.RandomState(0))


def test_class_weights_become_factors_of_rows():
    y = np.array(["a", "a", "a", "b"])
    labels = Labels.of(y, None)
    assert weigh_by_class(labels, None, y, None) is None
    assert_array_equal(apply_factors(labels, weigh_by_class(labels, {"a": 2}, y, None), y, None), [2, 2, 2, 1])
    balanced = weigh_by_class(labels, "balanced", y, None)
    assert_allclose(balanced, [4 / 6, 4 / 2])
    weights = np.array([0.0, 1.0, 1.0, 4.0])
    assert_allclose(weigh_by_class(labels, "balanced", y, weights), [6 / (2 * 2), 6 / (2 * 4)])
    assert_array_equal(apply_factors(labels, np.array([3.0, 0.5]), y, weights), [0, 3, 3, 2])


def test_rows_of_weight_zero_do_not_count():
    assert counted_rows(None) is None
    assert counted_rows(np.array([1.0, 2.0])) is None
    assert_array_equal(counted_rows(np.array([1.0, 0.0, 2.0])), [0, 2])
