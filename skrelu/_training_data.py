"""The rows a fit learns from and the rows it watches: targets, weights and who is on which side of the split."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight

from skrelu._labels import Labels
from skrelu._typing import Array, Rows

# Sorting this many rows takes a few milliseconds, and they fill no more than a few blocks.
_MOST_ROWS_TO_ORDER = 2048


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


def weigh_by_class(labels: Labels, class_weight: Any, y: Array, sample_weight: Array | None) -> Array | None:
    """Return for each class the factor that `class_weight` gives its rows, None for no factors.

    Parameters
    ----------
    labels : Labels
    class_weight : dict, 'balanced' or None
    y : ndarray of shape (n_samples,)
        'balanced' makes the total weight of each class in y the same.
    sample_weight : ndarray of shape (n_samples,) or None

    Returns
    -------
    factors : ndarray of shape (n_classes,) or None
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, dict):
        return np.array([class_weight.get(label, 1.0) for label in labels.classes.tolist()])
    if sample_weight is not None:
        counted = sample_weight > 0
        y, sample_weight = y[counted], sample_weight[counted]
    return compute_class_weight("balanced", classes=labels.classes, y=y, sample_weight=sample_weight)


def apply_factors(labels: Labels, factors: Array | None, y: Array, sample_weight: Array | None) -> Array | None:
    """Return the sample weights times the factor of each row's class."""
    if factors is None:
        return sample_weight
    by_row = factors[labels.class_indices(y)]
    return by_row if sample_weight is None else by_row * sample_weight


def counted_rows(sample_weight: Array | None) -> Array | None:
    """Return the rows of positive weight, None if all are: a row of weight zero is a row that is not there."""
    if sample_weight is None or sample_weight.all():
        return None
    return np.flatnonzero(sample_weight)


def in_canonical_order(rows: WeightedRows) -> WeightedRows:
    """Order the rows of a small table by their content, and merge equal ones into one of their total weight.

    L-BFGS magnifies rounding: with a sum in another order it soon takes other steps, and among the many minima of a
    network it may end in another one. In this order a permutation of the rows changes no bit of a small model, nor do
    repeated rows in place of integer weights. A larger table is left as it is.
    """
    if rows.n_rows > _MOST_ROWS_TO_ORDER:
        return rows
    groups: dict[bytes, list[int]] = {}
    for row in rows.numbers().tolist():
        groups.setdefault(_content(rows, row), []).append(row)
    groups = {content: groups[content] for content in sorted(groups)}
    selection = np.array([members[0] for members in groups.values()])
    if rows.sample_weight is None and len(selection) == rows.n_rows:
        return replace(rows, selection=selection)
    sample_weight = np.zeros(rows.X.shape[0])
    for members in groups.values():
        weights = np.ones(len(members)) if rows.sample_weight is None else np.sort(rows.sample_weight[members])
        sample_weight[members[0]] = weights.sum()
    return replace(rows, sample_weight=sample_weight, selection=selection)


def _content(rows: WeightedRows, row: int) -> bytes:
    X, target = rows.X, rows.targets[row].tobytes()
    if not sparse.issparse(X):
        return (X[row] + 0).tobytes() + target  # -0 + 0 is 0
    entries = slice(X.indptr[row], X.indptr[row + 1])
    return X.indices[entries].tobytes() + (X.data[entries] + 0).tobytes() + target


def hold_out_problem(rows: WeightedRows, labels: Labels, y: Array, fraction: float) -> str | None:
    """Say why `fraction` of the rows cannot be held out with a row of every class on both sides, None if they can."""
    n_held_out = int(np.ceil(fraction * rows.n_rows))
    n_needed, smallest = 1, rows.n_rows
    if not labels.is_multilabel:
        n_needed = len(labels.classes)
        smallest = int(np.bincount(labels.class_indices(y[rows.numbers()])).min())
    if min(n_held_out, rows.n_rows - n_held_out) >= n_needed and smallest >= 2:
        return None
    return (
        f"The validation set is too small: validation_fraction={fraction} of {rows.n_rows} rows, with {smallest} in "
        f"the smallest class, does not leave a row of each of {n_needed} class(es) on both sides. Increase "
        "validation_fraction or the number of rows, pass X_val and y_val, or set early_stopping=False."
    )


def hold_out(
    rows: WeightedRows, labels: Labels, y: Array, fraction: float, random_state: np.random.RandomState
) -> tuple[WeightedRows, WeightedRows]:
    """Split off `fraction` of the rows that count, in the proportions of the classes.

    Both parts share X; only row numbers are drawn. Multilabel rows are drawn without stratification.

    Raises
    ------
    ValueError
        If a part could not hold a row of every class.
    """
    problem = hold_out_problem(rows, labels, y, fraction)
    if problem is not None:
        raise ValueError(problem)
    numbers = rows.numbers()
    trained, held_out = train_test_split(
        np.arange(rows.n_rows),
        test_size=int(np.ceil(fraction * rows.n_rows)),
        stratify=None if labels.is_multilabel else labels.class_indices(y[numbers]),
        random_state=random_state,
    )
    # Both parts keep the order that the rows had.
    return replace(rows, selection=numbers[np.sort(trained)]), replace(rows, selection=numbers[np.sort(held_out)])
