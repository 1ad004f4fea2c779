"""Rows of X, cut into blocks that every pass visits in the same order."""

from itertools import pairwise

import numpy as np
from scipy import sparse

from skrelu._core.arrays import Array, Rows

_WORK = 2**23
_LEAST_ROWS, _MOST_ROWS, _MOST_VALUES = 512, 2**15, 2**20
_MOST_SPARSE_VALUES = 2**20


class RowBlocks:
    """Blocks of nearly equal size; dense ones are copied one by one into a workspace, sparse ones share X's values.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        A memory map is read when a block is used, never as a whole.
    max_rows : int
        The most rows that a block may hold.
    selection : ndarray of int or None
        The rows of X to visit, all of them if None. Dense rows are then gathered block by block; of a sparse X the
        selected rows are copied once.
    """

    def __init__(self, X: Rows, *, max_rows: int, selection: Array | None = None) -> None:
        self.is_sparse = bool(sparse.issparse(X))
        if self.is_sparse and selection is not None:
            X, selection = X[selection], None
        self._X = X
        self._selection = selection
        self.n_rows = X.shape[0] if selection is None else len(selection)
        n_blocks = -(-self.n_rows // max_rows)
        self._bounds = [block * self.n_rows // n_blocks for block in range(n_blocks + 1)]
        self.max_rows = -(-self.n_rows // n_blocks)
        self._only_block: Array | None = None
        self._sparse_blocks = [self._sparse_block(self.rows(i)) for i in range(n_blocks)] if self.is_sparse else []

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def rows(self, block: int) -> slice:
        """Return where the rows of a block stand among the selected ones."""
        return slice(self._bounds[block], self._bounds[block + 1])

    def load(self, block: int, out: Array) -> Rows:
        """Return a block as the network takes it: CSR, or dense in `out`, whose last column is left alone.

        Parameters
        ----------
        block : int
        out : ndarray of shape (n_rows, n_features + 1)
            The dense rows are written here, unless there is but one block and it was written here before.
        """
        if self.is_sparse:
            return self._sparse_blocks[block]
        if out is not self._only_block:
            rows = self.rows(block)
            out[:, :-1] = self._X[rows if self._selection is None else self._selection[rows]]
            if len(self) == 1:
                self._only_block = out
        return out

    def take(self, numbers: Array) -> Rows:
        """Return copies of a few of the rows, in float64; `numbers` counts the selected ones."""
        rows = self._X[numbers if self._selection is None else self._selection[numbers]]
        return rows.astype(np.float64)

    def _sparse_block(self, rows: slice) -> sparse.csr_array:
        # Slicing a CSR matrix copies its values, and so does the constructor if they are a part of a larger array.
        X = self._X
        start, stop = X.indptr[rows.start], X.indptr[rows.stop]
        block = sparse.csr_array((rows.stop - rows.start, X.shape[1]), dtype=X.dtype)
        block.data, block.indices = X.data[start:stop], X.indices[start:stop]
        block.indptr = X.indptr[rows.start : rows.stop + 1] - start
        return block


def choose_block_rows(layer_sizes: tuple[int, ...], X: Rows, n_rows: int) -> int:
    """Return the most rows that a block may hold; it depends on the shapes alone, never on the threads.

    A dense block aims at enough multiply-adds, about a millisecond's, that threads do not queue for the interpreter
    between them, and at no more than a million numbers, with at least 512 rows. A sparse one must also hold enough
    entries to pay for the dense gradient of the first layer, which is written per block. Blocks come in multiples of 4
    if there are more than 4, else of 2, so that two or four threads share them evenly. docs/decisions/0006 has the
    measurements.
    """
    n_features, width = layer_sizes[0], sum(layer_sizes[1:])
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(layer_sizes))
    if sparse.issparse(X):
        entries_per_row = max(X.nnz / X.shape[0], 1)
        n_parameters -= int((n_features - entries_per_row) * layer_sizes[1])
        least_rows = max(_LEAST_ROWS, int(min(8 * n_features / entries_per_row, _MOST_SPARSE_VALUES / width)))
        values_per_row = 2 * width
    else:
        least_rows = _LEAST_ROWS
        values_per_row = 2 * width + n_features
    rows = max(min(_WORK // n_parameters, _MOST_VALUES // values_per_row, _MOST_ROWS), least_rows)
    n_blocks = -(-n_rows // rows)
    if n_blocks > 1:
        multiple = 4 if n_blocks > 4 else 2
        n_blocks = -(-n_blocks // multiple) * multiple
    return -(-n_rows // n_blocks)
