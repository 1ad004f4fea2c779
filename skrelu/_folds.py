"""Rows divided into folds for cross-validation, and checked: every fold trains on all classes and tests something."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

from skrelu._labels import Labels
from skrelu._typing import Array, Rows

Fold = tuple[Array, Array]


def divide(
    cv: Any, X: Rows, y: Array, labels: Labels, sample_weight: Array | None, split_params: dict[str, Any]
) -> list[Fold]:
    """Return the numbers of the rows to train on and of those to test, for each fold.

    Rows of weight zero are in neither, and None and integers divide the others as if these were not there.

    Parameters
    ----------
    cv : int, splitter, iterable or None
        None means 5 folds, or as many as the smallest class has rows (multilabel: as there are rows).
    X, y
        Validated data.
    labels : Labels
        What y holds in rows of positive weight.
    sample_weight : ndarray of shape (n_samples,) or None
    split_params : dict
        Metadata for the splitter.

    Raises
    ------
    ValueError, TypeError
        If that cannot be done, or a fold lacks rows to train on, of any class, or rows to test.
    """
    is_counted = np.ones(X.shape[0], dtype=bool) if sample_weight is None else sample_weight > 0
    if isinstance(cv, bool):
        raise TypeError(f"cv must be an integer >= 2, a splitter, an iterable or None, got {cv!r}.")
    try:
        if cv is None or isinstance(cv, Integral):
            numbers = np.flatnonzero(is_counted)
            n_folds = _default_number(y[numbers], labels) if cv is None else cv
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


def _default_number(y: Array, labels: Labels) -> int:
    if labels.is_multilabel:
        return min(5, y.shape[0])
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        alone = classes[counts == 1].tolist()
        raise ValueError(f"each class needs two rows of positive weight, but there is a single one of {alone}")
    return min(5, int(counts.min()))
