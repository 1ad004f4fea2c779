"""Inner products of the inputs of a layer under D = diag(1 / alpha), alpha a number or one for each column.

Inputs are dense, sparse, or sparse and centred. For centred rows, z - 1 m^T takes the place of z:

    (z - 1 m^T) D y^T = z D y^T - 1 (y D m)^T
"""

import numpy as np
from scipy import sparse

from skrelu._core.arrays import Array, CentredRows, Inputs, Rows

_MAX_PRODUCT_VALUES = 2**20  # of the products of a few columns


def inner_products(z: Inputs, y: Inputs, alpha: Array) -> Array:
    """Return z_i^T D y_j of all pairs of rows.

    Parameters
    ----------
    z, y : {ndarray, CSR matrix, CentredRows} of shape (n, n_features), (n_others, n_features)
        Each of any kind: a model of sparse rows also predicts for dense ones.
    alpha : number or ndarray of shape (n_features,)

    Returns
    -------
    products : ndarray of shape (n, n_others)
    """
    if isinstance(z, CentredRows):
        return inner_products(z.values, y, alpha) - y @ (z.center / alpha)
    if isinstance(y, CentredRows):
        return inner_products(z, y.values, alpha) - np.reshape(z @ (y.center / alpha), (-1, 1))
    if np.ndim(alpha) == 0:
        scaled = z / alpha
    else:
        scaled = z.multiply(1 / alpha).tocsr() if sparse.issparse(z) else z * (1 / alpha)
    product = scaled @ y.T
    return product.toarray() if sparse.issparse(product) else product


def squared_norms(z: Inputs, alpha: Array) -> Array:
    """Return z_i^T D z_i of each row, of shape (n,)."""
    if isinstance(z, CentredRows):
        weighted = z.center / alpha
        norms = squared_norms(z.values, alpha) - 2 * (z.values @ weighted) + z.center @ weighted
        return np.maximum(norms, 0)  # rounding may make a small one negative
    squares = z.multiply(z).tocsr() if sparse.issparse(z) else np.square(z)
    if np.ndim(alpha):
        return np.asarray(squares @ (1 / alpha)).ravel()
    return np.asarray(squares.sum(axis=1)).ravel() * (1 / alpha)


def column_forms(z: Inputs, matrix: Array) -> Array:
    """Return z_j^T M z_j of each column j of z, of shape (n_features,); `matrix` is M, or its doubled lower triangle.

    A few columns at a time. For centred rows the column is z_j - m_j.
    """
    if isinstance(z, CentredRows):
        sums = matrix.sum(axis=0) + matrix.sum(axis=1)
        return column_forms(z.values, matrix) - z.center * (z.values.T @ sums) + np.square(z.center) * matrix.sum()
    n_columns = max(_MAX_PRODUCT_VALUES // len(matrix), 1)
    columns = z.tocsc() if sparse.issparse(z) else z
    parts = [_column_forms(columns[:, i : i + n_columns], matrix) for i in range(0, z.shape[1], n_columns)]
    return np.concatenate(parts)


def _column_forms(columns: Rows, matrix: Array) -> Array:
    products = matrix @ columns
    summands = columns.multiply(products) if sparse.issparse(columns) else columns * products
    return np.asarray(summands.sum(axis=0)).ravel()
