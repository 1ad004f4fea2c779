from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skrelu._data.order import in_canonical_order, is_small, rank_rows
from skrelu._data.rows import WeightedRows
from tests.problems import make_rows


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


@pytest.mark.parametrize("as_sparse", [False, True])
def test_ranks_of_more_rows_give_the_same_order(as_sparse):
    """Those of a whole table order each of its folds as if it had been ranked alone."""
    rows, _ = make_rows(weighted=True, as_sparse=as_sparse)
    ranks = rank_rows(rows, np.arange(200))
    fold = replace(rows, selection=np.arange(3, 200, 2))
    for merge in (False, True):
        expected = in_canonical_order(fold, merge=merge)
        actual = in_canonical_order(fold, merge=merge, ranks=ranks)
        assert_array_equal(actual.selection, expected.selection)
        assert_array_equal(actual.sample_weight, expected.sample_weight)


def test_equal_rows_share_a_rank():
    X = np.array([[1.0, 2.0], [0.0, 5.0], [1.0, 2.0], [1.0, 2.0]])
    rows = WeightedRows(X, np.array([0, 0, 0, 1]))
    assert rank_rows(rows, np.arange(4)).tolist() == [1, 0, 1, 2]
    assert is_small(rows)


@pytest.mark.parametrize(
    ("shape", "expected"), [((2048, 3), True), ((2049, 3), False), ((1024, 1024), True), ((1024, 1025), False)]
)
def test_a_table_is_small_up_to_2048_rows_and_a_million_values(shape, expected):
    rows = WeightedRows(np.zeros(shape), np.zeros(shape[0], dtype=int))
    assert is_small(rows) is expected
    assert is_small(replace(rows, selection=np.arange(3))) is (shape[0] * shape[1] <= 2**20)
    assert is_small(replace(rows, X=sparse.csr_array(shape))) is (shape[0] <= 2048)
