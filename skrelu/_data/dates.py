"""Dates and durations among the columns of X, which NumPy would turn into numbers without a word."""

from typing import Any

import numpy as np

# Found by the names of their types, so that neither pandas nor polars need be installed.
_TYPES = {"datetime64", "timedelta64", "datetime", "date", "time", "timedelta", "Timestamp", "Timedelta", "Period"}
_DTYPES = ("datetime", "date", "time", "duration", "period", "timestamp")


def check_no_dates(X: Any) -> None:
    """Raise a TypeError that names the columns of X that hold dates, times or durations.

    Parameters
    ----------
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        As the caller gave it.
    """
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    if isinstance(kind, str) and kind in "biufc":
        return
    found = _dates_of_frame(X) if hasattr(X, "dtypes") and hasattr(X, "columns") else _dates_of_array(X)
    if found:
        raise TypeError(
            f"X must hold numbers, but these columns hold dates, times or durations: {found}. Turn them into numbers "
            "that mean something to the model, such as days since a date, or the month."
        )


def _dates_of_frame(X: Any) -> list[Any]:
    """Return the names of such columns."""
    found = []
    for j, (name, dtype) in enumerate(zip(X.columns, X.dtypes, strict=True)):
        is_object = getattr(dtype, "kind", "") == "O" and hasattr(X, "iloc")
        if _is_date_dtype(dtype) or (is_object and _holds_dates(X.iloc[:, j])):
            found.append(name)
    return found


def _is_date_dtype(dtype: Any) -> bool:
    return getattr(dtype, "kind", "") in ("m", "M") or str(dtype).lower().startswith(_DTYPES)


def _holds_dates(values: Any) -> bool:
    return any(kind.__name__ in _TYPES for kind in set(map(type, values)))


def _dates_of_array(X: Any) -> list[int]:
    """Return the numbers of such columns."""
    if not isinstance(X, np.ndarray | list | tuple):
        return []
    try:
        X = np.asarray(X)
    except ValueError:  # rows of different lengths; scikit-learn raises an error for them later
        return []
    if X.ndim != 2:
        return []
    if X.dtype.kind in "mM":
        return list(range(X.shape[1]))
    return [j for j, column in enumerate(X.T) if _holds_dates(column)] if X.dtype == object else []
