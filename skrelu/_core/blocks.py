"""Blocks of rows of X, which every pass visits in the same order."""

from itertools import pairwise

import numpy as np
from scipy import sparse

from skrelu._core.arrays import Array, Rows

# Of a block: the multiply-adds of a forward pass, its rows, and the numbers in its arrays.
_MAX_MULTIPLY_ADDS = 2**23
_MIN_ROWS, _MAX_ROWS, _MAX_VALUES = 512, 2**15, 2**20
_MAX_SPARSE_VALUES = 2**20


class RowBlocks:
    """Blocks of nearly equal size. Dense blocks are copied into a workspace one by one; sparse ones share X's values.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        A memory map is read block by block, never as a whole.
    max_rows : int
        The maximum number of rows in a block.
    selection : ndarray of int or None
        The numbers of the rows to visit; None means all. Dense rows are gathered block by block; of a sparse X the
        selected rows are copied once.
    center, factor : ndarray of shape (n_features,) or None
        A vector that is subtracted from each dense row when a block is loaded, and one by which the difference is
        multiplied; None means that nothing is.
    """

    def __init__(
        self,
        X: Rows,
        *,
        max_rows: int,
        selection: Array | None = None,
        center: Array | None = None,
        factor: Array | None = None,
    ) -> None:
        self.is_sparse = bool(sparse.issparse(X))
        if self.is_sparse and selection is not None:
            X, selection = X[selection], None
        self._X = X
        self._selection = selection
        self._center, self._factor = center, factor
        self.n_rows = X.shape[0] if selection is None else len(selection)
        n_blocks = -(-self.n_rows // max_rows)
        self._bounds = [block * self.n_rows // n_blocks for block in range(n_blocks + 1)]
        self.max_rows = -(-self.n_rows // n_blocks)
        self._only_block: Array | None = None
        self._sparse_blocks = [self._sparse_block(self.place(i)) for i in range(n_blocks)] if self.is_sparse else []

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def place(self, block: int) -> slice:
        """Return the positions of a block's rows among the selected rows."""
        return slice(self._bounds[block], self._bounds[block + 1])

    def load(self, block: int, out: Array) -> Rows:
        """Return a block for the network: a CSR matrix, or `out` with the dense rows in all columns but the last.

        Parameters
        ----------
        block : int
        out : ndarray of shape (n_rows, n_features + 1)
            Dense rows are written here. A single block is written only once.
        """
        if self.is_sparse:
            return self._sparse_blocks[block]
        if out is not self._only_block:
            where = self.place(block)
            rows = self._X[where if self._selection is None else self._selection[where]]
            if self._center is None:
                out[:, :-1] = rows
            else:
                np.subtract(rows, self._center, out=out[:, :-1], casting="same_kind")
            if self._factor is not None:
                np.multiply(out[:, :-1], self._factor, out=out[:, :-1], casting="same_kind")
            if len(self) == 1:
                self._only_block = out
        return out

    def take(self, numbers: Array) -> Rows:
        """Return copies of a few rows in float64, as X has them; `numbers` are positions among the selected rows."""
        rows = self._X[numbers if self._selection is None else self._selection[numbers]]
        return rows.astype(np.float64)

    def _sparse_block(self, rows: slice) -> sparse.csr_array:
        # Slicing a CSR matrix copies its values. So does the constructor if they are a view of a larger array.
        X = self._X
        start, stop = X.indptr[rows.start], X.indptr[rows.stop]
        block = sparse.csr_array((rows.stop - rows.start, X.shape[1]), dtype=X.dtype)
        block.data, block.indices = X.data[start:stop], X.indices[start:stop]
        block.indptr = X.indptr[rows.start : rows.stop + 1] - start
        return block


def choose_block_rows(layer_sizes: tuple[int, ...], X: Rows, n_rows: int) -> int:
    """Return the maximum number of rows in a block, see `block_rows`."""
    return block_rows(layer_sizes, X.nnz / X.shape[0] if sparse.issparse(X) else None, n_rows)


def block_rows(layer_sizes: tuple[int, ...], entries_per_row: float | None, n_rows: int) -> int:
    """Return the maximum number of rows in a block. It depends on the shapes alone, never on the number of threads.

    A dense block has about a millisecond of multiply-adds, so that threads seldom wait for the interpreter between
    blocks. It holds at most about a million numbers, and at least 512 rows. A sparse block must also hold enough
    entries to pay for the dense gradient of the first layer, which is written for each block. The number of blocks is a
    multiple of 4 if it is more than 4, else of 2, so that two or four threads share the blocks evenly.
    docs/decisions/0006 has the measurements.

    `entries_per_row` is the mean number of entries of a sparse row, None for dense rows.
    """
    n_features, width = layer_sizes[0], sum(layer_sizes[1:])
    n_parameters = sum((n_in + 1) * n_out for n_in, n_out in pairwise(layer_sizes))
    if entries_per_row is not None:
        entries_per_row = max(entries_per_row, 1)
        n_parameters -= int((n_features - entries_per_row) * layer_sizes[1])
        min_rows = max(_MIN_ROWS, int(min(8 * n_features / entries_per_row, _MAX_SPARSE_VALUES / width)))
        values_per_row = 2 * width
    else:
        min_rows = _MIN_ROWS
        values_per_row = 2 * width + n_features
    max_rows = max(min(_MAX_MULTIPLY_ADDS // n_parameters, _MAX_VALUES // values_per_row, _MAX_ROWS), min_rows)
    n_blocks = -(-n_rows // max_rows)
    if n_blocks > 1:
        multiple = 4 if n_blocks > 4 else 2
        n_blocks = -(-n_blocks // multiple) * multiple
    return -(-n_rows // n_blocks)
