"""Predictions for the rows of Dask collections, lazily and chunk by chunk, and their accuracy.

The model is one value in the graph, on which the tasks of all chunks depend. So it travels to each worker once, and the
scheduler drops it with the results: nothing stays on the cluster.
"""

import math
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.delayed import delayed
from dask.highlevelgraph import HighLevelGraph
from scipy import sparse

from skrelu._core.arrays import Array, Rows
from skrelu._data.validation import describe_values, labels_for_metric, largest_value
from skrelu._predictor import Predictor
from skrelu.dask._collections import aligned, check_columns, delayed_rows, is_frame, join_blocks

Results = tuple[Array, ...]


def predict_lazily(model: Predictor, method: str, X: Any, *, return_std: bool = False) -> Any:
    """Return the predictions of a method as a Dask array with one chunk for each chunk of rows.

    Parameters
    ----------
    model : Predictor
        A fitted estimator. Later changes of its attributes do not change the result.
    method : {'predict', 'predict_proba', 'predict_log_proba', 'decision_function'}
    X : dask array or dask data frame of shape (n_samples, n_features)
        The chunks of an array are ndarrays or CSR matrices. The sizes of the chunks may be unknown.
    return_std : bool, default=False
        As in `decision_function`; the result is a tuple of two arrays then.

    Returns
    -------
    predictions : dask array or tuple of dask array
        Shape, dtype and values are those of the method for an array of NumPy. A chunk without rows has no results.

    Raises
    ------
    ValueError, TypeError
        At once, if the method refuses the columns of X.
    """
    options = {"return_std": True} if return_std else {}
    empty = _results_of_no_rows(model, method, X, options)
    keywords = {"model": _share(model, X, return_std=return_std), "method": method, "options": options, "empty": empty}
    rows = _in_row_chunks(X)
    if not return_std:
        return _map_chunks(_predict_single, rows, empty[0], keywords, method)
    pairs = _map_chunks(_predict_rows, rows, empty[0], keywords, method)  # each chunk is a tuple
    return tuple(
        da.map_blocks(_take, pairs, place, dtype=part.dtype, chunks=pairs.chunks, meta=part)
        for place, part in enumerate(empty)
    )


def score_lazily(model: Predictor, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Return the accuracy, in one pass over the chunks of rows; for multilabel targets all labels must be right.

    Parameters
    ----------
    model : Predictor
        A fitted estimator.
    X : dask array or dask data frame of shape (n_samples, n_features)
    y : dask array, data frame or series, or array-like of shape (n_samples,) or (n_samples, n_labels)
        Labels in the chunks of X. Where all sizes are known, other chunks are changed to these.
    sample_weight : the same, of shape (n_samples,), default=None

    Returns
    -------
    score : float

    Raises
    ------
    ValueError, TypeError
        If the collections do not fit the model or each other, or if the weights add up to zero.
    """
    _results_of_no_rows(model, "predict", X, {})
    rows = _in_row_chunks(X)
    y = _in_chunks_of(rows, y, "y", X)
    weights = None if sample_weight is None else _in_chunks_of(rows, sample_weight, "sample_weight", X)
    counts = da.blockwise(
        _count_right,
        "ik",
        rows,
        "i",
        y,
        "i",
        weights,
        None if weights is None else "i",
        da.arange(rows.numblocks[0], chunks=1),
        "i",
        model=_share(model, X),
        new_axes={"k": 2},
        adjust_chunks={"i": 1},
        align_arrays=False,
        meta=np.empty((0, 2)),
    )
    right, total = map(math.fsum, counts.compute().T)
    if not total:
        raise ValueError("The accuracy needs rows with weights that do not add up to zero.")
    return right / total


def _results_of_no_rows(model: Predictor, method: str, X: Any, options: dict[str, Any]) -> Results:
    """Return the results for no rows; raise an error if the method refuses one row of zeros with the columns of X."""
    results = getattr(model, method)(_row_of_zeros(X), **options)
    if is_frame(X):
        check_columns(X, "X")
    return tuple(part[:0] for part in (results if options else (results,)))


def _row_of_zeros(X: Any) -> Any:
    if is_frame(X):
        return _frame_of_zeros(X._meta)
    if np.isnan(X.shape[1:]).any():
        raise ValueError(f"X must have a known number of columns, got shape {X.shape}: call X.compute_chunk_sizes().")
    return np.zeros((1, *X.shape[1:]), dtype=X.dtype)


def _frame_of_zeros(meta: Any) -> Any:
    """Return a frame like `meta` with one row; columns that do not hold numbers are of float64 in it."""
    import pandas as pd

    if meta.ndim == 1:
        return pd.Series([0.0])
    if not len(meta.columns):
        return pd.DataFrame(index=[0])
    dtypes = [dtype if pd.api.types.is_numeric_dtype(dtype) else np.dtype(float) for dtype in meta.dtypes]
    frame = pd.concat([pd.Series([0]).astype(dtype) for dtype in dtypes], axis=1)
    frame.columns = meta.columns
    return frame


def _share(model: Predictor, X: Any, *, return_std: bool = False) -> Any:
    """Return a copy of the model, for the chunks of X, as one delayed value; the columns of X have been checked."""
    copy = object.__new__(type(model))
    copy.__dict__.update(vars(model))
    # The names of X, so that no chunk repeats a warning that they are not those of the fit.
    copy.__dict__.pop("feature_names_in_", None)
    if is_frame(X) and all(isinstance(name, str) for name in X.columns):
        copy.__dict__["feature_names_in_"] = np.array(X.columns, dtype=object)
    if return_std:
        copy.predictive = "laplace"  # otherwise a pickle leaves out the posterior
    return delayed(copy, pure=True)


def _in_row_chunks(X: Any) -> Any:
    """Return a Dask array with one dimension, each chunk of which is a chunk of the rows of X with all its columns.

    A chunk of a data frame stays a frame.
    """
    if is_frame(X):
        parts = delayed_rows(X)
        name = f"rows-{tokenize(X)}"
        tasks = {(name, number): (_same, part.key) for number, part in enumerate(parts)}
        graph = HighLevelGraph.from_collections(name, tasks, dependencies=parts[:1])  # all have the same graph
        return da.Array(graph, name, ((np.nan,) * len(parts),), meta=np.empty(0))
    # Not by `rechunk`, which fails on blocks of csr_array in version 2024.8.
    return (
        X if X.ndim == 1 else da.blockwise(_join_columns, "i", X, "ij", dtype=X.dtype, meta=np.empty(0, dtype=X.dtype))
    )


def _map_chunks(function: Any, rows: Any, empty: Array, keywords: dict[str, Any], name: str) -> Any:
    """Return the results of all chunks of rows as a Dask array whose dtype and columns are those of `empty`."""
    is_vector = empty.ndim == 1
    new_axes = {} if is_vector else {"k": empty.shape[1]}
    return da.blockwise(
        function,
        "i" if is_vector else "ik",
        rows,
        "i",
        new_axes=new_axes,
        dtype=empty.dtype,
        meta=empty,
        token=name,
        **keywords,
    )


def _same(rows: Any) -> Any:
    return rows


def _join_columns(blocks: list[Rows]) -> Rows:
    return blocks[0] if len(blocks) == 1 else join_blocks(blocks)


def _predict_single(rows: Any, model: Predictor, method: str, options: dict[str, Any], empty: Results) -> Array:
    return _predict_rows(rows, model, method, options, empty)[0]


def _predict_rows(rows: Any, model: Predictor, method: str, options: dict[str, Any], empty: Results) -> Results:
    """Return the one or two results of a method for a chunk; the method itself would refuse a chunk without rows."""
    if not rows.shape[0]:
        return empty
    results = getattr(model, method)(rows, **options)
    return results if options else (results,)


def _take(results: Results, place: int) -> Array:
    return results[place]


def _in_chunks_of(rows: Any, part: Any, name: str, X: Any) -> Any:
    """Return labels or weights in the chunks of `rows`, which are those of X."""
    part = _in_row_chunks(aligned(part, name, X, "X"))
    n_needed, n_chunks = rows.numblocks[0], part.numblocks[0]
    if n_chunks != n_needed:
        raise ValueError(f"{name} must have {n_needed} partition(s) of rows, as X has, got {n_chunks}.")
    return part


def _count_right(X: Any, y: Any, sample_weight: Any, numbers: Array, model: Predictor) -> Array:
    """Return the weight of the rows of a partition that are predicted right and that of all, of shape (1, 2)."""
    number, n_rows = numbers[0], X.shape[0]
    for name, part in (("y", y), ("sample_weight", sample_weight)):
        if part is not None and part.shape[0] != n_rows:
            raise ValueError(f"Partition {number} of X has {n_rows} rows, but that of {name} has {part.shape[0]}.")
    if not n_rows:
        return np.zeros((1, 2))
    predicted = model.predict(X)
    try:
        is_right = predicted == _labels_like(predicted, y)
        weights = np.ones(n_rows) if sample_weight is None else _read_weights(sample_weight)
    except (ValueError, TypeError) as error:
        raise type(error)(f"Partition {number}: {error}") from error
    if is_right.ndim == 2:
        is_right = is_right.all(axis=1)
    return np.array([[math.fsum(weights[is_right]), math.fsum(weights)]])


def _labels_like(predicted: Array, y: Any) -> Array:
    """Return labels in the shape of the predicted ones, checked as a metric of scikit-learn checks them."""
    y = labels_for_metric(y)
    y = y.toarray() if sparse.issparse(y) else np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.shape != predicted.shape:
        raise ValueError(f"y must have the shape of the predictions, {predicted.shape}, got {y.shape}.")
    if _holds_strings(y) != _holds_strings(predicted):
        raise TypeError(f"y must hold labels like those of the fit, of dtype {predicted.dtype}, got dtype {y.dtype}.")
    if y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.rint(y))).all():
        raise ValueError("y must hold labels, but it holds numbers that are not whole or not finite.")
    return y


def _holds_strings(labels: Array) -> bool:
    return labels.dtype.kind in "UT" or isinstance(labels.flat[0], str)


def _read_weights(sample_weight: Any) -> Array:
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim != 1:
        raise ValueError(f"sample_weight must have one dimension, got shape {weights.shape}.")
    if not np.isfinite(largest_value(weights)):
        raise ValueError(f"sample_weight must hold finite numbers, but it holds {describe_values(weights)}.")
    return weights
