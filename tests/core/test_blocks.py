import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skrelu._core.blocks import RowBlocks, choose_block_rows


def load_all(blocks, n_features):
    parts = []
    for block in range(len(blocks)):
        rows = blocks.place(block)
        out = np.ones((rows.stop - rows.start, n_features + 1))
        part = blocks.load(block, out)
        parts.append(part.toarray() if sparse.issparse(part) else part[:, :-1])
    return np.vstack(parts)


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("selection", [None, np.array([3, 1, 9, 4])])
@pytest.mark.parametrize("max_rows", [1, 3, 4, 100])
def test_blocks_hold_every_row_once_and_in_order(max_rows, selection, as_sparse):
    X = np.arange(20.0).reshape(10, 2) * (np.arange(10) % 3 > 0)[:, np.newaxis]
    blocks = RowBlocks(sparse.csr_array(X) if as_sparse else X, max_rows=max_rows, selection=selection)
    assert_array_equal(load_all(blocks, 2), X if selection is None else X[selection])
    sizes = [blocks.place(i).stop - blocks.place(i).start for i in range(len(blocks))]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) == blocks.max_rows <= max_rows


def test_sparse_blocks_share_the_values_of_X():
    X = sparse.random_array((100, 8), density=0.3, format="csr", rng=np.random.default_rng(0))
    blocks = RowBlocks(X, max_rows=30)
    assert all(np.shares_memory(blocks.load(i, np.empty(0)).data, X.data) for i in range(len(blocks)))


def test_the_only_block_is_copied_once():
    X = np.arange(6.0).reshape(3, 2)
    blocks = RowBlocks(X, max_rows=10)
    out = np.ones((3, 3))
    blocks.load(0, out)
    X[:] = -1.0  # would show if it were read again
    assert_array_equal(blocks.load(0, out)[:, :2], np.arange(6.0).reshape(3, 2))
    assert_array_equal(blocks.load(0, np.ones((3, 3)))[:, :2], X)


def test_block_size_depends_on_shapes_alone():
    dense = np.empty((10_000, 30))
    assert choose_block_rows((30, 100, 1), dense, 10_000) == 2500  # at most 2795, in an even number
    assert choose_block_rows((30, 1), dense, 10_000) == 10_000
    assert choose_block_rows((30, 1000, 1000, 1), dense, 10_000) == 500  # at most 512, in a multiple of 4
    assert choose_block_rows((30, 10, 1), dense, 300) == 300
    wide = sparse.random_array((1000, 20_000), density=5e-4, format="csr", rng=np.random.default_rng(0))
    assert choose_block_rows((20_000, 100, 1), wide, 10**6) > 4096


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("selection", [None, np.array([3, 1, 9, 4])])
@pytest.mark.parametrize("max_rows", [3, 100])
def test_dense_rows_are_centred_when_they_are_loaded(max_rows, selection, dtype):
    """In float64, whatever the dtype: of 1.6e9 +- 1 nothing would be left in float32."""
    center = np.array([1.6e9, -3.0])
    X = center + np.random.RandomState(0).randn(10, 2)
    blocks = RowBlocks(X, max_rows=max_rows, selection=selection, center=center)
    kept, expected = X.copy(), X - center
    loaded = []
    for block in range(len(blocks)):
        where = blocks.place(block)
        out = np.ones((where.stop - where.start, 3), dtype=dtype)
        loaded.append(blocks.load(block, out)[:, :-1])
        assert (out[:, -1] == 1).all()
    expected = expected if selection is None else expected[selection]
    assert_array_equal(np.vstack(loaded), expected.astype(dtype))
    assert_array_equal(X, kept)
    assert_array_equal(blocks.take(np.array([2, 0])), (X if selection is None else X[selection])[[2, 0]])


def test_a_memory_map_is_centred_block_by_block(tmp_path):
    np.save(tmp_path / "X.npy", 100 + np.arange(20, dtype=np.float32).reshape(10, 2))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    blocks = RowBlocks(X, max_rows=4, center=np.array([100.0, 101.0]))
    assert_array_equal(load_all(blocks, 2), np.arange(0.0, 20, 2)[:, np.newaxis] * [1, 1])
