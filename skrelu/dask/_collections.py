"""Collections of Dask as lists of partitions of rows that belong together."""

from dataclasses import dataclass
from typing import Any

import dask
import numpy as np
from dask import array as da
from dask.base import is_dask_collection
from dask.delayed import Delayed, delayed
from scipy import sparse
from sklearn.exceptions import DataConversionWarning

from skrelu._core.arrays import Rows
from skrelu._data.dates import check_no_dates
from skrelu._data.validation import check_each_label
from skrelu._warnings import warn_caller

Names = tuple[str, str, str]

_UNKNOWN_CATEGORIES = "__UNKNOWN_CATEGORIES__"  # Dask's, of a column whose categories are not known yet


@dataclass(frozen=True)
class Partitions:
    """The partitions of rows, labels and weights, as delayed objects.

    Attributes
    ----------
    X, y : list
    sample_weight : list
        Of None if there are no weights; of a number if that is the weight of all rows.
    n_features : int
    columns : list or None
        The names of the columns of a data frame.
    """

    X: list[Any]
    y: list[Any]
    sample_weight: list[Any]
    n_features: int
    columns: list[Any] | None


def split(X: Any, y: Any, sample_weight: Any, names: Names = ("X", "y", "sample_weight")) -> Partitions:
    """Divide collections into partitions with the same rows.

    Parameters
    ----------
    X : dask array of shape (n_samples, n_features) or dask data frame
    y : dask array, series or data frame, or array-like
        An array that is not of Dask is divided as X is, if the numbers of rows of the partitions are known.
    sample_weight : the same, or a number for all rows, or None
    names : tuple of str
        The names in messages.

    Returns
    -------
    partitions : Partitions

    Raises
    ------
    TypeError
        If X is not a dask array or data frame of numbers, or labels or weights are of a wrong type.
    ValueError
        If the partitions do not fit together.

    Warns
    -----
    DataConversionWarning
        If the labels are a column.
    """
    x_name = names[0]
    if not is_collection(X):
        raise TypeError(
            f"{x_name} must be a dask array or a dask data frame, got {type(X).__module__}.{type(X).__qualname__}. For "
            "rows that one machine holds, DeepLogisticClassifier is made; dask.array.from_array divides an array."
        )
    if y is None:
        raise ValueError(f"{names[1]} must be given, got None.")
    if X.ndim != 2 or np.isnan(X.shape[1]):
        raise ValueError(f"{x_name} must have two dimensions and a known number of columns, got shape {X.shape}.")
    columns = list(X.columns) if is_frame(X) else None
    if columns is not None:
        check_columns(X, x_name)
    parts = [delayed_rows(X)]
    for name, other in zip(names[1:], (y, sample_weight), strict=True):
        if other is None or (name == names[2] and np.isscalar(other)):
            parts.append([other] * len(parts[0]))
            continue
        other = aligned(other, name, X, x_name)
        if name == names[1] and other.shape[1:] == (1,):
            message = f"{name} must have shape (n_samples,), but it is a column of a table. Its values are taken."
            warn_caller(message, DataConversionWarning)
        parts.append(delayed_rows(other))
        if len(parts[-1]) != len(parts[0]):
            raise ValueError(
                f"{x_name} has {len(parts[0])} partitions of rows, {name} has {len(parts[-1])}. They must have "
                "the same partitions: rechunk or repartition one of them."
            )
    if not parts[0]:
        raise ValueError(f"{x_name} has no partitions.")
    return Partitions(parts[0], parts[1], parts[2], int(X.shape[1]), columns)


def is_collection(X: Any) -> bool:
    """Return whether X is an array, a data frame or a series of Dask."""
    return is_dask_collection(X) and (is_array(X) or is_frame(X))


def is_array(collection: Any) -> bool:
    """Return whether a collection is a dask array."""
    return isinstance(collection, da.Array)


def is_frame(collection: Any) -> bool:
    """Return whether a collection is a data frame or a series of dask, without an import of pandas."""
    return hasattr(collection, "to_delayed") and hasattr(getattr(collection, "_meta", None), "iloc")


def check_columns(X: Any, name: str) -> None:
    """Raise a TypeError that names the columns that hold dates or text, without any work."""
    check_no_dates(X._meta)
    text = [column for column, dtype in zip(X.columns, X._meta.dtypes, strict=True) if _is_of_text(dtype)]
    if text:
        raise TypeError(
            f"{name} must hold numbers, but these columns hold text: {text}. Encode them, e.g. by OneHotEncoder."
        )


def _is_of_text(dtype: Any) -> bool:
    """Return whether a column of this dtype is known to hold text; categories may be numbers, or not known yet."""
    categories = getattr(dtype, "categories", None)
    if categories is None:
        return str(dtype).startswith("str")
    return any(isinstance(category, str) and category != _UNKNOWN_CATEGORIES for category in categories)


def _row_sizes(collection: Any) -> tuple[int, ...] | None:
    """Return the numbers of rows of the partitions, None if they are not known."""
    if not is_array(collection) or np.isnan(collection.chunks[0]).any():
        return None
    return tuple(map(int, collection.chunks[0]))


def aligned(other: Any, name: str, X: Any, x_name: str) -> Any:
    """Return labels or weights as a collection, divided as X is where that is known.

    Raises
    ------
    TypeError, ValueError
        If they are no such collection or array, or cannot be divided as X is.
    """
    sizes = _row_sizes(X)
    if not is_dask_collection(other):
        if sizes is None:
            raise TypeError(
                f"{name} must be a dask array or series with the partitions of {x_name}, whose numbers of rows are not "
                f"known, got {type(other).__module__}.{type(other).__qualname__}."
            )
        other = _as_array(other, name)
        _check_n_rows(x_name, sum(sizes), name, len(other))
        return da.from_array(other, chunks=(sizes, *((n,) for n in other.shape[1:])))
    if not is_collection(other) or other.ndim not in (1, 2):
        raise TypeError(
            f"{name} must be a dask array, series or data frame of one or two dimensions, got "
            f"{type(other).__module__}.{type(other).__qualname__}."
        )
    others = _row_sizes(other)
    if sizes is not None and others is not None and sizes != others:
        _check_n_rows(x_name, sum(sizes), name, sum(others))
        return other.rechunk({0: sizes})
    divisions, of_other = getattr(X, "divisions", None), getattr(other, "divisions", None)
    if divisions and of_other and None not in (*divisions, *of_other) and divisions != of_other:
        raise ValueError(
            f"{x_name} and {name} are divided at other values of their index: {divisions[:5]} and {of_other[:5]}. Use "
            "repartition(divisions=...)."
        )
    return other


def _as_array(values: Any, name: str) -> Any:
    """Return labels or weights in memory as an array of NumPy."""
    check_each_label(values, name)
    array = values.toarray() if sparse.issparse(values) else np.asarray(values)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} must have one or two dimensions, got {array.ndim}.")
    return array


def _check_n_rows(x_name: str, n_rows: int, name: str, n_others: int) -> None:
    if n_rows != n_others:
        raise ValueError(f"{x_name} has {n_rows} rows, {name} has {n_others}. They must have the same rows.")


def delayed_rows(collection: Any) -> list[Any]:
    """Return the partitions of a collection as delayed objects; those of an array with all columns in one."""
    if is_array(collection):
        # Not by `rechunk`, which fails on blocks of csr_array in version 2024.8.
        join = delayed(join_blocks, pure=True)
        blocks = collection.to_delayed().reshape(collection.numblocks[0], -1)
        return [join(list(row)) if len(row) > 1 else row[0] for row in blocks]
    # Dask would read several files as one partition if few of their columns are needed: y in other partitions than X.
    with dask.config.set({"optimization.tune.active": False}):
        parts = list(collection.to_delayed())
    if len(parts) == collection.npartitions:
        return parts
    frame = collection.simplify()  # older versions have no such setting
    graph = frame.__dask_graph__()
    return [Delayed(key, graph) for key in frame.__dask_keys__()]


def join_blocks(blocks: list[Rows]) -> Rows:
    """Return the blocks of columns side by side."""
    if any(sparse.issparse(block) for block in blocks):
        return sparse.hstack(blocks, format="csr")
    return np.concatenate(blocks, axis=1)
