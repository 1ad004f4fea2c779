"""The parts of a score: what each column adds to the score of a reference, under the linear model of a row."""

from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lstsq

from skrelu._core.arrays import Array
from skrelu.inspection._explained import Base, Explained
from skrelu.inspection._local_models import region_models


def contributions_of(explained: Explained, X: Any, reference: Any = None) -> tuple[Array, Array, Array]:
    """Return the parts of the scores of a few rows.

    Parameters
    ----------
    explained : Explained
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    reference : {array-like, sparse matrix} of shape (n_rows, n_features) or None
        Rows whose mean is the reference. None means the mean of the training rows if the classifier knows it
        (`feature_mean_`), otherwise the row whose features are 0.

    Returns
    -------
    contributions : ndarray of shape (n_samples, n_outputs, n_columns)
        coef_j (x_j - reference_j). If a column enters as several features, as after an encoder, their sum.
    base : ndarray of shape (n_samples, n_outputs)
        The score of the reference under the linear model of each row.
    scores : ndarray of shape (n_samples, n_outputs)
        `base` plus the sum of the contributions.
    """
    Z = explained.rows(X)
    coef, intercept, groups, _ = region_models(explained, Z, of_base=True)
    coef, intercept = coef[groups.region], intercept[groups.region]
    rows = explained.base_rows(X, Z)
    center = _reference_row(explained, reference)
    rows = rows.toarray() if sparse.issparse(rows) else rows
    parts = coef * (rows - center)[:, np.newaxis]
    base = coef @ center + intercept
    contributions = sum_by_source(explained, parts)
    return contributions, base, base + contributions.sum(axis=-1)


def sum_by_source(explained: Explained, parts: Array) -> Array:
    """Sum the last axis, which has an entry for each column of the base, over the columns of the explanation."""
    source, n_columns = explained.source, len(explained.names)
    if len(source) == n_columns and (source == np.arange(n_columns)).all():
        return parts
    sums = sparse.csr_array((np.ones(len(source)), (source, np.arange(len(source)))), (n_columns, len(source)))
    return np.ascontiguousarray((sums @ parts.reshape(-1, len(source)).T).T).reshape(*parts.shape[:-1], n_columns)


def _reference_row(explained: Explained, reference: Any) -> Array:
    """Return the reference in the columns of the base."""
    if reference is not None:
        Z = explained.rows(reference)
        rows = explained.base_rows(reference, Z).astype(np.float64, copy=False)
        return np.asarray(rows.mean(axis=0)).ravel()
    means = getattr(explained.classifier, "feature_mean_", None)
    if means is None or len(means) != explained.network.n_features:  # they may be of an earlier fit
        means = np.zeros(explained.network.n_features)
    return means if explained.base is None else _invert(explained.base, np.asarray(means, dtype=np.float64))


def _invert(base: Base, features: Array) -> Array:
    """Return the row of the base that has these features; with steps such as PCA one of many, or the nearest."""
    n_affine = len(base.numbers)
    is_affine = np.ones(len(features), dtype=bool)
    is_affine[base.others] = False
    row = np.zeros(len(base.source))
    row[n_affine:] = features[base.others]
    slopes = base.slopes[:n_affine].toarray()[:, is_affine]
    # In units in which each column has slopes of length 1: the rank must not depend on the columns' units.
    lengths = np.linalg.norm(slopes, axis=1)
    units = np.divide(1, lengths, out=np.zeros(n_affine), where=lengths > 0)
    if units.any():
        row[:n_affine] = units * lstsq((slopes * units[:, np.newaxis]).T, (features - base.offsets)[is_affine])[0]
    return row
