"""Names for the types that appear in signatures."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Array = NDArray[Any]
SparseRows = sparse.csr_array | sparse.csr_matrix
Rows = Array | SparseRows
Parameters = NDArray[np.float64]

# The types that a user may pass.
MatrixLike = ArrayLike | sparse.sparray | sparse.spmatrix
