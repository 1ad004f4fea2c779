"""The types that appear in signatures."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Array = NDArray[Any]
SparseRows = sparse.csr_array | sparse.csr_matrix
Rows = Array | SparseRows
Parameters = NDArray[np.float64]


@dataclass(frozen=True)
class CentredRows:
    """Sparse rows minus the same vector for every row; the difference, which is dense, is not formed.

    Attributes
    ----------
    values : CSR matrix of shape (n_rows, n_features)
    center : ndarray of shape (n_features,)
    """

    values: Any
    center: Array

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape

    def __matmul__(self, weights: Array) -> Array:
        return self.values @ weights - self.center @ weights

    def astype(self, dtype: Any) -> "CentredRows":
        return replace(self, values=self.values.astype(dtype))


Inputs = Rows | CentredRows

# The types that a user may pass.
MatrixLike = ArrayLike | sparse.sparray | sparse.spmatrix
