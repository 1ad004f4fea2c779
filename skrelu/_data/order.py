"""The order in which the rows of a small table are summed.

L-BFGS magnifies rounding errors. If a sum is taken in another order, it soon takes other steps, and it may end in
another of the many minima of a network. So the rows of a small table are put in an order that depends on their contents
alone, and equal rows are merged into one row of their total weight. Then neither the order of the rows nor integer
weights in place of repeated rows change a bit of the model. docs/decisions/0004 has the reasons.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from skrelu._core.arrays import Array, Rows
from skrelu._data.rows import WeightedRows

# A table of this size is put in order in 50 ms and 50 MB at most.
_MAX_ROWS = 2048
_MAX_VALUES = 2**20


def is_small(rows: WeightedRows) -> bool:
    """Return whether the table is small enough for its rows to be put in order."""
    n_values = rows.X.nnz if sparse.issparse(rows.X) else rows.X.size
    return rows.n_rows <= _MAX_ROWS and n_values <= _MAX_VALUES


def rank_rows(rows: WeightedRows, numbers: Array) -> Array:
    """Return the rank of each row by its contents (values and targets); equal rows have equal ranks.

    Parameters
    ----------
    rows : WeightedRows
    numbers : ndarray of int
        The rows to rank.

    Returns
    -------
    ranks : ndarray of shape (n_samples,)
        0 for rows that are not ranked.
    """
    contents = _contents(rows.X[numbers], rows.targets[numbers])
    order = sorted(range(len(numbers)), key=contents.__getitem__)
    is_new = [contents[place] != contents[before] for before, place in pairwise(order)]
    ranks = np.zeros(rows.X.shape[0], dtype=np.intp)
    ranks[numbers[order]] = np.cumsum([False, *is_new])
    return ranks


def in_canonical_order(rows: WeightedRows, *, merge: bool, ranks: Array | None = None) -> WeightedRows:
    """Order the rows of a small table by their contents; a larger table is left as it is.

    Parameters
    ----------
    rows : WeightedRows
    merge : bool
        Whether to merge equal rows into one row of their total weight.
    ranks : ndarray of shape (n_samples,) or None
        The result of `rank_rows` for these rows, if it is known.
    """
    if not is_small(rows):
        return rows
    numbers = rows.numbers()
    weights = np.ones(rows.X.shape[0]) if rows.sample_weight is None else rows.sample_weight
    ranks = rank_rows(rows, numbers) if ranks is None else ranks
    numbers = numbers[np.lexsort((weights[numbers], ranks[numbers]))]
    if not merge:
        return replace(rows, selection=numbers)
    starts = np.append(np.flatnonzero(np.diff(ranks[numbers], prepend=-1)), len(numbers))
    selection = numbers[starts[:-1]]
    if rows.sample_weight is None and len(selection) == rows.n_rows:
        return replace(rows, selection=selection)
    merged = np.zeros(rows.X.shape[0])
    merged[selection] = weights[selection]
    for start, stop in pairwise(starts.tolist()):
        if stop > start + 1:
            merged[numbers[start]] = weights[numbers[start:stop]].sum()
    return replace(rows, sample_weight=merged, selection=selection)


def _contents(X: Rows, targets: Array) -> list[Any]:
    """Return a sort key for each row: two keys are equal if the rows have the same values and targets."""
    per_row = targets.reshape(len(targets), -1).tolist()
    if not sparse.issparse(X):
        return list(zip(X.tolist(), per_row, strict=True))
    X.sum_duplicates()  # X is a copy here
    X.eliminate_zeros()
    entries = list(zip(X.indices.tolist(), X.data.tolist(), strict=True))
    bounds = X.indptr.tolist()
    rows = [entries[start:stop] for start, stop in pairwise(bounds)]
    return list(zip(rows, per_row, strict=True))
