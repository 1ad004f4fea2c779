"""Checks and conversions of data and labels before work begins. An error names the value and the allowed values."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from skrelu._core.arrays import Array, Rows
from skrelu._data.dates import check_no_dates
from skrelu._data.labels import Labels, check_indicator
from skrelu._data.private_sklearn import _check_sample_weight, is_foreign_array

FLOAT_DTYPES = (np.float64, np.float32)
_MAX_LISTED = 20  # labels in a message


def check_no_foreign_array(array: Any, name: str) -> None:
    """Raise a TypeError if scikit-learn would leave the array to another library than NumPy."""
    if is_foreign_array(array):
        kind = type(array)
        raise TypeError(
            f"{name} must be an array of NumPy, got {kind.__module__}.{kind.__qualname__}. Convert it, e.g. by "
            f"np.asarray({name}.cpu()) from torch or cupy.asnumpy({name}) from CuPy."
        )


def validate_rows(estimator: Any, X: Any, *args: Any, **options: Any) -> Any:
    """Return X as a CSR matrix or an array of float64 or float32, from scikit-learn's `validate_data`."""
    if type(X) is not np.ndarray or X.dtype.kind not in "biuf":
        check_no_foreign_array(X, "X")
        check_no_dates(X)
    try:
        with np.errstate(all="ignore"):  # scikit-learn looks for NaN by a sum, which may overflow
            return validate_data(estimator, X, *args, accept_sparse="csr", dtype=FLOAT_DTYPES, **options)
    except (ValueError, TypeError) as error:
        if "could not convert" not in str(error) and "float() argument" not in str(error):
            raise
        raise type(error)(f"X must hold numbers: {error}. Encode other columns, e.g. by OneHotEncoder.") from error


def validate_rows_and_labels(
    estimator: Any, X: Any, y: Any, name: str, *, reset: bool, n_needed: int = 1
) -> tuple[Rows, Array]:
    """Return X in float64 or float32, and y as an array: 1-d, or 2-d with several columns.

    `name` is the name of y in messages: 'y' or 'y_val'; `n_needed` the number of rows that there must be.
    """
    check_no_foreign_array(X, name.replace("y", "X"))
    check_no_foreign_array(y, name)
    check_each_label(y, name)
    X, y = validate_rows(estimator, X, y, multi_output=True, ensure_min_samples=n_needed, reset=reset)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y.toarray() if sparse.issparse(y) else y, warn=True)
    return X, plain_labels(y, name)


def largest_value(X: Rows) -> float:
    """Return the largest magnitude in X."""
    values = X.data if sparse.issparse(X) else X
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def describe_values(X: Rows) -> str:
    """Return 'NaN' or 'infinity' if X holds that, otherwise 'values up to' the largest magnitude.

    scikit-learn looks for them first, but not under `config_context(assume_finite=True)`.
    """
    return describe_largest(largest_value(X))


def describe_largest(largest: float) -> str:
    """Return the words of `describe_values` for the largest magnitude."""
    if np.isfinite(largest):
        return f"values up to {largest:.3g}"
    return "NaN" if np.isnan(largest) else "infinity"


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


def plain_labels(y: Any, name: str) -> Any:
    """Return labels of dtype object that are all numbers or booleans in the dtype of these, and any others unchanged.

    `y` is an array or a sparse matrix. A column of a frame whose columns have several dtypes is of dtype object.

    Raises
    ------
    TypeError
        If there are objects of other kinds, except strings, or if one dtype cannot hold all the numbers.
    """
    if sparse.issparse(y) or y.dtype != object or not y.ndim:
        return y
    kinds = set(map(type, y.flat))
    if any(issubclass(kind, str) for kind in kinds):
        return y
    if y.ndim == 1 and len(y) and isinstance(y[0], bytes | list | tuple):  # scikit-learn says what to do
        return y
    try:
        labels = np.array(y.tolist())
    except ValueError:  # arrays of different lengths
        labels = y
    if labels.dtype.kind not in "biuf" or labels.shape != y.shape or not (labels == y).all():
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(
            f"{name} must hold numbers, booleans or strings, got {names} in an array of dtype object. Convert the "
            f"labels, e.g. by {name}.astype(int) or {name}.astype(str)."
        )
    return labels


def labels_for_metric(y: Any) -> Any:
    """Return labels for a metric of scikit-learn, none of which takes numbers of dtype object."""
    check_no_foreign_array(y, "y")
    check_each_label(y, "y")
    return y if sparse.issparse(y) or isinstance(y, list | tuple) else plain_labels(np.asarray(y), "y")


def check_sample_weight(sample_weight: Any, X: Rows, name: str = "sample_weight") -> Array | None:
    """Return the weights as float64 of shape (n_samples,), or None if there are none.

    Raises
    ------
    ValueError
        If weights are not finite, or negative, or all zero, or if there is not one for each row.
    """
    if sample_weight is None:
        return None
    check_no_foreign_array(sample_weight, name)
    try:
        weights: Array = _check_sample_weight(sample_weight, X, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise type(error)(str(error) if name in str(error) else f"{name} is not valid: {error}") from error
    if not np.isfinite(largest_value(weights)):
        raise ValueError(f"{name} must hold finite numbers, but it holds {describe_values(weights)}.")
    if weights.min() < 0:
        raise ValueError(f"{name} must not be negative, got {weights.min()}.")
    if not weights.any():
        raise ValueError(f"{name} must hold at least one positive weight, all {len(weights)} are zero.")
    return weights


def check_class_weight(class_weight: Any, labels: Labels) -> None:
    """Raise an error unless the class weights are of the labels.

    A dict may name classes that y does not hold, as those that a fold lacks, unless a class of y has no weight: then
    the name may be a slip.

    Raises
    ------
    ValueError, TypeError
        If a dict names classes that y does not hold and leaves others out, or if multilabel targets have not a dict
        with the keys 0 and 1 for each column.
    """
    if class_weight is None or isinstance(class_weight, str):
        return
    if labels.is_multilabel:
        _check_column_weights(class_weight, labels.n_outputs)
        return
    if not isinstance(class_weight, dict):
        raise TypeError(
            f"class_weight must be a dict, 'balanced' or None if y has one label per row, got a list of "
            f"{len(class_weight)} dict(s), which is for multilabel targets."
        )
    known = labels.classes.tolist()
    unknown = [label for label in class_weight if label not in set(known)]
    without = [label for label in known if label not in class_weight]
    if unknown and without:
        raise ValueError(
            f"class_weight names classes that y does not hold: {unknown}; y holds {known}, and {without} have no "
            "weight. Correct the names, or give every class of y a weight."
        )


def _check_column_weights(class_weight: Any, n_outputs: int) -> None:
    """Raise an error unless `class_weight` holds a dict for each column, with no other keys than 0 and 1."""
    allowed = f"'balanced', None or a list of {n_outputs} dicts with the keys 0 and 1, one for each column of y"
    if isinstance(class_weight, dict):
        raise TypeError(f"class_weight must be {allowed} for multilabel targets, got a single dict.")
    if len(class_weight) != n_outputs:
        raise ValueError(f"class_weight must be {allowed}, got {len(class_weight)} dict(s).")
    for number, column in enumerate(class_weight):
        unknown = [key for key in column if key not in (0, 1)]
        if unknown:
            raise ValueError(f"class_weight must be {allowed}, got the keys {unknown} for column {number}.")


def read_labels(y: Any, X: Rows) -> Array:
    """Return labels of the rows of X as an array, 1-d or an indicator with several columns."""
    y = labels_for_metric(y)
    y = y.toarray() if sparse.issparse(y) else np.asarray(y)
    check_consistent_length(X, y)
    return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def check_known_labels(y: Array, labels: Labels, name: str = "y_val", known: str = "y") -> None:
    """Raise a ValueError if a label is not among those of a model, or if y has another shape.

    `name` is the name of y in messages, and `known` that of what holds the labels.
    """
    n_columns = 1 if y.ndim == 1 else y.shape[1]
    if n_columns != (labels.n_outputs if labels.is_multilabel else 1):
        raise ValueError(f"{name} must be like {known}, got shape {y.shape} for {labels.n_outputs} output(s).")
    if labels.is_multilabel:
        check_indicator(y, name)
        return
    unknown = np.setdiff1d(y, labels.classes)
    if len(unknown):
        raise ValueError(
            f"{name} holds labels that {known} does not: {_list(unknown)}; {known} holds {_list(labels.classes)}."
        )


def _list(labels: Array) -> str:
    shown = labels[:_MAX_LISTED].tolist()
    return f"{shown}" if len(labels) <= _MAX_LISTED else f"{str(shown)[:-1]}, ...]"
