"""Checks and conversions of data and labels before work begins. An error names the value and the allowed values."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import column_or_1d, validate_data

from skrelu._core.arrays import Array, Rows
from skrelu._data.labels import Labels, check_indicator
from skrelu._data.private_sklearn import _check_sample_weight

FLOAT_DTYPES = (np.float64, np.float32)


def validate_rows(estimator: Any, X: Any, *args: Any, **options: Any) -> Any:
    """Return X as a CSR matrix or an array of float64 or float32, from scikit-learn's `validate_data`."""
    try:
        with np.errstate(all="ignore"):  # scikit-learn looks for NaN by a sum, which may overflow
            return validate_data(estimator, X, *args, accept_sparse="csr", dtype=FLOAT_DTYPES, **options)
    except (ValueError, TypeError) as error:
        is_promotion = isinstance(error, np.exceptions.DTypePromotionError)  # dates beside numbers
        if not is_promotion and "could not convert" not in str(error) and "float() argument" not in str(error):
            raise
        raise type(error)(f"X must hold numbers: {error}. Encode other columns, e.g. by OneHotEncoder.") from error


def validate_rows_and_labels(estimator: Any, X: Any, y: Any, name: str, *, reset: bool) -> tuple[Rows, Array]:
    """Return X in float64 or float32, and y as an array: 1-d, or 2-d with several columns.

    `name` is the name of y in messages: 'y' or 'y_val'.
    """
    check_each_label(y, name)
    n_needed = 2 if name == "y" else 1
    X, y = validate_rows(estimator, X, y, multi_output=True, ensure_min_samples=n_needed, reset=reset)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y.toarray() if sparse.issparse(y) else y, warn=True)
    return X, y


def largest_value(X: Rows) -> float:
    """Return the largest magnitude in X."""
    values = X.data if sparse.issparse(X) else X
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def check_each_label(y: Any, name: str) -> None:
    """Raise an error if a label is missing, or if only some of the labels are strings.

    NumPy would turn all labels into strings, or could not sort them. A column of a data frame is first converted to an
    array of NumPy.
    """
    try:
        labels = np.array(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)
    except ValueError:  # rows of different lengths; scikit-learn raises an error for them later
        return
    flat, kinds = labels.ravel(), set[type]()
    if labels.dtype.kind in "mM":
        are_missing = np.isnat(flat)
    elif labels.dtype == object and labels.ndim:
        kinds = set(map(type, flat))
        unsure = tuple(kind for kind in kinds if _may_be_missing(kind))
        are_missing = np.array([isinstance(label, unsure) and _is_missing(label) for label in flat] if unsure else [])
    else:  # a missing number is NaN here, and scikit-learn's check finds it
        return
    if are_missing.any():
        place = int(are_missing.argmax())
        row = place // (len(flat) // len(labels))
        raise ValueError(f"{name} must hold a label in every row, but row {row} has none: {flat[place]!r}.")
    if len({issubclass(kind, str) for kind in kinds}) > 1:
        raise TypeError(f"{name} must hold labels of one kind, got a mix of strings and other objects.")


# pandas need not be installed, so its NA is found by the name of its type. NaN and NaT are not equal to themselves.
def _may_be_missing(kind: type) -> bool:
    missing = kind.__name__ in ("NoneType", "NAType", "NaTType")
    return missing or issubclass(kind, float | np.floating | np.datetime64 | np.timedelta64)


def _is_missing(label: Any) -> bool:
    return label is None or type(label).__name__ == "NAType" or bool(label != label)


def check_sample_weight(sample_weight: Any, X: Rows, name: str = "sample_weight") -> Array | None:
    """Return the weights as float64 of shape (n_samples,), or None if there are none.

    Raises
    ------
    ValueError
        If weights are not finite, or negative, or all zero, or if there is not one for each row.
    """
    if sample_weight is None:
        return None
    try:
        weights: Array = _check_sample_weight(sample_weight, X, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise type(error)(str(error) if name in str(error) else f"{name} is not valid: {error}") from error
    if weights.min() < 0:
        raise ValueError(f"{name} must not be negative, got {weights.min()}.")
    if not weights.any():
        raise ValueError(f"{name} must hold at least one positive weight, all {len(weights)} are zero.")
    return weights


def check_class_weight(class_weight: Any, labels: Labels) -> None:
    """Raise a ValueError if there are weights of classes that y does not hold, or weights with multilabel targets."""
    if class_weight is None:
        return
    if labels.is_multilabel:
        raise ValueError("class_weight must be None for multilabel targets, where a row has no single class.")
    if isinstance(class_weight, dict):
        known = set(labels.classes.tolist())
        unknown = [label for label in class_weight if label not in known]
        if unknown:
            raise ValueError(
                f"class_weight names classes that y does not hold: {unknown}; y holds {labels.classes.tolist()}."
            )


def check_known_labels(y_val: Array, labels: Labels) -> None:
    """Raise a ValueError if a validation label is not among the training labels, or if y_val has another shape."""
    n_columns = 1 if y_val.ndim == 1 else y_val.shape[1]
    if n_columns != (labels.n_outputs if labels.is_multilabel else 1):
        raise ValueError(f"y_val must be like y, got shape {y_val.shape} for {labels.n_outputs} output(s).")
    if labels.is_multilabel:
        check_indicator(y_val, "y_val")
        return
    unknown = np.setdiff1d(y_val, labels.classes)
    if len(unknown):
        raise ValueError(f"y_val holds labels that y does not: {unknown.tolist()}; y holds {labels.classes.tolist()}.")
