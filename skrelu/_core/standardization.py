"""Standardised columns: mean 0 and deviation 1, without a copy of X.

With mean m_j and deviation s_j of column j, the network that is fitted has the first layer V (x - m) / s + c. In the
units of X the same network has the first layer

    W = V diag(1 / s),    b = c - W m,

a linear change of its parameters, whose transpose takes the gradient by (W, b) to that by (V, c). So blocks of rows
stay in their own units, sparse rows stay sparse, and only the small matrix of the first layer changes.

Where m_j is very large beside s_j, the difference of W x and W m loses digits. Then dense rows are centred when they
are copied into a block, see `RowBlocks`, and only the scale goes into the first layer. Rows of a single block, copied
once, are standardised there.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from skrelu._core.arrays import Array, CentredRows, Inputs, Rows, SparseRows


@dataclass(frozen=True)
class Standardization:
    """The means and deviations of the columns.

    Parameters
    ----------
    center : ndarray of shape (n_features,)
        The means m_j, in float64.
    factor : ndarray of shape (n_features,)
        1 / s_j; 0 for a constant column, whose weights are then 0 and have no gradient.
    """

    center: Array
    factor: Array

    @property
    def scale(self) -> Array:
        """The deviations s_j; 1 for a constant column."""
        return 1 / np.where(self.factor > 0, self.factor, 1)

    @cached_property
    def distance(self) -> float:
        """The largest |m_j| / s_j."""
        return float(np.abs(self.center * self.factor).max(initial=0))

    def without_center(self) -> "Standardization":
        """Return the standardisation of rows that are centred already."""
        return replace(self, center=np.zeros_like(self.center))

    @cached_property
    def _has_center(self) -> bool:
        return bool(self.center.any())

    @cached_property
    def _factors(self) -> Array:
        return self.factor[:, np.newaxis]

    def to_given(self, layer: Array) -> Array:
        """Return the first layer [W | b]^T in the units of X, from [V | c]^T; both of shape (n_features + 1, m_1)."""
        given = np.empty_like(layer)
        np.multiply(layer[:-1], self._factors, out=given[:-1])
        given[-1] = layer[-1]
        if self._has_center:
            given[-1] -= self.center @ given[:-1]
        return given

    def from_given(self, layer: Array) -> Array:
        """Return the first layer for standardised columns from that in the units of X, the inverse of `to_given`."""
        standardized = np.empty_like(layer)
        standardized[:-1] = 0
        np.divide(layer[:-1], self._factors, out=standardized[:-1], where=self._factors > 0)
        standardized[-1] = layer[-1] + self.center @ layer[:-1]
        return standardized

    def pull_back(self, gradient: Array) -> None:
        """Turn the gradient by [W | b]^T into that by [V | c]^T, in place."""
        if self._has_center:
            gradient[:-1] -= np.multiply.outer(self.center, gradient[-1])
        gradient[:-1] *= self._factors

    def rows(self, X: Rows) -> Inputs:
        """Return copies of a few rows with standardised columns."""
        if not sparse.issparse(X):
            return (X - self.center) * self.factor
        scaled = X.multiply(self.factor).tocsr()
        center = self.center * self.factor
        return CentredRows(scaled, center) if center.any() else scaled

    def squared_norms(self, X: SparseRows) -> Array:
        """Return ||(x - m) / s||^2 of each row of a block."""
        weights = np.square(self.factor)
        norms = np.asarray(X.multiply(X) @ weights).ravel()
        if self._has_center:
            weighted = weights * self.center
            norms = norms - 2 * np.asarray(X @ weighted).ravel() + weighted @ self.center
        return np.maximum(norms, 0)
