"""The rows a fit learns from and the rows it watches: targets, weights, their order and who is on which side."""

from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight

from skrelu._labels import Labels
from skrelu._typing import Array, Rows

# What is put in order takes a few ten milliseconds and megabytes at most.
_MOST_ROWS_TO_ORDER = 2048
_MOST_VALUES_TO_ORDER = 2**20


@dataclass(frozen=True)
class WeightedRows:
    """Rows of X with their targets and weights; `selection` names the rows that count, None means all."""

    X: Rows
    targets: Array
    sample_weight: Array | None
    selection: Array | None = None

    @property
    def n_rows(self) -> int:
        """How many rows count."""
        return self.X.shape[0] if self.selection is None else len(self.selection)

    @property
    def total_weight(self) -> float:
        return float(self.n_rows if self.sample_weight is None else self.sample_weight[self.numbers()].sum())

    def numbers(self) -> Array:
        """Return the numbers of the rows that count."""
        return np.arange(self.X.shape[0]) if self.selection is None else self.selection


def class_factors(labels: Labels, class_weight: Any, targets: Array, sample_weight: Array | None) -> Array | None:
    """Return for each class the factor that `class_weight` gives its rows, None for no factors.

    Parameters
    ----------
    labels : Labels
    class_weight : dict, 'balanced' or None
        'balanced' makes the total weight of each class the same.
    targets : ndarray
        Of all rows, as `labels` encodes them.
    sample_weight : ndarray of shape (n_samples,) or None
        Rows of weight zero do not count.

    Returns
    -------
    factors : ndarray of shape (n_classes,) or None
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        return np.array([class_weight.get(label, 1.0) for label in labels.classes.tolist()], dtype=np.float64)
    indices = labels.class_indices(targets)
    if sample_weight is not None:
        counted = sample_weight > 0
        indices, sample_weight = indices[counted], sample_weight[counted]
    classes = np.arange(len(labels.classes))
    return compute_class_weight("balanced", classes=classes, y=indices, sample_weight=sample_weight)


def apply_factors(labels: Labels, factors: Array | None, targets: Array, sample_weight: Array | None) -> Array | None:
    """Return the sample weights times the factor of each row's class."""
    if factors is None:
        return sample_weight
    by_row = factors[labels.class_indices(targets)]
    return by_row if sample_weight is None else by_row * sample_weight


def scale_weights(sample_weight: Array | None) -> tuple[Array | None, int]:
    """Return the weights over 2**exponent, at most 1, and the exponent: products and sums of larger ones may overflow.

    With the penalty scaled alike the objective is the same, and so are its bits.
    """
    if sample_weight is None:
        return None, 0
    exponent = int(np.frexp(sample_weight.max())[1])
    return np.ldexp(sample_weight, -exponent), exponent


def counted_rows(sample_weight: Array | None) -> Array | None:
    """Return the rows of positive weight, None if all are: a row of weight zero is a row that is not there."""
    if sample_weight is None or sample_weight.all():
        return None
    return np.flatnonzero(sample_weight)


def weigh_rows(
    X: Rows, labels: Labels, targets: Array, factors: Array | None, sample_weight: Array | None
) -> WeightedRows:
    """Return the rows with weights that count their classes, those of weight zero left out."""
    return WeightedRows(X, targets, apply_factors(labels, factors, targets, sample_weight), counted_rows(sample_weight))


def in_canonical_order(rows: WeightedRows, *, merge: bool) -> WeightedRows:
    """Order the rows of a small table by their content and, if asked to, merge equal ones into one of their weight.

    L-BFGS magnifies rounding: with a sum in another order it soon takes other steps, and among the many minima of a
    network it may end in another one. In this order a permutation of the rows changes no bit of a small model nor,
    with equal rows merged, do repeated rows in place of integer weights. A larger table is left as it is.
    """
    n_values = rows.X.nnz if sparse.issparse(rows.X) else rows.X.size
    if rows.n_rows > _MOST_ROWS_TO_ORDER or n_values > _MOST_VALUES_TO_ORDER:
        return rows
    numbers = rows.numbers()
    weights = np.ones(rows.X.shape[0]) if rows.sample_weight is None else rows.sample_weight
    contents = _contents(rows.X[numbers], rows.targets[numbers])
    order = sorted(range(rows.n_rows), key=lambda place: (contents[place], weights[numbers[place]]))
    if not merge:
        return replace(rows, selection=numbers[order])
    groups = [numbers[list(places)] for _, places in groupby(order, key=contents.__getitem__)]
    selection = np.array([members[0] for members in groups])
    if rows.sample_weight is None and len(selection) == rows.n_rows:
        return replace(rows, selection=selection)
    merged = np.zeros(rows.X.shape[0])
    merged[selection] = [weights[members].sum() for members in groups]
    return replace(rows, sample_weight=merged, selection=selection)


def _contents(X: Rows, targets: Array) -> list[Any]:
    """Return for each row something that compares as its values and targets do."""
    per_row = targets.reshape(len(targets), -1).tolist()
    if not sparse.issparse(X):
        return list(zip(X.tolist(), per_row, strict=True))
    X.sum_duplicates()  # X is a copy here
    X.eliminate_zeros()
    entries = list(zip(X.indices.tolist(), X.data.tolist(), strict=True))
    bounds = X.indptr.tolist()
    rows = [entries[start:stop] for start, stop in pairwise(bounds)]
    return list(zip(rows, per_row, strict=True))


def hold_out_problem(rows: WeightedRows, labels: Labels, fraction: float) -> str | None:
    """Say why `fraction` of the rows cannot be held out, None if they can: both parts need as many rows as classes."""
    n_held_out = int(np.ceil(fraction * rows.n_rows))
    n_needed = 1 if labels.is_multilabel else len(labels.classes)
    if min(n_held_out, rows.n_rows - n_held_out) >= n_needed:
        return None
    return (
        f"The validation set is too small, or leaves too little: validation_fraction={fraction} of {rows.n_rows} rows "
        f"in {n_needed} class(es). Change validation_fraction, add rows, pass X_val and y_val, or set "
        "early_stopping=False."
    )


def hold_out(
    rows: WeightedRows, labels: Labels, fraction: float, random_state: np.random.RandomState
) -> tuple[WeightedRows, WeightedRows]:
    """Split off `fraction` of the rows that count, in the proportions of the classes as far as they allow.

    Every class keeps a row in the first part. Both parts share X and keep the order of the rows; only row numbers are
    drawn, class by class, in about 20 bytes a row (scikit-learn's splitters take 100). Multilabel rows are drawn
    without regard to their labels.

    Raises
    ------
    ValueError
        If that cannot be done.
    """
    problem = hold_out_problem(rows, labels, fraction)
    if problem is not None:
        raise ValueError(problem)
    n_held_out = int(np.ceil(fraction * rows.n_rows))
    is_held_out = np.zeros(rows.n_rows, dtype=bool)
    if labels.is_multilabel:
        is_held_out[random_state.permutation(rows.n_rows)[:n_held_out]] = True
    else:
        targets = rows.targets if rows.selection is None else rows.targets[rows.selection]
        indices = labels.class_indices(targets)
        for label, quota in enumerate(_quotas(np.bincount(indices), n_held_out)):
            members = np.flatnonzero(indices == label)
            is_held_out[random_state.permutation(members)[:quota]] = True
    parts = [np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)]
    if rows.selection is not None:
        parts = [rows.selection[part] for part in parts]
    return replace(rows, selection=parts[0]), replace(rows, selection=parts[1])


def _quotas(counts: Array, n_held_out: int) -> Array:
    """Divide `n_held_out` in proportion to the counts by largest remainders, leaving each class a row."""
    shares = n_held_out * counts / counts.sum()
    most = np.maximum(counts - 1, 0)
    quotas = np.minimum(np.floor(shares).astype(np.intp), most)
    while (missing := n_held_out - quotas.sum()) > 0:
        wanted = np.where(quotas < most, shares - quotas, -np.inf)
        quotas[np.argsort(-wanted, kind="stable")[: min(missing, int(np.isfinite(wanted).sum()))]] += 1
    return quotas
