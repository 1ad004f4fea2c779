"""Splits of the rows: into two parts for early stopping, and into folds for cross-validation."""

from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

from skrelu._core.arrays import Array, Rows
from skrelu._data.labels import Labels
from skrelu._data.rows import WeightedRows

Fold = tuple[Array, Array]


def hold_out_problem(n_rows: int, labels: Labels, fraction: float) -> str | None:
    """Return why a part of the rows is too small if `fraction` is held out, None if both have a row for each class."""
    n_wanted, n_held_out, n_classes = _sizes(n_rows, labels, fraction)
    if min(n_held_out, n_rows - n_wanted) >= n_classes:
        return None
    return (
        f"The validation set is too small, or leaves too little: validation_fraction={fraction} of {n_rows} rows "
        f"in {n_classes} class(es) holds out {n_held_out}. Change validation_fraction, add rows, pass X_val and y_val, "
        "or set early_stopping=False."
    )


def _sizes(n_rows: int, labels: Labels, fraction: float) -> tuple[int, int, int]:
    """Return how many rows `fraction` asks for, how many are held out, and the number of rows that training keeps."""
    n_wanted = int(np.ceil(fraction * n_rows))
    n_kept = 1 if labels.is_multilabel else len(labels.classes)
    return n_wanted, min(n_wanted, n_rows - n_kept), n_kept


def count_held_out(n_rows: int, labels: Labels, fraction: float) -> int:
    """Return how many rows are held out.

    Raises
    ------
    ValueError
        If no row can be held out.
    """
    _, n_held_out, _ = _sizes(n_rows, labels, fraction)
    if not n_held_out:
        raise ValueError(hold_out_problem(n_rows, labels, fraction))
    return n_held_out


def hold_out(
    rows: WeightedRows, labels: Labels, fraction: float, random_state: np.random.RandomState
) -> tuple[WeightedRows, WeightedRows]:
    """Hold out `fraction` of the selected rows, as nearly as possible in the proportions of the classes.

    Where this would take the last row of a class from training, fewer are held out; `hold_out_problem` tells. The first
    part returned is the training rows, with a row of each class at least; the second is the rows held out. Both share X
    and keep the order of the rows. Only row numbers are drawn, class by class, in about 20 bytes a row (scikit-learn's
    splitters take 100). Multilabel rows are drawn without regard to their labels.

    Raises
    ------
    ValueError
        If no row can be held out.
    """
    n_held_out = count_held_out(rows.n_rows, labels, fraction)
    is_held_out = np.zeros(rows.n_rows, dtype=bool)
    if labels.is_multilabel:
        is_held_out[random_state.permutation(rows.n_rows)[:n_held_out]] = True
    else:
        targets = rows.targets if rows.selection is None else rows.targets[rows.selection]
        indices = labels.class_indices(targets)
        for label, quota in enumerate(class_quotas(np.bincount(indices), n_held_out)):
            members = np.flatnonzero(indices == label)
            is_held_out[random_state.permutation(members)[:quota]] = True
    parts = [np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)]
    if rows.selection is not None:
        parts = [rows.selection[part] for part in parts]
    return replace(rows, selection=parts[0]), replace(rows, selection=parts[1])


def class_quotas(counts: Array, n_held_out: int) -> Array:
    """Return how many rows of each class to hold out; at least one row of each class is not held out."""
    return share_out(counts, n_held_out, np.maximum(counts - 1, 0))


def share_out(counts: Array, n_items: int, max_quotas: Array) -> Array:
    """Return `n_items` shared out in proportion to the counts, by largest remainders, with upper limits."""
    exact_quotas = n_items * counts / counts.sum()
    quotas = np.minimum(np.floor(exact_quotas).astype(np.intp), max_quotas)
    while (missing := n_items - quotas.sum()) > 0:
        remainders = np.where(quotas < max_quotas, exact_quotas - quotas, -np.inf)
        quotas[np.argsort(-remainders, kind="stable")[: min(missing, int(np.isfinite(remainders).sum()))]] += 1
    return quotas


def split_folds(
    cv: Any, X: Rows, y: Array, labels: Labels, *, is_counted: Array | None, split_params: dict[str, Any]
) -> list[Fold]:
    """Return the numbers of the training rows and those of the test rows, for each fold.

    Rows of weight zero are in neither. If `cv` is None or an integer, the other rows are split as if they were alone.

    Parameters
    ----------
    cv : int, splitter, iterable or None
        None means 5 folds, or as many as the smallest class has rows if these are fewer (for multilabel targets, as
        many as there are rows).
    X, y
        Validated data.
    labels : Labels
        Of the rows of positive weight.
    is_counted : ndarray of bool of shape (n_samples,) or None
        The rows of positive weight, None for all.
    split_params : dict
        Metadata for the splitter.

    Raises
    ------
    ValueError, TypeError
        If the splitter fails, or a fold has no training row of one of the classes or no test row.
    """
    if is_counted is None:
        is_counted = np.ones(X.shape[0], dtype=bool)
    if isinstance(cv, bool):
        raise TypeError(f"cv must be an integer >= 2, a splitter, an iterable or None, got {cv!r}.")
    try:
        if cv is None or isinstance(cv, Integral):
            numbers = np.flatnonzero(is_counted)
            n_folds = _default_n_folds(y[numbers], labels) if cv is None else cv
            pairs = check_cv(n_folds, y[numbers], classifier=True).split(numbers, y[numbers])
        else:
            numbers = np.arange(X.shape[0])
            pairs = check_cv(cv).split(X, y, **split_params)
        folds = [(np.atleast_1d(numbers[train]), np.atleast_1d(numbers[test])) for train, test in pairs]
    except (ValueError, TypeError, IndexError) as error:
        raise ValueError(f"cv does not divide the rows: {error}") from error
    if not folds:
        raise ValueError("cv must yield at least one fold, got none.")
    folds = [(train[is_counted[train]], test[is_counted[test]]) for train, test in folds]
    for number, (train, test) in enumerate(folds):
        if not len(train) or not len(test):
            raise ValueError(
                f"Fold {number} of cv has {len(train)} row(s) of positive weight to train on and {len(test)} to test; "
                "both need some."
            )
        missing = [] if labels.is_multilabel else np.setdiff1d(labels.classes, y[train]).tolist()
        if missing:
            raise ValueError(
                f"Fold {number} of cv trains without a row of the classes {missing}. Divide the rows otherwise, e.g. "
                "by StratifiedKFold, or leave such classes out."
            )
    return folds


def describe_lack(labels: Labels, targets: Array) -> str:
    """Return what test rows with these targets lack, as the end of a sentence; '' if they lack nothing."""
    if labels.is_multilabel:
        columns = np.flatnonzero((targets == targets[:1]).all(axis=0)).tolist()
        return f", which hold only one of 0 and 1 in the columns {columns} of y" if columns else ""
    missing = np.delete(labels.classes, np.unique(labels.class_indices(targets))).tolist()
    return f", which hold no row of the classes {missing}" if missing else ""


def _default_n_folds(y: Array, labels: Labels) -> int:
    if labels.is_multilabel:
        return min(5, y.shape[0])
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        alone = classes[counts == 1].tolist()
        raise ValueError(f"each class needs two rows of positive weight, but there is a single one of {alone}")
    return min(5, int(counts.min()))
